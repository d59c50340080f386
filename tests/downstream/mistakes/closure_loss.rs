// says: does not take targets
// says: `.loss_fn(|outputs, targets, d_outputs| ...)`
use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    let net = Network::<f32>::builder(3).lstm(4).linear(2).build()?;
    let (xs, ys) = (Array3::<f32>::zeros((5, 2, 3)), Array3::<f32>::zeros((5, 2, 2)));
    Bptt::builder(net).loss(|y, t, d| 0.0).build()?.train(&xs, &ys)?;
    Ok(())
}
