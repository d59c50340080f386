//! What the forward and the backward half of a gated sequence share.
//!
//! Time is cut into pieces of about [`ROWS`] rows. Rows of the batch are divided over the threads where steps follow
//! each other, rows of the results where they do not. No sum depends on the pieces or the parts.

use ndarray::{Array1, Axis};

use super::Gated;
use crate::Float;
use crate::blocks::{COPIES, in_blocks};
use crate::kernel::matmul::{matmul, matmul_from, matmul_unpacked};
use crate::kernel::pack::{Columns, Packed, packed_len};
use crate::kernel::views::flat;
use crate::kernel::{scratch, threads};
use crate::memory::bytes;
use crate::pointwise::{Lanes, Pointwise};
use crate::{Input, Memory, Params, PassSize, Work};

/// Rows (steps times batch) done together: deep enough for the product of the weight gradients, few enough for cache.
const ROWS: usize = 512;
/// A whole sequence of fewer rows than this is not worth packing a weight for.
pub(super) const WORTH_PACKING: usize = 12;
/// Multiply-adds below which another thread costs more than it brings.
const WORTH_A_THREAD: usize = 1 << 20;

/// Whether pieces may have to be copied, because they are no runs of numbers or have some that are too near 0.
pub(super) fn is_rows<F>(input: &Input<'_, F>) -> bool {
    matches!(input, Input::Rows(_))
}

/// The first rows and the others.
pub(super) fn cut_rows<F>(input: Input<'_, F>, at: usize) -> (Input<'_, F>, Input<'_, F>) {
    match input {
        Input::Rows(xs) => {
            let (a, b) = xs.split_at(Axis(1), at);
            (Input::Rows(a), Input::Rows(b))
        }
        Input::Tokens(tokens) => {
            let (a, b) = tokens.split_at(Axis(1), at);
            (Input::Tokens(a), Input::Tokens(b))
        }
    }
}

/// A weight, in the form its products want.
#[derive(Clone, Copy)]
pub(super) enum Weight<'a, F> {
    Packed(Packed<'a, F>),
    Plain { w: &'a [F], k: usize, n: usize },
}

impl<F: Float> Weight<'_, F> {
    /// `c [m, n] = start [n] + a [m, k] · w`, the start in every row.
    pub(super) fn times_from(self, start: &[F], c: &mut [F], a: &[F], m: usize) {
        match self {
            Weight::Packed(w) => matmul_from(start, c, a, w.depth(), m, w),
            Weight::Plain { w, k, n } => {
                c.chunks_exact_mut(n).take(m).for_each(|row| row.copy_from_slice(start));
                matmul_unpacked(c, a, k, m, w, k, n);
            }
        }
    }

    /// `c [m, n] += a [m, k] · w`.
    pub(super) fn times(self, c: &mut [F], a: &[F], m: usize) {
        match self {
            Weight::Packed(w) => matmul(c, a, w.depth(), m, w),
            Weight::Plain { w, k, n } => matmul_unpacked(c, a, k, m, w, k, n),
        }
    }
}

/// Steps of one piece.
pub(super) fn piece(steps: usize, batch: usize) -> usize {
    (ROWS / batch).clamp(1, steps)
}

/// Rows of one piece.
pub(super) fn piece_rows(steps: usize, batch: usize) -> usize {
    piece(steps, batch).saturating_mul(batch)
}

/// Lengths of a row of x·w_x, of h·w_h, of the state lanes beyond h, and of what is saved.
pub(super) struct Widths {
    pub(super) x: usize,
    pub(super) u: usize,
    pub(super) more: usize,
    pub(super) saved: usize,
}

impl<F: Float, P: Pointwise<F>> Gated<F, P> {
    pub(super) fn widths(&self) -> Widths {
        let units = self.units();
        let (x, u) = (P::X::N * units, P::H::N * units);
        Widths { x, u, more: (P::State::N - 1) * units, saved: P::Saved::N * units }
    }

    /// The columns of these units in a row of `blocks` gates.
    pub(super) fn columns(&self, blocks: usize, first: usize, units: usize) -> Columns {
        Columns { blocks, stride: self.units(), first, width: units }
    }

    /// What every row of x·w_x and of h·w_h starts from, for some units: their biases, or, where the gates only use the sum,
    /// both in one. What is given as an empty slice is left out.
    pub(super) fn fill_biases(&self, bias: &mut [F], own_bias: &mut [F], first: usize, units: usize) {
        bias.fill(F::zero());
        own_bias.fill(F::zero());
        let add = |sums: &mut [F], b: &Option<Array1<F>>, gates: usize| {
            if let (Some(b), false) = (b, sums.is_empty()) {
                for (from, to) in self.columns(gates, first, units).ranges() {
                    sums[to].iter_mut().zip(&flat(b)[from]).for_each(|(sum, b)| *sum += *b);
                }
            }
        };
        add(bias, &self.b, P::X::N);
        add(if P::SUMMED { bias } else { own_bias }, &self.b_h, P::H::N);
    }

    /// How many parts the work over `rows` rows is worth.
    pub(super) fn parts(&self, rows: usize) -> usize {
        let work = rows.saturating_mul(self.w_x.len() + self.w_h.len());
        threads::available().min(1 + work / WORTH_A_THREAD)
    }

    /// Lengths of the buffers of [`part`](Gated::part): the biases, x·w_x of a piece, a copy of x, h·w_h of a step, copies of h
    /// before and after it. Those of copies are there whether the arrays need them or not, so that nobody has to know.
    pub(super) fn part_lengths(&self, steps: usize, batch: usize, rows_in: bool) -> [usize; 6] {
        let Widths { x, u, .. } = self.widths();
        let rows = piece_rows(steps, batch);
        let of = usize::saturating_mul;
        let copy = if rows_in { of(rows, self.w_x.nrows()) } else { 0 };
        [x, u, of(rows, x), copy, if P::SUMMED { 0 } else { of(batch, u) }, of(batch, 2 * self.units())]
    }

    /// Lengths of the buffers of a backward call: packed weights and gradients, d_h and the other d_state, the gradients
    /// of the gates, copies of h before the steps of a piece, of d_y and later of x, and of d_x.
    pub(super) fn backward_lengths(&self, steps: usize, batch: usize, rows_in: bool, d_x: bool) -> [usize; 11] {
        let (units, d) = (self.units(), self.w_x.nrows());
        let Widths { x, u, more, .. } = self.widths();
        let rows = piece_rows(steps, batch);
        let of = usize::saturating_mul;
        let if_so = |so: bool, len: usize| if so { len } else { 0 };
        [
            packed_len::<F>(u, units),
            if_so(d_x, packed_len::<F>(x, d)),
            packed_len::<F>(rows, u),
            if_so(rows_in && !P::SUMMED, packed_len::<F>(rows, x)),
            of(batch, units),
            of(batch, more),
            of(rows, x),
            if_so(!P::SUMMED, of(rows, u)),
            of(rows, units),
            of(rows, if rows_in { d.max(units) } else { units }),
            if_so(d_x, of(rows, d)),
        ]
    }

    /// What a sequence takes, from rows or from tokens.
    #[inline(never)]
    pub(super) fn sequence_memory(&self, size: PassSize) -> Memory {
        let PassSize { steps, batch, tokens, d_x } = size;
        let rows_in = !tokens;
        if steps == 0 || batch == 0 {
            return Memory::default();
        }
        let (units, d, rows) = (self.units(), self.w_x.nrows(), steps.saturating_mul(batch));
        let Widths { x, u, more, saved } = self.widths();
        let frames = 4 * size_of::<(usize, usize)>(); // the least that a Vec of them takes
        let numbers = batch.saturating_mul(units).saturating_add(rows.saturating_mul(more + saved));
        let tape = bytes::<F>(numbers).saturating_add(frames);
        let parts = self.parts(rows).min(batch);
        let part = |k: usize| {
            let batch = threads::part_of(batch, parts, k);
            scratch::bytes::<F, 6>(self.part_lengths(steps, batch, rows_in))
        };
        let mut forward = Work::of(part(0)).divided(parts, part);
        if rows >= WORTH_PACKING {
            for len in [packed_len::<F>(units, u), if rows_in { packed_len::<F>(d, x) } else { 0 }] {
                forward = forward.inside(scratch::bytes::<F, 1>([len]));
            }
        }
        // More steps than these are not worth more threads, and could not be counted.
        let columns = self.column_parts(steps.min(1 << 32), batch);
        if columns > 1 {
            forward = forward.or(self.column_memory(steps, batch, columns, rows_in));
        }
        let forward = forward.inside(scratch::bytes::<F, 1>([batch.saturating_mul(units + more)]));
        // With the gradients of a block.
        let block = if in_blocks(steps, batch) { COPIES * bytes::<F>(self.num_params()) } else { 0 };
        let backward = scratch::bytes::<F, 11>(self.backward_lengths(steps, batch, rows_in, d_x)).saturating_add(block);
        Memory { tape, forward, backward: Work::of(backward) }
    }
}
