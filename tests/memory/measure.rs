//! What the engine says it will hold, and what it holds at its peak.

use std::time::{Duration, Instant};

use deep_rnn::prelude::*;
use deep_rnn::{data::AsInput, loss::Loss, optim::Optimizer, train::Targets};
use ndarray::{ArrayRef3, ArrayView3, ArrayViewMut3};

use crate::ALLOCATOR;

/// How far the two may be apart.
const WITHIN: f64 = 0.1;

/// An engine to be measured: what is said, and what is there after training and after evaluation too.
pub(crate) struct Figures {
    said: usize,
    trained: usize,
    evaluated: usize,
    only_evaluated: usize,
    predicted: usize,
}

/// What the engine says of an input like this one.
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

pub(crate) fn measure<N, L, O, Y>(
    build: impl Fn() -> Bptt<N, L, O>,
    xs: &impl AsInput<N::Elem>,
    targets: &Y,
    budget: bool,
) -> Figures
where
    N: SeqLayer,
    O: Optimizer<N>,
    Y: Targets,
    L: Loss<N::Elem, Y::Of>,
{
    let batch = || [Batch::new(xs, targets)];
    settle();
    let before = ALLOCATOR.current_usage();
    let start = || {
        settle();
        ALLOCATOR.reset_peak_usage();
    };
    let peak = || ALLOCATOR.peak_usage() - before;

    start();
    let mut bptt = build();
    let said = estimate(&bptt, xs).unwrap();
    (0..2).for_each(|_| _ = bptt.train_next(xs, targets).unwrap());
    let trained = peak();
    bptt.evaluate(batch()).unwrap();
    let evaluated = peak();
    drop(bptt);

    start();
    let mut bptt = build();
    bptt.evaluate(batch()).unwrap();
    let only_evaluated = peak();
    drop(bptt);

    let mut predicted = 0;
    if !budget {
        settle();
        let bptt = build();
        let mut state = bptt.model().zero_state(xs.as_input().dim().1);
        ALLOCATOR.reset_peak_usage();
        let outputs = bptt.predict_with(deep_rnn::Context::default(), xs, &mut state).unwrap();
        predicted = peak() - outputs.len() * size_of::<N::Elem>();
    }
    Figures { said, trained, evaluated, only_evaluated, predicted }
}

/// Waits until the threads of engines that are gone are gone too: on a busy machine they begin late, and what they hold at their beginning and
/// their end would be counted as that of the next engine.
fn settle() {
    /// The program's first thread, and that of the test.
    const OURS: usize = 2;
    let threads = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
    };
    let begin = Instant::now();
    while threads().is_some_and(|threads: usize| threads > OURS) && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The most that any case was off, and its name.
#[derive(Default)]
pub(crate) struct Worst {
    off: f64,
    name: String,
    cases: usize,
}

impl Worst {
    pub(crate) fn take(&mut self, what: &str, figures: &Figures, budget: Option<usize>) {
        let Figures { said, trained, evaluated, only_evaluated, predicted } = *figures;
        let off = (said as f64 / trained as f64 - 1.0).abs();
        println!("{what}: said {said}, measured {trained}, off by {:.1} %", 100.0 * off);
        assert!(off <= WITHIN, "{what}: said {said}, measured {trained}");
        let most = said as f64 * (1.0 + WITHIN);
        assert!(evaluated as f64 <= most, "{what}: said {said}, with evaluation {evaluated}");
        assert!(only_evaluated as f64 <= most, "{what}: said {said}, evaluation alone {only_evaluated}");
        // Not measured under a budget: that cuts windows, and `predict` runs in one piece.
        assert!(predicted as f64 <= most, "{what}: said {said}, prediction {predicted}");
        if let Some(budget) = budget {
            let held = said.max(evaluated).max(only_evaluated);
            assert!(held <= budget, "{what}: {held} bytes in a budget of {budget}");
        }
        self.cases += 1;
        if off > self.off {
            (self.off, self.name) = (off, what.to_string());
        }
    }

    pub(crate) fn tell(&self) {
        println!("{} cases, the worst off by {:.1} %: {}", self.cases, 100.0 * self.off, self.name);
    }
}

/// Half the mean square of the outputs; the targets are an empty array of T steps and B rows.
pub(crate) fn half_square<F: Float>(ys: ArrayView3<'_, F>, _: &ArrayRef3<F>, mut d_ys: ArrayViewMut3<'_, F>) -> f64 {
    let share = F::from_f64(1.0 / ys.len() as f64);
    d_ys.zip_mut_with(&ys, |d, y| *d = share * *y);
    ys.iter().map(|y| y.as_f64() * y.as_f64()).sum::<f64>() / (2 * ys.len()) as f64
}

/// Without a budget, and with some from just too little for all down to the least there can be.
pub(crate) fn budgets<N, L, O, Y>(
    worst: &mut Worst,
    what: &str,
    build: impl Fn(Option<usize>) -> Bptt<N, L, O>,
    xs: &impl AsInput<N::Elem>,
    targets: &Y,
) where
    N: SeqLayer,
    O: Optimizer<N>,
    Y: Targets,
    L: Loss<N::Elem, Y::Of>,
{
    worst.take(what, &measure(|| build(None), xs, targets, false), None);
    let (all, least) = (estimate(&build(None), xs).unwrap(), least(&build(Some(0)), xs));
    for (share, name) in [(0.99, "nearly all"), (0.5, "half"), (0.1, "a tenth"), (0.0, "the least")] {
        if share == 0.0 && xs.as_input().dim().0 > 50 {
            continue; // that takes T²/2 steps
        }
        let budget = least + ((all - least) as f64 * share) as usize;
        let figures = measure(|| build(Some(budget)), xs, targets, true);
        worst.take(&format!("{what}, budget of {name}"), &figures, Some(budget));
    }
}

/// The smallest budget, as the error of one that is too small names it.
fn least<N: SeqLayer, L, O: Optimizer<N>>(bptt: &Bptt<N, L, O>, xs: &impl AsInput<N::Elem>) -> usize {
    let message = estimate(bptt, xs).unwrap_err().to_string();
    let number = message.split("at least ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).expect("the message names the smallest budget")
}
