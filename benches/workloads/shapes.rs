//! The workloads: shapes, operations counted, and how each is run.

use std::hint::black_box;

use deep_rnn::cpu::Threads;
use deep_rnn::ndarray::{Array1, Array2, Array3, ArrayRef3, ArrayView1, ArrayView3, ArrayViewMut3};
use deep_rnn::prelude::*;

use crate::measure::{Figures, measure, measure_steps, status_mib};

#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Lstm,
    Gru,
    Rnn,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Tokens to loss, backward, clip, update, state carried.
    Train,
    /// Forward and backward of a dense network; the loss is the mean square of its output.
    Both,
    /// Forward, step after step, by the cells themselves.
    Step,
    /// Forward, step after step, packed.
    Stream(Precision),
    /// Forward, the whole sequence in one call.
    Forward,
}

/// One workload. `d` is V for the ones that start from tokens.
pub(crate) struct Workload {
    pub(crate) id: &'static str,
    cell: Cell,
    kind: Kind,
    l: usize,
    h: usize,
    d: usize,
    b: usize,
    t: usize,
    both_ways: bool,
    /// Layers in boxes: a network put together at run time.
    boxed: bool,
    /// Rows of several lengths, uniform from 1 to T; only their own steps count.
    ragged: bool,
    /// Of the operands of products.
    precision: Precision,
    /// MiB that the engine may hold.
    budget: Option<usize>,
}

const fn workload(id: &'static str, cell: Cell, kind: Kind, [l, h, d, b, t]: [usize; 5]) -> Workload {
    let precision = Precision::Full;
    Workload { id, cell, kind, l, h, d, b, t, both_ways: false, boxed: false, ragged: false, precision, budget: None }
}

pub(crate) const WORKLOADS: &[Workload] = &[
    workload("W1", Cell::Lstm, Kind::Train, [2, 256, 28, 32, 35]),
    Workload { precision: Precision::Bf16, ..workload("W1-bf16", Cell::Lstm, Kind::Train, [2, 256, 28, 32, 35]) },
    Workload { boxed: true, ..workload("W1-boxed", Cell::Lstm, Kind::Train, [2, 256, 28, 32, 35]) },
    Workload { ragged: true, ..workload("W1-ragged", Cell::Lstm, Kind::Train, [2, 256, 28, 32, 35]) },
    workload("W2", Cell::Gru, Kind::Train, [2, 256, 28, 32, 35]),
    Workload { ragged: true, ..workload("W2-ragged", Cell::Gru, Kind::Train, [2, 256, 28, 32, 35]) },
    workload("W3", Cell::Rnn, Kind::Train, [2, 256, 28, 32, 35]),
    workload("W4", Cell::Lstm, Kind::Both, [2, 1024, 512, 64, 64]),
    Workload { precision: Precision::Bf16, ..workload("W4-bf16", Cell::Lstm, Kind::Both, [2, 1024, 512, 64, 64]) },
    workload("W5", Cell::Lstm, Kind::Both, [2, 128, 64, 8, 2000]),
    Workload { budget: Some(38), ..workload("W5-budget", Cell::Lstm, Kind::Both, [2, 128, 64, 8, 2000]) },
    workload("W5-100", Cell::Lstm, Kind::Both, [2, 128, 64, 8, 100]),
    workload("W5-1000", Cell::Lstm, Kind::Both, [2, 128, 64, 8, 1000]),
    workload("W5-10000", Cell::Lstm, Kind::Both, [2, 128, 64, 8, 10_000]),
    workload("W6", Cell::Lstm, Kind::Stream(Precision::Full), [2, 256, 28, 1, 1]),
    workload("W6-bf16", Cell::Lstm, Kind::Stream(Precision::Bf16), [2, 256, 28, 1, 1]),
    workload("W6-int8", Cell::Lstm, Kind::Stream(Precision::Int8), [2, 256, 28, 1, 1]),
    workload("W6-cell", Cell::Lstm, Kind::Step, [2, 256, 28, 1, 1]),
    workload("W7", Cell::Lstm, Kind::Forward, [2, 256, 28, 1, 1000]),
    Workload { both_ways: true, ..workload("W8", Cell::Lstm, Kind::Both, [2, 256, 128, 32, 100]) },
    Workload {
        both_ways: true,
        precision: Precision::Bf16,
        ..workload("W8-bf16", Cell::Lstm, Kind::Both, [2, 256, 128, 32, 100])
    },
    Workload { both_ways: true, boxed: true, ..workload("W8-boxed", Cell::Lstm, Kind::Both, [2, 256, 128, 32, 100]) },
    Workload { both_ways: true, ragged: true, ..workload("W8-ragged", Cell::Lstm, Kind::Both, [2, 256, 128, 32, 100]) },
    workload("W9", Cell::Gru, Kind::Both, [4, 512, 512, 128, 50]),
    Workload { precision: Precision::Bf16, ..workload("W9-bf16", Cell::Gru, Kind::Both, [4, 512, 512, 128, 50]) },
    workload("W10-lstm-8", Cell::Lstm, Kind::Stream(Precision::Full), [1, 8, 1, 1, 1]),
    workload("W10-lstm-16", Cell::Lstm, Kind::Stream(Precision::Full), [1, 16, 1, 1, 1]),
    workload("W10-lstm-32", Cell::Lstm, Kind::Stream(Precision::Full), [1, 32, 1, 1, 1]),
    workload("W10-lstm-40", Cell::Lstm, Kind::Stream(Precision::Full), [1, 40, 1, 1, 1]),
    workload("W10-lstm-64", Cell::Lstm, Kind::Stream(Precision::Full), [1, 64, 1, 1, 1]),
    workload("W10-gru-8", Cell::Gru, Kind::Stream(Precision::Full), [1, 8, 1, 1, 1]),
    workload("W10-gru-16", Cell::Gru, Kind::Stream(Precision::Full), [1, 16, 1, 1, 1]),
    workload("W10-gru-32", Cell::Gru, Kind::Stream(Precision::Full), [1, 32, 1, 1, 1]),
    workload("W10-gru-40", Cell::Gru, Kind::Stream(Precision::Full), [1, 40, 1, 1, 1]),
    workload("W10-gru-64", Cell::Gru, Kind::Stream(Precision::Full), [1, 64, 1, 1, 1]),
    workload("W10-lstm-64-bf16", Cell::Lstm, Kind::Stream(Precision::Bf16), [1, 64, 1, 1, 1]),
    workload("W10-lstm-64-int8", Cell::Lstm, Kind::Stream(Precision::Int8), [1, 64, 1, 1, 1]),
    workload("W10-gru-64-bf16", Cell::Gru, Kind::Stream(Precision::Bf16), [1, 64, 1, 1, 1]),
    workload("W10-gru-64-int8", Cell::Gru, Kind::Stream(Precision::Int8), [1, 64, 1, 1, 1]),
    workload("W10-lstm-8-cell", Cell::Lstm, Kind::Step, [1, 8, 1, 1, 1]),
    workload("W10-lstm-16-cell", Cell::Lstm, Kind::Step, [1, 16, 1, 1, 1]),
    workload("W10-lstm-32-cell", Cell::Lstm, Kind::Step, [1, 32, 1, 1, 1]),
    workload("W10-lstm-64-cell", Cell::Lstm, Kind::Step, [1, 64, 1, 1, 1]),
    workload("W10-gru-8-cell", Cell::Gru, Kind::Step, [1, 8, 1, 1, 1]),
    workload("W10-gru-16-cell", Cell::Gru, Kind::Step, [1, 16, 1, 1, 1]),
    workload("W10-gru-32-cell", Cell::Gru, Kind::Step, [1, 32, 1, 1, 1]),
    workload("W10-gru-64-cell", Cell::Gru, Kind::Step, [1, 64, 1, 1, 1]),
];

impl Workload {
    pub(crate) fn tokens(&self) -> usize {
        self.lengths().map_or(self.t * self.b, |lengths| lengths.iter().sum())
    }

    /// Of the rows, in no order.
    fn lengths(&self) -> Option<Vec<usize>> {
        self.ragged.then(|| (0..self.b).map(|b| 1 + (13 * b % self.b) * self.t / self.b).collect())
    }

    /// Multiplications and additions of the matrix products of one call.
    pub(crate) fn flops(&self) -> f64 {
        let gates = match self.cell {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::Rnn => 1,
        } * self.h;
        let ways = if self.both_ways { 2 } else { 1 };
        let train = self.kind == Kind::Train;
        let backward = matches!(self.kind, Kind::Train | Kind::Both);
        let mut products = 0;
        for layer in 0..self.l {
            let inputs = if layer == 0 { self.d } else { self.h * ways };
            // A lookup is no product, forward or backward.
            let input_product = if train && layer == 0 { 0 } else { inputs * gates * ways };
            products += (input_product + self.h * gates * ways) * if backward { 3 } else { 1 };
            if layer == 0 && self.budget.is_some() {
                products -= input_product; // the engine asks for no gradient of its input
            }
        }
        if train {
            products += self.h * self.d * 3;
        }
        if self.id.starts_with("W10") {
            products += self.h;
        }
        2.0 * (products * self.tokens()) as f64
    }

    pub(crate) fn time(&self, threads: usize, seconds: f64) -> Figures {
        match self.cell {
            Cell::Lstm => self.time_cell(Lstm::<f32>::spec(self.h).bias(Bias::Two), threads, seconds),
            Cell::Gru => self.time_cell(Gru::<f32>::spec(self.h).bias(Bias::Two), threads, seconds),
            Cell::Rnn => self.time_cell(Rnn::<f32>::spec(self.h).bias(Bias::Two), threads, seconds),
        }
    }

    fn time_cell<S>(&self, spec: S, threads: usize, seconds: f64) -> Figures
    where
        S: Spec<Layer: RnnCell<Elem = f32> + Prepare + 'static> + Clone + Send + Sync + 'static,
    {
        let start = status_mib("VmRSS:");
        let built = "a workload's sizes are good";
        match self.kind {
            Kind::Train if self.boxed => {
                let net = Network::builder(self.d).repeat(self.l, spec).seed(1).build().expect(built);
                self.time_train(net, threads, seconds, start)
            }
            Kind::Train => {
                let net = Stacked::repeat(self.d, self.l, &spec, 1).expect(built);
                self.time_train(net, threads, seconds, start)
            }
            Kind::Both if self.both_ways => {
                let spec = Bidirectional::spec(spec, Merge::Concat);
                if self.boxed {
                    let net = Network::builder(self.d).repeat(self.l, spec).seed(1).build().expect(built);
                    self.time_both(&net, threads, seconds, start)
                } else {
                    let net = Stacked::repeat(self.d, self.l, &spec, 1).expect(built);
                    self.time_both(&net, threads, seconds, start)
                }
            }
            Kind::Both if self.budget.is_some() => {
                let net = Stacked::repeat(self.d, self.l, &spec, 1).expect(built);
                self.time_budget(net, threads, seconds, start)
            }
            Kind::Both => {
                let net = Stacked::repeat(self.d, self.l, &spec, 1).expect(built);
                self.time_both(&net, threads, seconds, start)
            }
            Kind::Step => {
                let net = Stacked::repeat(self.d, self.l, &spec, 1).expect(built);
                let xs = dense(64, 1, self.d);
                let xs: Vec<&[f32]> = xs.outer_iter().filter_map(|x| x.to_slice()).collect();
                let (mut state, mut y) = (net.zero_state(1), vec![0.0; self.h]);
                let mut next = xs.iter().cycle();
                let head = Linear::<f32>::spec(1).build(self.h, &mut Init::seeded(2)).expect(built);
                let w: Array1<f32> = head.w().column(0).to_owned();
                let with_head = self.id.starts_with("W10");
                measure_steps(seconds, start, || {
                    if let Some(x) = next.next() {
                        net.step_rows(x, &mut y, &mut state).expect(FITS);
                    }
                    if with_head {
                        black_box(ArrayView1::from(&y[..]).dot(&w));
                    }
                })
            }
            Kind::Stream(precision) => {
                let xs = dense(64, 1, self.d);
                let threads = Threads::new(threads).expect("threads to be had");
                threads.install(|| {
                    if self.id.starts_with("W10") {
                        let net = Network::builder(self.d).layer(spec).linear(1).seed(1).build().expect(built);
                        stream(&net.prepare(precision).expect(built), &xs, seconds, start)
                    } else {
                        let net = Stacked::repeat(self.d, self.l, &spec, 1).expect(built);
                        stream(&net.prepare(precision).expect(built), &xs, seconds, start)
                    }
                })
            }
            Kind::Forward => {
                let net = Stacked::repeat(self.d, self.l, &spec, 1).expect(built);
                let xs = dense(self.t, self.b, self.d);
                let mut ys = Array3::zeros((self.t, self.b, self.h));
                let threads = Threads::new(threads).expect("threads to be had");
                threads.install(|| {
                    measure(seconds, 3, start, || {
                        let mut state = net.zero_state(self.b);
                        net.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut state, None);
                    })
                })
            }
        }
    }

    fn time_train<N: SeqLayer<Elem = f32>>(&self, net: N, threads: usize, seconds: f64, start: f64) -> Figures {
        let built = "a workload's sizes are good";
        let model = LanguageModel::new(net, 1).expect(built);
        let bptt = Bptt::builder(model).optimizer(Sgd::new(1.0)).clip_norm(1.0).threads(threads);
        let bptt = bptt.matmul_precision(self.precision);
        let mut bptt = bptt.build().expect(built);
        let batches = pattern(self.d, self.b, self.t, 40);
        if let Some(lengths) = self.lengths() {
            let ragged = |(x, y)| Batch::new(x, y).lengths(lengths.clone());
            let batches: Vec<_> = batches.into_iter().map(ragged).collect();
            let mut next = batches.iter().cycle();
            return measure(seconds, 5, start, || {
                if let Some(batch) = next.next() {
                    bptt.train_batch(batch).expect("a finite loss");
                }
            });
        }
        let mut next = batches.iter().cycle();
        measure(seconds, 5, start, || {
            if let Some((x, y)) = next.next() {
                bptt.train_next(x, y).expect("a finite loss");
            }
        })
    }

    fn time_both<N: SeqLayer<Elem = f32>>(&self, net: &N, threads: usize, seconds: f64, start: f64) -> Figures {
        let xs = dense(self.t, self.b, self.d);
        let shape = (self.t, self.b, net.output_size());
        let (mut ys, mut d_ys, mut d_xs) = (Array3::zeros(shape), Array3::zeros(shape), Array3::zeros(xs.raw_dim()));
        let mut grads = net.zeros_like();
        let mut tape = N::Tape::default();
        let threads = Threads::new(threads).and_then(|threads| threads.matmul_precision(self.precision));
        let threads = threads.expect("threads to be had");
        let lengths = self.lengths();
        let cx = lengths.as_ref().map_or(Context::default(), |lengths| Context::default().with_lengths(lengths));
        let mut both = |ys: ArrayViewMut3<'_, f32>, d_ys: ArrayViewMut3<'_, f32>| {
            let (mut ys, mut d_ys) = (ys, d_ys);
            let mut state = net.zero_state(self.b);
            net.forward(cx, (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
            let ys: ArrayView3<'_, f32> = ys.view();
            black_box(mean_square(ys, d_ys.view_mut()));
            grads.set_zero();
            let io = SeqGradIo { x: (&xs).into(), y: ys, d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
            net.backward(cx, io, &mut tape, &mut net.zero_state(self.b), &mut grads);
        };
        threads.install(|| measure(seconds, 2, start, || both(ys.view_mut(), d_ys.view_mut())))
    }

    /// The same through the engine, which updates the weights too (by next to nothing).
    fn time_budget<N: SeqLayer<Elem = f32>>(&self, net: N, threads: usize, seconds: f64, start: f64) -> Figures {
        let xs = dense(self.t, self.b, self.d);
        let no_targets = Array3::<f32>::zeros((self.t, self.b, 0));
        let loss = |ys: ArrayView3<'_, f32>, _: &ArrayRef3<f32>, d_ys: ArrayViewMut3<'_, f32>| mean_square(ys, d_ys);
        let mut builder =
            Bptt::builder(net).loss(deep_rnn::loss::loss_fn(loss)).optimizer(Sgd::new(1e-6)).threads(threads);
        if let Some(mib) = self.budget {
            builder = builder.memory_budget(mib << 20);
        }
        let mut bptt = builder.build().expect("a cell that tells its memory");
        measure(seconds, 2, start, || {
            black_box(bptt.train(&xs, &no_targets).expect("a budget that can be kept"));
        })
    }
}

/// A step of a state, an input and an output of the network's own sizes.
const FITS: &str = "a step that fits";

/// The mean of the squares, and its gradient.
fn mean_square(ys: ArrayView3<'_, f32>, mut d_ys: ArrayViewMut3<'_, f32>) -> f64 {
    let (k, mut sum) = (2.0 / ys.len() as f32, 0.0);
    d_ys.zip_mut_with(&ys, |d, y| {
        *d = k * y;
        sum += f64::from(*y) * f64::from(*y);
    });
    sum / ys.len() as f64
}

/// One stream through a packed network.
fn stream<N: Causal<Elem = f32>>(net: &N, xs: &Array3<f32>, seconds: f64, start: f64) -> Figures {
    let xs: Vec<&[f32]> = xs.outer_iter().filter_map(|x| x.to_slice()).collect();
    let (mut state, mut y) = (net.zero_state(1), vec![0.0; net.output_size()]);
    let mut next = xs.iter().cycle();
    measure_steps(seconds, start, || {
        if let Some(x) = next.next() {
            net.step_rows(x, &mut y, &mut state).expect(FITS);
            black_box(&mut y);
        }
    })
}

/// Numbers like a normal distribution's, the same each time.
fn dense(t: usize, b: usize, d: usize) -> Array3<f32> {
    Init::seeded(3).normal((t, b, d), 1.0)
}

/// Consecutive batches of a text that can be learnt: each token follows from the two before it.
fn pattern(v: usize, b: usize, t: usize, n: usize) -> Vec<(Array2<usize>, Array2<usize>)> {
    let mut text = Array2::from_elem((n * t + 1, b), 0_usize);
    for row in 0..b {
        for at in 0..=n * t {
            let before = |k: usize| if at >= k { text[[at - k, row]] } else { row + k };
            text[[at, row]] = (5 * before(1) + 3 * before(2) + 1 + (at * at / 7 + row) % 2) % v;
        }
    }
    let window = |from: usize| text.slice(deep_rnn::ndarray::s![from..from + t, ..]).to_owned();
    (0..n).map(|i| (window(i * t), window(i * t + 1))).collect()
}
