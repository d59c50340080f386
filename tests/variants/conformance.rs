//! The checks over all relatives, alone and deep inside a network.

use deep_rnn::cells::{Activation, Bias, GatedSpec, PerUnit, PerUnitGrad, RowCell, Start, Vector};
use deep_rnn::gradcheck;
use deep_rnn::layers::Zoneout;
use deep_rnn::prelude::*;

use crate::deep::deep;
use crate::norm_lstm::NormLstm;

/// D and H: ordinary, the least there is, and around the 16 units that are computed side by side.
const SIZES: [(usize, usize); 4] = [(3, 18), (3, 5), (1, 1), (2, 16)];

/// Alone, in a box, so that the checks are compiled once; and inside a boxed stack, both ways (in full), from tokens, zoned out.
fn holds<P: RowCell + 'static>(what: &str, spec: &GatedSpec<f64, P>) {
    holds_from(3, what, spec);
}

/// The same from another seed: at the edge of a clip there is no slope for a difference to come near to.
fn holds_from<P: RowCell + 'static>(seed: u64, what: &str, spec: &GatedSpec<f64, P>) {
    let mut differences = 0;
    for &bias in deep(&[Bias::None, Bias::One, Bias::Two][..], &[Bias::Two]) {
        let d = 3;
        let cell = Network::<f64>::builder(d).layer(spec.clone().bias(bias)).seed(1).build().unwrap();
        let report = gradcheck::check_layer(&cell).unwrap_or_else(|violation| panic!("{what}, {bias:?}: {violation}"));
        differences += report.coordinates;
    }
    let zoned = {
        let spec = spec.clone();
        move |inputs: usize, init: &mut Init| {
            let cell = spec.build(inputs, init)?;
            let arrays = cell.zero_state(1).as_ref().len();
            Zoneout::new(cell, &[0.2, 0.3][..arrays])
        }
    };
    let net = Network::<f64>::builder(4).embedding(3);
    let net = if deep(true, false) { net.bi(zoned) } else { net.layer(zoned) };
    let net = net.layer(spec.clone()).linear(2).seed(seed).build().unwrap();
    let report = gradcheck::check_layer(&net).unwrap_or_else(|violation| panic!("{what} in a network: {violation}"));
    println!("{what}: {} differences", differences + report.coordinates);
}

fn sizes<P: RowCell + 'static>(what: &str, spec: impl Fn(usize) -> GatedSpec<f64, P>) {
    for &(d, h) in deep(&SIZES[..], &SIZES[..1]) {
        let cell = Network::<f64>::builder(d).layer(spec(h)).seed(2).build().unwrap();
        gradcheck::check_layer(&cell).unwrap_or_else(|violation| panic!("{what}({d} -> {h}): {violation}"));
    }
}

#[test]
fn projections() {
    holds("projected LSTM", &Lstm::spec(5).projection(3));
    holds("projected RNN", &Rnn::spec(5).projection(2));
    holds("projected as wide", &Lstm::spec(3).projection(3));
    holds("projected and clipped", &Lstm::spec(5).projection(3).projection_clip(0.05));
    sizes("projected to one", |h| Lstm::spec(h).projection(1));
}

#[test]
fn peepholes_and_coupled_gates() {
    holds("peepholes", &Lstm::spec(5).peepholes());
    holds("coupled", &Lstm::spec(5).coupled());
    holds("coupled, peepholes", &Lstm::spec(5).coupled().peepholes());
    holds("peepholes, projected", &Lstm::spec(5).peepholes().projection(3));
    sizes("peepholes", |h| Lstm::spec(h).peepholes());
    sizes("coupled", |h| Lstm::spec(h).coupled().peepholes());
}

#[test]
fn activations_and_clips() {
    // Gates below 1, so that no state grows without end.
    let smooth = (Activation::ScaledTanh(0.8, 0.6), Activation::Softplus);
    holds("activations", &Lstm::spec(5).activations(smooth.0, smooth.1, Activation::Elu(1.0)));
    holds("clips", &Lstm::spec(5).clip_gates(0.4).clip_cell(-0.1, 0.2));
    holds("GRU, activations", &Gru::spec(5).activations(smooth.0, smooth.1));
    holds_from(4, "GRU, clip", &Gru::spec(5).clip_gates(0.3));
    holds("reset before, activations", &GruResetBefore::spec(5).activations(smooth.0, smooth.1).clip_gates(0.5));
    holds("RNN, clip", &Rnn::spec(5).clip_gates(0.3));
    sizes("reset before", |h| GruResetBefore::spec(h).clip_gates(0.9));
}

#[test]
fn reset_before() {
    holds("reset before", &GruResetBefore::spec(5));
    sizes("reset before", GruResetBefore::spec);
}

#[test]
fn whole_rows() {
    holds("layer norm", &GatedSpec::new(NormLstm, 5));
    holds("layer norm, projected", &GatedSpec::new(NormLstm, 5).projection(3));
    for &(d, h) in deep(&[(3, 18), (3, 5), (2, 16)][..], &[(3, 18)]) {
        let cell = GatedSpec::<f64, _>::new(NormLstm, h);
        let cell = Network::<f64>::builder(d).layer(cell).seed(2).build().unwrap();
        gradcheck::check_layer(&cell).unwrap_or_else(|violation| panic!("layer norm({d} -> {h}): {violation}"));
    }
}

/// Units that hold on to themselves by a weight of their own, multiply after a gate, and keep the gate in their state.
#[derive(Clone, Copy, Debug)]
struct All;

impl PerUnit for All {
    type Weights<F: Float> = [F; 2];
    type X<F: Float> = [F; 2];
    type H<F: Float> = [F; 2];
    type State<F: Float> = [F; 2];
    type Saved<F: Float> = [F; 2];
    const NAME: &'static str = "All";
    const WEIGHTS: &'static [Vector] =
        &[Vector::new("u", Start::Uniform(0.5, 0.9)), Vector::new("v", Start::Constant(0.3))];
    const SUMMED: bool = true;
    const AFTER: usize = 1;

    #[inline(always)]
    fn operand<F: Float>(&self, [f, n]: [F; 2], [h, g]: [F; 2]) -> ([F; 2], F) {
        let f = f.sigmoid();
        ([f, n], f * h + g)
    }
    #[inline(always)]
    fn forward<F: Float>(&self, [u, v]: [F; 2], [f, n]: [F; 2], _: [F; 2], [h, g]: [F; 2]) -> ([F; 2], [F; 2]) {
        let n = Float::tanh(n + u * h);
        ([h + f * (n - h), v * g + f], [f, n])
    }
    #[inline(always)]
    fn backward<F: Float>(
        &self,
        [u, v]: [F; 2],
        [f, n]: [F; 2],
        [h, g]: [F; 2],
        [dh, dg]: [F; 2],
    ) -> PerUnitGrad<F, Self> {
        let da_n = dh * f * n.tanh_slope();
        let d_f = dh * (n - h) + dg;
        let x = [d_f * f.sigmoid_slope(), da_n];
        PerUnitGrad { weights: [da_n * h, dg * g], x, u: x, before: [dh * (F::one() - f) + da_n * u, dg * v] }
    }
    #[inline(always)]
    fn operand_backward<F: Float>(
        &self,
        [f, _]: [F; 2],
        [h, g]: [F; 2],
        d_v: F,
        [da_f, da_n]: [F; 2],
        [dh, dg]: [F; 2],
    ) -> ([F; 2], [F; 2], F) {
        ([da_f + d_v * h * f.sigmoid_slope(), da_n], [dh + d_v * f, dg + d_v], f * h + g)
    }
}

#[test]
fn everything_a_unit_may_have() {
    holds("all", &GatedSpec::new(All, 5));
    sizes("all", |h| GatedSpec::new(All, h));
}
