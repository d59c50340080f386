//! How far 16 and 8 bits lead from the full network.

use deep_rnn::prelude::*;

use crate::run::{difference, forward, problem};

/// Two layers of 256 LSTM units on 28 inputs, 1000 steps: the largest error of an output or of the last state.
#[test]
fn a_thousand_steps() {
    let net = Stacked::repeat(28, 2, &Lstm::<f32>::spec(256), 1).unwrap();
    let problem = problem(&net, 1000, 1, 1);
    let full = forward(&net, &problem);
    let error = |precision| difference(&forward(&net.prepare(precision).unwrap(), &problem), &full);
    let (full, bf16, int8) = (error(Precision::Full), error(Precision::Bf16), error(Precision::Int8));
    println!("largest error in 1000 steps: full {full:e}, bf16 {bf16:e}, int8 {int8:e}");
    assert_eq!(full, 0.0);
    assert!(bf16 > 0.0 && bf16 < 1e-3, "bf16: {bf16:e}");
    assert!(int8 > 0.0 && int8 < 2e-3, "int8: {int8:e}");
}
