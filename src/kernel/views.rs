//! Arrays as runs of numbers, and runs of numbers as arrays.

use ndarray::{
    Array, ArrayBase, ArrayView1, ArrayView3, ArrayViewMut1, ArrayViewMut3, Axis, Data, DataMut, Dimension, Ix3, s,
};

use super::sums::has_tiny;
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

/// The array as a layer keeps it: in row-major order from here on, since `clone` keeps the layout and no method gives the
/// array itself away; and [flushed](Float::flush).
pub(crate) fn kept<F: Float, D: Dimension>(a: Array<F, D>) -> Array<F, D> {
    let mut a = if a.is_standard_layout() { a } else { a.as_standard_layout().into_owned() };
    a.map_inplace(|x| *x = x.flush());
    a
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

/// As [`contiguous`], without numbers that are too near 0: a copy, [flushed](Float::flush), where there are any. Inputs
/// fade too, and would be slow with every weight.
pub(crate) fn clean<'a, F: Float>(a: &ArrayView3<'a, F>, copy: &'a mut [F]) -> &'a [F] {
    match a.to_slice() {
        Some(numbers) if !has_tiny(numbers) => numbers,
        _ => {
            let copy = &mut copy[..a.len()];
            view_mut(copy, a.dim()).zip_mut_with(a, |to, from| *to = from.flush());
            copy
        }
    }
}

/// Whether the rows of each step lie side by side, as [`at`] needs them.
pub(crate) fn steps_lie_together<F, S: Data<Elem = F>>(a: &ArrayBase<S, Ix3>) -> bool {
    a.is_empty() || a.index_axis(Axis(0), 0).is_standard_layout()
}

/// The rows of an array of T·B rows, to be read in row-major order, without numbers that are too near 0.
pub(crate) struct CleanRows<'a, F> {
    array: ArrayView3<'a, F>,
    /// None where they have to be copied.
    numbers: Option<&'a [F]>,
}

impl<'a, F: Float> CleanRows<'a, F> {
    pub(crate) fn of(array: ArrayView3<'a, F>) -> Self {
        CleanRows { array, numbers: array.to_slice().filter(|numbers| !has_tiny(numbers)) }
    }

    /// Whether no row has to be copied.
    pub(crate) fn are_there(&self) -> bool {
        self.numbers.is_some()
    }

    /// Rows `first` to `first + rows`; where they have to be copied, into `copy`.
    pub(crate) fn get<'c>(&'c self, first: usize, rows: usize, copy: &'c mut [F]) -> &'c [F] {
        let (_, b, width) = self.array.dim();
        if let Some(numbers) = self.numbers {
            return &numbers[first * width..][..rows * width];
        }
        let copy = &mut copy[..rows * width];
        for (row, to) in (first..).zip(copy.chunks_exact_mut(width)) {
            copy_clean(to, self.array.slice(s![row / b, row % b, ..]));
        }
        copy
    }
}

/// The way back: writes `rows` over those of `a` from `first` on.
pub(crate) fn put_rows<F: Float>(a: &mut ArrayViewMut3<'_, F>, first: usize, rows: &[F]) {
    let (_, b, width) = a.dim();
    for (row, from) in (first..).zip(rows.chunks_exact(width)) {
        put_row(a.slice_mut(s![row / b, row % b, ..]), from);
    }
}

/// Copies a row: at the speed of memory where its numbers lie side by side.
#[inline]
pub(crate) fn copy_row<F: Float>(to: &mut [F], from: ArrayView1<'_, F>) {
    match from.to_slice() {
        Some(from) => to.copy_from_slice(from),
        None => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
    }
}

/// As [`copy_row`], without numbers that are too near 0.
#[inline]
pub(crate) fn copy_clean<F: Float>(to: &mut [F], from: ArrayView1<'_, F>) {
    match from.to_slice() {
        Some(from) => to.iter_mut().zip(from).for_each(|(to, from)| *to = from.flush()),
        None => to.iter_mut().zip(from).for_each(|(to, from)| *to = from.flush()),
    }
}

/// As [`copy_row`], into an array.
#[inline]
pub(crate) fn put_row<F: Float>(mut to: ArrayViewMut1<'_, F>, from: &[F]) {
    match to.as_slice_mut() {
        Some(to) => to.copy_from_slice(from),
        None => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
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
