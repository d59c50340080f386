//! A memory budget changes nothing but memory and time: the same bits of losses, gradients, weights and states.

use deep_rnn::prelude::*;
use deep_rnn::{
    cpu::Threads,
    custom::{Memory, PassSize},
    data::AsInput,
    layers::Reversed,
    loss::Loss,
    optim::Optimizer,
    train::Targets,
};
use ndarray::{Array2, Array3, ArrayRef3, ArrayView3, ArrayViewMut3, s};

#[path = "support/bits.rs"]
mod bits;
use bits::{state_bits, weights};

#[path = "support/deep.rs"]
mod deep;
#[path = "support/stepped.rs"]
mod stepped;
use deep::deep;
use stepped::SteppedGru;

const V: usize = 7;

fn text(t: usize, b: usize) -> Array2<usize> {
    Array2::from_shape_fn((t, b), |(t, b)| (t * t + 3 * t * b + b) % V)
}

/// What the engine says it takes for an input like this one.
fn estimate<N, L, O>(bptt: &Bptt<N, L, O>, xs: &impl AsInput<N::Elem>) -> Result<usize, Error>
where
    N: SeqLayer,
    O: Optimizer<N>,
{
    let xs = xs.as_input();
    let (t, b) = xs.dim();
    match xs {
        Input::Rows(_) => bptt.memory_estimate(t, b),
        Input::Tokens(_) => bptt.memory_estimate_for_tokens(t, b),
    }
}

/// The bytes of the smallest budget, as the error of one that is too small names it.
fn least<N: SeqLayer, L, O: Optimizer<N>>(bptt: &Bptt<N, L, O>, xs: &impl AsInput<N::Elem>) -> usize {
    let message = estimate(bptt, xs).unwrap_err().to_string();
    let number = message.split("at least ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).expect("the message names the smallest budget")
}

/// Everything a run leaves behind after three batches that continue each other: losses, gradients, weights, state.
fn run<N: SeqLayer, L, O, Y>(
    mut bptt: Bptt<N, L, O>,
    xs: &impl AsInput<N::Elem>,
    targets: &Y,
) -> (Vec<u64>, Vec<u64>, Vec<u64>)
where
    O: Optimizer<N>,
    Y: Targets,
    L: Loss<N::Elem, Y::Of>,
{
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let report = bptt.train_next(xs, targets).unwrap();
        numbers.extend([report.losses.sum.to_bits(), report.norm_sum.to_bits()]);
        numbers.extend(weights(bptt.gradients()));
        numbers.extend(bptt.outputs().iter().map(|y| y.as_f64().to_bits()));
    }
    (numbers, weights(bptt.model()), bptt.state().map(state_bits).unwrap_or_default())
}

/// Budgets from the smallest possible to more than enough give the bits of none, on 1, 2 and 3 threads.
fn same<N: SeqLayer, L, O, Y>(
    what: &str,
    build: impl Fn(Option<usize>, usize) -> Bptt<N, L, O>,
    xs: &impl AsInput<N::Elem>,
    targets: &Y,
) where
    O: Optimizer<N>,
    Y: Targets,
    L: Loss<N::Elem, Y::Of>,
{
    let (t, b) = xs.as_input().dim();
    let plain = run(build(None, 1), xs, targets);
    for threads in [1, 2, 3] {
        assert!(run(build(None, threads), xs, targets) == plain, "{what}, {threads} threads, no budget");
        if t * b == 0 {
            assert!(run(build(Some(0), threads), xs, targets) == plain, "{what}: nothing takes nothing");
            continue;
        }
        let (all, least) = (estimate(&build(None, threads), xs).unwrap(), least(&build(Some(0), threads), xs));
        assert!(least <= all, "{what}: at least {least}, all in all {all}");
        let between = [0.02, 0.1, 0.3, 0.7].map(|share| least + ((all - least) as f64 * share) as usize);
        for budget in [[least, all.saturating_sub(1).max(least), all, 2 * all].as_slice(), &between].concat() {
            let with = build(Some(budget), threads);
            assert!(estimate(&with, xs).unwrap() <= budget);
            assert!(run(with, xs, targets) == plain, "{what}: {t} x {b}, {threads} threads, {budget} bytes");
        }
        let mut too_small = build(Some(least - 1), threads);
        let before = weights(too_small.model());
        let message = too_small.train_next(xs, targets).unwrap_err().to_string();
        assert!(message.starts_with("memory_budget: expected at least"), "{message}");
        assert_eq!(weights(too_small.model()), before);
    }
}

fn tokens<N: SeqLayer>(what: &str, window: Option<usize>, sizes: &[(usize, usize)], net: impl Fn() -> N) {
    for &(t, b) in sizes {
        let (xs, ys) = (text(t, b), text(t + 1, b).slice(s![1.., ..]).to_owned());
        let build = |budget: Option<usize>, threads: usize| {
            let model = LanguageModel::new(net(), 3).unwrap();
            let mut builder = Bptt::builder(model).optimizer(Sgd::new(0.5)).clip_norm(0.3).threads(threads);
            if let Some(bytes) = budget {
                builder = builder.memory_budget(bytes);
            }
            if let Some(steps) = window {
                builder = builder.window(steps);
            }
            builder.build().unwrap()
        };
        same(what, build, &xs, &ys);
    }
}

fn square(ys: ArrayView3<'_, f64>, _: &ArrayRef3<f64>, mut d_ys: ArrayViewMut3<'_, f64>) -> f64 {
    d_ys.assign(&ys);
    ys.iter().map(|y| y * y).sum::<f64>() / 2.0
}

fn dense<N: SeqLayer<Elem = f64>>(what: &str, sizes: &[(usize, usize)], net: impl Fn() -> N) {
    for &(t, b) in sizes {
        let xs = Array3::from_shape_fn((t, b, 3), |(t, b, d)| (t as f64 * 0.7 + b as f64 - d as f64).sin());
        let build = |budget: Option<usize>, threads: usize| {
            let builder =
                Bptt::builder(net()).loss(deep_rnn::loss::loss_fn(square)).optimizer(Adam::new(0.01)).threads(threads);
            match budget {
                Some(bytes) => builder.memory_budget(bytes).build().unwrap(),
                None => builder.build().unwrap(),
            }
        };
        same(what, build, &xs, &xs);
    }
}

const SIZES: &[(usize, usize)] = &[(0, 2), (1, 3), (2, 1), (3, 0), (13, 3), (37, 1)];

#[test]
fn language_models_of_each_cell() {
    tokens("LSTM", None, SIZES, || Stacked::repeat(V, 2, &Lstm::<f32>::spec(9), 1).unwrap());
    tokens("GRU", None, &[(13, 3)], || Stacked::repeat(V, 1, &Gru::<f64>::spec(8), 1).unwrap());
    tokens("RNN", None, &[(13, 3)], || Stacked::repeat(V, 3, &Rnn::<f32>::spec(8), 1).unwrap());
}

#[test]
fn long_enough_for_several_threads_and_pieces_of_the_gated_cells() {
    let lstm = Lstm::<f32>::spec(64);
    tokens("LSTM", None, &[deep((80, 11), (48, 11))], || Stacked::repeat(V, 2, &lstm, 1).unwrap());
}

#[test]
fn windows_and_the_last_shorter_one() {
    let build = || Stacked::repeat(V, 2, &Lstm::<f32>::spec(9), 1).unwrap();
    tokens("windows", Some(17), &[(40, 3), (17, 2)], build);
}

#[test]
fn mixed_stacks_and_cells_in_shards() {
    tokens("mixed", None, &[(13, 3)], || Network::<f32>::builder(V).lstm(9).gru(6).rnn(5).build().unwrap());
    tokens("in shards", None, &[(11, 19)], || {
        Network::builder(V).layer(GruResetBefore::<f32>::spec(9)).lstm(6).build().unwrap()
    });
}

#[test]
fn rows_of_numbers() {
    dense("LSTM", SIZES, || Stacked::repeat(3, 2, &Lstm::spec(5), 1).unwrap());
    dense("a network", &[(23, 2)], || Network::builder(3).gru(4).linear(6).lstm(2).linear(2).seed(1).build().unwrap());
    dense("in shards", &[(23, 17)], || Stacked::repeat(3, 2, &SteppedGru::spec(5), 0).unwrap());
}

#[test]
fn evaluation_and_batches_of_every_shape() {
    let build = |budget: Option<usize>| {
        let net = Stacked::repeat(V, 2, &Lstm::<f32>::spec(9), 1).unwrap();
        let builder = Bptt::builder(LanguageModel::new(net, 1).unwrap()).clip_norm(1.0);
        match budget {
            Some(bytes) => builder.memory_budget(bytes).build().unwrap(),
            None => builder.build().unwrap(),
        }
    };
    let budget = build(None).memory_estimate_for_tokens(60, 4).unwrap() / 2;
    let (mut plain, mut tight) = (build(None), build(Some(budget)));
    for (t, b) in [(20, 4), (60, 4), (7, 4), (60, 2), (33, 4), (61, 1), (5, 5)] {
        let xs = text(t, b);
        for bptt in [&mut plain, &mut tight] {
            bptt.train(&xs, &xs).unwrap();
        }
        assert_eq!(weights(plain.gradients()), weights(tight.gradients()), "{t} x {b}");
        let batch = || [Batch::new(xs.clone(), xs.clone())];
        let losses = [&mut plain, &mut tight].map(|bptt| bptt.evaluate(batch()).unwrap().losses.sum.to_bits());
        assert_eq!(losses[0], losses[1], "{t} x {b}");
    }
    assert_eq!(weights(plain.model()), weights(tight.model()));
}

#[test]
fn a_refused_window_is_forgotten() {
    let loss = |_: ArrayView3<'_, f64>, refuse: &ArrayRef3<f64>, mut d_ys: ArrayViewMut3<'_, f64>| {
        d_ys.fill(1.0);
        if refuse.is_empty() { f64::NAN } else { 1.0 }
    };
    let build = || Stacked::repeat(3, 2, &Lstm::<f64>::spec(5), 1).unwrap();
    let mut plain = Bptt::builder(build()).loss(deep_rnn::loss::loss_fn(loss)).build().unwrap();
    let budget = plain.memory_estimate(20, 2).unwrap() - 2000;
    let mut tight = Bptt::builder(build()).loss(deep_rnn::loss::loss_fn(loss)).memory_budget(budget).build().unwrap();
    let (xs, good, bad) = (Array3::ones((20, 2, 3)), Array3::ones((20, 2, 1)), Array3::zeros((20, 2, 0)));
    assert!(matches!(tight.train_next(&xs, &bad), Err(Error::NotFinite { .. })));
    plain.train_next(&xs, &good).unwrap();
    tight.train_next(&xs, &good).unwrap();
    assert_eq!(weights(plain.gradients()), weights(tight.gradients()));
}

#[test]
fn what_cannot_be_run_in_pieces_gets_no_budget() {
    let both_ways = Bidirectional::spec(Lstm::<f32>::spec(4), Merge::Concat);
    let net = || Network::builder(3).layer(both_ways.clone()).linear(2).build().unwrap();
    assert!(!net().is_causal());
    let error = Bptt::builder(net()).memory_budget(1 << 30).build().err().unwrap();
    assert!(error.to_string().contains("is_causal"), "{error}");
    let reversed = Reversed::new(Lstm::<f32>::spec(4).build(3, &mut Init::seeded(1)).unwrap());
    assert!(Bptt::builder(reversed).memory_budget(1 << 30).build().is_err());
    // Its memory is known all the same.
    let bptt = Bptt::builder(net()).build().unwrap();
    type Estimate<N> = fn(&Bptt<N>, usize, usize) -> Result<usize, Error>;
    for estimate in [Bptt::memory_estimate as Estimate<_>, Bptt::memory_estimate_for_tokens] {
        assert!(estimate(&bptt, 20, 2).unwrap() > estimate(&bptt, 10, 2).unwrap());
        for (t, b) in [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX), (1 << 50, 1)] {
            assert!(estimate(&bptt, t, b).unwrap_err().to_string().starts_with("steps: expected"), "{t} x {b}");
        }
    }
}

/// A layer tells sizes that no memory holds as the most there is, and no smaller one as more than a larger.
fn counted<L: SeqLayer>(name: &str, net: &L) {
    counted_from(&format!("{name}, rows"), net, |net, t, b| net.memory(PassSize::of(t, b)));
    counted_from(&format!("{name}, tokens"), net, |net, t, b| net.memory(PassSize::of_tokens(t, b)));
    let check = |bptt: &Bptt<L, MeanSquared>| {
        assert!(bptt.memory_estimate(usize::MAX, 2).is_err() && bptt.memory_estimate(2, usize::MAX).is_err());
        let for_tokens = |t, b| bptt.memory_estimate_for_tokens(t, b);
        assert!(for_tokens(usize::MAX, 2).is_err() && for_tokens(2, usize::MAX).is_err());
    };
    let bptt = Bptt::builder(net.clone()).loss(MeanSquared).threads(4).build().unwrap();
    check(&bptt);
    assert!(bptt.memory_estimate(1 << 30, 1 << 8).unwrap() > 1 << 38);
    assert!(bptt.memory_estimate_for_tokens(1 << 30, 1 << 8).unwrap() > 1 << 38);
    if net.is_causal() {
        let bptt = Bptt::builder(net.clone()).loss(MeanSquared).threads(4).memory_budget(1 << 30).build().unwrap();
        check(&bptt);
        assert!(bptt.memory_estimate(1 << 30, 1 << 8).is_err());
        assert!(bptt.memory_estimate_for_tokens(1 << 30, 1 << 8).is_err());
    }
}

fn counted_from<L: SeqLayer>(name: &str, net: &L, of: impl Fn(&L, usize, usize) -> Option<Memory> + Sync) {
    let sizes = [1, 2, 513, 1 << 20, 1 << 31, 1 << 40, 1 << 61, (1 << 62) + 1, usize::MAX / 2 + 1, usize::MAX];
    let all = |memory: Memory| [memory.tape, memory.forward.bytes(), memory.backward.bytes()];
    for threads in [1, 4] {
        Threads::new(threads).unwrap().install(|| {
            for fixed in sizes {
                let (mut over_steps, mut over_rows) = ([0; 3], [0; 3]);
                for size in sizes {
                    let (long, wide) = (of(net, size, fixed).unwrap(), of(net, fixed, size).unwrap());
                    for (before, now) in [(&mut over_steps, all(long)), (&mut over_rows, all(wide))] {
                        let less = before.iter().zip(now).any(|(before, now)| now < *before / 2);
                        assert!(!less, "{name}: {size} with {fixed} takes {now:?}, a smaller one {before:?}");
                        *before = now;
                    }
                }
            }
            let most = of(net, usize::MAX, 2).unwrap();
            assert!(most.tape == usize::MAX || most.tape == 0, "{name}: {most:?}");
        });
    }
}

#[test]
fn sizes_that_no_memory_holds() {
    let init = || Init::seeded(1);
    let lstm = || Lstm::<f32>::spec(70).build(5, &mut init()).unwrap();
    counted("LSTM", &lstm());
    counted("GRU", &Gru::<f64>::spec(7).build(5, &mut init()).unwrap());
    counted("GRU, reset before", &GruResetBefore::<f64>::spec(7).build(5, &mut init()).unwrap());
    counted("by steps", &SteppedGru::<f64>::spec(7).build(5, &mut init()).unwrap());
    counted("Linear", &Linear::<f32>::spec(7).build(5, &mut init()).unwrap());
    counted("Reversed", &Reversed::new(lstm()));
    counted("Stacked", &Stacked::repeat(5, 3, &Rnn::<f32>::spec(9), 0).unwrap());
    counted("Network", &Network::<f32>::builder(5).rnn(9).linear(3).build().unwrap());
    counted("LanguageModel", &LanguageModel::new(lstm(), 1).unwrap());
    for merge in [Merge::Concat, Merge::Sum] {
        counted("Bidirectional", &Bidirectional::new(lstm(), lstm(), merge).unwrap());
    }
    let model = LanguageModel::new(Network::<f32>::builder(5).lstm(9).build().unwrap(), 1).unwrap();
    for size in [PassSize::of(usize::MAX, 2), PassSize::of_tokens(usize::MAX, 2)] {
        let memory = model.memory(size).unwrap();
        let bytes = [memory.tape, memory.forward.bytes(), memory.backward.bytes()];
        assert_eq!(bytes, [usize::MAX; 3]);
    }
}
