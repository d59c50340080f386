// says: expected `usize`, found `f32`
// says: AsInput
use deep_rnn::ndarray::Array2;
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    let net = Network::<f32>::builder(3).lstm(4).linear(2).build()?;
    net.predict(&Array2::<f32>::zeros((5, 3)))?;
    Ok(())
}
