// says: `Vec<usize>` cannot be targets
// says: targets are an array or a view
use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    let net = Network::<f32>::builder(3).lstm(4).linear(2).build()?;
    let xs = Array3::<f32>::zeros((5, 2, 3));
    Bptt::builder(net).build()?.train(&xs, &vec![0_usize, 1])?;
    Ok(())
}
