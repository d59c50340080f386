//! Arrays as runs of numbers, and runs of numbers as arrays.

use ndarray::{
    ArrayBase, ArrayView1, ArrayView3, ArrayViewMut1, ArrayViewMut3, Axis, Data, DataMut, Dimension, Ix3, s,
};

use super::threads::Divisible;
use crate::Float;

/// Some rows of a matrix, from row number `first` on.
pub(crate) struct Rows<'a, F> {
    pub(crate) first: usize,
    pub(crate) width: usize,
    pub(crate) numbers: &'a mut [F],
}

impl<F: Float> Divisible for Rows<'_, F> {
    fn len(&self) -> usize {
        self.numbers.len() / self.width
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let Rows { first, width, numbers } = self;
        let (a, b) = numbers.split_at_mut(at * width);
        (Rows { first, width, numbers: a }, Rows { first: first + at, width, numbers: b })
    }
}

/// The numbers of an array that is kept in row-major order.
#[track_caller]
pub(crate) fn flat<F, S: Data<Elem = F>, D: Dimension>(a: &ArrayBase<S, D>) -> &[F] {
    a.as_slice().expect("kept in row-major order")
}

#[track_caller]
pub(crate) fn flat_mut<F, S: DataMut<Elem = F>, D: Dimension>(a: &mut ArrayBase<S, D>) -> &mut [F] {
    a.as_slice_mut().expect("kept in row-major order")
}

/// The array's numbers in row-major order: its own, or copied into `copy` where they lie otherwise.
pub(crate) fn contiguous<'a, F: Float>(a: &ArrayView3<'a, F>, copy: &'a mut [F]) -> &'a [F] {
    match a.to_slice() {
        Some(numbers) => numbers,
        None => {
            let copy = &mut copy[..a.len()];
            view_mut(copy, a.dim()).assign(a);
            copy
        }
    }
}

/// Whether the rows of each step lie side by side, as [`at`] needs them.
pub(crate) fn steps_lie_together<F, S: Data<Elem = F>>(a: &ArrayBase<S, Ix3>) -> bool {
    a.is_empty() || a.index_axis(Axis(0), 0).is_standard_layout()
}

/// Rows `first` to `first + rows` of an array of T·B rows, in row-major order: its own numbers, or copied into `copy` where they
/// lie otherwise.
pub(crate) fn rows_of<'a, F: Float>(a: &ArrayView3<'a, F>, first: usize, rows: usize, copy: &'a mut [F]) -> &'a [F] {
    let (_, b, width) = a.dim();
    if let Some(numbers) = a.to_slice() {
        return &numbers[first * width..][..rows * width];
    }
    let copy = &mut copy[..rows * width];
    for (row, to) in (first..).zip(copy.chunks_exact_mut(width)) {
        ArrayViewMut1::from(to).assign(&a.slice(s![row / b, row % b, ..]));
    }
    copy
}

/// The way back: writes `rows` over those of `a` from `first` on.
pub(crate) fn put_rows<F: Float>(a: &mut ArrayViewMut3<'_, F>, first: usize, rows: &[F]) {
    let (_, b, width) = a.dim();
    for (row, from) in (first..).zip(rows.chunks_exact(width)) {
        a.slice_mut(s![row / b, row % b, ..]).assign(&ArrayView1::from(from));
    }
}

/// A view of this shape of numbers in row-major order.
#[track_caller]
pub(crate) fn view<F>(numbers: &[F], shape: (usize, usize, usize)) -> ArrayView3<'_, F> {
    ArrayView3::from_shape(shape, numbers).expect("a buffer of this length")
}

#[track_caller]
pub(crate) fn view_mut<F>(numbers: &mut [F], shape: (usize, usize, usize)) -> ArrayViewMut3<'_, F> {
    ArrayViewMut3::from_shape(shape, numbers).expect("a buffer of this length")
}

/// The rows of step `t` of a part: they lie side by side.
#[track_caller]
pub(crate) fn at<'a, F>(a: &ArrayView3<'a, F>, t: usize) -> &'a [F] {
    (*a).index_axis_move(Axis(0), t).to_slice().expect("rows of one step lie side by side")
}

#[track_caller]
pub(crate) fn at_mut<'a, F>(a: &'a mut ArrayViewMut3<'_, F>, t: usize) -> &'a mut [F] {
    a.index_axis_mut(Axis(0), t).into_slice().expect("rows of one step lie side by side")
}
