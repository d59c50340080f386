//! A warm step allocates nothing, nor does a packed network's step at any time. One test only: the counter sees every thread of the process.

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

/// Under a budget that has parts of the window run again.
fn training_within_a_budget() -> usize {
    let build = |budget: Option<usize>| {
        let builder = Bptt::builder(model(Lstm::<f32>::spec(32))).optimizer(Adam::new(1e-3)).clip_norm(1.0);
        match budget {
            Some(bytes) => builder.memory_budget(bytes).build().unwrap(),
            None => builder.build().unwrap(),
        }
    };
    let all = build(None).memory_estimate(60, 4).unwrap();
    let mut bptt = build(Some(all - all / 4));
    let tokens = Array2::from_shape_fn((60, 4), |(t, b)| (5 * t + b) % 28);
    warm(|| {
        bptt.train(&tokens, &tokens).unwrap();
    })
}

/// Of a language model and of its stack, on few rows and on more than a buffer of fixed length holds, on views that are copied.
fn prepared_steps(precision: Precision) {
    let model = model(Lstm::<f32>::spec(32));
    let prepared = model.prepare(precision).unwrap();
    let (mut state, mut logits) = (prepared.zero_state(1), Array1::zeros(28));
    let mut token = 0;
    let steps = warm(|| {
        prepared.step(token, &mut state, logits.view_mut()).unwrap();
        token = (token + 1) % 28;
    });
    assert_eq!(steps, 0, "a {precision} step of a prepared language model");

    let net = prepared.net();
    for rows in [1, 5] {
        let (x, mut y, mut state) = (Array2::ones((28, rows)), Array2::zeros((rows, 32)), net.zero_state(rows));
        let views = warm(|| net.step(x.t(), y.view_mut(), &mut state));
        assert_eq!(views, 0, "a {precision} step of a prepared stack, {rows} rows");
        let (x, y) = (x.as_slice().unwrap(), y.as_slice_mut().unwrap());
        let slices = warm(|| net.step_rows(x, y, &mut state));
        assert_eq!(slices, 0, "a {precision} step of a prepared stack, {rows} rows in slices");
    }
}

/// Allocations of a first call on a thread that has made no other.
fn first(call: impl FnOnce() + Send) -> usize {
    let count = || {
        let region = Region::new(ALLOCATOR);
        call();
        let change = region.change();
        change.allocations + change.reallocations
    };
    std::thread::scope(|scope| scope.spawn(count).join().unwrap())
}

/// Of packed networks, on the first step of a thread: of the first one in the program, and of others.
fn first_steps(precision: Precision) {
    let model = model(Lstm::<f32>::spec(32));
    let prepared = model.prepare(precision).unwrap();
    let (mut state, mut logits) = (prepared.zero_state(1), Array1::zeros(28));
    let step = first(|| prepared.step(3, &mut state, logits.view_mut()).unwrap());
    assert_eq!(step, 0, "a thread's first {precision} step of a language model");
    let mut columns = Array2::zeros((28, 2));
    let step = first(|| prepared.step(3, &mut state, columns.column_mut(1)).unwrap());
    assert_eq!(step, 0, "a thread's first {precision} step of a language model, logits in a column");

    let net = prepared.net();
    for rows in [1, 5, 40] {
        let (x, mut y, mut state) = (Array2::ones((28, rows)), Array2::zeros((rows, 32)), net.zero_state(rows));
        let step = first(|| net.step(x.t(), y.view_mut(), &mut state));
        assert_eq!(step, 0, "a thread's first {precision} step of {rows} rows that are copied");
        let (x, y) = (x.as_slice().unwrap(), y.as_slice_mut().unwrap());
        let step = first(|| net.step_rows(x, y, &mut state));
        assert_eq!(step, 0, "a thread's first {precision} step of {rows} rows");
    }

    // Wider than what goes on the stack: a step beforehand, as the docs say.
    let wide = Stacked::builder(8).repeat(2, Lstm::<f32>::spec(96)).build().unwrap().prepare(precision).unwrap();
    let (x, mut y, mut state) = (vec![1.0; 64 * 8], vec![0.0; 64 * 96], wide.zero_state(64));
    let mut before = state.clone();
    let allocations = first(|| {
        wide.step_rows(&x, &mut y, &mut before);
        let region = Region::new(ALLOCATOR);
        wide.step_rows(&x, &mut y, &mut state);
        assert_eq!(region.change().allocations, 0, "the step after one to throw away");
    });
    assert!(allocations > 0, "the counter counts");
}

#[test]
fn a_warm_training_step_and_a_warm_streaming_step_allocate_nothing() {
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        first_steps(precision);
    }
    assert_eq!(training(Lstm::<f32>::spec(32)), 0, "training an LSTM");
    assert_eq!(training(Gru::<f32>::spec(32)), 0, "training a GRU");
    assert_eq!(training(Rnn::<f32>::spec(32)), 0, "training an RNN");
    assert_eq!(training_within_a_budget(), 0, "training an LSTM within a budget");

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
        prepared_steps(precision);
    }
}
