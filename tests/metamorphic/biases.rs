//! Biases: none and zeros, two and their sum, and such as saturate a gate.

use deep_rnn::{
    Float, Recurrent,
    cells::{Bias, Gated, GatedSpec, Gru, Lstm, Rnn, RowCell},
    custom::Params,
};
use ndarray::{Array1, Slice};
use proptest::prelude::*;

use crate::arrays::{near, params, same};
use crate::pass::run;
use crate::problems::{build, config, problem};

/// A cell with the weights of `like`, and these biases.
pub(crate) fn with_biases<F: Float, P: RowCell>(
    like: &Gated<F, P>,
    b: Option<Array1<F>>,
    b_h: Option<Array1<F>>,
) -> Gated<F, P> {
    Gated::from_arrays(like.gates().clone(), like.w_x().to_owned(), like.w_h().to_owned(), b, b_h).unwrap()
}

fn zero_biases<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    fn of<F: Float, P: RowCell>(spec: &GatedSpec<F, P>, t: usize, b: usize, d: usize, seed: u64) {
        let none = build(&spec.clone().bias(Bias::None), d, seed);
        let (x, u) = (none.w_x().ncols(), none.w_h().ncols());
        let zeros = with_biases(&none, Some(Array1::zeros(x)), Some(Array1::zeros(u)));
        let problem = problem(&none, t, b, seed);
        let (none, zeros) = (run(&none, &problem), run(&zeros, &problem));
        same("biases of zero", &none.by_row(), &zeros.by_row());
        let mut weights = params(&zeros.grads);
        weights.truncate(2);
        same("biases of zero", &params(&none.grads), &weights);
    }
    of(&Rnn::<F>::spec(h), t, b, d, seed);
    of(&Gru::<F>::spec(h), t, b, d, seed);
    of(&Lstm::<F>::spec(h), t, b, d, seed);
}

fn two_biases<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    fn of<F: Float, P: RowCell>(spec: &GatedSpec<F, P>, t: usize, b: usize, d: usize, seed: u64) {
        let two = build(&spec.clone().bias(Bias::Two), d, seed);
        let one = with_biases(&two, Some(two.b().unwrap() + two.b_h().unwrap()), None);
        let problem = problem(&two, t, b, seed);
        let (one, two) = (run(&one, &problem), run(&two, &problem));
        same("two biases and their sum", &one.by_row(), &two.by_row());
        // Each of the two has the gradient of their sum.
        assert_eq!(one.grads.b(), two.grads.b());
        assert_eq!(one.grads.b(), two.grads.b_h());
    }
    of(&Rnn::<F>::spec(h), t, b, d, seed);
    of(&Lstm::<F>::spec(h), t, b, d, seed);
    // A GRU's first two gates use the sum as well, its third does not.
    let two = build(&Gru::<F>::spec(h).bias(Bias::Two), d, seed);
    let moved = |from: usize, to: usize| {
        let (mut b, mut b_h) = (two.b().unwrap().clone(), two.b_h().unwrap().clone());
        for at in from * h..to * h {
            b[at] += std::mem::take(&mut b_h[at]);
        }
        with_biases(&two, Some(b), Some(b_h))
    };
    let problem = problem(&two, t, b, seed);
    let (all, gates, candidate) = (run(&two, &problem), run(&moved(0, 2), &problem), run(&moved(2, 3), &problem));
    near::<F>("a GRU's r and z", 100.0, &all.by_row(), &gates.by_row());
    assert_ne!(all.ys, candidate.ys, "a GRU's n");
}

/// Sets the numbers of one gate of `b`.
fn set_gate<F: Float, P: RowCell>(cell: &mut Gated<F, P>, gate: usize, value: f64) {
    let h = cell.output_size();
    cell.visit_mut(&mut |name, mut view| {
        if name == "b" {
            view.slice_each_axis_mut(|_| Slice::from(gate * h..(gate + 1) * h)).fill(F::from_f64(value));
        }
    });
}

fn saturated<F: Float>() {
    // σ(1000) is 1 and σ(-1000) is 0, to the bit.
    let mut gru = build(&Gru::<F>::spec(17), 3, 1);
    set_gate(&mut gru, 1, 1000.0);
    let problem_gru = problem(&gru, 5, 3, 1);
    let outcome = run(&gru, &problem_gru);
    assert_eq!(outcome.state, problem_gru.state, "a GRU with z = 1 keeps h");
    let mut lstm = build(&Lstm::<F>::spec(17), 3, 1);
    set_gate(&mut lstm, 0, -1000.0);
    set_gate(&mut lstm, 1, 1000.0);
    let mut problem_lstm = problem(&lstm, 5, 3, 1);
    problem_lstm.d_ys.fill(F::zero());
    problem_lstm.d_state[0].fill(F::zero());
    let outcome = run(&lstm, &problem_lstm);
    assert_eq!(outcome.state[1], problem_lstm.state[1], "an LSTM with f = 1 and i = 0 keeps c");
    assert_eq!(outcome.d_state[1], problem_lstm.d_state[1], "and its gradient");
    assert!(outcome.d_xs.iter().all(|d| *d == F::zero()), "and x has none");
    // The other way: z = 0 forgets h but for what n makes of it; f = 0 and i = 0 leave nothing.
    set_gate(&mut lstm, 1, -1000.0);
    let outcome = run(&lstm, &problem_lstm);
    assert!(outcome.ys.iter().chain(&outcome.state[1]).all(|y| *y == F::zero()));
}

#[test]
fn saturated_gates_keep_and_forget() {
    saturated::<f32>();
    saturated::<f64>();
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn biases(t in 1_usize..8, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        zero_biases::<f32>(t, b, d, h, seed);
        zero_biases::<f64>(t, b, d, h, seed);
        two_biases::<f32>(t, b, d, h, seed);
        two_biases::<f64>(t, b, d, h, seed);
    }
}
