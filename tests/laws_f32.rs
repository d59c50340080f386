//! The laws in `f32`, for each cell and each way to put cells together. `tests/laws.rs` has them in `f64`, in more variety.

use deep_rnn::gradcheck::{self, Options};
use deep_rnn::{
    Activation, Bias, Bidirectional, Chain, Gru, GruResetBefore, Init, Linear, Lstm, Merge, OneHot, Reversed, Rnn,
    RnnCell, SeqLayer, Spec, Stacked, TokenInput,
};

#[track_caller]
fn cell<C: RnnCell<Elem = f32>>(what: &str, cell: &C) {
    let report = gradcheck::check_cell(cell).unwrap_or_else(|violation| panic!("{what}: {violation}"));
    assert_eq!(report.laws.len(), 11, "ten laws, one of them in two halves");
    println!("{what}: {report}");
}

#[track_caller]
fn layer<L: SeqLayer<Elem = f32>>(what: &str, layer: &L) {
    let report = gradcheck::check_layer(layer).unwrap_or_else(|violation| panic!("{what}: {violation}"));
    println!("{what}: {report}");
}

#[track_caller]
fn tokens<L: TokenInput<Elem = f32>>(what: &str, layer: &L) {
    gradcheck::check_tokens(layer).unwrap_or_else(|violation| panic!("{what}: {violation}"));
}

fn build<S: Spec>(spec: &S, inputs: usize) -> S::Layer {
    spec.build(inputs, &mut Init::seeded(1)).unwrap()
}

#[test]
fn cells() {
    for (d, h) in [(3, 5), (1, 1), (3, 33)] {
        for bias in [Bias::None, Bias::One, Bias::Two] {
            let what = |name: &str| format!("{name}({d} -> {h}), {bias:?}");
            let rnn = build(&Rnn::<f32>::spec(h).bias(bias), d);
            cell(&what("Rnn"), &rnn);
            tokens(&what("Rnn"), &rnn);
            let gru = build(&Gru::<f32>::spec(h).bias(bias), d);
            cell(&what("Gru"), &gru);
            tokens(&what("Gru"), &gru);
            let lstm = build(&Lstm::<f32>::spec(h).bias(bias), d);
            cell(&what("Lstm"), &lstm);
            tokens(&what("Lstm"), &lstm);
            let before = build(&GruResetBefore::<f32>::spec(h).bias(bias), d);
            cell(&what("GruResetBefore"), &before);
            tokens(&what("GruResetBefore"), &OneHot::new(before));
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
    let deep = Stacked::builder(3).repeat(3, Lstm::<f32>::spec(4)).seed(1).build().unwrap();
    cell("three Lstm", &deep);
    tokens("three Lstm", &deep);
    let mixed = Stacked::builder(3).layer(Lstm::<f32>::spec(5)).layer(Gru::spec(3)).layer(Rnn::spec(2));
    let mixed = mixed.layer(GruResetBefore::spec(4)).seed(2).build().unwrap();
    cell("lstm, gru, rnn, gru before", &mixed);
    tokens("lstm, gru, rnn, gru before", &mixed);
}

#[test]
fn wrappers_and_chains() {
    layer("reversed", &Reversed::new(build(&Lstm::<f32>::spec(5), 3)));
    for merge in [Merge::Concat, Merge::Sum] {
        layer(&format!("bidirectional, {merge:?}"), &build(&Bidirectional::spec(Gru::<f32>::spec(17), merge), 3));
    }
    layer("linear", &build(&Linear::<f32>::spec(7), 3));
    layer("one-hot", &OneHot::new(build(&GruResetBefore::<f32>::spec(4), 6)));
    let both = Bidirectional::spec(Lstm::<f32>::spec(3), Merge::Concat);
    let chain = Chain::builder(4).layer(both.clone()).layer(both).layer(Linear::spec(5)).seed(1).build().unwrap();
    layer("two bidirectional, linear", &chain);
    tokens("two bidirectional, linear", &OneHot::new(chain));
}

#[test]
fn options_know_the_type() {
    assert_eq!(Options::of::<f64>(), Options::default());
    assert!(Options::of::<f32>().rtol > Options::of::<f64>().rtol);
    // In f32 with the tolerances of f64 nothing holds: the check does look.
    let lstm = build(&Lstm::<f32>::spec(4), 3);
    assert!(gradcheck::check_cell_with(&lstm, &Options::default()).is_err());
}
