//! A sound through a model in each way there is.

use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;

/// The outputs of a network for `xs` (D numbers a sample): as a sequence, step by step, and packed.
pub(crate) fn outputs<F: Float>(net: &Network<F>, xs: &[f64]) -> [Vec<f64>; 3] {
    let d = net.input_size();
    let xs: Vec<F> = xs.iter().map(|x| F::from_f64(*x)).collect();
    let sequence = Array3::from_shape_vec((xs.len() / d, 1, d), xs.clone()).unwrap();
    let sequence = net.predict(&sequence).unwrap().iter().map(|y| y.as_f64()).collect();
    [sequence, steps(net, &xs), steps(&net.prepare(Precision::Full).unwrap(), &xs)]
}

fn steps<F: Float, N: Causal<Elem = F>>(net: &N, xs: &[F]) -> Vec<f64> {
    let (mut state, mut y, mut all) = (net.initial_state(1), vec![F::from_f64(0.0); net.output_size()], Vec::new());
    for x in xs.chunks_exact(net.input_size()) {
        net.step_rows(x, &mut y, &mut state).unwrap();
        all.extend(y.iter().map(|y| y.as_f64()));
    }
    all
}

/// The largest difference of any of the ways to what is expected; the ways give the same bits.
pub(crate) fn error<F: Float>(net: &Network<F>, xs: &[f64], expected: &[f64]) -> f64 {
    let [sequence, steps, packed] = outputs(net, xs);
    assert_eq!(sequence.len(), expected.len());
    assert!(sequence == steps && sequence == packed);
    sequence.iter().zip(expected).map(|(y, expected)| (y - expected).abs()).fold(0.0, f64::max)
}
