//! A gated sequence of few rows forward, without a tape, with the units divided over the threads: each keeps its columns of
//! the recurrent weight in its own cache, and after every step all hand each other their part of h.
//!
//! Rows are too few to divide, and such a sequence is bound by reading the recurrent weight, so each thread reads only
//! a part of it. A sum over h has the same order whoever makes it, so the results are those of one thread.

mod round;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::{ArrayViewMut3, Axis};

use super::Gated;
use super::sequence::{is_rows, piece};
use super::step::Weight;
use crate::gates::{Lanes, RowCell};
use crate::kernel::pace::Pace;
use crate::kernel::pack::{Packed, pack, pack_columns, packed_len};
use crate::kernel::scratch;
use crate::kernel::sums::look_up;
use crate::kernel::threads::{self, divide};
use crate::kernel::views::{Rows, clean, flat};
use crate::memory::Work;
use crate::{Float, Input};
use round::Round;

/// Rows of a step from which on they are divided, not the units.
const FEW: usize = 4;
/// A sequence of fewer steps is not worth a second copy of the weights.
const WORTH_DIVIDING: usize = 32;
/// Units that a thread is worth.
const UNITS: usize = 32;
/// Steps of a round: after each, threads may part.
const ROUND: usize = 256;

/// Some of the units, over all steps.
struct Part<'a, F> {
    first: usize,
    units: usize,
    /// Their columns of `w_h [H, K·units]` and of its bias.
    w_h: Packed<'a, F>,
    own_bias: &'a [F],
    now: Mutex<Now<'a, F>>,
    /// Their h after a step, by turns, so that one is read while the next is written.
    h: [Mutex<&'a mut [F]>; 2],
    /// Steps done.
    done: AtomicUsize,
}

/// Where a part stands.
struct Now<'a, F> {
    step: usize,
    /// The other lanes of the state.
    rest: &'a mut [F],
    ys: ArrayViewMut3<'a, F>,
}

/// The working memory of a thread: sums of a step, h of all units before it, the part's own before and after, other lanes.
struct Hands<'a, F> {
    index: usize,
    xs: &'a mut [F],
    us: &'a mut [F],
    h: &'a mut [F],
    own: &'a mut [F],
    after: &'a mut [F],
    rest: &'a mut [F],
}

/// Lengths of the buffers of a sequence. The first three are for all parts together, the others for each.
struct Lengths {
    w_x: usize,
    /// x·w_x + b of a piece, and a copy of its x.
    xs: usize,
    copy: usize,
    bias: usize,
    w_h: usize,
    own_bias: usize,
    hands: [usize; 6],
    /// The lanes beyond h, and h twice.
    lanes: usize,
    h: usize,
}

impl Lengths {
    /// Of all but the packed weights.
    fn others(&self, parts: usize) -> usize {
        let each = self.own_bias + self.hands.iter().sum::<usize>() + self.lanes + 2 * self.h;
        self.xs + self.copy + self.bias + parts * each
    }
}

impl<F: Float, P: RowCell> Gated<F, P> {
    /// How many threads a sequence without tape is to be divided over by units; 1 if it is not. Never more than there are cores:
    /// each waits for all others at each step.
    pub(super) fn column_parts(&self, steps: usize, batch: usize) -> usize {
        let plain = P::BY_UNIT && P::AFTER == 0 && self.vectors.len() == 0 && self.w_p.is_none();
        if batch >= FEW || steps < WORTH_DIVIDING || P::H == 0 || !plain {
            return 1;
        }
        self.parts(steps.saturating_mul(batch)).min(threads::cores()).min(self.units() / UNITS).max(1)
    }

    fn column_lengths(&self, (steps, batch): (usize, usize), parts: usize, rows: bool) -> Lengths {
        let (d, all, n) = (self.w_x.nrows(), self.units(), piece(steps, batch) * batch);
        let (g, k, more) = (P::X, P::H, <P::State<F> as Lanes<F>>::N - 1);
        let most = all.div_ceil(parts);
        let lines = |len: usize| len.div_ceil(64 / size_of::<F>()) * (64 / size_of::<F>());
        let own = lines(batch * most);
        let us = if P::SUMMED { 0 } else { batch * k * most };
        let hands = [batch * g * most, us, batch * all, own, own, batch * more * most];
        Lengths {
            w_x: if rows { packed_len::<F>(d, g * all) } else { 0 },
            xs: lines(n * g * all),
            copy: if rows { lines(n * d) } else { 0 },
            bias: lines(g * all),
            w_h: packed_len::<F>(all, k * most),
            own_bias: lines(k * most),
            hands: hands.map(lines),
            lanes: lines(batch * more * most),
            h: own,
        }
    }

    /// The working memory of [`by_columns`](Gated::by_columns).
    pub(super) fn column_memory(&self, steps: usize, batch: usize, parts: usize, rows: bool) -> Work {
        let lengths = self.column_lengths((steps, batch), parts, rows);
        let bytes = |len: usize| scratch::bytes::<F, 1>([len]);
        Work::of(bytes(lengths.others(parts))).inside(bytes(parts * lengths.w_h)).inside(bytes(lengths.w_x))
    }

    /// `h0 [B, H]` and `rest [B, (S - 1)·H]` are the state; `rest` moves on.
    pub(super) fn by_columns(
        &self,
        input: &Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        h0: &[F],
        rest: &mut [F],
        parts: usize,
        pace: &Pace,
    ) {
        let lengths = self.column_lengths(input.dim(), parts, is_rows(input));
        // Three calls, as where rows are divided: so both ways find the same buffers.
        scratch::with(lengths.w_x, |w_x| {
            scratch::with(parts * lengths.w_h, |w_h| {
                scratch::with(lengths.others(parts), |others| {
                    self.pieces(input, ys, (h0, rest), [w_x, w_h, others], &lengths, pace);
                });
            });
        });
    }

    fn pieces(
        &self,
        input: &Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        (h0, rest): (&[F], &mut [F]),
        [w_x, w_h, mut others]: [&mut [F]; 3],
        lengths: &Lengths,
        pace: &Pace,
    ) {
        let ((t, b), d, all) = (input.dim(), self.w_x.nrows(), self.units());
        let (piece, width) = (piece(t, b), P::X * all);
        let mut take = |len: usize| {
            let (one, later) = std::mem::take(&mut others).split_at_mut(len);
            others = later;
            one
        };
        let (xs, copy, bias) = (take(lengths.xs), take(lengths.copy), take(lengths.bias));
        let weight = match input {
            Input::Tokens(_) => Weight::Plain { w: flat(&self.w_x), k: d, n: width },
            Input::Rows(_) => Weight::Packed(threads::alone(|| pack(flat(&self.w_x), d, width, w_x))),
        };
        let bias = &mut bias[..width];
        let (parts, mut hands) = self.column_part_list(ys, (h0, rest), w_h, &mut take, lengths, bias);
        for first in (0..t).step_by(piece) {
            let steps = piece.min(t - first);
            let xs = &mut xs[..steps * b * width];
            match input {
                Input::Rows(rows) => {
                    let rows = rows.slice_axis(Axis(0), (first..first + steps).into());
                    let rows = clean(&rows, copy);
                    // What another thread has begun must be waited for.
                    let threads = if pace.is_calm(parts.len()) { parts.len() } else { 1 };
                    divide(Rows { first: 0, width, numbers: &mut *xs }, threads, 1, &|xs| {
                        let n = xs.numbers.len() / width;
                        weight.times_from(bias, xs.numbers, &rows[xs.first * d..], n);
                    });
                }
                Input::Tokens(tokens) => {
                    let tokens = tokens.slice_axis(Axis(0), (first..first + steps).into());
                    look_up(xs, bias, flat(&self.w_x), self.columns(P::X, 0, all), tokens);
                }
            }
            for round in (first..first + steps).step_by(ROUND) {
                let end = (first + steps).min(round + ROUND);
                self.round(&Round::new(&parts, &*xs, first, b, round..end), &mut hands, pace);
            }
        }
        for part in &parts {
            let now = held(&part.now);
            for (lane, from) in now.rest.chunks_exact(part.units).enumerate() {
                rest[lane * all + part.first..][..part.units].copy_from_slice(from);
            }
        }
    }

    /// The parts before the first step, and the working memory of as many threads; fills the biases.
    fn column_part_list<'a>(
        &self,
        mut ys: ArrayViewMut3<'a, F>,
        (h0, rest): (&[F], &[F]),
        mut w_h: &'a mut [F],
        take: &mut dyn FnMut(usize) -> &'a mut [F],
        lengths: &Lengths,
        bias: &mut [F],
    ) -> (Vec<Part<'a, F>>, Vec<Hands<'a, F>>) {
        let (b, all, k, more) = (ys.len_of(Axis(1)), self.units(), P::H, <P::State<F> as Lanes<F>>::N - 1);
        let count = w_h.len() / lengths.w_h;
        let (mut parts, mut hands) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            let first = all * index / count;
            let units = all * (index + 1) / count - first;
            let (memory, later) = std::mem::take(&mut w_h).split_at_mut(lengths.w_h);
            w_h = later;
            let own_bias = &mut take(lengths.own_bias)[..k * units];
            self.fill_biases(&mut [], own_bias, first, units);
            let lanes = &mut take(lengths.lanes)[..b * more * units];
            for (lane, to) in lanes.chunks_exact_mut(units).enumerate() {
                to.copy_from_slice(&rest[lane * all + first..][..units]);
            }
            let h = [take(lengths.h), take(lengths.h)].map(|h| &mut h[..b * units]);
            for (row, to) in h[1].chunks_exact_mut(units).enumerate() {
                to.copy_from_slice(&h0[row * all + first..][..units]); // h before step 0
            }
            let (mine, later) = ys.split_at(Axis(2), units);
            ys = later;
            parts.push(Part {
                first,
                units,
                w_h: pack_columns(flat(&self.w_h), all, self.columns(k, first, units), memory),
                own_bias,
                now: Mutex::new(Now { step: 0, rest: lanes, ys: mine }),
                h: h.map(Mutex::new),
                done: AtomicUsize::new(0),
            });
            let [xs, us, h, own, after, rest] = lengths.hands.map(&mut *take);
            hands.push(Hands { index, xs, us, h: &mut h[..b * all], own, after, rest });
        }
        self.fill_biases(bias, &mut [], 0, all);
        (parts, hands)
    }
}

/// No panic happens under these locks, and one elsewhere leaves what they hold whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
