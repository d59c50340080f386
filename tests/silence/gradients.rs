//! Gradients that vanish along time.

use deep_rnn::prelude::*;
use ndarray::Array3;

use crate::{assert_kept, numbers};

/// The gradients of a loss on the last step only, with respect to all inputs and to the state before the first.
fn of_the_last_step<L: SeqLayer>(layer: &L, steps: usize) -> (Array3<L::Elem>, Vec<L::Elem>) {
    let (b, d, h) = (2, layer.input_size(), layer.output_size());
    let xs: Array3<L::Elem> = Init::seeded(2).uniform((steps, b, d), 1.0);
    let (mut ys, mut state, mut tape) = (Array3::zeros((steps, b, h)), layer.zero_state(b), L::Tape::default());
    layer.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
    let mut d_ys = Array3::zeros((steps, b, h));
    d_ys.index_axis_mut(ndarray::Axis(0), steps - 1).fill(Float::from_f64(1.0));
    let (mut d_xs, mut d_state, mut grads) = (Array3::zeros((steps, b, d)), layer.zero_state(b), layer.zeros_like());
    let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
    layer.backward(Context::default(), io, &mut tape, &mut d_state, &mut grads);
    (d_xs, numbers(&d_state))
}

fn vanishes<L: SeqLayer>(what: &str, layer: &L, steps: usize) {
    let (d_xs, d_state) = of_the_last_step(layer, steps);
    assert!(d_state.iter().all(|d| *d == num_traits::zero()), "{what}: a gradient has come through {steps} steps");
    // Products of what is kept with weights are sums; the way from step to step has nothing too near 0 in it.
    let smallest = <L::Elem as num_traits::float::FloatCore>::min_positive_value();
    for d in d_xs.iter().filter(|d| **d != num_traits::zero()) {
        assert!(num_traits::float::FloatCore::abs(*d) >= smallest, "{what}: {d:e}");
    }
}

fn all<F: Float>(steps: usize) {
    let init = &mut Init::seeded(1);
    vanishes(&format!("LSTM, {}", F::NAME), &Lstm::<F>::spec(24).build(5, init).unwrap(), steps);
    vanishes(&format!("GRU, {}", F::NAME), &Gru::<F>::spec(24).build(5, init).unwrap(), steps);
    vanishes(&format!("RNN, {}", F::NAME), &Rnn::<F>::spec(24).build(5, init).unwrap(), steps);
    let spec = GruResetBefore::<F>::spec(8);
    vanishes(&format!("GRU, reset before, {}", F::NAME), &spec.build(5, init).unwrap(), steps);
    let stack = Stacked::repeat(5, 3, &Lstm::<F>::spec(9), 1).unwrap();
    vanishes(&format!("three LSTMs, {}", F::NAME), &stack, 2 * steps);
}

#[test]
fn what_vanishes_along_time_becomes_0() {
    all::<f32>(500);
    all::<f64>(4_000);
}

/// Only what is too near 0 is rounded: up to there the gradients of `f32` are those of `f64`.
#[test]
fn what_has_not_vanished_is_right() {
    let single = Lstm::<f32>::spec(24).build(5, &mut Init::seeded(1)).unwrap();
    let double = Lstm::<f64>::spec(24).build(5, &mut Init::seeded(1)).unwrap();
    let ((d_single, _), (d_double, _)) = (of_the_last_step(&single, 120), of_the_last_step(&double, 120));
    let mut seen = 0;
    for (t, (a, b)) in d_single.outer_iter().zip(d_double.outer_iter()).enumerate() {
        let size = b.iter().fold(0.0, |size: f64, b| size.max(b.abs()));
        // Far enough above 2⁻⁶³ for the parts that were left out not to be seen.
        if size > 1e-14 {
            let off = a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-3 * size, "step {t}: off by {off:e} of {size:e}");
            seen += 1;
        }
    }
    assert!((20..120).contains(&seen), "{seen} steps to look at");
    assert_kept("outputs of f64", d_double.iter().copied());
}

#[test]
fn both_directions() {
    let spec = Bidirectional::spec(Lstm::<f32>::spec(6), Merge::Sum);
    let layer = spec.build(3, &mut Init::seeded(1)).unwrap();
    let (d_xs, _) = of_the_last_step(&layer, 600);
    assert!(d_xs.iter().all(|d| *d == 0.0 || d.is_normal()));
}
