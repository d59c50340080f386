//! Regression on sequences of numbers: an LSTM with a linear head learns to say the next value of a sine of unknown
//! frequency and phase that it only sees through noise.
//!
//! ```text
//! cargo run --release --example sine
//! ```

use std::f64::consts::TAU;

use deep_rnn::ndarray::{Array2, Array3};
use deep_rnn::{
    Context, Error, Network,
    init::Init,
    loss::{Loss, MeanSquared},
    optim::Adam,
    train::{Batch, Bptt},
};

const STEPS: usize = 60;
const ROWS: usize = 32;
const NOISE: f64 = 0.3;

type Numbers = Array3<f32>;

/// 32 sines of 60 steps: what is seen of them, and the clean values one step later.
fn sines(init: &mut Init) -> Batch<Numbers, Numbers> {
    let unit: Array2<f64> = init.uniform((2, ROWS), 1.0);
    let noise: Numbers = init.normal((STEPS, ROWS, 1), NOISE);
    let value = |step: usize, row: usize| {
        let (period, phase) = (15.0 + 5.0 * unit[[0, row]], unit[[1, row]] / 2.0);
        (TAU * (step as f64 / period + phase)).sin() as f32
    };
    let x = Array3::from_shape_fn((STEPS, ROWS, 1), |(step, row, _)| value(step, row)) + noise;
    let y = Array3::from_shape_fn((STEPS, ROWS, 1), |(step, row, _)| value(step + 1, row));
    Batch::new(x, y)
}

fn main() -> Result<(), Error> {
    let net = Network::<f32>::builder(1).lstm(32).linear(1).seed(1).build()?;
    println!("{net}");
    let mut engine =
        Bptt::builder(net).loss(MeanSquared).optimizer(Adam::new(0.01)).clip_norm(1.0).threads(2).build()?;

    let unseen = sines(&mut Init::seeded(2));
    // What saying the last value seen would cost, noise and all.
    let mut gradient = Array3::zeros(unseen.x.dim());
    let naive = MeanSquared.evaluate(Context::default(), unseen.x.view(), &*unseen.y, gradient.view_mut());
    println!("saying the last value again: mean squared error {:.4}", naive.mean());
    println!("before: {:.4}", engine.evaluate([unseen.clone()])?.loss());
    let mut init = Init::seeded(1);
    for epoch in 1..=10 {
        let report = engine.epoch((0..50).map(|_| sines(&mut init)))?;
        println!("epoch {epoch}: {:.4}", report.loss());
    }
    println!("after: {:.4}", engine.evaluate([unseen.clone()])?.loss());

    let said = engine.predict(&unseen.x)?;
    println!("\nthe last steps of one of them\n seen     said     true");
    for step in STEPS - 8..STEPS {
        let [seen, said, truth] = [&unseen.x, &said, &unseen.y].map(|values| values[[step, 0, 0]]);
        println!("{seen:>5.2}    {said:>5.2}    {truth:>5.2}");
    }
    Ok(())
}
