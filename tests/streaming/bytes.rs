//! Bytes of the packed forms.

use crate::stepped::SteppedGru;
use deep_rnn::prelude::*;

use crate::networks::build;

/// Bytes in full, bf16, int8 over those of the network's own numbers.
fn shares<L: SeqLayer + Prepare>(net: &L) -> [f64; 3] {
    let own = (net.num_params() * size_of::<L::Elem>()) as f64;
    [Precision::Full, Precision::Bf16, Precision::Int8].map(|form| net.prepare(form).unwrap().bytes() as f64 / own)
}

/// Biases and scales are a small part of a layer of many units.
#[test]
fn half_and_a_quarter() {
    let within = |share: f64, expected: f64| (expected..1.1 * expected).contains(&share);
    let lstm = Stacked::repeat(28, 2, &Lstm::<f32>::spec(256), 0).unwrap();
    let gru = build(&Gru::<f32>::spec(256), 28, 1);
    let linear = build(&Linear::<f32>::spec(256), 256, 1);
    let before = build(&GruResetBefore::<f32>::spec(256), 28, 1);
    for [full, bf16, int8] in [shares(&lstm), shares(&gru), shares(&before), shares(&linear)] {
        println!("{full} {bf16} {int8}");
        assert!(within(full, 1.0) && within(bf16, 0.5) && within(int8, 0.25), "{full} {bf16} {int8}");
    }
    let [full, bf16, int8] = shares(&build(&Lstm::<f64>::spec(256), 28, 1));
    assert!(within(full, 1.0) && within(bf16, 0.25) && within(int8, 0.125), "{full} {bf16} {int8}");
    // What is not packed says so.
    assert_eq!(shares(&build(&SteppedGru::<f32>::spec(16), 3, 1)), [1.0; 3]);
}

/// A whole is the sum of its parts.
#[test]
fn a_language_model_is_its_network_and_its_head() {
    let net = Network::<f32>::builder(28).lstm(16).gru(32).build().unwrap();
    let model = LanguageModel::new(net, 1).unwrap();
    for form in [Precision::Full, Precision::Bf16, Precision::Int8] {
        let lstm = model.net().layers()[0].downcast_ref::<Lstm<f32>>().unwrap().prepare(form).unwrap();
        let gru = model.net().layers()[1].downcast_ref::<Gru<f32>>().unwrap().prepare(form).unwrap();
        let parts = lstm.bytes() + gru.bytes();
        let prepared = model.prepare(form).unwrap();
        assert_eq!(prepared.net().bytes(), parts);
        assert_eq!(prepared.bytes(), parts + model.head().prepare(form).unwrap().bytes());
    }
}
