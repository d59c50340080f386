//! A warm step allocates nothing. One test only: the counter sees every thread of the process.

use std::alloc::System;

use deep_rnn::LanguageModel;
use deep_rnn::prelude::*;
use ndarray::{Array1, Array2};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of the second of three rounds of calls.
fn warm(mut call: impl FnMut()) -> usize {
    (0..5).for_each(|_| call());
    let region = Region::new(ALLOCATOR);
    (0..20).for_each(|_| call());
    let change = region.change();
    change.allocations + change.reallocations
}

fn model<S: deep_rnn::Spec>(spec: S) -> LanguageModel<Stacked<Vec<S::Layer>>>
where
    S::Layer: RnnCell<Elem = f32> + deep_rnn::TokenInput,
{
    let net = Stacked::builder(28).repeat(2, spec).seed(1).build().unwrap();
    LanguageModel::new(net, 1).unwrap()
}

fn training<S: deep_rnn::Spec>(spec: S) -> usize
where
    S::Layer: RnnCell<Elem = f32> + deep_rnn::TokenInput,
{
    let mut bptt = Bptt::builder(model(spec)).optimizer(Adam::new(1e-3)).clip_norm(1.0).build().unwrap();
    let tokens = Array2::from_shape_fn((12, 4), |(t, b)| (5 * t + b) % 28);
    warm(|| {
        bptt.train(&tokens, &tokens).unwrap();
    })
}

#[test]
fn a_warm_training_step_and_a_warm_streaming_step_allocate_nothing() {
    assert_eq!(training(Lstm::<f32>::spec(32)), 0, "training an LSTM");
    assert_eq!(training(Gru::<f32>::spec(32)), 0, "training a GRU");
    assert_eq!(training(Rnn::<f32>::spec(32)), 0, "training an RNN");

    let model = model(Lstm::<f32>::spec(32));
    let (mut state, mut logits) = (model.zero_state(1), Array1::zeros(28));
    let mut token = 0;
    let streaming = warm(|| {
        model.step(token, &mut state, logits.view_mut()).unwrap();
        token = (token + 1) % 28;
    });
    assert_eq!(streaming, 0, "a step of a language model");

    let net = model.net();
    let (x, mut y) = (Array2::ones((1, 28)), Array2::zeros((1, 32)));
    assert_eq!(warm(|| net.step(x.view(), y.view_mut(), &mut state, None)), 0, "a step of a stack");

    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        let packed = net.prepare(precision).unwrap();
        let stack = warm(|| packed.step(x.view(), y.view_mut(), &mut state));
        assert_eq!(stack, 0, "a step of a packed stack, {precision}");
        let packed = model.prepare(precision).unwrap();
        let tokens = warm(|| packed.step(3, &mut state, logits.view_mut()).unwrap());
        assert_eq!(tokens, 0, "a step of a packed language model, {precision}");
    }
}
