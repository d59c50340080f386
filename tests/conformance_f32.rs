//! The checks in `f32`, for each cell and each way to put cells together. `tests/conformance.rs` has them in `f64`, in more variety.

use deep_rnn::gradcheck::{self, Options};
use deep_rnn::{
    Network, RnnCell, SeqLayer, Stacked,
    cells::{Activation, Bias, Gru, GruResetBefore, Lstm, Rnn},
    custom::Spec,
    init::Init,
    layers::{Activate, Bidirectional, Embedding, Last, LearnedState, Linear, Merge, Residual, Reversed, Scale, Tied},
};

#[path = "support/deep.rs"]
mod deep;
use deep::deep;

#[track_caller]
fn cell<C: RnnCell<Elem = f32>>(what: &str, cell: &C) {
    let report = gradcheck::check_cell(cell).unwrap_or_else(|violation| panic!("{what}: {violation}"));
    assert_eq!(report.checks.len(), 15, "fourteen checks, one of them in two halves");
    println!("{what}: {report}");
}

#[track_caller]
fn layer<L: SeqLayer<Elem = f32>>(what: &str, layer: &L) {
    let report = gradcheck::check_layer(layer).unwrap_or_else(|violation| panic!("{what}: {violation}"));
    assert_eq!(report.checks.len(), if layer.is_causal() { 14 } else { 13 }, "{what}");
    println!("{what}: {report}");
}

fn build<S: Spec>(spec: &S, inputs: usize) -> S::Layer {
    spec.build(inputs, &mut Init::seeded(1)).unwrap()
}

#[test]
fn cells() {
    for &(d, h) in deep(&[(3, 5), (1, 1), (3, 33)][..], &[(3, 5)]) {
        for bias in [Bias::None, Bias::One, Bias::Two] {
            let what = |name: &str| format!("{name}({d} -> {h}), {bias:?}");
            cell(&what("Rnn"), &build(&Rnn::<f32>::spec(h).bias(bias), d));
            cell(&what("Gru"), &build(&Gru::<f32>::spec(h).bias(bias), d));
            cell(&what("Lstm"), &build(&Lstm::<f32>::spec(h).bias(bias), d));
            cell(&what("GruResetBefore"), &build(&GruResetBefore::<f32>::spec(h).bias(bias), d));
        }
    }
}

#[test]
fn smooth_activations() {
    for activation in [Activation::Sigmoid, Activation::Identity, Activation::Softsign] {
        cell(&format!("{activation:?}"), &build(&Rnn::<f32>::spec(17).activation(activation), 3));
    }
}

#[test]
fn stacks() {
    layer("three Lstm", &Stacked::repeat(3, 3, &Lstm::<f32>::spec(4), 1).unwrap());
    let mixed = Network::<f32>::builder(3).lstm(5).gru(3).rnn(2).layer(GruResetBefore::spec(4));
    layer("lstm, gru, rnn, gru before", &mixed.seed(2).build().unwrap());
}

#[test]
fn wrappers_and_networks() {
    layer("reversed", &Reversed::new(build(&Lstm::<f32>::spec(5), 3)));
    for merge in [Merge::Concat, Merge::Sum] {
        layer(&format!("bidirectional, {merge:?}"), &build(&Bidirectional::spec(Gru::<f32>::spec(17), merge), 3));
    }
    layer("linear", &build(&Linear::<f32>::spec(7), 3));
    layer("tied", &build(&Tied::spec(Embedding::<f32>::spec(3), Lstm::spec(3)), 5));
    let both = || Network::<f32>::builder(4).bi(Lstm::spec(3)).bi(Lstm::spec(3)).seed(1);
    layer("two bidirectional, linear", &both().linear(5).build().unwrap());
    layer("two bidirectional, last, linear", &both().last().linear(5).build().unwrap());
    layer("activation", &Activate::<f32>::new(3, Activation::Softsign).unwrap());
    layer("scale", &Scale::<f32>::new(3, 0.7).unwrap());
    layer("first columns", &Residual::of_first_columns(build(&Gru::<f32>::spec(2), 4)).unwrap());
    layer("last", &Last::<f32>::new(3));
    layer("learned state", &LearnedState::new(build(&Lstm::<f32>::spec(5), 3)).unwrap());
}

#[test]
fn options_know_the_type() {
    assert_eq!(Options::of::<f64>(), Options::default());
    assert!(Options::of::<f32>().rtol > Options::of::<f64>().rtol);
    // In f32 with the tolerances of f64 nothing holds: the check does look.
    let lstm = build(&Lstm::<f32>::spec(4), 3);
    assert!(gradcheck::check_cell_with(&lstm, &Options::default()).is_err());
}
