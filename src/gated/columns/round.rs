//! Some steps of a sequence whose units are divided over threads, in step.
//!
//! The first thread opens each step. Any thread may make any part's step, from what all have published, and the first
//! to be done counts; so nobody has to be waited for. A thread that is late, since something else has its core, finds that its
//! part has gone on without it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ndarray::{ArrayView3, s};

use super::{Gated, Hands, Part, held};
use crate::Float;
use crate::gates::RowCell;
use crate::kernel::matmul::{matmul, matmul_from};
use crate::kernel::pace::{Pace, wait};
use crate::kernel::rows;
use crate::kernel::threads::divide;

/// How long the others may keep one waiting, but for the time their part of the weight takes: many times what it takes to
/// hand a step over, much less than a core is taken for.
const PATIENCE: Duration = Duration::from_micros(50);
/// Numbers of the weight that take no more than a nanosecond, on a slow machine.
const SLOWLY: usize = 4;

/// What the threads see of each other.
pub(super) struct Round<'a, 'p, F> {
    parts: &'a [Part<'p, F>],
    /// x·w_x + b of a piece that begins at step `start`, `batch` rows a step.
    xs: &'a [F],
    start: usize,
    batch: usize,
    steps: Range<usize>,
    /// Up to which step it goes on; as far as can be seen once the round is over.
    open: AtomicUsize,
    /// Whether a part has a thread that keeps up.
    taken: Vec<AtomicBool>,
    failed: AtomicBool,
    patience: Duration,
}

impl<'a, 'p, F: Float> Round<'a, 'p, F> {
    pub(super) fn new(parts: &'a [Part<'p, F>], xs: &'a [F], start: usize, batch: usize, steps: Range<usize>) -> Self {
        let numbers = parts.iter().map(|part| part.w_h.depth() * part.own_bias.len()).max().unwrap_or(0);
        Round {
            parts,
            xs,
            start,
            batch,
            open: AtomicUsize::new(steps.start),
            steps,
            taken: parts.iter().map(|_| AtomicBool::new(false)).collect(),
            failed: AtomicBool::new(false),
            patience: PATIENCE + Duration::from_nanos((numbers / SLOWLY) as u64),
        }
    }
}

impl<F: Float, P: RowCell> Gated<F, P> {
    pub(super) fn round(&self, round: &Round<'_, '_, F>, hands: &mut [Hands<'_, F>], pace: &Pace) {
        if !pace.together(hands.len()) {
            return self.lead(round, &mut hands[0]);
        }
        let (parts, over) = (hands.len(), std::sync::Mutex::new(None));
        divide(hands, parts, 1, &|hands: &mut [Hands<'_, F>]| {
            for hands in hands {
                if hands.index == 0 {
                    self.lead(round, hands);
                    *held(&over) = Some(Instant::now());
                } else {
                    self.follow(round, hands);
                }
            }
        });
        // A thread that lost its core in the middle of a step was waited for.
        let late = held(&over).is_some_and(|over| over.elapsed() > round.patience);
        pace.went(!late && !round.failed.load(Ordering::Relaxed));
    }

    /// Part 0, and each step of any other part that has no thread or one that is late.
    fn lead(&self, round: &Round<'_, '_, F>, hands: &mut Hands<'_, F>) {
        /// Sends the others home, also when this thread panics.
        struct Over<'a>(&'a AtomicUsize);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(usize::MAX, Ordering::Release);
            }
        }
        let _over = Over(&round.open);
        for step in round.steps.clone() {
            round.open.store(step + 1, Ordering::Release);
            self.one_step(round, 0, step, hands);
            for index in 1..round.parts.len() {
                let done = || round.parts[index].done.load(Ordering::Acquire) > step;
                if round.taken[index].load(Ordering::Relaxed) {
                    if wait(round.patience, done) {
                        continue;
                    }
                    round.failed.store(true, Ordering::Relaxed);
                    round.taken[index].store(false, Ordering::Relaxed);
                }
                if !done() {
                    self.one_step(round, index, step, hands);
                }
            }
        }
    }

    /// The steps of a part from where the others are, until it is kept waiting, is late or the round is over.
    fn follow(&self, round: &Round<'_, '_, F>, hands: &mut Hands<'_, F>) {
        let part = hands.index;
        let mut next = round.steps.start;
        while next < round.steps.end {
            if !wait(round.patience, || round.open.load(Ordering::Acquire) > next) {
                round.failed.store(true, Ordering::Relaxed);
                break;
            }
            let step = round.open.load(Ordering::Acquire) - 1;
            if step >= round.steps.end {
                break;
            }
            self.one_step(round, part, step, hands);
            if round.failed.load(Ordering::Relaxed) {
                break;
            }
            // From the second step on the others count on this thread.
            round.taken[part].store(true, Ordering::Relaxed);
            next = step + 1;
        }
        round.taken[part].store(false, Ordering::Relaxed);
    }

    /// Makes step `step` of a part, if nobody does it sooner.
    fn one_step(&self, round: &Round<'_, '_, F>, index: usize, step: usize, hands: &mut Hands<'_, F>) {
        let (b, all, part) = (round.batch, self.units(), &round.parts[index]);
        let (units, width) = (part.units, P::X * part.units);
        let Hands { xs, us, h, own, after, rest, .. } = hands;
        let (xs, own, after) = (&mut xs[..b * width], &mut own[..b * units], &mut after[..b * units]);
        let us = if P::SUMMED { &mut us[..0] } else { &mut us[..b * P::H * units] };
        let rest = {
            let now = held(&part.now);
            if now.step != step {
                return;
            }
            let rest = &mut rest[..now.rest.len()];
            rest.copy_from_slice(now.rest);
            rest
        };
        for other in round.parts {
            let theirs = held(&other.h[(step + 1) % 2]);
            for (row, theirs) in theirs.chunks_exact(other.units).enumerate() {
                h[row * all + other.first..][..other.units].copy_from_slice(theirs);
            }
        }
        let sums = &round.xs[(step - round.start) * b * P::X * all..];
        for row in 0..b {
            own[row * units..][..units].copy_from_slice(&h[row * all + part.first..][..units]);
            for gate in 0..P::X {
                let from = &sums[(row * P::X + gate) * all + part.first..][..units];
                xs[row * width + gate * units..][..units].copy_from_slice(from);
            }
        }
        if P::SUMMED {
            matmul(xs, h, all, b, part.w_h);
        } else {
            matmul_from(part.own_bias, us, h, all, b, part.w_h);
        }
        self.gates().forward_rows(rows::Forward {
            weights: &[],
            units,
            x: xs,
            u: us,
            h: own,
            y: &mut *after,
            rest: &mut *rest,
            before: &mut [],
            saved: None,
        });
        let mut now = held(&part.now);
        if now.step != step {
            return;
        }
        now.rest.copy_from_slice(rest);
        let y = ArrayView3::from_shape((1, b, units), &*after).expect("b rows of these units");
        now.ys.slice_mut(s![step..step + 1, .., ..]).assign(&y);
        held(&part.h[step % 2]).copy_from_slice(after);
        now.step = step + 1;
        part.done.store(step + 1, Ordering::Release);
    }
}
