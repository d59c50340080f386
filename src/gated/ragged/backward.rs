//! Backward: piece by piece over the rows that are left, which become more.

use ndarray::{ArrayView3, Axis, s};

use super::{Gathered, Rows};
use crate::blocks::{BlockSum, block_steps, in_blocks};
use crate::gated::backward::PieceMut;
use crate::gated::gradients::{Piece, PieceInput};
use crate::gated::sequence::{BackwardBuffers, Widths, is_rows, piece_rows};
use crate::gated::step::{Backward, Transposed};
use crate::gated::tape::TapeView;
use crate::gated::{Gated, GatedTape};
use crate::gates::{Lanes, RowCell};
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{at, at_mut, copy_row, put_row, view, view_mut};
use crate::{Float, SeqGradIo};

/// Some of the rows over the steps of one piece.
struct Part<'p, F> {
    rows: &'p Rows<'p>,
    first: usize,
    count: usize,
    steps: (usize, usize),
    /// h before each step, row after row of those that have it.
    hs: &'p [F],
    d_ys: ArrayView3<'p, F>,
    tape: TapeView<'p, F>,
    d_h: &'p mut [F],
    d_rest: &'p mut [F],
    side: &'p mut [F],
    piece: PieceMut<'p, F>,
}

impl<F: Float> Divisible for Part<'_, F> {
    fn len(&self) -> usize {
        self.count
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let Part { rows, first, count, steps, hs, .. } = self;
        let at = rows.cut(steps, first, count, at);
        let (d_ys_a, d_ys_b) = self.d_ys.split_at(Axis(1), at);
        let (tape_a, tape_b) = self.tape.cut(at);
        let cut = |numbers: &'_ [F]| numbers.len() / count * at;
        let (h_at, rest_at, side_at) = (cut(self.d_h), cut(self.d_rest), cut(self.side));
        let (d_h_a, d_h_b) = self.d_h.split_at_mut(h_at);
        let (d_rest_a, d_rest_b) = self.d_rest.split_at_mut(rest_at);
        let (side_a, side_b) = self.side.split_at_mut(side_at);
        let (piece_a, piece_b) = self.piece.cut(at);
        (
            Part {
                rows,
                first,
                count: at,
                steps,
                hs,
                d_ys: d_ys_a,
                tape: tape_a,
                d_h: d_h_a,
                d_rest: d_rest_a,
                side: side_a,
                piece: piece_a,
            },
            Part {
                rows,
                first: first + at,
                count: count - at,
                steps,
                hs,
                d_ys: d_ys_b,
                tape: tape_b,
                d_h: d_h_b,
                d_rest: d_rest_b,
                side: side_b,
                piece: piece_b,
            },
        )
    }
}

/// Moves the rows of each step up to those of the step before it; `width` rows stand for each.
fn close_up<F: Copy>(numbers: &mut [F], counts: impl Iterator<Item = usize>, width: usize, row: usize) {
    let mut to = 0;
    for (step, count) in counts.enumerate() {
        let from = step * width * row;
        numbers.copy_within(from..from + count * row, to);
        to += count * row;
    }
}

impl<F: Float, P: RowCell> Gated<F, P> {
    pub(in crate::gated) fn ragged_backward(
        &self,
        rows: &Rows<'_>,
        io: SeqGradIo<'_, F>,
        tape: &GatedTape<F>,
        d_state: &mut <P::State<F> as Lanes<F>>::Arrays,
        grads: &mut Self,
    ) {
        let SeqGradIo { x: input, y: ys, d_y: d_ys, mut d_x } = io;
        let (t, b, widths) = (rows.steps, rows.batch, self.widths());
        let Widths { units, input: d, out, x, apart, more, vectors, extra: extra_width, .. } = widths;
        let most = piece_rows(t, b);
        if let Some(d_x) = &mut d_x {
            rows.cx.clear_padding(d_x);
        }
        self.backward_lengths(t, b, is_rows(&input), d_x.is_some()).with(|buffers: BackwardBuffers<'_, F>| {
            let BackwardBuffers { w_h, w_x, w_p, packed, packed_x, packed_extra, .. } = buffers;
            let BackwardBuffers { d_h, d_rest, d_as, d_us, d_vectors, extra, side, .. } = buffers;
            let BackwardBuffers { h_copy, unprojected, copy, d_x_copy, .. } = buffers;
            let (weights, w_x) = self.transposed([w_h, w_x, w_p], d_x.is_some());
            let (h, others) = d_state.as_mut().split_first_mut().expect("a state has lane 0");
            rows.take(h, d_h, [0, out]);
            for (lane, array) in others.iter().enumerate() {
                rows.take(array, d_rest, [lane * units, more]);
            }
            let (h0, kept) = tape.top((t, b), &widths);
            let parts = self.parts(rows.each((0, t), 0, b).count());
            let mut sum = in_blocks(t, b).then(|| BlockSum::new(grads));
            let block = block_steps(b);

            let mut end = rows.length(0);
            while end > 0 {
                let start = if sum.is_some() { t.saturating_sub(((t - end) / block + 1) * block) } else { 0 };
                let mut first = end - 1;
                while first > start && (end - first + 1) * rows.count(first - 1) <= most {
                    first -= 1;
                }
                let (steps, width) = (end - first, rows.count(first));
                let n = rows.each((first, end), 0, b).count();
                for ([t, r], to) in rows.each((first, end), 0, b).zip(h_copy.chunks_exact_mut(out)) {
                    match t {
                        _ if rows.is_reset(t, r) => to.fill(F::zero()),
                        0 => to.copy_from_slice(&h0[r * out..][..out]),
                        _ => {
                            copy_row(to, ys.slice(s![t - 1, rows.row(r), ..]));
                        }
                    }
                }
                let hs = &h_copy[..n * out];
                for [t, r] in rows.each((first, end), 0, b) {
                    let to = &mut copy[((t - first) * width + r) * out..][..out];
                    copy_row(to, d_ys.slice(s![t, rows.row(r), ..]));
                }
                let part = Part {
                    rows,
                    first: 0,
                    count: width,
                    steps: (first, end),
                    hs,
                    d_ys: view(&copy[..steps * width * out], (steps, width, out)),
                    tape: kept.steps(first, end).cut(width).0,
                    d_h: &mut d_h[..width * out],
                    d_rest: &mut d_rest[..width * more],
                    side: &mut side[..width * if widths.unprojected > 0 { units } else { 0 }],
                    piece: PieceMut {
                        d_a: view_mut(&mut d_as[..steps * width * x], (steps, width, x)),
                        d_u: view_mut(&mut d_us[..steps * width * apart], (steps, width, apart)),
                        d_vectors: view_mut(&mut d_vectors[..steps * width * vectors], (steps, width, vectors)),
                        extra: view_mut(&mut extra[..steps * width * extra_width], (steps, width, extra_width)),
                    },
                };
                divide(part, parts, 1, &|part| self.ragged_part_backward(part, weights));

                let counts = || (first..end).map(|t| rows.count(t));
                close_up(d_as, counts(), width, x);
                close_up(d_us, counts(), width, apart);
                close_up(d_vectors, counts(), width, vectors);
                close_up(extra, counts(), width, extra_width);
                if widths.unprojected > 0 {
                    for ([t, r], to) in rows.each((first, end), 0, b).zip(unprojected.chunks_exact_mut(units)) {
                        copy_row(to, kept.unprojected.slice(s![t, r, ..]));
                    }
                }
                let gathered = rows.gather(&input, (first, end), (0, b), copy);
                let input = match &gathered {
                    Gathered::Rows(rows) => PieceInput::Rows(rows),
                    Gathered::Tokens(tokens) => PieceInput::Tokens(tokens.view()),
                };
                let d_xs = w_x.map(|w_x| (&mut d_x_copy[..n * d], w_x));
                let piece = Piece {
                    input,
                    hs,
                    h0: &[],
                    d_a: &d_as[..n * x],
                    d_u: &d_us[..n * apart],
                    d_vectors: &d_vectors[..n * vectors],
                    extra: &extra[..n * extra_width],
                    unprojected: &unprojected[..n * widths.unprojected],
                    d_xs,
                };
                let memory = [&mut *packed, &mut *packed_x, &mut *packed_extra];
                self.piece_gradients(piece, parts, memory, grads, sum.as_mut(), first == start);
                if let Some(d_x) = &mut d_x {
                    for ([t, r], from) in rows.each((first, end), 0, b).zip(d_x_copy.chunks_exact(d)) {
                        put_row(d_x.slice_mut(s![t, rows.row(r), ..]), from);
                    }
                }
                end = first;
            }
            rows.put(d_h, [0, out], h);
            for (lane, array) in others.iter_mut().enumerate() {
                rows.put(d_rest, [lane * units, more], array);
            }
        });
    }

    fn ragged_part_backward(&self, part: Part<'_, F>, weights: Transposed<'_, F>) {
        let Part { rows, first, count, steps, hs, d_ys, tape, d_h, d_rest, side, mut piece } = part;
        let Widths { out, x, apart, more, saved, clipped, vectors, extra, unprojected, .. } = self.widths();
        let mut offset = hs.len() / out;
        for t in (steps.0..steps.1).rev() {
            offset -= rows.count(t);
            let (n, i) = (rows.count_of(t, first, count), t - steps.0);
            let (d_h, d_rest) = (&mut d_h[..n * out], &mut d_rest[..n * more]);
            let backward = Backward {
                saved: &at(&tape.saved, i)[..n * saved],
                h: &hs[(offset + first.min(rows.count(t))) * out..][..n * out],
                before: &at(&tape.before, i)[..n * more],
                clipped: &at(&tape.clipped, i)[..n * clipped],
                d_y: &at(&d_ys, i)[..n * out],
                d_h: &mut *d_h,
                d_rest: &mut *d_rest,
                d_a: &mut at_mut(&mut piece.d_a, i)[..n * x],
                d_u: &mut at_mut(&mut piece.d_u, i)[..n * apart],
                d_vectors: &mut at_mut(&mut piece.d_vectors, i)[..n * vectors],
                extra: &mut at_mut(&mut piece.extra, i)[..n * extra],
                side: &mut side[..n * unprojected],
            };
            self.backward_step(weights, backward, n);
            for r in (0..n).filter(|r| rows.is_reset(t, first + r)) {
                d_h[r * out..][..out].fill(F::zero());
                d_rest[r * more..][..more].fill(F::zero());
            }
        }
    }
}
