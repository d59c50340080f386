//! Tokens are one-hot rows.

use deep_rnn::{
    Context, Float, Network, SeqLayer, Stacked,
    cells::{Bias, Gru, GruResetBefore, Lstm, Rnn},
    custom::{SeqGradIo, Tape},
    init::Init,
};
use ndarray::{Array2, ArrayD};
use proptest::prelude::*;

use crate::arrays::{params, same, states, wide};
use crate::pass::{Problem, nan, run};
use crate::problems::{build, config, problem};

pub(crate) fn tokens(t: usize, b: usize, vocab: usize, seed: u64) -> Array2<usize> {
    let numbers: Array2<f64> = Init::seeded(seed).uniform((t, b), 0.5);
    numbers.mapv(|x| ((x + 0.5) * vocab as f64) as usize)
}

pub(crate) fn run_tokens<L: SeqLayer>(
    layer: &L,
    tokens: &Array2<usize>,
    problem: &Problem<L::Elem, L::State>,
) -> Vec<(String, ArrayD<f64>)> {
    let (t, b) = tokens.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (L::Tape::default(), layer.zeros_like());
    let mut ys = nan(t, b, layer.output_size());
    let cx = Context::default();
    layer.forward(cx, tokens.into(), ys.view_mut(), &mut state, Some(&mut tape));
    let io = SeqGradIo { x: tokens.into(), y: ys.view(), d_y: problem.d_ys.view(), d_x: None };
    layer.backward(cx, io, &mut tape, &mut d_state, &mut grads);
    assert!(tape.is_drained());
    let mut all = vec![wide("y", &ys)];
    all.extend(states("state", &state));
    all.extend(states("d_state", &d_state));
    all.extend(params(&grads));
    all
}

#[track_caller]
fn one_hot_of<L: SeqLayer>(name: &str, layer: &L, t: usize, b: usize, seed: u64) {
    let tokens = tokens(t, b, layer.input_size(), seed);
    let mut problem = problem(layer, t, b, seed);
    problem.xs.fill(L::Elem::from_f64(0.0));
    tokens.indexed_iter().for_each(|((t, b), token)| problem.xs[[t, b, *token]] = L::Elem::from_f64(1.0));
    let mut rows = run(layer, &problem).arrays();
    rows.retain(|(name, _)| name != "d_x");
    same(&format!("{name}: tokens"), &rows, &run_tokens(layer, &tokens, &problem));
}

fn one_hot<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    for bias in [Bias::None, Bias::One, Bias::Two] {
        one_hot_of("Rnn", &build(&Rnn::<F>::spec(h).bias(bias), d, seed), t, b, seed);
        one_hot_of("Gru", &build(&Gru::<F>::spec(h).bias(bias), d, seed), t, b, seed);
        one_hot_of("Lstm", &build(&Lstm::<F>::spec(h).bias(bias), d, seed), t, b, seed);
    }
    one_hot_of("GruResetBefore", &build(&GruResetBefore::<F>::spec(h), d, seed), t, b, seed);
    let stack = Stacked::repeat(d, 2, &Gru::<F>::spec(h), seed).unwrap();
    one_hot_of("a stack", &stack, t, b, seed);
    let network = Network::<F>::builder(d).lstm(h).linear(3).seed(seed).build().unwrap();
    one_hot_of("a network", &network, t, b, seed);
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn one_hot_rows_are_tokens(t in 1_usize..8, b in 1_usize..8, d in 1_usize..40, h in 1_usize..36, seed in 0_u64..1000) {
        one_hot::<f32>(t, b, d, h, seed);
        one_hot::<f64>(t, b, d, h, seed);
    }
}
