// says: expected `f32`, found `f64`
use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    let net = Network::<f32>::builder(3).lstm(4).linear(2).build()?;
    net.predict(&Array3::<f64>::zeros((5, 2, 3)))?;
    Ok(())
}
