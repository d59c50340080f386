//! What outputs should have been: data that can be cut along time and batch.

use std::ops::Range;

use ndarray::{ArrayBase, ArrayRef, ArrayRef1, ArrayRef2, ArrayRef3, Axis, Data, Dimension, RawData, Slice};

/// Time-major data that can be cut along time and batch.
pub trait Sequence: Sync {
    /// How many steps there are; none for data that have one item a row, say a label for the whole sequence.
    fn steps(&self) -> Option<usize>;
    /// How many rows.
    fn rows(&self) -> usize;
    /// Calls `f` with these steps of these rows.
    fn part(&self, steps: Range<usize>, rows: Range<usize>, f: &mut dyn FnMut(&Self));
}

impl<F: Sync> Sequence for ArrayRef3<F> {
    fn steps(&self) -> Option<usize> {
        Some(self.len_of(Axis(0)))
    }
    fn rows(&self) -> usize {
        self.len_of(Axis(1))
    }
    fn part(&self, steps: Range<usize>, rows: Range<usize>, f: &mut dyn FnMut(&Self)) {
        f(&self.slice_axis(Axis(0), Slice::from(steps)).slice_axis(Axis(1), Slice::from(rows)));
    }
}

impl<A: Sync> Sequence for ArrayRef2<A> {
    fn steps(&self) -> Option<usize> {
        Some(self.len_of(Axis(0)))
    }
    fn rows(&self) -> usize {
        self.len_of(Axis(1))
    }
    fn part(&self, steps: Range<usize>, rows: Range<usize>, f: &mut dyn FnMut(&Self)) {
        f(&self.slice_axis(Axis(0), Slice::from(steps)).slice_axis(Axis(1), Slice::from(rows)));
    }
}

impl<A: Sync> Sequence for ArrayRef1<A> {
    fn steps(&self) -> Option<usize> {
        None
    }
    fn rows(&self) -> usize {
        self.len()
    }
    fn part(&self, _: Range<usize>, rows: Range<usize>, f: &mut dyn FnMut(&Self)) {
        f(&self.slice_axis(Axis(0), Slice::from(rows)));
    }
}

/// What can be given as targets: an array or a view, or data of one's own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be targets",
    label = "no array that is cut along time and batch",
    note = "targets are an array or a view: numbers [T, B, V], tokens [T, B], or one for each row, [B]; for data of one's own implement `Sequence` and `Targets`"
)]
pub trait Targets {
    /// What a [`Loss`](crate::loss::Loss) sees: `ArrayRef3<F>`, `ArrayRef2<usize>` and so on.
    type Of: Sequence + ?Sized;

    /// The data.
    fn targets(&self) -> &Self::Of;
}

impl<S: Data, D: Dimension> Targets for ArrayBase<S, D>
where
    ArrayRef<<S as RawData>::Elem, D>: Sequence,
{
    type Of = ArrayRef<S::Elem, D>;
    fn targets(&self) -> &ArrayRef<S::Elem, D> {
        self
    }
}

impl<Y: Targets + ?Sized> Targets for &Y {
    type Of = Y::Of;
    fn targets(&self) -> &Y::Of {
        (**self).targets()
    }
}

impl<A, D: Dimension> Targets for ArrayRef<A, D>
where
    ArrayRef<A, D>: Sequence,
{
    type Of = Self;
    fn targets(&self) -> &Self {
        self
    }
}
