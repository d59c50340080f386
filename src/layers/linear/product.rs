//! Rows of a sequence times a packed weight.

use ndarray::{ArrayView3, ArrayViewMut3};

use super::ragged::{gather, put, valid};
use super::{ROWS, parts};
use crate::kernel::matmul::{matmul, matmul_from};
use crate::kernel::narrow::{Narrow, is_narrow, narrow_len};
use crate::kernel::pack::{Packed, pack, pack_transposed, packed_len};
use crate::kernel::threads::divide;
use crate::kernel::views::{CleanRows, Rows, flat_mut, put_rows};
use crate::{Context, Float};

/// Rows that are copied together where they do not lie side by side, the widest being so wide: so few that the copies take next
/// to nothing. They are there whether an array needs them or not, so that nobody has to know.
pub(in crate::layers) fn copied(rows: usize, widest: usize) -> usize {
    const NUMBERS: usize = 1 << 15;
    rows.min(ROWS).min((NUMBERS / widest).max(1))
}

/// A weight `[d, v]`, packed.
#[derive(Clone, Copy)]
pub(super) enum Weight<'a, F> {
    Packed(Packed<'a, F>),
    /// Of few outputs.
    Narrow(Narrow<'a, F>),
}

impl<'a, F: Float> Weight<'a, F> {
    /// Packs `w [d, v]` (row-major).
    pub(super) fn pack(w: &[F], d: usize, v: usize, memory: &'a mut [F]) -> Self {
        if is_narrow(v) {
            Weight::Narrow(Narrow::pack(d, v, memory, |p, j| w[p * v + j]))
        } else {
            Weight::Packed(pack(w, d, v, memory))
        }
    }

    /// Packs the transpose of `w [v, d]`.
    pub(super) fn pack_transposed(w: &[F], d: usize, v: usize, memory: &'a mut [F]) -> Self {
        if is_narrow(v) {
            Weight::Narrow(Narrow::pack(d, v, memory, |p, j| w[j * d + p]))
        } else {
            Weight::Packed(pack_transposed(w, d, v, memory))
        }
    }

    /// The length of the memory for it.
    pub(super) fn len(d: usize, v: usize) -> usize {
        if is_narrow(v) { narrow_len(d, v) } else { packed_len::<F>(d, v) }
    }

    fn depth(&self) -> usize {
        match self {
            Weight::Packed(w) => w.depth(),
            Weight::Narrow(w) => w.k,
        }
    }

    fn width(&self) -> usize {
        match self {
            Weight::Packed(w) => w.width(),
            Weight::Narrow(w) => w.n,
        }
    }
}

/// y = start + x·w, without a start x·w.
pub(super) struct Product<'a, F> {
    pub(super) start: Option<&'a [F]>,
    pub(super) w: Weight<'a, F>,
}

impl<F: Float> Product<'_, F> {
    /// Of rows that lie one after the other.
    pub(super) fn times(&self, xs: &[F], ys: &mut [F]) {
        let (d, v) = (self.w.depth(), self.w.width());
        let parts = parts(ys.len() / v, d * v);
        divide(Rows { first: 0, width: v, numbers: ys }, parts, 1, &|rows| {
            let m = rows.numbers.len() / v;
            let a = &xs[rows.first * d..];
            match (self.w, self.start) {
                (Weight::Narrow(w), start) => w.times(start, a, rows.numbers),
                (Weight::Packed(w), Some(start)) => matmul_from(start, rows.numbers, a, d, m, w),
                (Weight::Packed(w), None) => {
                    rows.numbers.fill(F::zero());
                    matmul(rows.numbers, a, d, m, w);
                }
            }
        });
    }

    /// Of the rows that count of a sequence; the others are left. The copies are [`copied`] rows of either.
    pub(super) fn sequence(
        &self,
        cx: &Context<'_>,
        xs: ArrayView3<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
        [x_copy, y_copy]: [&mut [F]; 2],
    ) {
        let ((t, b, d), v) = (xs.dim(), self.w.width());
        if !cx.is_ragged(t) {
            return self.all(&CleanRows::of(xs), t * b, ys, [x_copy, y_copy]);
        }
        let rows: Vec<[usize; 2]> = valid(cx, (t, b)).collect();
        for rows in rows.chunks(copied(t * b, d.max(v))) {
            gather(&xs, rows, x_copy);
            let y = &mut y_copy[..rows.len() * v];
            self.times(x_copy, y);
            put(y, rows, &mut ys);
        }
    }

    /// Of all `n` rows.
    pub(super) fn all(
        &self,
        xs: &CleanRows<'_, F>,
        n: usize,
        mut ys: ArrayViewMut3<'_, F>,
        [x_copy, y_copy]: [&mut [F]; 2],
    ) {
        let (d, v) = (self.w.depth(), self.w.width());
        let direct = ys.is_standard_layout();
        let piece = if direct && xs.are_there() { n } else { copied(n, d.max(v)) };
        for first in (0..n).step_by(piece) {
            let m = piece.min(n - first);
            let xs = xs.get(first, m, x_copy);
            let numbers = if direct { &mut flat_mut(&mut ys)[first * v..][..m * v] } else { &mut y_copy[..m * v] };
            self.times(xs, numbers);
            if !direct {
                put_rows(&mut ys, first, &y_copy[..m * v]);
            }
        }
    }
}
