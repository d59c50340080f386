//! A user's code panics: the panic reaches the caller of the engine, and once it is caught the engine goes on as one that has
//! not seen it, to the bit.

#[path = "../support/bits.rs"]
mod bits;
mod fragile;
#[path = "../support/stepped.rs"]
mod stepped;
use stepped::SteppedGru;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bits::{state_bits, weights};
use deep_rnn::ndarray::{Array3, ArrayRef3, ArrayView3, ArrayViewMut3, s};
use deep_rnn::prelude::*;
use deep_rnn::{
    cpu::Threads,
    layers::Boxed,
    loss::{Loss, LossSum},
    optim::Optimizer,
};
use fragile::{Fragile, Fuse};

type Numbers = ArrayRef3<f64>;

fn numbers(start: usize, t: usize, b: usize, width: usize) -> Array3<f64> {
    Array3::from_shape_fn((t, b, width), |(t, b, d)| ((start + t * 5 + b * 3 + d * 7) % 13) as f64 / 6.5 - 1.0)
}

/// Everything of an engine that can be seen from outside.
fn seen<N: SeqLayer<Elem = f64>, L, O: Optimizer<N>>(bptt: &Bptt<N, L, O>) -> [Vec<u64>; 2] {
    [weights(bptt.model()), bptt.state().map(state_bits).unwrap_or_default()]
}

fn panics<R>(call: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err(), "the panic has reached the caller");
}

/// Engines of a network with a fuse against twins: the fuse burns down at any call within the second window.
fn at_every_call<N, L>(
    what: &str,
    net: impl Fn(&Fuse) -> N,
    loss: impl Fn(&Fuse) -> L,
    threads: usize,
    share: Option<f64>,
) where
    N: SeqLayer<Elem = f64>,
    L: Loss<f64, Numbers>,
{
    let (t, b) = (6, 19);
    let engine = |fuse: &Fuse| {
        let build = |budget: Option<usize>| {
            let builder = Bptt::builder(net(fuse)).loss(loss(fuse)).optimizer(Adam::new(0.01)).clip_norm(0.1);
            let builder = builder.window(t).threads(threads);
            match budget {
                Some(budget) => builder.memory_budget(budget).build().unwrap(),
                None => builder.build().unwrap(),
            }
        };
        match share {
            Some(share) => {
                let all = build(None).memory_estimate(t, b).unwrap();
                build(Some((all as f64 * share) as usize))
            }
            None => build(None),
        }
    };
    let v = net(&Fuse::new()).output_size();
    let (xs, ys) = (numbers(0, 2 * t, b, 3), numbers(1, 2 * t, b, v));
    let second = || (xs.slice(s![t.., .., ..]), ys.slice(s![t.., .., ..]));

    let calls = {
        let fuse = Fuse::new();
        let mut bptt = engine(&fuse);
        bptt.train_next(&xs.slice(s![..t, .., ..]), &ys.slice(s![..t, .., ..])).unwrap();
        fuse.calls()
    };
    // The first and the last call of a window, and some between, forward and backward.
    let mut places = vec![0, 1, calls / 3, calls / 2, calls / 2 + 1, 4 * calls / 5, calls - 1];
    places.retain(|at| *at < calls);
    places.dedup();
    for at in places {
        let what = format!("{what}, {threads} threads, call {at} of {calls}");
        let (fuse, calm) = (Fuse::new(), Fuse::new());
        let (mut bptt, mut twin) = (engine(&fuse), engine(&calm));
        fuse.light(calls + at);
        panics(|| bptt.train_next(&xs, &ys));
        fuse.put_out();
        twin.train_next(&xs.slice(s![..t, .., ..]), &ys.slice(s![..t, .., ..])).unwrap();
        assert!(seen(&bptt) == seen(&twin), "{what}: as after the window before");
        assert!(weights(bptt.gradients()).iter().all(|bits| *bits == 0), "{what}: no half of a gradient");
        assert!(bptt.outputs().is_empty(), "{what}: no half of the outputs");

        fuse.light(at.min(6) / 2);
        panics(|| bptt.evaluate([Batch::new(&xs, &ys)]));
        fuse.light(at.min(6) / 2);
        let mut state = bptt.state().unwrap().clone();
        if fuse_is_in_the_net(&bptt, &calm, &twin, &xs) {
            panics(|| bptt.predict_with(deep_rnn::Context::default(), &xs, &mut state));
        }
        fuse.put_out();
        assert!(seen(&bptt) == seen(&twin), "{what}: evaluation and prediction leave all as it was");
        assert!(state_bits(&state) == state_bits(bptt.state().unwrap()), "{what}: the caller's state too");

        for _ in 0..2 {
            let (x, y) = second();
            let (one, other) = (bptt.train_next(&x, &y).unwrap(), twin.train_next(&x, &y).unwrap());
            assert_eq!(
                (one.losses.sum.to_bits(), one.norm_sum),
                (other.losses.sum.to_bits(), other.norm_sum),
                "{what}"
            );
            assert!(seen(&bptt) == seen(&twin), "{what}: the next call");
            assert!(weights(bptt.gradients()) == weights(twin.gradients()), "{what}: its gradients");
            assert!(bptt.outputs() == twin.outputs(), "{what}: its outputs");
        }
    }
}

/// Whether a pass of the twin burns its fuse: a loss with a fuse has no part in a prediction.
fn fuse_is_in_the_net<N: SeqLayer<Elem = f64>, L, O: Optimizer<N>>(
    bptt: &Bptt<N, L, O>,
    calm: &Fuse,
    twin: &Bptt<N, L, O>,
    xs: &Array3<f64>,
) -> bool {
    calm.put_out();
    twin.predict_with(deep_rnn::Context::default(), xs, &mut bptt.state().unwrap().clone()).unwrap();
    calm.calls() > 0
}

fn mean_squared(_: &Fuse) -> MeanSquared {
    MeanSquared
}

fn init() -> Init {
    Init::seeded(1)
}

#[test]
fn a_cell_in_shards() {
    for threads in [1, 2, 3] {
        let net = |fuse: &Fuse| Fragile::new(SteppedGru::<f64>::spec(4).build(3, &mut init()).unwrap(), fuse, false);
        at_every_call("own cell", net, mean_squared, threads, None);
        at_every_call("own cell, budget", net, mean_squared, threads, Some(0.97));
        let mixed = |fuse: &Fuse| {
            let above = Lstm::<f64>::spec(5).build(4, &mut init()).unwrap();
            Stacked::new(vec![Boxed::new(net(fuse)), Boxed::new(Fragile::new(above, fuse, true))]).unwrap()
        };
        at_every_call("stack in shards", mixed, mean_squared, threads, None);
    }
}

#[test]
fn a_cell_that_divides_itself() {
    for threads in [1, 3] {
        let net = |fuse: &Fuse| {
            let (first, last) =
                (Linear::spec(4).build(3, &mut init()).unwrap(), Linear::spec(2).build(5, &mut init()).unwrap());
            let cell = Lstm::<f64>::spec(5).build(4, &mut init()).unwrap();
            Stacked::new(vec![Boxed::new(first), Boxed::new(Fragile::new(cell, fuse, true)), Boxed::new(last)]).unwrap()
        };
        at_every_call("network", net, mean_squared, threads, None);
        at_every_call("network, budget", net, mean_squared, threads, Some(0.97));
    }
}

#[test]
fn a_direction_on_a_thread_of_its_own() {
    for threads in [1, 2, 4] {
        for merge in [Merge::Concat, Merge::Sum] {
            let net = |fuse: &Fuse| {
                let cell = || Gru::<f64>::spec(5).build(3, &mut init()).unwrap();
                let (calm, fragile) = (Fuse::new(), fuse);
                let (ahead, behind) = (Fragile::new(cell(), &calm, true), Fragile::new(cell(), fragile, true));
                Bidirectional::new(ahead, behind, merge).unwrap()
            };
            at_every_call("directions", net, mean_squared, threads, None);
        }
    }
}

/// The mean of squares, by a loss with a fuse.
struct Squares(Fuse);

impl Loss<f64, Numbers> for Squares {
    fn evaluate(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, f64>,
        targets: &Numbers,
        d_ys: ArrayViewMut3<'_, f64>,
    ) -> LossSum {
        let loss = MeanSquared.evaluate(cx, ys, targets, d_ys);
        self.0.burn();
        loss
    }
}

fn squares(fuse: &Fuse) -> Squares {
    Squares(fuse.clone())
}

#[test]
fn a_loss() {
    for threads in [1, 2, 3] {
        let net = |_: &Fuse| Network::<f64>::builder(3).lstm(4).gru(5).build().unwrap();
        at_every_call("loss", net, squares, threads, None);
        at_every_call("loss, budget", net, squares, threads, Some(0.97));
        let sharded = |_: &Fuse| SteppedGru::<f64>::spec(4).build(3, &mut init()).unwrap();
        at_every_call("loss, shards", sharded, squares, threads, None);
    }
}

/// Plain gradient descent with a fuse.
struct Descent(Fuse);

impl<P: Params> Optimizer<P> for Descent {
    fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error> {
        self.0.burn();
        params.add_scaled(grads, P::Elem::from_f64(-0.1));
        Ok(())
    }
}

#[test]
fn an_optimiser_and_an_iterator() {
    let fuse = Fuse::new();
    let engine = |fuse: &Fuse| {
        let net = Network::<f64>::builder(3).lstm(4).build().unwrap();
        Bptt::builder(net).loss(MeanSquared).optimizer(Descent(fuse.clone())).build().unwrap()
    };
    let (mut bptt, mut twin) = (engine(&fuse), engine(&Fuse::new()));
    let batch = |i: usize| Batch::new(numbers(i, 4, 3, 3), numbers(i + 1, 4, 3, 4)).continues(i > 0);
    bptt.epoch([batch(0)]).unwrap();
    twin.epoch([batch(0)]).unwrap();

    fuse.light(0);
    panics(|| bptt.epoch([batch(1)]));
    fuse.put_out();
    assert!(seen(&bptt) == seen(&twin));
    let other = batch(1).continues(false);
    fuse.light(0);
    panics(|| bptt.epoch([other.clone()]));
    fuse.put_out();
    assert!(seen(&bptt) == seen(&twin), "also where the batch starts anew");

    let ending = |n: usize| {
        (1..).map(batch).enumerate().map(move |(i, batch)| {
            assert!(i < n, "no more batches");
            batch
        })
    };
    panics(|| bptt.epoch(ending(2)));
    twin.epoch((1..3).map(batch)).unwrap();
    assert!(seen(&bptt) == seen(&twin), "as after the last window");
    panics(|| bptt.evaluate(ending(2)));
    assert!(seen(&bptt) == seen(&twin), "evaluation has a state of its own");
    bptt.epoch([batch(3)]).unwrap();
    twin.epoch([batch(3)]).unwrap();
    assert!(seen(&bptt) == seen(&twin));
}

#[test]
fn a_batch_that_is_refused_leaves_the_state() {
    let net = Network::<f64>::builder(3).lstm(4).build().unwrap();
    let mut bptt = Bptt::builder(net).loss(MeanSquared).build().unwrap();
    bptt.train_next(&numbers(0, 4, 3, 3), &numbers(1, 4, 3, 4)).unwrap();
    let before = seen(&bptt);
    let bad = Batch::new(numbers(0, 4, 3, 2), numbers(1, 4, 3, 4));
    assert!(bptt.epoch([bad.clone()]).is_err());
    assert!(bptt.evaluate([bad]).is_err());
    let wild = Batch::new(numbers(0, 4, 3, 3), numbers(1, 4, 3, 4) * f64::INFINITY);
    assert!(bptt.epoch([wild.clone()]).is_err());
    assert!(bptt.evaluate([wild]).is_err());
    assert!(seen(&bptt) == before);
}

#[test]
fn a_closure_on_the_threads() {
    for number in [1, 3] {
        let threads = Threads::new(number).unwrap();
        let net = Network::<f64>::builder(3).lstm(40).build().unwrap();
        let xs = numbers(0, 30, 40, 3);
        let run = |panic: bool| {
            let (mut ys, mut state) = (Array3::zeros((30, 40, 40)), net.zero_state(40));
            threads.install(|| {
                net.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut state, None);
                assert!(!panic, "on purpose");
            });
            ys
        };
        let before = run(false);
        (0..3).for_each(|_| panics(|| run(true)));
        assert!(run(false) == before);
    }
}
