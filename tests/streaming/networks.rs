//! What the tests are made on: cells of each kind, two that are nobody's but the test's, stacks of one kind and of several.

use deep_rnn::cells::{GatedSpec, Pointwise};
use deep_rnn::prelude::*;

/// An LSTM whose input gate is what the forget gate leaves: not summed, two lanes of state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cifg;
impl Pointwise for Cifg {
    type X<F: Float> = [F; 3];
    type H<F: Float> = [F; 3];
    type State<F: Float> = [F; 2];
    type Saved<F: Float> = [F; 4];
    const NAME: &'static str = "Cifg";
    #[inline(always)]
    fn forward<F: Float>(&self, x: [F; 3], u: [F; 3], [_, c]: [F; 2]) -> ([F; 2], [F; 4]) {
        let (i, g, o) = ((x[0] + u[0]).sigmoid(), (x[1] + u[1]).tanh(), (x[2] + u[2]).sigmoid());
        let c = c + i * (g - c);
        let tc = c.tanh();
        ([o * tc, c], [i, g, o, tc])
    }
    #[inline(always)]
    fn backward<F: Float>(&self, _: [F; 4], _: [F; 2], _: [F; 2]) -> ([F; 3], [F; 3], [F; 2]) {
        unreachable!("nothing here is trained")
    }
}

/// A minimal GRU: h is in no product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinGru;
impl Pointwise for MinGru {
    type X<F: Float> = [F; 2];
    type H<F: Float> = [F; 0];
    type State<F: Float> = [F; 1];
    type Saved<F: Float> = [F; 0];
    const NAME: &'static str = "MinGru";
    #[inline(always)]
    fn forward<F: Float>(&self, x: [F; 2], _: [F; 0], [h]: [F; 1]) -> ([F; 1], [F; 0]) {
        ([h + x[0].sigmoid() * (x[1] - h)], [])
    }
    #[inline(always)]
    fn backward<F: Float>(&self, _: [F; 0], _: [F; 1], _: [F; 1]) -> ([F; 2], [F; 0], [F; 1]) {
        unreachable!("nothing here is trained")
    }
}

pub(crate) fn build<S: Spec>(spec: &S, inputs: usize, seed: u64) -> S::Layer {
    spec.build(inputs, &mut Init::seeded(seed)).unwrap()
}

/// Something that holds for any network that can be prepared.
pub(crate) trait Check {
    fn net<L: SeqLayer + Causal + Prepare>(&mut self, name: &str, net: &L);

    /// For what has steps with a derivative.
    fn cell<C: RnnCell + Prepare>(&mut self, name: &str, cell: &C) {
        self.net(name, cell);
    }
}

/// Cells and stacks whose weights are all packed.
pub(crate) fn each_packed<F: Float>(d: usize, h: usize, seed: u64, check: &mut impl Check) {
    for bias in [Bias::None, Bias::One, Bias::Two] {
        check.cell(&format!("Rnn {bias:?}"), &build(&Rnn::<F>::spec(h).bias(bias), d, seed));
        check.cell(&format!("Gru {bias:?}"), &build(&Gru::<F>::spec(h).bias(bias), d, seed));
        check.cell(&format!("Lstm {bias:?}"), &build(&Lstm::<F>::spec(h).bias(bias), d, seed));
    }
    check.cell("relu", &build(&Rnn::<F>::spec(h).activation(Activation::Relu), d, seed));
    check.cell("Cifg", &build(&GatedSpec::<F, Cifg>::new(Cifg, h).bias(Bias::Two), d, seed));
    check.cell("MinGru", &build(&GatedSpec::<F, MinGru>::new(MinGru, h), d, seed));
    check.net("a stack", &Stacked::repeat(d, 3, &Lstm::<F>::spec(h), seed).unwrap());
    check.net("a mixed stack", &Network::<F>::builder(d).gru(h).rnn(2).lstm(h + 1).seed(seed).build().unwrap());
    check.net("a stack with a head", &Network::<F>::builder(d).lstm(h).linear(3).seed(seed).build().unwrap());
    let between = Network::<F>::builder(d).layer(Linear::spec(2 * h).bias(false)).gru(h).linear(19);
    check.net("a stack that begins with a linear layer", &between.seed(seed).build().unwrap());
    check.net("a linear layer", &build(&Linear::<F>::spec(h), d, seed));
}
