// says: expected `ArrayRef<f32
// says: found `ArrayRef<f64
use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    let net = Network::<f32>::builder(3).lstm(4).linear(2).build()?;
    let (xs, ys) = (Array3::<f32>::zeros((5, 2, 3)), Array3::<f64>::zeros((5, 2, 2)));
    Bptt::builder(net).loss(MeanSquared).build()?.train(&xs, &ys)?;
    Ok(())
}
