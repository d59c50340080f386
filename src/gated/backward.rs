//! A gated sequence backward: step by step, last to first, the gates and the product back to h; then for the piece one
//! product for each weight's gradient and one for the input's (`gradients.rs`).

use ndarray::{ArrayView3, ArrayViewMut3, Axis};

use super::gradients::{Piece, PieceInput};
use super::ragged::Rows as Ragged;
use super::sequence::{BackwardBuffers, Widths, is_rows, piece};
use super::step::{Backward, Transposed};
use super::tape::TapeView;
use super::{Gated, GatedTape};
use crate::blocks::{BlockSum, block_steps, in_blocks};
use crate::gates::{Lanes, RowCell};
use crate::kernel::pack::{Packed, pack_transposed};
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{at, at_mut, clean, contiguous, flat, flat_mut, steps_lie_together, view, view_mut};
use crate::{Context, Float, Input, SeqGradIo};

/// Some rows of the batch over the steps of one piece.
struct Part<'a, F> {
    /// Outputs of the step before the piece, then of its own steps but the last: h before each step.
    h: [ArrayView3<'a, F>; 2],
    d_ys: ArrayView3<'a, F>,
    tape: TapeView<'a, F>,
    /// Gradient of the state.
    d_h: &'a mut [F],
    d_rest: &'a mut [F],
    side: &'a mut [F],
    steps: PieceMut<'a, F>,
}

/// What the steps of a piece leave for the gradients of the weights.
pub(super) struct PieceMut<'a, F> {
    /// Gradients of x·w_x + b, of h·w_h where it is apart, and of the vectors of weights.
    pub(super) d_a: ArrayViewMut3<'a, F>,
    pub(super) d_u: ArrayViewMut3<'a, F>,
    pub(super) d_vectors: ArrayViewMut3<'a, F>,
    pub(super) extra: ArrayViewMut3<'a, F>,
}

impl<F> PieceMut<'_, F> {
    /// The first rows and the others.
    pub(super) fn cut(self, at: usize) -> (Self, Self) {
        let PieceMut { d_a, d_u, d_vectors, extra } = self;
        let [d_a, d_u, d_vectors, extra] = [d_a, d_u, d_vectors, extra].map(|array| array.split_at(Axis(1), at));
        (
            PieceMut { d_a: d_a.0, d_u: d_u.0, d_vectors: d_vectors.0, extra: extra.0 },
            PieceMut { d_a: d_a.1, d_u: d_u.1, d_vectors: d_vectors.1, extra: extra.1 },
        )
    }
}

impl<F: Float> Divisible for Part<'_, F> {
    fn len(&self) -> usize {
        self.steps.d_a.len_of(Axis(1))
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let rows = self.len();
        let [h_first, h_later] = self.h.map(|h| h.split_at(Axis(1), at));
        let (d_ys_a, d_ys_b) = self.d_ys.split_at(Axis(1), at);
        let (tape_a, tape_b) = self.tape.cut(at);
        let cut = |numbers: &'_ [F]| numbers.len() / rows * at;
        let (h_at, rest_at, side_at) = (cut(self.d_h), cut(self.d_rest), cut(self.side));
        let (d_h_a, d_h_b) = self.d_h.split_at_mut(h_at);
        let (d_rest_a, d_rest_b) = self.d_rest.split_at_mut(rest_at);
        let (side_a, side_b) = self.side.split_at_mut(side_at);
        let (steps_a, steps_b) = self.steps.cut(at);
        (
            Part {
                h: [h_first.0, h_later.0],
                d_ys: d_ys_a,
                tape: tape_a,
                d_h: d_h_a,
                d_rest: d_rest_a,
                side: side_a,
                steps: steps_a,
            },
            Part {
                h: [h_first.1, h_later.1],
                d_ys: d_ys_b,
                tape: tape_b,
                d_h: d_h_b,
                d_rest: d_rest_b,
                side: side_b,
                steps: steps_b,
            },
        )
    }
}

impl<F: Float, P: RowCell> Gated<F, P> {
    #[inline(never)]
    pub(super) fn sequence_backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, F>,
        tape: &mut GatedTape<F>,
        d_state: &mut <P::State<F> as Lanes<F>>::Arrays,
        grads: &mut Self,
    ) {
        io.expect(self);
        let ((t, b), widths) = (io.x.dim(), self.widths());
        self.expect_state(d_state, b, "d_state");
        if t == 0 || b == 0 {
            return;
        }
        tape.pop_frame(t, b);
        let rows = Ragged::new(cx, t, b);
        if rows.is_plain() {
            self.plain_backward(io, tape, d_state, grads);
        } else {
            self.ragged_backward(&rows, io, tape, d_state, grads);
        }
        tape.pop((t, b), &widths);
    }

    /// The weights of the steps and, if asked for, that of the input, transposed and packed.
    pub(super) fn transposed<'a>(
        &self,
        memory: [&'a mut [F]; 3],
        d_x: bool,
    ) -> (Transposed<'a, F>, Option<Packed<'a, F>>) {
        let Widths { units, input, out, x, u, .. } = self.widths();
        let [w_h, w_x, w_p] = memory;
        let h = pack_transposed(flat(&self.w_h), u, out, w_h);
        let w_x = d_x.then(|| pack_transposed(flat(&self.w_x), x, input, w_x));
        let p = self.w_p.as_ref().map(|w| pack_transposed(flat(w), out, units, w_p));
        (Transposed { h, p }, w_x)
    }

    fn plain_backward(
        &self,
        io: SeqGradIo<'_, F>,
        tape: &GatedTape<F>,
        d_state: &mut <P::State<F> as Lanes<F>>::Arrays,
        grads: &mut Self,
    ) {
        let ((t, b), widths) = (io.x.dim(), self.widths());
        let SeqGradIo { x: input, y: ys, d_y: d_ys, d_x: mut d_xs } = io;
        let Widths { units, out, x, apart, vectors, extra: extra_width, input: d, .. } = widths;
        let lanes = <P::State<F> as Lanes<F>>::N;
        let piece = piece(t, b);
        self.backward_lengths(t, b, is_rows(&input), d_xs.is_some()).with(|buffers: BackwardBuffers<'_, F>| {
            let BackwardBuffers { w_h, w_x, w_p, packed, packed_x, packed_extra, .. } = buffers;
            let BackwardBuffers { d_h, d_rest, d_as, d_us, d_vectors, extra, side, .. } = buffers;
            let BackwardBuffers { h_copy, copy, d_x_copy, .. } = buffers;
            let (weights, w_x) = self.transposed([w_h, w_x, w_p], d_xs.is_some());
            let (h, others) = d_state.as_mut().split_first_mut().expect("a state has lane 0");
            view_mut(d_h, (1, b, out)).index_axis_mut(Axis(0), 0).assign(h);
            for (lane, array) in others.iter().enumerate() {
                view_mut(d_rest, (b, lanes - 1, units)).index_axis_mut(Axis(1), lane).assign(array);
            }
            let (h0, kept) = tape.top((t, b), &widths);
            let parts = self.parts(t * b);
            // Of many rows, the gradients of a block, made from zero.
            let mut sum = in_blocks(t, b).then(|| BlockSum::new(grads));
            let block = block_steps(b);

            let mut end = t;
            while end > 0 {
                let block_start = t.saturating_sub(((t - end) / block + 1) * block);
                let first = ((end - 1) / piece * piece).max(if sum.is_some() { block_start } else { 0 });
                let (steps, n) = (end - first, (end - first) * b);
                let here = || ndarray::Slice::from(first..end);
                let (d_a, d_u) = (&mut d_as[..n * x], &mut d_us[..n * apart]);
                let (d_vectors, extra) = (&mut d_vectors[..n * vectors], &mut extra[..n * extra_width]);
                // Outputs of the steps before those of the piece: h before each, but for the first of the sequence.
                let past = ys.slice_axis(Axis(0), ndarray::Slice::from(first.saturating_sub(1)..end - 1));
                let past = contiguous(&past, h_copy);
                let (earlier, hs) = if first == 0 { (h0, past) } else { past.split_at(b * out) };
                let d_ys = d_ys.slice_axis(Axis(0), here());
                let direct = steps_lie_together(&d_ys);
                let d_ys = if direct { d_ys } else { view(contiguous(&d_ys, copy), (steps, b, out)) };
                let part = Part {
                    h: [view(earlier, (1, b, out)), view(hs, (steps - 1, b, out))],
                    d_ys,
                    tape: kept.steps(first, end),
                    d_h: &mut *d_h,
                    d_rest: &mut *d_rest,
                    side: &mut *side,
                    steps: PieceMut {
                        d_a: view_mut(d_a, (steps, b, x)),
                        d_u: view_mut(d_u, (steps, b, apart)),
                        d_vectors: view_mut(d_vectors, (steps, b, vectors)),
                        extra: view_mut(extra, (steps, b, extra_width)),
                    },
                };
                divide(part, parts, 1, &|part| self.part_backward(part, weights));

                let rows;
                let input = match &input {
                    Input::Rows(xs) => {
                        rows = xs.slice_axis(Axis(0), here());
                        PieceInput::Rows(clean(&rows, copy))
                    }
                    Input::Tokens(tokens) => PieceInput::Tokens(tokens.slice_axis(Axis(0), here())),
                };
                // From the second step of the sequence on, all h before the steps lie together.
                let (h0, hs) = if first == 0 { (h0, past) } else { (&[][..], past) };
                let mut d_xs = d_xs.as_mut().map(|d_xs| d_xs.slice_axis_mut(Axis(0), here()));
                let direct = d_xs.as_ref().is_some_and(|d_xs| d_xs.is_standard_layout());
                let target = match &mut d_xs {
                    Some(d_xs) => {
                        if direct {
                            flat_mut(d_xs)
                        } else {
                            &mut d_x_copy[..n * d]
                        }
                    }
                    None => &mut [],
                };
                let piece = Piece {
                    input,
                    hs,
                    h0,
                    d_a,
                    d_u,
                    d_vectors,
                    extra,
                    unprojected: kept.unprojected.slice_axis_move(Axis(0), here()).to_slice().expect("whole steps"),
                    d_xs: w_x.map(|w_x| (target, w_x)),
                };
                let memory = [&mut *packed, &mut *packed_x, &mut *packed_extra];
                self.piece_gradients(piece, parts, memory, grads, sum.as_mut(), first == block_start);
                if let Some(d_xs) = d_xs.as_mut().filter(|_| !direct) {
                    d_xs.assign(&view(&d_x_copy[..n * d], (steps, b, d)));
                }
                end = first;
            }
            h.assign(&view(d_h, (1, b, out)).index_axis(Axis(0), 0));
            for (lane, array) in others.iter_mut().enumerate() {
                array.assign(&view(d_rest, (b, lanes - 1, units)).index_axis(Axis(1), lane));
            }
        });
    }

    fn part_backward(&self, part: Part<'_, F>, weights: Transposed<'_, F>) {
        let Part { h, d_ys, tape, d_h, d_rest, side, mut steps } = part;
        let (count, b, _) = steps.d_a.dim();
        for t in (0..count).rev() {
            let backward = Backward {
                saved: at(&tape.saved, t),
                h: if t == 0 { at(&h[0], 0) } else { at(&h[1], t - 1) },
                before: at(&tape.before, t),
                clipped: at(&tape.clipped, t),
                d_y: at(&d_ys, t),
                d_h: &mut *d_h,
                d_rest: &mut *d_rest,
                d_a: at_mut(&mut steps.d_a, t),
                d_u: at_mut(&mut steps.d_u, t),
                d_vectors: at_mut(&mut steps.d_vectors, t),
                extra: at_mut(&mut steps.extra, t),
                side: &mut *side,
            };
            self.backward_step(weights, backward, b);
        }
    }
}
