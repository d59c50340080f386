//! Backward: piece by piece over the rows that are left, which become more.

use ndarray::{ArrayView3, ArrayViewMut3, Axis, s};

use super::{Gathered, Rows};
use crate::blocks::{BLOCK_ROWS, BlockSum, block_steps, in_blocks};
use crate::gated::backward::{Piece, PieceInput};
use crate::gated::sequence::{Widths, is_rows, piece_rows};
use crate::gated::{Gated, GatedTape};
use crate::kernel::matmul::matmul;
use crate::kernel::pack::{Packed, pack_transposed};
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{at, at_mut, copy_row, flat, put_row, view, view_mut};
use crate::kernel::{rows as units_loop, scratch};
use crate::pointwise::{Lanes, Pointwise};
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
    before: ArrayView3<'p, F>,
    saved: ArrayView3<'p, F>,
    d_h: &'p mut [F],
    d_rest: &'p mut [F],
    d_a: ArrayViewMut3<'p, F>,
    d_u: Option<ArrayViewMut3<'p, F>>,
}

impl<F: Float> Divisible for Part<'_, F> {
    fn len(&self) -> usize {
        self.count
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let Part { rows, first, count, steps, hs, .. } = self;
        let at = rows.cut(steps, first, count, at);
        let (d_ys_a, d_ys_b) = self.d_ys.split_at(Axis(1), at);
        let (before_a, before_b) = self.before.split_at(Axis(1), at);
        let (saved_a, saved_b) = self.saved.split_at(Axis(1), at);
        let (h_at, rest_at) = (self.d_h.len() / count * at, self.d_rest.len() / count * at);
        let (d_h_a, d_h_b) = self.d_h.split_at_mut(h_at);
        let (d_rest_a, d_rest_b) = self.d_rest.split_at_mut(rest_at);
        let (d_a_a, d_a_b) = self.d_a.split_at(Axis(1), at);
        let (d_u_a, d_u_b) = self.d_u.map(|d_u| d_u.split_at(Axis(1), at)).unzip();
        (
            Part {
                rows,
                first,
                count: at,
                steps,
                hs,
                d_ys: d_ys_a,
                before: before_a,
                saved: saved_a,
                d_h: d_h_a,
                d_rest: d_rest_a,
                d_a: d_a_a,
                d_u: d_u_a,
            },
            Part {
                rows,
                first: first + at,
                count: count - at,
                steps,
                hs,
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

/// Moves the rows of each step up to those of the step before it; `width` rows stand for each.
fn close_up<F: Copy>(numbers: &mut [F], counts: impl Iterator<Item = usize>, width: usize, row: usize) {
    let mut to = 0;
    for (step, count) in counts.enumerate() {
        let from = step * width * row;
        numbers.copy_within(from..from + count * row, to);
        to += count * row;
    }
}

impl<F: Float, P: Pointwise<F>> Gated<F, P> {
    pub(in crate::gated) fn ragged_backward(
        &self,
        rows: &Rows<'_>,
        io: SeqGradIo<'_, F>,
        tape: &mut GatedTape<F>,
        d_state: &mut <P::State as Lanes<F>>::Arrays,
        grads: &mut Self,
    ) {
        let SeqGradIo { x: input, y: ys, d_y: d_ys, mut d_x } = io;
        let (t, b, units, d) = (rows.steps, rows.batch, self.units(), self.w_x.nrows());
        let Widths { x, u, more, saved: kept } = self.widths();
        let most = piece_rows(t, b);
        if let Some(d_x) = &mut d_x {
            rows.cx.clear_padding(d_x);
        }
        scratch::with_each(self.backward_lengths(t, b, is_rows(&input), d_x.is_some()), |memory| {
            let [w_h, w_x, packed, packed_x, d_h, d_rest, d_as, d_us, h_copy, copy, d_x_copy] = memory;
            let w_h = pack_transposed(flat(&self.w_h), u, units, w_h);
            let w_x = d_x.is_some().then(|| pack_transposed(flat(&self.w_x), x, d, w_x));
            let (h, others) = d_state.as_mut().split_first_mut().expect("a state has lane 0");
            rows.take(h, d_h, [0, units]);
            for (lane, array) in others.iter().enumerate() {
                rows.take(array, d_rest, [lane * units, more]);
            }
            let before = view(tape.before.top(t * b * more), (t, b, more));
            let saved = view(tape.saved.top(t * b * kept), (t, b, kept));
            let h0 = tape.h.top(b * units);
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
                for ([t, r], to) in rows.each((first, end), 0, b).zip(h_copy.chunks_exact_mut(units)) {
                    match t {
                        _ if rows.is_reset(t, r) => to.fill(F::zero()),
                        0 => to.copy_from_slice(&h0[r * units..][..units]),
                        _ => {
                            copy_row(to, ys.slice(s![t - 1, rows.row(r), ..]));
                        }
                    }
                }
                let hs = &h_copy[..n * units];
                for [t, r] in rows.each((first, end), 0, b) {
                    let to = &mut copy[((t - first) * width + r) * units..][..units];
                    copy_row(to, d_ys.slice(s![t, rows.row(r), ..]));
                }
                let here = || ndarray::Slice::from(first..end);
                let part = Part {
                    rows,
                    first: 0,
                    count: width,
                    steps: (first, end),
                    hs,
                    d_ys: view(&copy[..steps * width * units], (steps, width, units)),
                    before: before.slice_axis(Axis(0), here()).split_at(Axis(1), width).0,
                    saved: saved.slice_axis(Axis(0), here()).split_at(Axis(1), width).0,
                    d_h: &mut d_h[..width * units],
                    d_rest: &mut d_rest[..width * more],
                    d_a: view_mut(&mut d_as[..steps * width * x], (steps, width, x)),
                    d_u: (!P::SUMMED).then(|| view_mut(&mut d_us[..steps * width * u], (steps, width, u))),
                };
                divide(part, parts, 1, &|part| self.ragged_part_backward(part, w_h));

                let counts = || (first..end).map(|t| rows.count(t));
                close_up(d_as, counts(), width, x);
                let d_a = &d_as[..n * x];
                let d_u = if P::SUMMED {
                    d_a
                } else {
                    close_up(d_us, counts(), width, u);
                    &d_us[..n * u]
                };
                let gathered = rows.gather(&input, (first, end), (0, b), copy);
                let input = match &gathered {
                    Gathered::Rows(rows) => PieceInput::Rows(rows),
                    Gathered::Tokens(tokens) => PieceInput::Tokens(tokens.view()),
                };
                let d_xs = w_x.map(|w_x| (&mut d_x_copy[..n * d], w_x));
                let piece = Piece { input, hs, h0: &[], d_a, d_u, d_xs };
                match &mut sum {
                    None => self.gradients(piece, parts, [&mut *packed, &mut *packed_x], grads),
                    Some(sum) => {
                        let mut rest = Some(piece);
                        while let Some(piece) = rest {
                            let (before, last) = self.last_rows(piece, BLOCK_ROWS);
                            self.gradients(last, parts, [&mut *packed, &mut *packed_x], sum.block());
                            if before.is_some() || first == start {
                                sum.add_to(grads);
                            }
                            rest = before;
                        }
                    }
                }
                if let Some(d_x) = &mut d_x {
                    for ([t, r], from) in rows.each((first, end), 0, b).zip(d_x_copy.chunks_exact(d)) {
                        put_row(d_x.slice_mut(s![t, rows.row(r), ..]), from);
                    }
                }
                end = first;
            }
            rows.put(d_h, [0, units], h);
            for (lane, array) in others.iter_mut().enumerate() {
                rows.put(d_rest, [lane * units, more], array);
            }
        });
        tape.h.pop(b * units);
        tape.before.pop(t * b * more);
        tape.saved.pop(t * b * kept);
    }

    fn ragged_part_backward(&self, part: Part<'_, F>, w_h: Packed<'_, F>) {
        let Part { rows, first, count, steps, hs, d_ys, before, saved, d_h, d_rest, mut d_a, mut d_u } = part;
        let units = self.units();
        let Widths { x, u, more, .. } = self.widths();
        let mut offset = hs.len() / units;
        for t in (steps.0..steps.1).rev() {
            offset -= rows.count(t);
            let (n, i) = (rows.count_of(t, first, count), t - steps.0);
            let (d_h, d_rest) = (&mut d_h[..n * units], &mut d_rest[..n * more]);
            let d_a = &mut at_mut(&mut d_a, i)[..n * x];
            let mut backward = |d_u: &mut [F]| {
                units_loop::backward(units_loop::Backward {
                    gates: &self.gates,
                    units,
                    saved: at(&saved, i),
                    h: &hs[(offset + first.min(rows.count(t))) * units..][..n * units],
                    before: at(&before, i),
                    d_y: at(&d_ys, i),
                    d_h: &mut *d_h,
                    d_rest: &mut *d_rest,
                    d_x: &mut *d_a,
                    d_u,
                });
            };
            match &mut d_u {
                None => {
                    backward(&mut []);
                    matmul(d_h, d_a, x, n, w_h);
                }
                Some(d_u) => {
                    let d_u = &mut at_mut(d_u, i)[..n * u];
                    backward(d_u);
                    matmul(d_h, d_u, w_h.depth(), n, w_h);
                }
            }
            for r in (0..n).filter(|r| rows.is_reset(t, first + r)) {
                d_h[r * units..][..units].fill(F::zero());
                d_rest[r * more..][..more].fill(F::zero());
            }
        }
    }
}
