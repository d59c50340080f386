//! A cell of one's own, from its equation to a stream: the whole program.

use deep_rnn::cells::{GatedSpec, PerUnit, PerUnitGrad, Start, Vector};
use deep_rnn::files::Loading;
use deep_rnn::layers::Kinds;
use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;

/// h' = h + σ(r)∘(tanh(x·w_x + h·w_h + b) - h)
#[derive(Clone, Copy, Debug)]
struct Leaky;

#[rustfmt::skip]
impl PerUnit for Leaky {
    type Weights<F: Float> = [F; 1];
    type X<F: Float> = [F; 1];
    type H<F: Float> = [F; 1];
    type State<F: Float> = [F; 1];
    type Saved<F: Float> = [F; 2];
    const NAME: &'static str = "Leaky";
    const WEIGHTS: &'static [Vector] = &[Vector::new("r", Start::Constant(-1.0))];
    const SUMMED: bool = true;
    #[inline(always)]
    fn forward<F: Float>(&self, [r]: [F; 1], [x]: [F; 1], [u]: [F; 1], [h]: [F; 1]) -> ([F; 1], [F; 2]) {
        let (a, n) = (r.sigmoid(), (x + u).tanh());
        ([h + a * (n - h)], [a, n])
    }
    #[inline(always)]
    fn backward<F: Float>(&self, _: [F; 1], [a, n]: [F; 2], [h]: [F; 1], [dh]: [F; 1]) -> PerUnitGrad<F, Self> {
        let x = [dh * a * n.tanh_slope()];
        PerUnitGrad { weights: [dh * (n - h) * a.sigmoid_slope()], x, u: x, before: [dh * (F::one() - a)] }
    }
}

#[test]
fn trained_on_rows_of_several_lengths_and_streamed() -> Result<(), Error> {
    // The mean of what came so far.
    let xs = Array3::from_shape_fn((12, 16, 1), |(t, b, _)| ((t * 7 + b * 5) % 11) as f32 / 5.0 - 1.0);
    let mut ys = xs.clone();
    (1..12).for_each(|t| {
        (0..16).for_each(|b| ys[[t, b, 0]] = (ys[[t - 1, b, 0]] * t as f32 + xs[[t, b, 0]]) / (t + 1) as f32)
    });
    let lengths: Vec<usize> = (0..16).map(|b| 1 + b % 12).collect();

    let leaky = |units| GatedSpec::<f32, _>::new(Leaky, units);
    let net = Network::builder(1).layer(leaky(24)).dropout(0.1).layer(leaky(24)).linear(1).seed(1).build()?;
    let mut bptt = Bptt::builder(net).loss(MeanSquared).optimizer(Adam::new(0.01)).clip_norm(1.0).build()?;
    let batch = || Batch::new(&xs, &ys).lengths(lengths.clone());
    let first = bptt.epoch([batch()])?.loss();
    for _ in 0..150 {
        bptt.epoch([batch()])?;
    }
    assert!(bptt.evaluate([batch()])?.loss() < first / 10.0);

    // Kept in a file, and read by a program that knows the name.
    let path = std::env::temp_dir().join(format!("deep-rnn-own-cell-{}.safetensors", std::process::id()));
    bptt.model().save(&path)?;
    let kinds = Kinds::<f32>::new().with_cell(|_| Ok(Leaky));
    let net = Loading::new().kinds(kinds).network(&path)?;
    let unknown = Network::<f32>::load(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(unknown.contains("got \"Leaky\""), "{unknown}");

    let expected = bptt.predict(&xs)?;
    let stream = net.prepare(Precision::Full)?;
    let (mut state, mut y) = (stream.zero_state(16), [0.0; 16]);
    for (t, x) in xs.outer_iter().enumerate() {
        stream.step_rows(x.as_slice().unwrap(), &mut y, &mut state)?;
        assert!(y.iter().zip(expected.index_axis(deep_rnn::ndarray::Axis(0), t)).all(|(a, b)| a == b));
    }
    Ok(())
}
