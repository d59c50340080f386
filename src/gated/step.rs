//! One step of some rows, forward and backward: the products of the step and the gates between them.

use super::Gated;
use super::sequence::{WORTH_PACKING, Widths};
use super::tape::TapeStep;
use crate::gates::RowCell;
use crate::kernel::matmul::{matmul, matmul_apart, matmul_from, matmul_unpacked};
use crate::kernel::operands::Operands;
use crate::kernel::pack::{Columns, Packed, pack, pack_columns, packed_len};
use crate::kernel::views::flat;
use crate::kernel::{rows, scratch};
use crate::{Float, Input};

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
    fn times(self, c: &mut [F], a: &[F], m: usize) {
        match self {
            Weight::Packed(w) => matmul(c, a, w.depth(), m, w),
            Weight::Plain { w, k, n } => matmul_unpacked(c, a, k, m, w, k, n),
        }
    }
}

/// The weights of a pass forward.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, F> {
    pub(super) x: Weight<'a, F>,
    h: Recurrent<'a, F>,
    p: Option<Weight<'a, F>>,
}

/// What multiplies h.
#[derive(Clone, Copy)]
enum Recurrent<'a, F> {
    Whole(Weight<'a, F>),
    /// The columns that multiply h, and those after a gate.
    InTurn(Packed<'a, F>, Packed<'a, F>),
}

/// Some rows of a step forward.
pub(super) struct Forward<'a, F> {
    /// x·w_x + b.
    pub(super) xs: &'a mut [F],
    /// Room for h·w_h, where it is apart, which starts from its bias.
    pub(super) us: &'a mut [F],
    pub(super) own_bias: &'a [F],
    pub(super) h: &'a [F],
    pub(super) y: &'a mut [F],
    /// The other lanes of the state.
    pub(super) rest: &'a mut [F],
    pub(super) tape: Option<TapeStep<'a, F>>,
    /// As in [`Widths`].
    pub(super) side: &'a mut [F],
}

/// The weights of the steps of a pass backward, transposed.
#[derive(Clone, Copy)]
pub(super) struct Transposed<'a, F> {
    pub(super) h: Packed<'a, F>,
    pub(super) p: Option<Packed<'a, F>>,
}

/// Some rows of a step backward.
pub(super) struct Backward<'a, F> {
    pub(super) saved: &'a [F],
    pub(super) h: &'a [F],
    pub(super) before: &'a [F],
    /// The output, where it is clipped.
    pub(super) clipped: &'a [F],
    pub(super) d_y: &'a [F],
    /// Gradients of the state, in after the step, out before it.
    pub(super) d_h: &'a mut [F],
    pub(super) d_rest: &'a mut [F],
    /// Gradients of the step, to be overwritten.
    pub(super) d_a: &'a mut [F],
    pub(super) d_u: &'a mut [F],
    pub(super) d_vectors: &'a mut [F],
    /// As in [`Widths`].
    pub(super) extra: &'a mut [F],
    pub(super) side: &'a mut [F],
}

impl<F: Float, P: RowCell> Gated<F, P> {
    /// Calls `f` with all weights, packed if they will be used often enough. Tokens look rows of the plain one up.
    pub(super) fn with_weights(&self, input: &Input<'_, F>, f: impl FnOnce(Weights<'_, F>)) {
        let Widths { units, input: d, out, x, u, before, .. } = self.widths();
        let (w_x, w_h) = (flat(&self.w_x), flat(&self.w_h));
        let plain = Weight::Plain { w: w_x, k: d, n: x };
        let plain_p = self.w_p.as_ref().map(|w| Weight::Plain { w: flat(w), k: units, n: out });
        let (steps, batch) = input.dim();
        if steps * batch < WORTH_PACKING && before == 0 && Operands::of::<F>().is_full() {
            let h = Recurrent::Whole(Weight::Plain { w: w_h, k: out, n: u });
            return f(Weights { x: plain, h, p: plain_p });
        }
        let tokens = matches!(input, Input::Tokens(_));
        let columns = |first, width| Columns { blocks: 1, stride: u, first, width };
        scratch::with(if tokens { 0 } else { packed_len::<F>(d, x) }, |memory_x| {
            let w_x = if tokens { plain } else { Weight::Packed(pack(w_x, d, x, memory_x)) };
            let p_len = if self.w_p.is_some() { packed_len::<F>(units, out) } else { 0 };
            let (first, after) = (packed_len::<F>(out, before), packed_len::<F>(out, x - before));
            let h_len = if before > 0 { first + after } else { packed_len::<F>(out, u) };
            scratch::with(h_len + p_len, |memory| {
                let (memory_h, memory_p) = memory.split_at_mut(h_len);
                let h = if before > 0 {
                    let (memory, memory_after) = memory_h.split_at_mut(first);
                    Recurrent::InTurn(
                        pack_columns(w_h, out, columns(0, before), memory),
                        pack_columns(w_h, out, columns(before, x - before), memory_after),
                    )
                } else {
                    Recurrent::Whole(Weight::Packed(pack(w_h, out, u, memory_h)))
                };
                let p = self.w_p.as_ref().map(|w| Weight::Packed(pack(flat(w), units, out, memory_p)));
                f(Weights { x: w_x, h, p });
            });
        });
    }

    /// One step of `n` rows.
    pub(super) fn forward_step(&self, w: Weights<'_, F>, step: Forward<'_, F>, n: usize) {
        let Widths { units, x, before: first, .. } = self.widths();
        let Forward { xs, us, own_bias, h, y, rest, tape, side } = step;
        if n == 0 {
            return;
        }
        match w.h {
            Recurrent::InTurn(w_h, after) => {
                matmul_apart(xs, x, h, units, n, w_h);
                self.gates.operand_rows(rows::Operand { units, x: &mut *xs, h, rest: &*rest, v: &mut *side });
                matmul_apart(&mut xs[first..], x, side, units, n, after);
            }
            Recurrent::Whole(w_h) if P::SUMMED => w_h.times(xs, h, n),
            Recurrent::Whole(w_h) if P::H > 0 => w_h.times_from(own_bias, us, h, n),
            Recurrent::Whole(_) => {}
        }
        let (before, saved, unprojected, clipped) = match tape {
            Some(TapeStep { before, saved, unprojected, clipped }) => (before, Some(saved), unprojected, clipped),
            None => Default::default(),
        };
        let gates = |h: &[F], y: &mut [F]| {
            self.vectors.with_slices(|weights| {
                self.gates.forward_rows(rows::Forward { weights, units, x: xs, u: us, h, y, rest, before, saved });
            });
        };
        let Some(w_p) = w.p else { return gates(h, y) };
        let m = if unprojected.is_empty() { side } else { unprojected };
        gates(&[], &mut *m);
        y.fill(F::zero());
        w_p.times(y, m, n);
        clip_projected(y, self.clip_p);
        if !clipped.is_empty() {
            clipped.copy_from_slice(y);
        }
    }

    /// The derivative of one step of `n` rows.
    pub(super) fn backward_step(&self, w: Transposed<'_, F>, step: Backward<'_, F>, n: usize) {
        let Widths { units, x, before: first, .. } = self.widths();
        let Backward { saved, h, before, clipped, d_y, d_h, d_rest, d_a, d_u, d_vectors, extra, side } = step;
        if n == 0 {
            return;
        }
        let mut gates = |h: &[F], d_y: &[F], d_h: &mut [F], d_rest: &mut [F], d_a: &mut [F], d_u: &mut [F]| {
            self.vectors.with_slices(|weights| {
                self.gates.backward_rows(rows::Backward {
                    weights,
                    units,
                    saved,
                    h,
                    before,
                    d_y,
                    d_h,
                    d_rest,
                    d_x: d_a,
                    d_u,
                    d_weights: d_vectors,
                });
            });
        };
        if let Some(w_p) = w.p {
            extra.iter_mut().zip(&*d_h).zip(d_y).for_each(|((d, d_h), d_y)| *d = (*d_h + *d_y).flush());
            if let Some(clip) = self.clip_p {
                let d_and_y = extra.iter_mut().zip(clipped);
                d_and_y.filter(|(_, y)| y.abs() >= clip).for_each(|(d, _)| *d = F::zero());
            }
            side.fill(F::zero());
            matmul(side, extra, w_p.depth(), n, w_p);
            gates(&[], &[], &mut *side, &mut *d_rest, &mut *d_a, &mut *d_u);
            d_h.fill(F::zero());
        } else {
            gates(h, d_y, &mut *d_h, &mut *d_rest, &mut *d_a, &mut *d_u);
        }
        if P::AFTER > 0 {
            extra.fill(F::zero());
            matmul(extra, &d_a[first..], x, n, w.h.rows(first, x - first));
            self.gates.operand_backward_rows(rows::OperandBackward {
                units,
                saved,
                h,
                before,
                d_x: &mut *d_a,
                d_h: &mut *d_h,
                d_rest,
                v: extra,
            });
        }
        // The rest of the way back to h: through h·w_h.
        if P::AFTER > 0 {
            matmul(d_h, d_a, x, n, w.h.rows(0, first));
        } else if P::SUMMED {
            matmul(d_h, d_a, x, n, w.h);
        } else {
            matmul(d_h, d_u, w.h.depth(), n, w.h);
        }
    }
}

/// Flushes and clips what was projected.
pub(crate) fn clip_projected<F: Float>(y: &mut [F], clip: Option<F>) {
    y.iter_mut().for_each(|y| *y = y.flush());
    if let Some(clip) = clip {
        // NaN stays.
        y.iter_mut().for_each(|y| *y = if *y > clip { clip } else { *y });
        y.iter_mut().for_each(|y| *y = if *y < -clip { -clip } else { *y });
    }
}
