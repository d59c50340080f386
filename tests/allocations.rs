//! A warm step allocates nothing, nor does a packed network's step at any time. One test only: the counter sees every thread of the process.

use std::alloc::System;

use deep_rnn::layers::{Activate, Boxed, LearnedState, Residual, Scale};
use deep_rnn::optim::Optimizer;
use deep_rnn::prelude::*;
use ndarray::{Array2, Array3, Axis, Slice};
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

fn model<S: Spec<Layer: RnnCell<Elem = f32>>>(spec: &S) -> LanguageModel<Stacked<S::Layer>> {
    LanguageModel::new(Stacked::repeat(28, 2, spec, 1).unwrap(), 1).unwrap()
}

/// The same of layers in boxes.
fn boxed(units: usize) -> LanguageModel<Network<f32>> {
    LanguageModel::new(Network::builder(28).lstm(units).lstm(units).seed(1).build().unwrap(), 1).unwrap()
}

fn training(model: impl SeqLayer<Elem = f32>) -> usize {
    training_with(model, Adam::new(1e-3))
}

fn training_with<N: SeqLayer<Elem = f32>>(model: N, optimizer: impl Optimizer<N>) -> usize {
    let mut bptt = Bptt::builder(model).optimizer(optimizer).clip_norm(1.0).build().unwrap();
    let tokens = Array2::from_shape_fn((12, 4), |(t, b)| (5 * t + b) % 28);
    warm(|| {
        bptt.train_next(&tokens, &tokens).unwrap();
    })
}

/// Under a budget that has parts of the window run again.
fn training_within_a_budget() -> usize {
    let build = |budget: Option<usize>| {
        let builder = Bptt::builder(model(&Lstm::<f32>::spec(32))).optimizer(Adam::new(1e-3)).clip_norm(1.0);
        match budget {
            Some(bytes) => builder.memory_budget(bytes).build().unwrap(),
            None => builder.build().unwrap(),
        }
    };
    let all = build(None).memory_estimate_for_tokens(60, 4).unwrap();
    let mut bptt = build(Some(all - all / 4));
    let tokens = Array2::from_shape_fn((60, 4), |(t, b)| (5 * t + b) % 28);
    warm(|| {
        bptt.train_next(&tokens, &tokens).unwrap();
    })
}

/// Of a language model and of its stack, on few rows and on more than a buffer of fixed length holds, on views that are copied.
fn prepared_steps<N: SeqLayer<Elem = f32> + Prepare>(kind: &str, model: &LanguageModel<N>, precision: Precision) {
    let prepared = model.prepare(precision).unwrap();
    let (mut state, mut logits) = (prepared.zero_state(1), [0.0; 28]);
    let mut token = 0;
    let steps = warm(|| {
        prepared.step_tokens(&[token], &mut logits, &mut state).unwrap();
        token = (token + 1) % 28;
    });
    assert_eq!(steps, 0, "a {precision} step of a prepared language model, {kind}");

    let net = prepared.net();
    for rows in [1, 5] {
        let (x, mut y, mut state) = (Array3::ones((1, 28, rows)), Array3::zeros((1, rows, 32)), net.zero_state(rows));
        let turned = || x.view().permuted_axes([0, 2, 1]).into();
        let views = warm(|| net.forward(Context::default(), turned(), y.view_mut(), &mut state, None));
        assert_eq!(views, 0, "a {precision} step of a prepared stack, {kind}, {rows} rows");
        let (x, y) = (x.as_slice().unwrap(), y.as_slice_mut().unwrap());
        let slices = warm(|| net.step_rows(x, y, &mut state).unwrap());
        assert_eq!(slices, 0, "a {precision} step of a prepared stack, {kind}, {rows} rows in slices");
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
fn first_steps<N: SeqLayer<Elem = f32> + Prepare>(kind: &str, model: &LanguageModel<N>, precision: Precision) {
    let prepared = model.prepare(precision).unwrap();
    let (mut state, mut logits) = (prepared.zero_state(1), [0.0; 28]);
    let step = first(|| prepared.step_tokens(&[3], &mut logits, &mut state).unwrap());
    assert_eq!(step, 0, "a thread's first {precision} step of a language model, {kind}");
    let (token, mut columns) = (Array2::from_elem((1, 1), 3), Array3::zeros((1, 28, 2)));
    let column = columns.view_mut().permuted_axes([0, 2, 1]).slice_axis_move(Axis(1), Slice::from(1..));
    let step = first(|| prepared.forward(Context::default(), (&token).into(), column, &mut state, None));
    assert_eq!(step, 0, "a thread's first {precision} step of a language model, {kind}, logits in a column");

    let net = prepared.net();
    for rows in [1, 5, 40] {
        let (x, mut y, mut state) = (Array3::ones((1, 28, rows)), Array3::zeros((1, rows, 32)), net.zero_state(rows));
        let turned = x.view().permuted_axes([0, 2, 1]).into();
        let step = first(|| net.forward(Context::default(), turned, y.view_mut(), &mut state, None));
        assert_eq!(step, 0, "a thread's first {precision} step of {rows} rows that are copied, {kind}");
        let (x, y) = (x.as_slice().unwrap(), y.as_slice_mut().unwrap());
        let step = first(|| net.step_rows(x, y, &mut state).unwrap());
        assert_eq!(step, 0, "a thread's first {precision} step of {rows} rows, {kind}");
    }
}

fn wide_steps(precision: Precision) {
    // Wider than what goes on the stack: a step beforehand, as the docs say.
    let wide = Stacked::repeat(8, 2, &Lstm::<f32>::spec(96), 0).unwrap().prepare(precision).unwrap();
    let (x, mut y, mut state) = (vec![1.0; 64 * 8], vec![0.0; 64 * 96], wide.zero_state(64));
    let mut before = state.clone();
    let allocations = first(|| {
        wide.step_rows(&x, &mut y, &mut before).unwrap();
        let region = Region::new(ALLOCATOR);
        wide.step_rows(&x, &mut y, &mut state).unwrap();
        assert_eq!(region.change().allocations, 0, "the step after one to throw away");
    });
    assert!(allocations > 0, "the counter counts");
}

#[test]
fn a_warm_training_step_and_a_warm_streaming_step_allocate_nothing() {
    let (typed, boxed) = (model(&Lstm::<f32>::spec(32)), boxed(32));
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        first_steps("of one type", &typed, precision);
        first_steps("in boxes", &boxed, precision);
        wide_steps(precision);
    }
    assert_eq!(training(typed.clone()), 0, "training an LSTM");
    assert_eq!(training(model(&Gru::<f32>::spec(32))), 0, "training a GRU");
    assert_eq!(training(model(&Rnn::<f32>::spec(32))), 0, "training an RNN");
    assert_eq!(training(boxed.clone()), 0, "training an LSTM in boxes");
    assert_eq!(training_with(typed.clone(), Adam::new(1e-3).freeze("net.0").group("head", 2.0)), 0, "groups of Adam");
    assert_eq!(training_with(boxed.clone(), Sgd::new(0.1).freeze("net.0").group("head", 2.0)), 0, "groups of Sgd");
    assert_eq!(training_within_a_budget(), 0, "training an LSTM within a budget");
    let tied = Network::<f32>::builder(28).embedding(32).lstm(32).tied().build().unwrap();
    assert_eq!(training(tied.clone()), 0, "training with an embedding and a head of one weight");
    let (packed, mut state, mut y) = (tied.prepare(Precision::Full).unwrap(), tied.zero_state(1), [0.0; 28]);
    assert_eq!(first(|| packed.step_tokens(&[3], &mut y, &mut state).unwrap()), 0, "the first step of such a network");
    amplifiers();
    streaming("of one type", &typed);
    streaming("in boxes", &boxed);
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        prepared_steps("of one type", &typed, precision);
        prepared_steps("in boxes", &boxed, precision);
    }
}

/// What readers of models put around networks: sound by sound, from a thread's first step on.
fn amplifiers() {
    let inside = || Boxed::new(Network::<f32>::builder(2).lstm(16).lstm(16).linear(1).seed(1).build().unwrap());
    let past = Residual::of_first_columns(inside()).unwrap();
    let scale = |width, factor| Boxed::new(Scale::<f32>::new(width, factor).unwrap());
    let tanh = Boxed::new(Activate::<f32>::new(1, Activation::Tanh).unwrap());
    let gains = Stacked::new(vec![scale(2, 0.5), Boxed::new(past), tanh, scale(1, 2.0)]).unwrap();
    let starting = Stacked::new(vec![Boxed::new(LearnedState::new(inside()).unwrap())]).unwrap();
    for (name, net) in [("gains and a way past", gains), ("a first state", starting)] {
        for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
            let packed = net.prepare(precision).unwrap();
            let (mut state, mut y) = (packed.initial_state(1), [0.0]);
            let step = first(|| packed.step_rows(&[0.3, 0.5], &mut y, &mut state).unwrap());
            assert_eq!(step, 0, "a thread's first {precision} step of a network with {name}");
            let steps = warm(|| packed.step_rows(&[0.3, 0.5], &mut y, &mut state).unwrap());
            assert_eq!(steps, 0, "a {precision} step of a network with {name}");
            assert!(packed.bytes() < net.num_params() * 4 * 2 && y[0] != 0.0);
        }
    }
}

fn streaming<N: SeqLayer<Elem = f32> + Causal>(kind: &str, model: &LanguageModel<N>) {
    let (mut state, mut logits) = (model.zero_state(1), [0.0; 28]);
    let mut token = 0;
    let steps = warm(|| {
        model.step_tokens(&[token], &mut logits, &mut state).unwrap();
        token = (token + 1) % 28;
    });
    assert_eq!(steps, 0, "a step of a language model, {kind}");

    let net = model.net();
    let (x, mut y) = (Array3::ones((1, 1, 28)), Array3::zeros((1, 1, 32)));
    let views = warm(|| net.forward(Context::default(), (&x).into(), y.view_mut(), &mut state, None));
    assert_eq!(views, 0, "a step of a stack, {kind}");
    let (x, y) = (x.as_slice().unwrap(), y.as_slice_mut().unwrap());
    assert_eq!(warm(|| net.step_rows(x, y, &mut state).unwrap()), 0, "a step of a stack, {kind}, in slices");
}
