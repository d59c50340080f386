// says: no layer that can be trained
// says: a packed network runs and cannot be trained
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    let net = Network::<f32>::builder(3).lstm(4).linear(2).build()?.prepare(Precision::Full)?;
    Bptt::builder(net).build()?;
    Ok(())
}
