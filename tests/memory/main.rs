//! What the engine says it will hold and what it then holds at its peak: every layer and wrapper, both types, arrays that lie
//! otherwise than in rows, 1 to 4 threads, with and without a budget. One test only: the counter sees every thread of the process.

#[path = "../support/deep.rs"]
mod deep;
mod measure;
mod panics;
#[path = "../support/stepped.rs"]
mod stepped;
use stepped::SteppedGru;

use deep::deep;
use deep_rnn::layers::{Embedding, LearnedState, Residual, Reversed, Scale, Tied};
use deep_rnn::prelude::*;
use measure::{Worst, budgets, half_square, measure};
use ndarray::{Array2, Array3, ArrayView3, s};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// D of all inputs.
const D: usize = 24;

fn inputs<F: Float>(t: usize, b: usize) -> Array3<F> {
    Array3::from_shape_fn((t, b, D), |(t, b, d)| F::from_f64(((t * 7 + b * 3 + d) % 11) as f64 / 11.0))
}

/// The same numbers in rows, batch first, last step first, every second column of a wider array, and columns first.
fn layouts<F: Float>(xs: &Array3<F>, mut f: impl FnMut(&str, ArrayView3<'_, F>)) {
    let (t, b, d) = xs.dim();
    f("in rows", xs.view());
    let batch_first = Array3::from_shape_fn((b, t, d), |(b, t, d)| xs[[t, b, d]]);
    f("batch first", batch_first.view().permuted_axes([1, 0, 2]));
    let turned = Array3::from_shape_fn((t, b, d), |(i, b, d)| xs[[t - 1 - i, b, d]]);
    f("reversed", turned.slice(s![..;-1, .., ..]));
    let wide = Array3::from_shape_fn((t, b, 2 * d), |(t, b, d)| xs[[t, b, d / 2]]);
    f("strided", wide.slice(s![.., .., ..;2]));
    let columns = Array3::from_shape_fn((d, b, t), |(d, b, t)| xs[[t, b, d]]);
    f("columns first", columns.view().permuted_axes([2, 1, 0]));
}

/// A layer on 1 to 4 threads, the odd layouts and `f64` on one number of threads each.
fn layer<L: SeqLayer>(worst: &mut Worst, name: &str, net: &L) {
    let (t, b) = (100, 9);
    let (xs, none) = (inputs(t, b), Array3::zeros((t, b, 0)));
    let mut turn = 0;
    layouts(&xs, |layout, xs| {
        turn += 1;
        if turn > deep(5, if L::Elem::NAME == "f64" { 1 } else { 2 }) {
            return;
        }
        for threads in (1..=4).step_by(deep(1, 2)) {
            let one = if turn == 1 && L::Elem::NAME == "f64" { 3 } else { 1 + turn % 4 };
            if (turn > 1 || L::Elem::NAME == "f64") && threads != one {
                continue;
            }
            let build = || {
                let builder = Bptt::builder(net.clone())
                    .loss(deep_rnn::loss::loss_fn(half_square::<L::Elem>))
                    .optimizer(Sgd::new(0.1));
                builder.threads(threads).build().unwrap()
            };
            let what = format!("{name}, {}, {layout}, {threads} threads", L::Elem::NAME);
            worst.take(&what, &measure(build, &xs, &none, false), None);
        }
    });
}

/// Every layer and every wrapper.
fn layers<F: Float>(worst: &mut Worst) {
    let net = || Network::<F>::builder(D);
    layer(worst, "Linear", &net().linear(40).build().unwrap());
    layer(worst, "LSTM", &Stacked::repeat(D, 2, &Lstm::<F>::spec(48), 0).unwrap());
    layer(worst, "LSTM in boxes", &net().lstm(48).lstm(48).build().unwrap());
    layer(worst, "GRU between Linear", &net().linear(30).gru(40).linear(20).build().unwrap());
    layer(worst, "RNN", &Stacked::repeat(D, 1, &Rnn::<F>::spec(64), 0).unwrap());
    for merge in [Merge::Concat, Merge::Sum] {
        let both = Bidirectional::spec(Lstm::<F>::spec(40), merge);
        layer(worst, &format!("Bidirectional LSTM, {merge:?}"), &net().layer(both.clone()).build().unwrap());
        let two = net().layer(both.clone()).layer(both).linear(5).build().unwrap();
        layer(worst, &format!("two Bidirectional LSTM, {merge:?}, Linear"), &two);
    }
    let stack = |seed| net().gru(40).rnn(30).seed(seed).build().unwrap();
    layer(worst, "Bidirectional stacks", &Bidirectional::new(stack(1), stack(2), Merge::Concat).unwrap());
    layer(worst, "Reversed stack", &Reversed::new(stack(1)));
    layer(worst, "Reversed Linear", &Reversed::new(net().linear(40).build().unwrap()));
    let inner = Bidirectional::new(stack(1), Reversed::new(stack(2)), Merge::Sum).unwrap();
    layer(worst, "Reversed Bidirectional of a Reversed", &Reversed::new(inner));
    let learned = |d: usize, init: &mut Init| LearnedState::new(Lstm::<F>::spec(48).build(d, init)?);
    layer(worst, "LSTM from a learned state, Linear", &net().layer(learned).linear(5).build().unwrap());
    let functions = net().layer(Scale::spec(0.5)).gru(48).linear(40).activation(Activation::Tanh);
    layer(worst, "Scale, GRU, Linear, tanh", &functions.build().unwrap());
    let first = Residual::of_first_columns(net().lstm(48).linear(5).build().unwrap()).unwrap();
    layer(worst, "first columns beside LSTM, Linear", &first);
    layer(worst, "the last of GRU, Linear", &net().gru(48).last().linear(5).build().unwrap());
    layer(worst, "an embedding and a head of one weight", &net().embedding(40).lstm(40).tied().build().unwrap());
    let words = Embedding::<F>::spec(40).word_dropout(0.2);
    layer(worst, "the same, words left out", &net().layer(Tied::spec(words, Gru::spec(40))).build().unwrap());
    // In shards.
    layer(worst, "GRU, reset before", &Stacked::repeat(D, 1, &GruResetBefore::<F>::spec(32), 0).unwrap());
    let mixed = net().layer(GruResetBefore::<F>::spec(24)).lstm(40).linear(20);
    layer(worst, "GRU, reset before, LSTM, Linear", &mixed.build().unwrap());
}

/// Cells under budgets.
fn dense<S: Spec<Layer: RnnCell>>(worst: &mut Worst, name: &str, spec: &S, layers: usize) {
    for &(t, b, threads) in deep(&[(50, 8, 1), (200, 9, 1), (200, 9, 3)][..], &[(50, 8, 1), (200, 9, 3)]) {
        let none = Array3::zeros((t, b, 0));
        layouts(&inputs(t, b), |layout, xs| {
            if layout != if threads == 1 { "in rows" } else { "batch first" } {
                return;
            }
            let build = |budget: Option<usize>| {
                let net = Stacked::repeat(D, layers, spec, 1).unwrap();
                let builder = Bptt::builder(net)
                    .loss(deep_rnn::loss::loss_fn(half_square))
                    .optimizer(Sgd::new(0.1))
                    .threads(threads);
                match budget {
                    Some(budget) => builder.memory_budget(budget).build().unwrap(),
                    None => builder.build().unwrap(),
                }
            };
            let what = format!("{name}, {layers} layers, {t} x {b}, {layout}, {threads} threads");
            budgets(worst, &what, build, &xs, &none);
        });
    }
}

/// Language models under budgets.
fn tokens<N: SeqLayer<Elem = f32>>(worst: &mut Worst, name: &str, net: impl Fn() -> N) {
    tokens_at(worst, name, net, Precision::Full);
}

/// The same, with products of this precision.
fn tokens_at<N: SeqLayer<Elem = f32>>(worst: &mut Worst, name: &str, net: impl Fn() -> N, precision: Precision) {
    let vocabulary = net().input_size();
    for &(t, b, threads) in deep(&[(35, 32, 4), (211, 3, 1), (211, 3, 2)][..], &[(35, 32, 4), (71, 3, 2)]) {
        // The temporary arrays of a cell's own step are there for each thread at work, of which there are no more than cores.
        let cores = std::thread::available_parallelism().map_or(1, usize::from).max(2);
        let threads = if net().splits_itself() { threads } else { threads.min(cores) };
        let batch_first = Array2::from_shape_fn((b, t), |(b, t)| (5 * t + t * t * b + b) % vocabulary);
        let xs = batch_first.t();
        let build = |budget: Option<usize>| {
            let builder = Bptt::builder(LanguageModel::new(net(), 1).unwrap()).optimizer(Adam::new(1e-3));
            let builder = builder.clip_norm(1.0).threads(threads).matmul_precision(precision);
            match budget {
                Some(budget) => builder.memory_budget(budget).build().unwrap(),
                None => builder.build().unwrap(),
            }
        };
        budgets(worst, &format!("tokens, {name}, {t} x {b}, {threads} threads"), build, &xs, &xs);
    }
}

#[test]
fn the_peak_is_what_was_said() {
    let mut worst = Worst::default();
    layers::<f32>(&mut worst);
    layers::<f64>(&mut worst);
    dense(&mut worst, "LSTM", &Lstm::<f32>::spec(48), 2);
    dense(&mut worst, "GRU", &Gru::<f64>::spec(40), 3);
    dense(&mut worst, "RNN", &Rnn::<f32>::spec(64), 1);
    dense(&mut worst, "GRU, reset before", &GruResetBefore::<f32>::spec(32), 2);
    dense(&mut worst, "by steps", &SteppedGru::<f32>::spec(32), 2);
    dense(&mut worst, "peepholes", &Lstm::<f32>::spec(48).peepholes(), 2);
    dense(&mut worst, "projection", &Lstm::<f32>::spec(48).projection(24).projection_clip(1.0), 2);
    let stack = |layers, units| Stacked::repeat(28, layers, &Lstm::<f32>::spec(units), 0).unwrap();
    tokens(&mut worst, "LSTM", || stack(2, 64));
    tokens_at(&mut worst, "LSTM, bf16", || stack(2, 64), Precision::Bf16);
    tokens(&mut worst, "GRU, wide", || Stacked::repeat(300, 1, &Gru::<f32>::spec(32), 0).unwrap());
    tokens(&mut worst, "RNN", || Stacked::repeat(28, 4, &Rnn::<f32>::spec(32), 0).unwrap());
    tokens(&mut worst, "LSTM, one", || stack(1, 48));
    tokens(&mut worst, "LSTM in boxes", || Network::<f32>::builder(28).lstm(48).build().unwrap());
    tokens(&mut worst, "tied", || Network::<f32>::builder(28).embedding(48).lstm(48).tied().build().unwrap());
    tokens(&mut worst, "tied, wide", || Network::<f32>::builder(300).embedding(32).gru(32).tied().build().unwrap());
    let before = GruResetBefore::<f32>::spec(48);
    tokens(&mut worst, "GRU, reset before", || Stacked::repeat(28, 1, &before, 0).unwrap());
    worst.tell();
    panics::many_leave_one_window();
}
