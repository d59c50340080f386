//! Forward: step by step over the rows that are left.

use ndarray::{ArrayViewMut2, ArrayViewMut3, Axis, s};

use super::{Gathered, Rows};
use crate::gated::Gated;
use crate::gated::sequence::{Weight, Widths, is_rows, piece_rows};
use crate::kernel::sums::look_up;
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{at_mut, flat, put_row};
use crate::kernel::{rows as units_loop, scratch};
use crate::pointwise::{Lanes, Pointwise};
use crate::{Float, Input};

/// Some of the rows.
struct Part<'p, 'a, F> {
    rows: &'p Rows<'p>,
    first: usize,
    /// The outputs of each row, `[T, H]`.
    ys: &'p mut [ArrayViewMut2<'a, F>],
    /// The state: h and the lanes beyond.
    h: &'p mut [F],
    rest: &'p mut [F],
    /// Those lanes before each step, and what the gates saved.
    tape: Option<(ArrayViewMut3<'p, F>, ArrayViewMut3<'p, F>)>,
}

impl<F: Float> Divisible for Part<'_, '_, F> {
    fn len(&self) -> usize {
        self.ys.len()
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let (rows, count) = (self.rows, self.len());
        let at = rows.cut((0, rows.steps), self.first, count, at);
        let (ys_a, ys_b) = self.ys.split_at_mut(at);
        let (h_at, rest_at) = (self.h.len() / count * at, self.rest.len() / count * at);
        let (h_a, h_b) = self.h.split_at_mut(h_at);
        let (rest_a, rest_b) = self.rest.split_at_mut(rest_at);
        let (tape_a, tape_b) = match self.tape {
            None => (None, None),
            Some((before, saved)) => {
                let ((before_a, before_b), (saved_a, saved_b)) =
                    (before.split_at(Axis(1), at), saved.split_at(Axis(1), at));
                (Some((before_a, saved_a)), Some((before_b, saved_b)))
            }
        };
        (
            Part { rows, first: self.first, ys: ys_a, h: h_a, rest: rest_a, tape: tape_a },
            Part { rows, first: self.first + at, ys: ys_b, h: h_b, rest: rest_b, tape: tape_b },
        )
    }
}

impl<F: Float, P: Pointwise<F>> Gated<F, P> {
    /// The whole sequence; `h` and `rest`, in the order of `rows`, move on.
    pub(in crate::gated) fn ragged(
        &self,
        rows: &Rows<'_>,
        input: &Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        (h, rest): (&mut [F], &mut [F]),
        tape: Option<(ArrayViewMut3<'_, F>, ArrayViewMut3<'_, F>)>,
    ) {
        let mut by_row: Vec<Option<ArrayViewMut2<'_, F>>> = Vec::with_capacity(rows.batch);
        let mut left = ys;
        for _ in 0..rows.batch {
            let (row, others) = left.split_at(Axis(1), 1);
            by_row.push(Some(row.index_axis_move(Axis(1), 0)));
            left = others;
        }
        let mut ys: Vec<_> = (0..rows.batch).filter_map(|r| by_row[rows.row(r)].take()).collect();
        let work = rows.each((0, rows.steps), 0, rows.batch).count();
        self.with_weights(input, |w_x, w_h| {
            let part = Part { rows, first: 0, ys: &mut ys, h, rest, tape };
            divide(part, self.parts(work), 1, &|part| self.ragged_part(part, input, w_x, w_h));
        });
    }

    fn ragged_part(&self, part: Part<'_, '_, F>, input: &Input<'_, F>, w_x: Weight<'_, F>, w_h: Weight<'_, F>) {
        let Part { rows, first, ys, h, rest, mut tape } = part;
        let (t, b, units) = (rows.steps, ys.len(), self.units());
        let Widths { x, more, .. } = self.widths();
        let most = piece_rows(t, b);
        for (r, ys) in ys.iter_mut().enumerate() {
            ys.slice_mut(s![rows.length(first + r).., ..]).fill(F::zero());
        }
        scratch::with_each(self.part_lengths(t, b, is_rows(input)), |[bias, own_bias, xs, copy, us, outputs]| {
            self.fill_biases(bias, own_bias, 0, units);
            let after = &mut outputs[..b * units];
            let mut start = 0;
            while rows.count_of(start, first, b) > 0 && start < t {
                let end = t.min(start + (most / rows.count_of(start, first, b)).max(1));
                let gathered = rows.gather(input, (start, end), (first, b), copy);
                let n = rows.each((start, end), first, b).count();
                let xs = &mut xs[..n * x];
                match &gathered {
                    Gathered::Rows(rows) => w_x.times_from(bias, xs, rows, n),
                    Gathered::Tokens(tokens) => {
                        look_up(xs, bias, flat(&self.w_x), self.columns(P::X::N, 0, units), tokens.view());
                    }
                }
                let mut xs = &mut *xs;
                for step in start..end {
                    let n = rows.count_of(step, first, b);
                    let (now, later) = std::mem::take(&mut xs).split_at_mut(n * x);
                    xs = later;
                    for r in (0..n).filter(|r| rows.is_reset(step, first + r)) {
                        h[r * units..][..units].fill(F::zero());
                        rest[r * more..][..more].fill(F::zero());
                    }
                    let (h, rest) = (&mut h[..n * units], &mut rest[..n * more]);
                    let us = &mut us[..if P::SUMMED { 0 } else { n * P::H::N * units }];
                    if P::SUMMED {
                        w_h.times(now, h, n);
                    } else if P::H::N > 0 {
                        w_h.times_from(&*own_bias, us, h, n);
                    }
                    let y = &mut after[..n * units];
                    let tape = tape.as_mut().map(|(before, saved)| (at_mut(before, step), at_mut(saved, step)));
                    units_loop::forward(units_loop::Forward {
                        gates: &self.gates,
                        units,
                        x: now,
                        u: us,
                        h,
                        y,
                        rest,
                        tape,
                    });
                    h.copy_from_slice(y);
                    for (ys, y) in ys.iter_mut().zip(y.chunks_exact(units)) {
                        put_row(ys.row_mut(step), y);
                    }
                }
                start = end;
            }
        });
    }
}
