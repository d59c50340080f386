//! Forward: step by step over the rows that are left.

use ndarray::{ArrayViewMut2, ArrayViewMut3, Axis, s};

use super::{Gathered, Rows};
use crate::gated::Gated;
use crate::gated::sequence::{ForwardBuffers, Widths, is_rows, piece_rows};
use crate::gated::step::{Forward, Weights};
use crate::gated::tape::TapeMut;
use crate::gates::RowCell;
use crate::kernel::sums::look_up;
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{flat, put_row};
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
    tape: Option<TapeMut<'p, F>>,
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
        let (tape_a, tape_b) = self.tape.map(|tape| tape.cut(at)).unzip();
        (
            Part { rows, first: self.first, ys: ys_a, h: h_a, rest: rest_a, tape: tape_a },
            Part { rows, first: self.first + at, ys: ys_b, h: h_b, rest: rest_b, tape: tape_b },
        )
    }
}

impl<F: Float, P: RowCell> Gated<F, P> {
    /// The whole sequence; `h` and `rest`, in the order of `rows`, move on.
    pub(in crate::gated) fn ragged(
        &self,
        rows: &Rows<'_>,
        input: &Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        (h, rest): (&mut [F], &mut [F]),
        mut tape: Option<TapeMut<'_, F>>,
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
        self.with_weights(input, |weights| {
            let tape = tape.as_mut().map(TapeMut::reborrow);
            let part = Part { rows, first: 0, ys: &mut ys, h, rest, tape };
            divide(part, self.parts(work), 1, &|part| self.ragged_part(part, input, weights));
        });
    }

    fn ragged_part(&self, part: Part<'_, '_, F>, input: &Input<'_, F>, weights: Weights<'_, F>) {
        let Part { rows, first, ys, h, rest, mut tape } = part;
        let (t, b) = (rows.steps, ys.len());
        let widths = self.widths();
        let Widths { units, out, x, apart, more, .. } = widths;
        let most = piece_rows(t, b);
        for (r, ys) in ys.iter_mut().enumerate() {
            ys.slice_mut(s![rows.length(first + r).., ..]).fill(F::zero());
        }
        self.forward_lengths(t, b, is_rows(input)).with(|buffers: ForwardBuffers<'_, F>| {
            let ForwardBuffers { bias, own_bias, xs, copy, us, outputs, side } = buffers;
            self.fill_biases(bias, own_bias, 0, units);
            let after = &mut outputs[..b * out];
            let mut start = 0;
            while rows.count_of(start, first, b) > 0 && start < t {
                let end = t.min(start + (most / rows.count_of(start, first, b)).max(1));
                let gathered = rows.gather(input, (start, end), (first, b), copy);
                let n = rows.each((start, end), first, b).count();
                let xs = &mut xs[..n * x];
                match &gathered {
                    Gathered::Rows(rows) => weights.x.times_from(bias, xs, rows, n),
                    Gathered::Tokens(tokens) => {
                        look_up(xs, bias, flat(&self.w_x), self.columns(P::X, 0, units), tokens.view());
                    }
                }
                let mut xs = &mut *xs;
                for step in start..end {
                    let n = rows.count_of(step, first, b);
                    let (now, later) = std::mem::take(&mut xs).split_at_mut(n * x);
                    xs = later;
                    for r in (0..n).filter(|r| rows.is_reset(step, first + r)) {
                        h[r * out..][..out].fill(F::zero());
                        rest[r * more..][..more].fill(F::zero());
                    }
                    let (h, rest) = (&mut h[..n * out], &mut rest[..n * more]);
                    let y = &mut after[..n * out];
                    let forward = Forward {
                        xs: now,
                        us: &mut us[..n * apart],
                        own_bias: &*own_bias,
                        h,
                        y: &mut *y,
                        rest,
                        tape: tape.as_mut().map(|tape| tape.step(step).rows(n, &widths)),
                        side: &mut side[..n * widths.side],
                    };
                    self.forward_step(weights, forward, n);
                    h.copy_from_slice(y);
                    for (ys, y) in ys.iter_mut().zip(y.chunks_exact(out)) {
                        put_row(ys.row_mut(step), y);
                    }
                }
                start = end;
            }
        });
    }
}
