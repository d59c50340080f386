// says: makes no layer
// says: a builder takes specs: `Lstm::spec(64)`
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    let lstm = Lstm::<f32>::spec(4).build(3, &mut Init::seeded(1))?;
    Network::<f32>::builder(3).layer(lstm).build()?;
    Ok(())
}
