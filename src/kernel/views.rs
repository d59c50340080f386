//! Arrays as runs of numbers, and runs of numbers as arrays.

use ndarray::{Array, ArrayBase, ArrayView3, ArrayViewMut3, Axis, Data, DataMut, Dimension};

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
