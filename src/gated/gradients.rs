//! What a piece of a sequence gives to the gradients of the weights, and the gradient of its input.

use ndarray::{ArrayView2, Axis};

use super::Gated;
use super::sequence::Widths;
use crate::Float;
use crate::blocks::{BLOCK_ROWS, BlockSum};
use crate::gates::RowCell;
use crate::kernel::matmul::{matmul, matmul_transposed, matmul_transposed_apart};
use crate::kernel::pack::{Columns, Packed, pack, pack_adding, pack_columns};
use crate::kernel::sums::{add_rows, scatter};
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{Rows, flat_mut};

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
    /// Gradients of x·w_x + b, of h·w_h where it is apart, and shares of those of the vectors of weights.
    pub(super) d_a: &'a [F],
    pub(super) d_u: &'a [F],
    pub(super) d_vectors: &'a [F],
    /// As in [`Widths`].
    pub(super) extra: &'a [F],
    /// What was projected.
    pub(super) unprojected: &'a [F],
    /// Where the gradient of the input goes, with the weight that makes it; none for tokens.
    pub(super) d_xs: Option<(&'a mut [F], Packed<'a, F>)>,
}

/// Rows of what a piece gives gradients to: the same share of each.
struct Share<'a, F> {
    parts: usize,
    w_h: Rows<'a, F>,
    w_x: Rows<'a, F>,
    w_p: Rows<'a, F>,
    d_xs: Rows<'a, F>,
}

impl<F: Float> Divisible for Share<'_, F> {
    fn len(&self) -> usize {
        self.parts
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let part = |rows: &Rows<'_, F>| rows.len() * at / self.parts;
        let (w_h, w_x, w_p, d_xs) = (part(&self.w_h), part(&self.w_x), part(&self.w_p), part(&self.d_xs));
        let (w_h, w_h_b) = self.w_h.cut(w_h);
        let (w_x, w_x_b) = self.w_x.cut(w_x);
        let (w_p, w_p_b) = self.w_p.cut(w_p);
        let (d_xs, d_xs_b) = self.d_xs.cut(d_xs);
        (
            Share { parts: at, w_h, w_x, w_p, d_xs },
            Share { parts: self.parts - at, w_h: w_h_b, w_x: w_x_b, w_p: w_p_b, d_xs: d_xs_b },
        )
    }
}

/// Gradients that multiply the rows of h: of all columns, or of those that get h and those after a gate.
enum OfH<'a, F> {
    Whole(Packed<'a, F>),
    InTurn(Packed<'a, F>, Packed<'a, F>),
}

impl<F: Float, P: RowCell> Gated<F, P> {
    /// Adds the piece's share to the gradients; where they are summed in blocks, to the block's, which `ends` with this piece or
    /// does not.
    pub(super) fn piece_gradients(
        &self,
        piece: Piece<'_, F>,
        parts: usize,
        memory: [&mut [F]; 3],
        grads: &mut Self,
        sum: Option<&mut BlockSum<Self>>,
        ends: bool,
    ) {
        let [packed, packed_x, packed_extra] = memory;
        let Some(sum) = sum else { return self.gradients(piece, parts, [packed, packed_x, packed_extra], grads) };
        let mut rest = Some(piece);
        while let Some(piece) = rest {
            let (before, last) = self.last_rows(piece, BLOCK_ROWS);
            self.gradients(last, parts, [&mut *packed, &mut *packed_x, &mut *packed_extra], sum.block());
            if before.is_some() || ends {
                sum.add_to(grads);
            }
            rest = before;
        }
    }

    /// A piece without its last rows, and those: where it has more than `most`, and so is a single step.
    fn last_rows<'a>(&self, piece: Piece<'a, F>, most: usize) -> (Option<Piece<'a, F>>, Piece<'a, F>) {
        let Widths { input: d, out, x, apart, vectors, extra: e, unprojected: m, .. } = self.widths();
        let n = piece.d_a.len() / x;
        if n <= most {
            return (None, piece);
        }
        let Piece { input, hs, h0, d_a, d_u, d_vectors, extra, unprojected, d_xs } = piece;
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
        let cut = |h: &'a [F]| h.split_at(h.len().min(at * out));
        let ((hs, hs_b), (h0, h0_b)) = (cut(hs), cut(h0));
        let (d_a, d_a_b) = d_a.split_at(at * x);
        let (d_u, d_u_b) = d_u.split_at(at * apart);
        let (d_vectors, d_vectors_b) = d_vectors.split_at(at * vectors);
        let (extra, extra_b) = extra.split_at(at * e);
        let (unprojected, unprojected_b) = unprojected.split_at(at * m);
        let (d_xs, d_xs_b) = match d_xs {
            None => (None, None),
            Some((d_xs, weight)) => {
                let (d_xs, d_xs_b) = d_xs.split_at_mut(at * d);
                (Some((d_xs, weight)), Some((d_xs_b, weight)))
            }
        };
        let last = Piece {
            input: input_b,
            hs: hs_b,
            h0: h0_b,
            d_a: d_a_b,
            d_u: d_u_b,
            d_vectors: d_vectors_b,
            extra: extra_b,
            unprojected: unprojected_b,
            d_xs: d_xs_b,
        };
        (Some(Piece { input, hs, h0, d_a, d_u, d_vectors, extra, unprojected, d_xs }), last)
    }

    /// Adds the piece's share to the gradients, xᵀ·d_a, hᵀ·d_u and the sums of their rows, last row first; and sets
    /// ∂L/∂x = d_a·w_xᵀ.
    fn gradients(&self, piece: Piece<'_, F>, parts: usize, memory: [&mut [F]; 3], grads: &mut Self) {
        let Piece { input, hs, h0, d_a, d_u, d_vectors, extra, unprojected, d_xs } = piece;
        let Widths { units, input: d, out, x, u, before: first, vectors, .. } = self.widths();
        let n = d_a.len() / x;
        let [memory, memory_x, memory_extra] = memory;
        let Gated { w_x: g_x, w_h: g_h, b: g_b, b_h: g_b_h, w_p: g_p, vectors: g_vectors, .. } = grads;
        let (g_b, g_b_h) = (g_b.as_mut().map(flat_mut), g_b_h.as_mut().map(flat_mut));
        if vectors > 0 {
            g_vectors.add_rows(d_vectors);
        }
        let of_tokens = matches!(input, PieceInput::Tokens(_));
        let mut d_p = None;
        let (d_u, packed) = if P::AFTER > 0 {
            let columns = |first, width| Columns { blocks: 1, stride: x, first, width };
            let packed = if of_tokens {
                [g_b, g_b_h].into_iter().flatten().for_each(|b| add_rows(b, d_a));
                pack(&[], 0, x, memory_x)
            } else {
                pack_adding(d_a, n, x, memory_x, [g_b, g_b_h])
            };
            let d_h = pack_columns(d_a, n, columns(0, first), memory);
            (OfH::InTurn(d_h, pack_columns(d_a, n, columns(first, x - first), memory_extra)), packed)
        } else {
            if g_p.is_some() {
                d_p = Some(pack(extra, n, out, memory_extra));
            }
            if P::SUMMED {
                let both = pack_adding(d_a, n, x, memory, [g_b, g_b_h]);
                (OfH::Whole(both), both)
            } else {
                let packed = if of_tokens {
                    g_b.into_iter().for_each(|b| add_rows(b, d_a));
                    pack(&[], 0, x, memory_x) // the lookup's gradient is no product
                } else {
                    pack_adding(d_a, n, x, memory_x, [g_b, None])
                };
                (OfH::Whole(pack_adding(d_u, n, u, memory, [g_b_h, None])), packed)
            }
        };
        let g_p = g_p.as_mut().map(flat_mut).unwrap_or_default();
        let (d_xs, weight) = d_xs.unzip();
        let share = Share {
            parts,
            w_h: Rows { first: 0, width: u.max(1), numbers: flat_mut(g_h) },
            w_x: Rows { first: 0, width: x, numbers: flat_mut(g_x) },
            w_p: Rows { first: 0, width: out, numbers: g_p },
            d_xs: Rows { first: 0, width: d, numbers: d_xs.unwrap_or_default() },
        };
        // Rows of h, of which those before the first steps may lie elsewhere.
        let later = hs.len() / out;
        let of_h = |c: &mut [F], ldc: usize, from: usize, m: usize, d_u: Packed<'_, F>| {
            if later > 0 {
                matmul_transposed_apart(c, ldc, &hs[from..], out, m, d_u.rows(n - later, later));
            }
            if later < n {
                matmul_transposed_apart(c, ldc, &h0[from..], out, m, d_u.rows(0, n - later));
            }
        };
        divide(share, parts, 1, &|Share { w_h, w_x, w_p, d_xs, .. }| {
            let (from, m) = (w_h.first, w_h.len());
            match d_u {
                OfH::Whole(d_u) if u > 0 => of_h(w_h.numbers, u, from, m, d_u),
                OfH::Whole(_) => {}
                OfH::InTurn(d_h, d_v) => {
                    of_h(&mut *w_h.numbers, u, from, m, d_h);
                    let columns = w_h.numbers.get_mut(first..).unwrap_or_default();
                    matmul_transposed_apart(columns, u, &extra[from..], units, m, d_v);
                }
            }
            match &input {
                PieceInput::Rows(xs) => {
                    let m = w_x.len();
                    matmul_transposed(w_x.numbers, &xs[w_x.first..], d, m, packed);
                }
                PieceInput::Tokens(tokens) => scatter(w_x.numbers, w_x.first, x, d_a, tokens.view()),
            }
            if let Some(d_p) = d_p {
                let m = w_p.len();
                matmul_transposed(w_p.numbers, &unprojected[w_p.first..], units, m, d_p);
            }
            if let Some(weight) = weight {
                let m = d_xs.len();
                d_xs.numbers.fill(F::zero());
                matmul(d_xs.numbers, &d_a[d_xs.first * x..], x, m, weight);
            }
        });
    }
}
