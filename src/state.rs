//! The state of a cell, and the gradient of one: arrays with a row for each sequence of the batch.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use std::ops::Range;

use crate::Float;

/// What a cell hands from one step to the next; also the type of ∂L/∂state.
///
/// Every array in it is `[B, _]`. Arrays of arrays, `Vec`s and tuples of states are states, so a cell names its own
/// type (`[Array2<F>; 2]` for h and c) and a stack's is the list of its layers'. `()` is the state of what has none.
pub trait State<F: Float>: Clone + Send + Sync {
    /// Calls `f` with each array.
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>));

    /// Calls `f` with each array, to change it.
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>));

    /// Sets every number to 0.
    fn set_zero(&mut self) {
        self.visit_mut(&mut |mut a| a.fill(F::zero()));
    }

    /// Rounds every number below [`Float::TINY`] to 0: what decays would else become denormal, and slow, for good. Sequences and
    /// stacks do so after each step; who calls a custom cell's [`step`](crate::RnnCell::step) in a loop does it here.
    fn flush(&mut self) {
        self.visit_mut(&mut |mut a| a.map_inplace(|x| *x = x.flush()));
    }

    /// Whether no number is NaN or infinite.
    #[must_use]
    fn is_finite(&self) -> bool {
        let mut finite = true;
        self.visit(&mut |a| finite &= a.iter().all(|x| x.is_finite()));
        finite
    }

    /// The shapes of the arrays.
    #[must_use]
    fn shapes(&self) -> Vec<[usize; 2]> {
        let mut shapes = Vec::new();
        self.visit(&mut |a| shapes.push([a.nrows(), a.ncols()]));
        shapes
    }

    /// Whether `other` is a state of the same network, if perhaps of other rows: the same kind, with arrays of the same widths.
    #[must_use]
    fn is_like(&self, other: &Self) -> bool {
        let widths = |state: &Self| state.shapes().into_iter().map(|[_, width]| width).collect::<Vec<_>>();
        widths(self) == widths(other)
    }

    /// Whether every array has so many rows.
    #[must_use]
    fn has_rows(&self, rows: usize) -> bool {
        let mut has = true;
        self.visit(&mut |array| has &= array.nrows() == rows);
        has
    }

    /// Copies rows `from` of `other` over the rows of `self` that begin at `to`.
    ///
    /// # Panics
    /// If either has too few rows, or the two have different arrays.
    #[track_caller]
    fn copy_rows(&mut self, to: usize, other: &Self, from: Range<usize>) {
        let mut theirs = Vec::new();
        other.visit(&mut |a| theirs.push(a));
        let mut theirs = theirs.into_iter();
        self.visit_mut(&mut |mut a| {
            let Some(b) = theirs.next() else { panic!("copy_rows: the other state has fewer arrays") };
            a.slice_mut(s![to..to + from.len(), ..]).assign(&b.slice(s![from.clone(), ..]));
        });
    }
}

impl<F: Float> State<F> for () {
    fn visit<'a>(&'a self, _: &mut dyn FnMut(ArrayView2<'a, F>)) {}
    fn visit_mut<'a>(&'a mut self, _: &mut dyn FnMut(ArrayViewMut2<'a, F>)) {}
}

impl<F: Float> State<F> for Array2<F> {
    fn is_like(&self, other: &Self) -> bool {
        self.ncols() == other.ncols()
    }
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>)) {
        f(self.view());
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>)) {
        f(self.view_mut());
    }
}

impl<F: Float, S: State<F>, const N: usize> State<F> for [S; N] {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>)) {
        self.iter().for_each(|s| s.visit(f));
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>)) {
        self.iter_mut().for_each(|s| s.visit_mut(f));
    }
    fn is_like(&self, other: &Self) -> bool {
        self.iter().zip(other).all(|(a, b)| a.is_like(b))
    }
}

impl<F: Float, S: State<F>> State<F> for Vec<S> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>)) {
        self.iter().for_each(|s| s.visit(f));
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>)) {
        self.iter_mut().for_each(|s| s.visit_mut(f));
    }
    fn is_like(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(a, b)| a.is_like(b))
    }
}

macro_rules! tuple_state {
    ($($s:ident $i:tt),*) => {
        impl<F: Float, $($s: State<F>),*> State<F> for ($($s,)*) {
            fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>)) {
                $( self.$i.visit(f); )*
            }
            fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>)) {
                $( self.$i.visit_mut(f); )*
            }
            fn is_like(&self, other: &Self) -> bool {
                true $(&& self.$i.is_like(&other.$i))*
            }
        }
    };
}
crate::tuples::for_each_tuple!(tuple_state);
