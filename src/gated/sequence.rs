//! What the forward and the backward half of a gated sequence share.
//!
//! Time is cut into pieces of about [`ROWS`] rows. Rows of the batch are divided over the threads where steps follow
//! each other, rows of the results where they do not. No sum depends on the pieces or the parts.

use ndarray::{Array1, Axis};

use super::Gated;
use crate::blocks::{COPIES, in_blocks};
use crate::gates::{Lanes, RowCell};
use crate::kernel::matmul::matmul_transposed_bytes;
use crate::kernel::operands::Operands;
use crate::kernel::pack::{Columns, packed_len};
use crate::kernel::scratch::{self, buffers};
use crate::kernel::threads;
use crate::kernel::views::flat;
use crate::memory::bytes;
use crate::{Float, Input, Memory, Params, PassSize, Work};

/// Rows (steps times batch) done together: deep enough for the product of the weight gradients, few enough for cache.
const ROWS: usize = 512;
/// A whole sequence of fewer rows than this is not worth packing a weight for.
pub(super) const WORTH_PACKING: usize = 12;

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

/// Steps of one piece.
pub(super) fn piece(steps: usize, batch: usize) -> usize {
    (ROWS / batch).clamp(1, steps)
}

/// Rows of one piece.
pub(super) fn piece_rows(steps: usize, batch: usize) -> usize {
    piece(steps, batch).saturating_mul(batch)
}

/// Lengths of the rows of a cell. What it has not is 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Widths {
    /// H.
    pub(super) units: usize,
    /// Of an input and of an output: D and R (H, where there is no projection).
    pub(super) input: usize,
    pub(super) out: usize,
    /// Of x·w_x and of h·w_h.
    pub(super) x: usize,
    pub(super) u: usize,
    /// Of h·w_h apart from x·w_x, where the gates want them apart.
    pub(super) apart: usize,
    /// Of the state lanes beyond h.
    pub(super) more: usize,
    /// Of what is saved, of the output before it is projected, and of the output where that is clipped.
    pub(super) saved: usize,
    pub(super) unprojected: usize,
    pub(super) clipped: usize,
    /// Of the columns of x and u that h·w_h goes to, where a product comes after a gate.
    pub(super) before: usize,
    /// Of the vectors of weights.
    pub(super) vectors: usize,
    /// Of what a weight gradient needs of each row besides h and the gradients of the gates: what is multiplied after a gate, or
    /// the gradient of a projected output.
    pub(super) extra: usize,
    /// Of what a step needs for a projection, or for a product after a gate.
    pub(super) side: usize,
}

buffers! {
    /// The buffers of some rows forward.
    ForwardLengths, ForwardBuffers {
        /// The biases.
        bias,
        own_bias,
        /// x·w_x of a piece.
        xs,
        /// A copy of x. Copies are there whether the arrays need them or not, so that nobody has to know.
        copy,
        /// h·w_h of a step.
        us,
        /// Copies of h before and after a step.
        outputs,
        /// What is projected or multiplied after a gate.
        side,
    }
}

buffers! {
    /// The buffers of a call backward.
    BackwardLengths, BackwardBuffers {
        /// The weights, packed and transposed.
        w_h,
        w_x,
        w_p,
        /// Gradients of gates, packed, for the weight of h and for that of x.
        packed,
        packed_x,
        /// Of a projected output, or of the columns after a gate.
        packed_extra,
        /// Gradients of h and of the other lanes of the state.
        d_h,
        d_rest,
        /// Gradients of x·w_x and h·w_h of a piece, and of its vectors of weights.
        d_as,
        d_us,
        d_vectors,
        /// As in [`Widths`].
        extra,
        side,
        /// Copies of h before the steps of a piece, of what was projected, of d_y and later of x, and of d_x.
        h_copy,
        unprojected,
        copy,
        d_x_copy,
    }
}

impl<F: Float, P: RowCell> Gated<F, P> {
    pub(super) fn widths(&self) -> Widths {
        let (units, out) = (self.units(), self.w_h.nrows());
        let (x, u) = (P::X * units, P::H * units);
        let projected = self.w_p.is_some();
        let after = P::AFTER > 0;
        let if_so = |so: bool, width: usize| if so { width } else { 0 };
        Widths {
            units,
            input: self.w_x.nrows(),
            out,
            x,
            u,
            apart: if_so(!P::SUMMED, u),
            more: (<P::State<F> as Lanes<F>>::N - 1) * units,
            saved: self.gates.saved(units),
            unprojected: if_so(projected, units),
            clipped: if_so(projected && self.clip_p.is_some(), out),
            before: if_so(after, (P::X - P::AFTER) * units),
            vectors: self.vectors.len(),
            extra: if after { units } else { if_so(projected, out) },
            side: if_so(after || projected, units),
        }
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
        add(bias, &self.b, P::X);
        add(if P::SUMMED { bias } else { own_bias }, &self.b_h, P::H);
    }

    /// How many parts the work over `rows` rows is worth.
    pub(super) fn parts(&self, rows: usize) -> usize {
        threads::parts_of_steps(rows, self.w_x.len() + self.w_h.len())
    }

    pub(super) fn forward_lengths(&self, steps: usize, batch: usize, rows_in: bool) -> ForwardLengths {
        let Widths { input, out, x, u, apart, side, .. } = self.widths();
        let rows = piece_rows(steps, batch);
        let of = usize::saturating_mul;
        ForwardLengths {
            bias: x,
            own_bias: u,
            xs: of(rows, x),
            copy: if rows_in { of(rows, input) } else { 0 },
            us: of(batch, apart),
            outputs: of(batch, 2 * out),
            side: of(batch, side),
        }
    }

    pub(super) fn backward_lengths(&self, steps: usize, batch: usize, rows_in: bool, d_x: bool) -> BackwardLengths {
        let widths = self.widths();
        let Widths { units, input, out, x, u, apart, more, before, vectors, extra, side, .. } = widths;
        let rows = piece_rows(steps, batch);
        let of = usize::saturating_mul;
        let if_so = |so: bool, len: usize| if so { len } else { 0 };
        let projected = widths.unprojected > 0;
        BackwardLengths {
            w_h: packed_len::<F>(u, out),
            w_x: if_so(d_x, packed_len::<F>(x, input)),
            w_p: if_so(projected, packed_len::<F>(out, units)),
            packed: packed_len::<F>(rows, if before > 0 { before } else { u }),
            packed_x: if_so(rows_in && (!P::SUMMED || before > 0), packed_len::<F>(rows, x)),
            packed_extra: if before > 0 {
                packed_len::<F>(rows, x - before)
            } else {
                if_so(projected, packed_len::<F>(rows, out))
            },
            d_h: of(batch, out),
            d_rest: of(batch, more),
            d_as: of(rows, x),
            d_us: of(rows, apart),
            d_vectors: of(rows, vectors),
            extra: of(rows, extra),
            side: if_so(projected, of(batch, side)),
            h_copy: of(rows, out),
            unprojected: of(rows, widths.unprojected),
            copy: of(rows, if rows_in { input.max(out) } else { out }),
            d_x_copy: if_so(d_x, of(rows, input)),
        }
    }

    /// What a sequence takes, from rows or from tokens, and shorter ones after it.
    #[inline(never)]
    pub(super) fn sequence_memory(&self, size: PassSize) -> Memory {
        let PassSize { steps, batch, .. } = size;
        if steps == 0 || batch == 0 {
            return Memory::default();
        }
        let step = batch.saturating_mul(self.w_x.len() + self.w_h.len());
        threads::steps_in_fewer_parts(steps, step).fold(self.memory_of(size), |all, steps| {
            let Memory { forward, backward, .. } = self.memory_of(size.with_steps(steps));
            Memory { forward: all.forward.or(forward), backward: all.backward.or(backward), ..all }
        })
    }

    /// What a sequence of just so many steps takes.
    fn memory_of(&self, size: PassSize) -> Memory {
        let PassSize { steps, batch, tokens, d_x } = size;
        let rows_in = !tokens;
        let rows = steps.saturating_mul(batch);
        let Widths { units, input, out, x, u, more, saved, unprojected, clipped, before, .. } = self.widths();
        let frames = 4 * size_of::<(usize, usize)>(); // the least that a Vec of them takes
        let kept = more + saved + unprojected + clipped;
        let numbers = batch.saturating_mul(out).saturating_add(rows.saturating_mul(kept));
        let tape = bytes::<F>(numbers).saturating_add(frames);
        let parts = self.parts(rows).min(batch);
        // A row whose maths sees a whole row at a time writes what it saves, kept or not; a few on the stack.
        let spare = if P::BY_UNIT { 0 } else { scratch::bytes::<F, 1>([saved]) };
        let part = |k: usize| {
            let batch = threads::part_of(batch, parts, k);
            self.forward_lengths(steps, batch, rows_in).bytes::<F>().saturating_add(spare)
        };
        let mut forward = Work::of(part(0)).divided(parts, part);
        if rows >= WORTH_PACKING || before > 0 || !Operands::of::<F>().is_full() {
            let w_h = if before > 0 {
                packed_len::<F>(out, before) + packed_len::<F>(out, x - before)
            } else {
                packed_len::<F>(out, u)
            };
            let w_p = if unprojected > 0 { packed_len::<F>(unprojected, out) } else { 0 };
            for len in [w_h + w_p, if rows_in { packed_len::<F>(input, x) } else { 0 }] {
                forward = forward.inside(scratch::bytes::<F, 1>([len]));
            }
        }
        // More steps than these are not worth more threads, and could not be counted.
        let columns = self.column_parts(steps.min(1 << 32), batch);
        if columns > 1 {
            forward = forward.or(self.column_memory(steps, batch, columns, rows_in));
        }
        let forward = forward.inside(scratch::bytes::<F, 1>([batch.saturating_mul(out + more)]));
        // With the gradients of a block.
        let block = if in_blocks(steps, batch) { COPIES * bytes::<F>(self.num_params()) } else { 0 };
        let backward = self.backward_lengths(steps, batch, rows_in, d_x).bytes::<F>().saturating_add(block);
        // What its parts pack of the operands of weight gradients, which they divide.
        let parts = self.parts(rows);
        let share = |k| {
            let widest = [(out, true), (input, rows_in), (units, before > 0 || unprojected > 0)];
            let widest = widest
                .into_iter()
                .filter(|(_, there)| *there)
                .map(|(width, _)| threads::part_of(width, parts, k))
                .max();
            matmul_transposed_bytes::<F>(widest.unwrap_or(0), piece_rows(steps, batch))
        };
        let products = Work::of(share(0)).divided(parts, share);
        Memory { tape, forward, backward: products.inside(backward) }
    }
}
