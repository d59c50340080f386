//! What the relations are tried on: cells of each kind, random inputs, states and gradients, numbers of cases.

use deep_rnn::{
    Float, Network, RnnCell, SeqLayer,
    cells::{Bias, Gru, Lstm, Rnn},
    custom::Spec,
    data::State,
    init::Init,
};
use ndarray::Array2;
use proptest::prelude::ProptestConfig;

use crate::pass::Problem;

fn random_state<F: Float, S: State<F>>(mut state: S, init: &mut Init) -> S {
    state.visit_mut(&mut |mut view| {
        let numbers: Array2<F> = init.uniform(view.raw_dim(), 0.9);
        view.assign(&numbers);
    });
    state
}

pub(crate) fn problem<L: SeqLayer>(layer: &L, t: usize, b: usize, seed: u64) -> Problem<L::Elem, L::State> {
    let mut init = Init::seeded(seed);
    Problem {
        xs: init.uniform((t, b, layer.input_size()), 1.0),
        state: random_state(layer.zero_state(b), &mut init),
        d_ys: init.uniform((t, b, layer.output_size()), 1.0),
        d_state: random_state(layer.zero_state(b), &mut init),
    }
}

pub(crate) fn build<S: Spec>(spec: &S, inputs: usize, seed: u64) -> S::Layer {
    spec.build(inputs, &mut Init::seeded(seed)).unwrap()
}

/// Something that holds for any layer that is causal.
pub(crate) trait Check {
    fn check<L: SeqLayer>(&mut self, name: &str, layer: &L);

    /// For what has steps of its own.
    fn cell<C: RnnCell>(&mut self, name: &str, cell: &C) {
        self.check(name, cell);
    }
}

/// The gated cells and stacks of them, which promise bits.
pub(crate) fn each_gated<F: Float>(d: usize, h: usize, seed: u64, check: &mut impl Check) {
    for bias in [Bias::None, Bias::One, Bias::Two] {
        check.cell(&format!("Rnn<{}> {bias:?}", F::NAME), &build(&Rnn::<F>::spec(h).bias(bias), d, seed));
        check.cell(&format!("Gru<{}> {bias:?}", F::NAME), &build(&Gru::<F>::spec(h).bias(bias), d, seed));
        check.cell(&format!("Lstm<{}> {bias:?}", F::NAME), &build(&Lstm::<F>::spec(h).bias(bias), d, seed));
    }
    let stack = Network::<F>::builder(d).lstm(h).gru(h + 1).rnn(2);
    check.check("a stack", &stack.seed(seed).build().unwrap());
}

pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
