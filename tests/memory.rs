//! What the engine says it will hold and what it then holds at its peak. One test only: the counter sees every thread of the
//! process.

use deep_rnn::prelude::*;
use deep_rnn::{Loss, Model, Optimizer, Sequence, TokenInput};
use ndarray::{Array2, Array3, ArrayRef3, ArrayView3, ArrayViewMut3};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How far the two may be apart.
const WITHIN: f64 = 0.1;

/// What the engine says it will hold, and what it holds at the highest.
fn train<M, L, O, T>(
    build: impl FnOnce() -> Bptt<M, L, O>,
    xs: &M::Input,
    targets: &impl std::ops::Deref<Target = T>,
) -> (usize, usize)
where
    M: Model,
    O: Optimizer<M>,
    T: Sequence + ?Sized,
    L: Loss<M::Elem, T>,
{
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let mut bptt = build();
    let (t, b) = xs.steps_and_rows();
    let said = bptt.memory_estimate(t, b).unwrap();
    let mut measured = 0;
    // Two windows; more where a second thread has not come to take its part in these.
    for window in 0..60 {
        if window < 2 || (measured as f64) < 0.95 * said as f64 {
            bptt.train(xs, targets).unwrap();
            measured = ALLOCATOR.peak_usage() - before;
        }
    }
    (said, measured)
}

/// The most that any case was off, and its name.
#[derive(Default)]
struct Worst(f64, String, usize);

impl Worst {
    fn take(&mut self, what: &str, (said, measured): (usize, usize), budget: Option<usize>) {
        let off = (said as f64 / measured as f64 - 1.0).abs();
        println!("{what}: said {said}, measured {measured}, off by {:.1} %", 100.0 * off);
        assert!(off <= WITHIN, "{what}: said {said}, measured {measured}");
        if let Some(budget) = budget {
            assert!(said.max(measured) <= budget, "{what}: {said}, {measured} bytes in a budget of {budget}");
        }
        self.2 += 1;
        if off > self.0 {
            (self.0, self.1) = (off, what.to_string());
        }
    }
}

/// Half the mean square of the outputs; the targets are an empty array of T steps and B rows.
fn half_square(ys: ArrayView3<'_, f32>, _: &ArrayRef3<f32>, mut d_ys: ArrayViewMut3<'_, f32>) -> f64 {
    let share = 1.0 / ys.len() as f32;
    d_ys.zip_mut_with(&ys, |d, y| *d = share * y);
    ys.iter().map(|y| f64::from(*y * *y)).sum::<f64>() / (2 * ys.len()) as f64
}

fn dense<S: Spec + Clone>(worst: &mut Worst, name: &str, spec: &S, layers: usize)
where
    S::Layer: RnnCell<Elem = f32>,
{
    for (t, b) in [(50, 8), (300, 9)] {
        // Of a short window the part that a second thread takes is much of all, and a busy machine may never let it come.
        for threads in if t > 50 { 1..=2 } else { 1..=1 } {
            let xs = Array3::from_shape_fn((t, b, 24), |(t, b, d)| ((t * 7 + b * 3 + d) % 11) as f32 / 11.0);
            let none = Array3::zeros((t, b, 0));
            let build = |budget: Option<usize>| {
                let net = Stacked::builder(24).repeat(layers, spec.clone()).seed(1).build().unwrap();
                let builder = Bptt::builder(net).loss(half_square).optimizer(Sgd::new(0.1)).threads(threads);
                match budget {
                    Some(budget) => builder.memory_budget(budget).build().unwrap(),
                    None => builder.build().unwrap(),
                }
            };
            budgets(worst, &format!("{name}, {layers} layers, {t} x {b}, {threads} threads"), build, &xs, &none);
        }
    }
}

fn tokens<S: Spec + Clone>(worst: &mut Worst, name: &str, spec: &S, layers: usize, vocabulary: usize)
where
    S::Layer: RnnCell<Elem = f32> + TokenInput,
{
    for (t, b) in [(35, 32), (211, 3)] {
        for threads in [1, 2] {
            let xs = Array2::from_shape_fn((t, b), |(t, b)| (5 * t + t * t * b + b) % vocabulary);
            let build = |budget: Option<usize>| {
                let net = Stacked::builder(vocabulary).repeat(layers, spec.clone()).seed(1).build().unwrap();
                let builder = Bptt::builder(LanguageModel::new(net, 1).unwrap()).optimizer(Adam::new(1e-3));
                let builder = builder.clip_norm(1.0).threads(threads);
                match budget {
                    Some(budget) => builder.memory_budget(budget).build().unwrap(),
                    None => builder.build().unwrap(),
                }
            };
            let what = format!("tokens, {name}, {layers} layers, {t} x {b}, {threads} threads");
            budgets(worst, &what, build, &xs, &xs);
        }
    }
}

/// Without a budget, and with some from just too little for all down to the least there can be.
fn budgets<M, L, O, T>(
    worst: &mut Worst,
    what: &str,
    build: impl Fn(Option<usize>) -> Bptt<M, L, O>,
    xs: &M::Input,
    targets: &impl std::ops::Deref<Target = T>,
) where
    M: Model,
    O: Optimizer<M>,
    T: Sequence + ?Sized,
    L: Loss<M::Elem, T>,
{
    worst.take(what, train(|| build(None), xs, targets), None);
    let (t, b) = xs.steps_and_rows();
    let (all, least) = (build(None).memory_estimate(t, b).unwrap(), least(&build(Some(0)), t, b));
    for (share, name) in [(0.99, "nearly all"), (0.5, "half"), (0.1, "a tenth"), (0.0, "the least")] {
        if share == 0.0 && t > 50 {
            continue; // that takes T²/2 steps
        }
        let budget = least + ((all - least) as f64 * share) as usize;
        let figures = train(|| build(Some(budget)), xs, targets);
        worst.take(&format!("{what}, budget of {name}"), figures, Some(budget));
    }
}

/// The smallest budget, as the error of one that is too small names it.
fn least<M: Model, L, O: Optimizer<M>>(bptt: &Bptt<M, L, O>, t: usize, b: usize) -> usize {
    let message = bptt.memory_estimate(t, b).unwrap_err().to_string();
    let number = message.split("at least ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).expect("the message names the smallest budget")
}

#[test]
fn the_peak_is_what_was_said() {
    let mut worst = Worst::default();
    dense(&mut worst, "LSTM", &Lstm::<f32>::spec(48), 2);
    dense(&mut worst, "GRU", &Gru::<f32>::spec(40), 3);
    dense(&mut worst, "RNN", &Rnn::<f32>::spec(64), 1);
    dense(&mut worst, "GRU, reset before", &GruResetBefore::<f32>::spec(32), 2);
    tokens(&mut worst, "LSTM", &Lstm::<f32>::spec(64), 2, 28);
    tokens(&mut worst, "GRU", &Gru::<f32>::spec(32), 1, 300);
    tokens(&mut worst, "RNN", &Rnn::<f32>::spec(32), 4, 28);
    println!("{} cases, the worst off by {:.1} %: {}", worst.2, 100.0 * worst.0, worst.1);
}
