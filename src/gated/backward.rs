//! A gated sequence backward: step by step, last to first, the gates and the product back to h; then for the piece one
//! product for each weight's gradient and one for the input's.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, Axis};

use super::ragged::Rows as Ragged;
use super::sequence::{Widths, is_rows, piece};
use super::{Gated, GatedTape};
use crate::blocks::{BLOCK_ROWS, BlockSum, block_steps, in_blocks};
use crate::kernel::matmul::{matmul, matmul_transposed};
use crate::kernel::pack::{Packed, pack, pack_adding, pack_transposed};
use crate::kernel::sums::{add_rows, scatter};
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{Rows, at, at_mut, clean, contiguous, flat, flat_mut, steps_lie_together, view, view_mut};
use crate::kernel::{rows, scratch};
use crate::pointwise::{Lanes, Pointwise};
use crate::{Context, Float, Input, SeqGradIo};

/// Some rows of the batch over the steps of one piece.
struct Part<'a, F> {
    /// Outputs of the step before the piece, then of its own steps but the last: h before each step.
    h: [ArrayView3<'a, F>; 2],
    d_ys: ArrayView3<'a, F>,
    before: ArrayView3<'a, F>,
    saved: ArrayView3<'a, F>,
    /// Gradient of the state.
    d_h: &'a mut [F],
    d_rest: &'a mut [F],
    /// Gradients of x·w_x + b and of h·w_h.
    d_a: ArrayViewMut3<'a, F>,
    d_u: Option<ArrayViewMut3<'a, F>>,
}

impl<F: Float> Divisible for Part<'_, F> {
    fn len(&self) -> usize {
        self.d_a.len_of(Axis(1))
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let rows = self.len();
        let [h_first, h_later] = self.h.map(|h| h.split_at(Axis(1), at));
        let (d_ys_a, d_ys_b) = self.d_ys.split_at(Axis(1), at);
        let (before_a, before_b) = self.before.split_at(Axis(1), at);
        let (saved_a, saved_b) = self.saved.split_at(Axis(1), at);
        let (h_at, rest_at) = (self.d_h.len() / rows * at, self.d_rest.len() / rows * at);
        let (d_h_a, d_h_b) = self.d_h.split_at_mut(h_at);
        let (d_rest_a, d_rest_b) = self.d_rest.split_at_mut(rest_at);
        let (d_a_a, d_a_b) = self.d_a.split_at(Axis(1), at);
        let (d_u_a, d_u_b) = self.d_u.map(|d_u| d_u.split_at(Axis(1), at)).unzip();
        (
            Part {
                h: [h_first.0, h_later.0],
                d_ys: d_ys_a,
                before: before_a,
                saved: saved_a,
                d_h: d_h_a,
                d_rest: d_rest_a,
                d_a: d_a_a,
                d_u: d_u_a,
            },
            Part {
                h: [h_first.1, h_later.1],
                d_ys: d_ys_b,
                before: before_b,
                saved: saved_b,
                d_h: d_h_b,
                d_rest: d_rest_b,
                d_a: d_a_b,
                d_u: d_u_b,
            },
        )
    }
}

/// x of one piece, in row-major order.
pub(super) enum PieceInput<'a, F> {
    Rows(&'a [F]),
    Tokens(ArrayView2<'a, usize>),
}

/// What one piece gives to the gradients.
pub(super) struct Piece<'a, F> {
    pub(super) input: PieceInput<'a, F>,
    /// h before each of the last steps, and before those that are left.
    pub(super) hs: &'a [F],
    pub(super) h0: &'a [F],
    pub(super) d_a: &'a [F],
    pub(super) d_u: &'a [F],
    /// Where the gradient of the input goes, with the weight that makes it; none for tokens.
    pub(super) d_xs: Option<(&'a mut [F], Packed<'a, F>)>,
}

/// Rows of what a piece gives gradients to: the same share of each.
struct Share<'a, F> {
    parts: usize,
    w_h: Rows<'a, F>,
    w_x: Rows<'a, F>,
    d_xs: Rows<'a, F>,
}

impl<F: Float> Divisible for Share<'_, F> {
    fn len(&self) -> usize {
        self.parts
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let part = |rows: &Rows<'_, F>| rows.len() * at / self.parts;
        let (w_h, w_x, d_xs) = (part(&self.w_h), part(&self.w_x), part(&self.d_xs));
        let (w_h, w_h_b) = self.w_h.cut(w_h);
        let (w_x, w_x_b) = self.w_x.cut(w_x);
        let (d_xs, d_xs_b) = self.d_xs.cut(d_xs);
        (Share { parts: at, w_h, w_x, d_xs }, Share { parts: self.parts - at, w_h: w_h_b, w_x: w_x_b, d_xs: d_xs_b })
    }
}

impl<F: Float, P: Pointwise<F>> Gated<F, P> {
    #[inline(never)]
    pub(super) fn sequence_backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, F>,
        tape: &mut GatedTape<F>,
        d_state: &mut <P::State as Lanes<F>>::Arrays,
        grads: &mut Self,
    ) {
        io.expect(self);
        let ((t, b), units, d) = (io.x.dim(), self.units(), self.w_x.nrows());
        for array in d_state.as_ref() {
            assert_eq!(array.dim(), (b, units), "d_state: every array is [B, H]");
        }
        if t == 0 || b == 0 {
            return;
        }
        tape.pop_frame(t, b);
        let rows = Ragged::new(cx, t, b);
        if !rows.is_plain() {
            return self.ragged_backward(&rows, io, tape, d_state, grads);
        }
        let SeqGradIo { x: input, y: ys, d_y: d_ys, d_x: mut d_xs } = io;
        let Widths { x, u, more, saved: kept } = self.widths();
        let piece = piece(t, b);
        scratch::with_each(self.backward_lengths(t, b, is_rows(&input), d_xs.is_some()), |memory| {
            let [w_h, w_x, packed, packed_x, d_h, d_rest, d_as, d_us, h_copy, copy, d_x_copy] = memory;
            let w_h = pack_transposed(flat(&self.w_h), u, units, w_h);
            let w_x = d_xs.is_some().then(|| pack_transposed(flat(&self.w_x), x, d, w_x));
            let (h, others) = d_state.as_mut().split_first_mut().expect("a state has lane 0");
            view_mut(d_h, (1, b, units)).index_axis_mut(Axis(0), 0).assign(h);
            for (lane, array) in others.iter().enumerate() {
                view_mut(d_rest, (b, P::State::N - 1, units)).index_axis_mut(Axis(1), lane).assign(array);
            }
            let before = view(tape.before.top(t * b * more), (t, b, more));
            let saved = view(tape.saved.top(t * b * kept), (t, b, kept));
            let h0 = tape.h.top(b * units);
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
                let d_a = &mut d_as[..n * x];
                let d_u = &mut d_us[..if P::SUMMED { 0 } else { n * u }];
                // Outputs of the steps before those of the piece: h before each, but for the first of the sequence.
                let past = ys.slice_axis(Axis(0), ndarray::Slice::from(first.saturating_sub(1)..end - 1));
                let past = contiguous(&past, h_copy);
                let (earlier, hs) = if first == 0 { (h0, past) } else { past.split_at(b * units) };
                let d_ys = d_ys.slice_axis(Axis(0), here());
                let direct = steps_lie_together(&d_ys);
                let d_ys = if direct { d_ys } else { view(contiguous(&d_ys, copy), (steps, b, units)) };
                let part = Part {
                    h: [view(earlier, (1, b, units)), view(hs, (steps - 1, b, units))],
                    d_ys,
                    before: before.slice_axis_move(Axis(0), here()),
                    saved: saved.slice_axis_move(Axis(0), here()),
                    d_h: &mut *d_h,
                    d_rest: &mut *d_rest,
                    d_a: view_mut(d_a, (steps, b, x)),
                    d_u: (!P::SUMMED).then(|| view_mut(d_u, (steps, b, u))),
                };
                divide(part, parts, 1, &|part| self.part_backward(part, w_h));

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
                let d_u = if P::SUMMED { &*d_a } else { &*d_u };
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
                let piece = Piece { input, hs, h0, d_a, d_u, d_xs: w_x.map(|w_x| (target, w_x)) };
                match &mut sum {
                    None => self.gradients(piece, parts, [&mut *packed, &mut *packed_x], grads),
                    Some(sum) => {
                        let mut rest = Some(piece);
                        while let Some(piece) = rest {
                            let (before, last) = self.last_rows(piece, BLOCK_ROWS);
                            self.gradients(last, parts, [&mut *packed, &mut *packed_x], sum.block());
                            if before.is_some() || first == block_start {
                                sum.add_to(grads);
                            }
                            rest = before;
                        }
                    }
                }
                if let Some(d_xs) = d_xs.as_mut().filter(|_| !direct) {
                    d_xs.assign(&view(&d_x_copy[..n * d], (steps, b, d)));
                }
                end = first;
            }
            h.assign(&view(d_h, (1, b, units)).index_axis(Axis(0), 0));
            for (lane, array) in others.iter_mut().enumerate() {
                array.assign(&view(d_rest, (b, P::State::N - 1, units)).index_axis(Axis(1), lane));
            }
        });
        tape.h.pop(b * units);
        tape.before.pop(t * b * more);
        tape.saved.pop(t * b * kept);
    }

    /// A piece without its last rows, and those: where it has more than `most`, and so is a single step.
    pub(super) fn last_rows<'a>(&self, piece: Piece<'a, F>, most: usize) -> (Option<Piece<'a, F>>, Piece<'a, F>) {
        let (Widths { x, u, .. }, units, d) = (self.widths(), self.units(), self.w_x.nrows());
        let n = piece.d_a.len() / x;
        if n <= most {
            return (None, piece);
        }
        let Piece { input, hs, h0, d_a, d_u, d_xs } = piece;
        let at = (n - 1) / most * most;
        let (input, input_b) = match input {
            PieceInput::Rows(xs) => {
                let (xs, xs_b) = xs.split_at(at * d);
                (PieceInput::Rows(xs), PieceInput::Rows(xs_b))
            }
            PieceInput::Tokens(tokens) => {
                let (tokens, tokens_b) = tokens.split_at(Axis(1), at);
                (PieceInput::Tokens(tokens), PieceInput::Tokens(tokens_b))
            }
        };
        // One of the two has all rows of the step, the other none.
        let cut = |h: &'a [F]| h.split_at(h.len().min(at * units));
        let ((hs, hs_b), (h0, h0_b)) = (cut(hs), cut(h0));
        let (d_a, d_a_b) = d_a.split_at(at * x);
        let (d_u, d_u_b) = d_u.split_at(at * u);
        let (d_xs, d_xs_b) = match d_xs {
            None => (None, None),
            Some((d_xs, weight)) => {
                let (d_xs, d_xs_b) = d_xs.split_at_mut(at * d);
                (Some((d_xs, weight)), Some((d_xs_b, weight)))
            }
        };
        let last = Piece { input: input_b, hs: hs_b, h0: h0_b, d_a: d_a_b, d_u: d_u_b, d_xs: d_xs_b };
        (Some(Piece { input, hs, h0, d_a, d_u, d_xs }), last)
    }

    fn part_backward(&self, part: Part<'_, F>, w_h: Packed<'_, F>) {
        let Part { h, d_ys, before, saved, d_h, d_rest, mut d_a, mut d_u } = part;
        let (steps, b, x) = d_a.dim();
        for t in (0..steps).rev() {
            rows::backward(rows::Backward {
                gates: &self.gates,
                units: self.units(),
                saved: at(&saved, t),
                h: if t == 0 { at(&h[0], 0) } else { at(&h[1], t - 1) },
                before: at(&before, t),
                d_y: at(&d_ys, t),
                d_h: &mut *d_h,
                d_rest: &mut *d_rest,
                d_x: at_mut(&mut d_a, t),
                d_u: d_u.as_mut().map_or(&mut [], |d_u| at_mut(d_u, t)),
            });
            // The rest of the way back to h: through h·w_h.
            match &mut d_u {
                None => matmul(d_h, at_mut(&mut d_a, t), x, b, w_h),
                Some(d_u) => matmul(d_h, at_mut(d_u, t), w_h.depth(), b, w_h),
            }
        }
    }

    /// Adds the piece's share to the gradients, xᵀ·d_a, hᵀ·d_u and the sums of their rows, last row first; and sets
    /// ∂L/∂x = d_a·w_xᵀ.
    pub(super) fn gradients(&self, piece: Piece<'_, F>, parts: usize, memory: [&mut [F]; 2], grads: &mut Self) {
        let Piece { input, hs, h0, d_a, d_u, d_xs } = piece;
        let (units, d) = (self.units(), self.w_x.nrows());
        let Widths { x, u, .. } = self.widths();
        let n = d_a.len() / x;
        let [memory, memory_x] = memory;
        let Gated { w_x: g_x, w_h: g_h, b: g_b, b_h: g_b_h, .. } = grads;
        let (g_b, g_b_h) = (g_b.as_mut().map(flat_mut), g_b_h.as_mut().map(flat_mut));
        let (d_u, packed) = if P::SUMMED {
            let both = pack_adding(d_a, n, x, memory, [g_b, g_b_h]);
            (both, both)
        } else {
            let packed = match &input {
                PieceInput::Rows(_) => pack_adding(d_a, n, x, memory_x, [g_b, None]),
                PieceInput::Tokens(_) => {
                    g_b.into_iter().for_each(|b| add_rows(b, d_a));
                    pack(&[], 0, x, memory_x) // the lookup's gradient is no product
                }
            };
            (pack_adding(d_u, n, u, memory, [g_b_h, None]), packed)
        };
        let (d_xs, weight) = d_xs.unzip();
        let share = Share {
            parts,
            w_h: Rows { first: 0, width: u.max(1), numbers: flat_mut(g_h) },
            w_x: Rows { first: 0, width: x, numbers: flat_mut(g_x) },
            d_xs: Rows { first: 0, width: d, numbers: d_xs.unwrap_or_default() },
        };
        divide(share, parts, 1, &|Share { w_h, w_x, d_xs, .. }| {
            if u > 0 {
                let (m, later) = (w_h.len(), hs.len() / units);
                if later > 0 {
                    matmul_transposed(w_h.numbers, &hs[w_h.first..], units, m, d_u.rows(n - later, later));
                }
                if later < n {
                    matmul_transposed(w_h.numbers, &h0[w_h.first..], units, m, d_u.rows(0, n - later));
                }
            }
            match &input {
                PieceInput::Rows(xs) => {
                    let m = w_x.len();
                    matmul_transposed(w_x.numbers, &xs[w_x.first..], d, m, packed);
                }
                PieceInput::Tokens(tokens) => scatter(w_x.numbers, w_x.first, x, d_a, tokens.view()),
            }
            if let Some(weight) = weight {
                let m = d_xs.len();
                d_xs.numbers.fill(F::zero());
                matmul(d_xs.numbers, &d_a[d_xs.first * x..], x, m, weight);
            }
        });
    }
}
