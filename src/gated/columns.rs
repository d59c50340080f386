//! A gated sequence of few rows forward, without a tape, with the units divided over the threads: each keeps its columns of
//! both weights in its own cache, and after every step all hand each other their part of h.
//!
//! Rows are too few to divide, and such a sequence is bound by reading the recurrent weight, so each thread reads only
//! a part of it. A sum over h has the same order whoever makes it, so the results are those of one thread.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use ndarray::{ArrayView3, ArrayViewMut3, Axis, s};

use super::Gated;
use super::sequence::{Input, Weight, piece};
use crate::Float;
use crate::kernel::matmul::{matmul, matmul_from};
use crate::kernel::pack::{Packed, pack_columns, packed_len};
use crate::kernel::sums::look_up;
use crate::kernel::views::{contiguous, flat};
use crate::kernel::{rows, scratch, threads};
use crate::memory::Work;
use crate::pointwise::{Lanes, Pointwise};

/// Rows of a step from which on they are divided, not the units.
const FEW: usize = 4;
/// A sequence of fewer steps is not worth a second copy of the weights.
const WORTH_DIVIDING: usize = 32;
/// Units that a thread is worth.
const UNITS: usize = 32;

/// What one thread does: some units, over all steps.
struct Part<'a, F> {
    /// The steps that are done.
    step: usize,
    first: usize,
    units: usize,
    /// The columns of these units: `w_x [D, G·units]`, packed for rows, and `w_h [H, K·units]`.
    w_x: Weight<'a, F>,
    w_h: Packed<'a, F>,
    bias: &'a [F],
    own_bias: &'a [F],
    /// x·w_x + b of a piece, h·w_h of a step, h of all units before the step.
    xs: &'a mut [F],
    us: &'a mut [F],
    h: &'a mut [F],
    /// The state of these units: h before and after, and the other lanes.
    own: &'a mut [F],
    after: &'a mut [F],
    rest: &'a mut [F],
    copy: &'a mut [F],
    ys: ArrayViewMut3<'a, F>,
}

/// What the threads see of each other.
struct Meeting<'a, F> {
    parts: Vec<Mutex<Part<'a, F>>>,
    /// Steps done by each part.
    done: Vec<AtomicUsize>,
    /// Each part's h after a step, by turns, so that one is read while the next is written.
    h: Vec<[Mutex<&'a mut [F]>; 2]>,
    failed: AtomicBool,
}

impl<F: Float, P: Pointwise<F>> Gated<F, P> {
    /// How many threads a sequence without tape is to be divided over by units; 1 if it is not.
    pub(super) fn column_parts(&self, steps: usize, batch: usize) -> usize {
        if batch >= FEW || steps < WORTH_DIVIDING || P::H::N == 0 {
            return 1;
        }
        self.parts(steps * batch).min(self.units() / UNITS).max(1)
    }

    /// Lengths of the buffers of a part: `w_x` packed (not for tokens), `w_h` packed, the biases, x·w_x of a piece, h·w_h of a
    /// step, h, its units before and after, the other lanes, a copy of x, and h as the others see it.
    fn column_lengths(&self, (steps, batch): (usize, usize), parts: usize, w_x: bool, copy: bool) -> [usize; 13] {
        let (d, all, rows) = (self.w_x.nrows(), self.units(), piece(steps, batch) * batch);
        let (g, k, more) = (P::X::N, P::H::N, P::State::N - 1);
        let most = all.div_ceil(parts);
        let line = 64 / size_of::<F>();
        [
            if w_x { packed_len::<F>(d, g * most) } else { 0 },
            packed_len::<F>(all, k * most),
            g * most,
            k * most,
            rows * g * most,
            if P::SUMMED { 0 } else { batch * k * most },
            batch * all,
            batch * most,
            batch * most,
            batch * more * most,
            if copy { rows * d } else { 0 },
            batch * most,
            batch * most,
        ]
        .map(|len| len.div_ceil(line) * line)
    }

    /// The working memory of [`by_columns`](Gated::by_columns).
    pub(super) fn column_memory(&self, steps: usize, batch: usize, parts: usize, w_x: bool) -> Work {
        let [weight_x, weight_h, others @ ..] = self.column_lengths((steps, batch), parts, w_x, w_x);
        let bytes = |len: usize| scratch::bytes::<F, 1>([parts * len]);
        Work::of(bytes(others.iter().sum())).inside(bytes(weight_h)).inside(bytes(weight_x))
    }

    /// `h0 [B, H]` and `rest [B, (S - 1)·H]` are the state; `rest` moves on.
    pub(super) fn by_columns(
        &self,
        input: &Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        h0: &[F],
        rest: &mut [F],
        parts: usize,
    ) {
        let rows = matches!(input, Input::Rows(_));
        let lengths = self.column_lengths(input.dim(), parts, rows, input.is_rows());
        let [weight_x, weight_h, others @ ..] = lengths;
        // Three calls, as where rows are divided: so both ways find the same buffers.
        scratch::with(parts * weight_x, |weights_x| {
            scratch::with(parts * weight_h, |weights_h| {
                scratch::with(parts * others.iter().sum::<usize>(), |others| {
                    let memory = [weights_x, weights_h, others];
                    let meeting = self.meeting(input, ys, h0, rest, lengths, memory);
                    self.meet(input, &meeting, 0, parts);
                    meeting.states(rest, self.units());
                });
            });
        });
    }

    /// The parts before the first step; `memory` is for `w_x`, for `w_h` and for the rest.
    fn meeting<'a>(
        &'a self,
        input: &Input<'_, F>,
        mut ys: ArrayViewMut3<'a, F>,
        h0: &[F],
        rest: &[F],
        lengths: [usize; 13],
        memory: [&'a mut [F]; 3],
    ) -> Meeting<'a, F> {
        let (b, d, all) = (input.dim().1, self.w_x.nrows(), self.units());
        let (g, k, more) = (P::X::N, P::H::N, P::State::N - 1);
        let [mut weights_x, mut weights_h, mut others] = memory;
        let parts = weights_h.len() / lengths[1];
        let mut meeting =
            Meeting { parts: Vec::new(), done: Vec::new(), h: Vec::new(), failed: AtomicBool::new(false) };
        for part in 0..parts {
            let mut i = 0;
            let [w_x, w_h, bias, own_bias, xs, us, h, own, after, lanes, copy, even, odd] = lengths.map(|len| {
                i += 1;
                let from = if i == 1 { &mut weights_x } else { if i == 2 { &mut weights_h } else { &mut others } };
                let (one, later) = std::mem::take(from).split_at_mut(len);
                *from = later;
                one
            });
            let first = all * part / parts;
            let units = all * (part + 1) / parts - first;
            let w_x = match input {
                Input::Tokens(_) => Weight::Plain { w: flat(&self.w_x), k: d, n: g * all },
                Input::Rows(_) => Weight::Packed(pack_columns(flat(&self.w_x), d, self.columns(g, first, units), w_x)),
            };
            let w_h = pack_columns(flat(&self.w_h), all, self.columns(k, first, units), w_h);
            let (bias, own_bias) = (&mut bias[..g * units], &mut own_bias[..k * units]);
            self.fill_biases(bias, own_bias, first, units);
            for row in 0..b {
                own[row * units..][..units].copy_from_slice(&h0[row * all + first..][..units]);
            }
            let lanes = &mut lanes[..b * more * units];
            for (lane, to) in lanes.chunks_exact_mut(units).enumerate() {
                to.copy_from_slice(&rest[lane * all + first..][..units]);
            }
            odd[..b * units].copy_from_slice(&own[..b * units]); // h before step 0
            let (mine, later) = ys.split_at(Axis(2), units);
            ys = later;
            meeting.parts.push(Mutex::new(Part {
                step: 0,
                first,
                units,
                w_x,
                w_h,
                bias,
                own_bias,
                xs,
                us: if P::SUMMED { &mut [] } else { &mut us[..b * k * units] },
                h: &mut h[..b * all],
                own: &mut own[..b * units],
                after: &mut after[..b * units],
                rest: lanes,
                copy,
                ys: mine,
            }));
            meeting.done.push(AtomicUsize::new(0));
            meeting.h.push([&mut even[..b * units], &mut odd[..b * units]].map(Mutex::new));
        }
        meeting
    }

    /// Starts the parts `first..first + count`, each where there is a thread for it.
    fn meet(&self, input: &Input<'_, F>, meeting: &Meeting<'_, F>, first: usize, count: usize) {
        if count == 1 {
            return threads::alone(|| {
                if first == 0 { self.lead(input, meeting) } else { self.follow(input, meeting, first) }
            });
        }
        let half = count / 2;
        rayon::join(
            || self.meet(input, meeting, first, half),
            || self.meet(input, meeting, first + half, count - half),
        );
    }

    /// Part 0, and each step of any other part that no thread has taken yet: so it ends also where no other thread comes.
    fn lead(&self, input: &Input<'_, F>, meeting: &Meeting<'_, F>) {
        let guard = FailGuard(&meeting.failed);
        let steps = input.dim().0;
        for t in 0..steps {
            meeting.wait(t);
            for part in 0..meeting.parts.len() {
                match meeting.parts[part].try_lock() {
                    Ok(mut free) if free.step == t => self.one_step(input, meeting, part, &mut free),
                    Ok(_) | Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Poisoned(_)) => panic!("another thread's part of the sequence panicked"),
                }
            }
        }
        meeting.wait(steps);
        drop(guard);
    }

    /// The rest of part `part`.
    fn follow(&self, input: &Input<'_, F>, meeting: &Meeting<'_, F>, part: usize) {
        let guard = FailGuard(&meeting.failed);
        let mut mine = held(&meeting.parts[part]);
        for t in mine.step..input.dim().0 {
            meeting.wait(t);
            self.one_step(input, meeting, part, &mut mine);
        }
        drop(mine);
        drop(guard);
    }

    fn one_step(&self, input: &Input<'_, F>, meeting: &Meeting<'_, F>, index: usize, part: &mut Part<'_, F>) {
        let ((t, b), all, step) = (input.dim(), self.units(), part.step);
        let (piece, width) = (piece(t, b), P::X::N * part.units);
        if step.is_multiple_of(piece) {
            let steps = piece.min(t - step);
            let xs = &mut part.xs[..steps * b * width];
            let here = ndarray::Slice::from(step..step + steps);
            match (input, part.w_x) {
                (Input::Rows(rows), w_x) => {
                    let rows = rows.slice_axis(Axis(0), here);
                    w_x.times_from(part.bias, xs, contiguous(&rows, part.copy), steps * b);
                }
                (Input::Tokens(tokens), _) => {
                    let columns = self.columns(P::X::N, part.first, part.units);
                    look_up(xs, part.bias, flat(&self.w_x), columns, tokens.slice_axis(Axis(0), here));
                }
            }
        }
        for (other, h) in meeting.h.iter().enumerate() {
            let h = held(&h[(step + 1) % 2]);
            let (units, first) = (h.len() / b, all * other / meeting.h.len());
            for (row, h) in h.chunks_exact(units).enumerate() {
                part.h[row * all + first..][..units].copy_from_slice(h);
            }
        }
        let xs = &mut part.xs[step % piece * b * width..][..b * width];
        if P::SUMMED {
            matmul(xs, part.h, all, b, part.w_h);
        } else {
            matmul_from(part.own_bias, part.us, part.h, all, b, part.w_h);
        }
        rows::forward(rows::Forward {
            gates: &self.gates,
            units: part.units,
            x: xs,
            u: part.us,
            h: part.own,
            y: part.after,
            rest: part.rest,
            tape: None,
        });
        held(&meeting.h[index][step % 2]).copy_from_slice(part.after);
        let after = ArrayView3::from_shape((1, b, part.units), &*part.after).expect("b rows of these units");
        part.ys.slice_mut(s![step..step + 1, .., ..]).assign(&after);
        std::mem::swap(&mut part.own, &mut part.after);
        part.step += 1;
        meeting.done[index].store(part.step, Ordering::Release);
    }
}

impl<F: Float> Meeting<'_, F> {
    /// Writes the other lanes of the state to `rest [B, (S - 1)·H]`.
    fn states(&self, rest: &mut [F], all: usize) {
        for part in &self.parts {
            let part = held(part);
            for (lane, from) in part.rest.chunks_exact(part.units).enumerate() {
                rest[lane * all + part.first..][..part.units].copy_from_slice(from);
            }
        }
    }

    /// Until every part has done `steps` steps. It spins, since that takes well below a microsecond where each thread has
    /// a core; where one has not, it lets the others run.
    fn wait(&self, steps: usize) {
        const SPINS: u32 = 10_000;
        let mut spins = 0;
        for done in &self.done {
            while done.load(Ordering::Acquire) < steps {
                assert!(!self.failed.load(Ordering::Relaxed), "another thread's part of the sequence panicked");
                spins += 1;
                if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
            }
        }
    }
}

/// Tells the others when its thread panics, so that they do not wait for it.
struct FailGuard<'a>(&'a AtomicBool);

impl Drop for FailGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
