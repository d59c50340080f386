// says: expected `f32`, found `f64`
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    Network::<f32>::builder(3).layer(Lstm::<f64>::spec(4)).build()?;
    Ok(())
}
