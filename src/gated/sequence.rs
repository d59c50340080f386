//! What the forward and the backward half of a gated sequence share.
//!
//! Time is cut into pieces of about [`ROWS`] rows. Rows of the batch are divided over the threads where steps follow
//! each other, rows of the results where they do not. No sum depends on the pieces or the parts.

use ndarray::{ArrayBase, ArrayView2, ArrayView3, ArrayViewMut3, Axis, Data, DataMut, Dimension};

use super::Gated;
use crate::Float;
use crate::kernel::matmul::{Packed, matmul, matmul_unpacked};
use crate::kernel::threads::{self, Divisible};
use crate::pointwise::{Lanes, Pointwise};

/// Rows (steps times batch) done together: deep enough for the product of the weight gradients, few enough for cache.
const ROWS: usize = 512;
/// Multiply-adds below which another thread costs more than it brings.
const WORTH_A_THREAD: usize = 1 << 20;

/// What a sequence starts from.
#[derive(Clone)]
pub(super) enum Input<'a, F> {
    /// `[T, B, D]`.
    Rows(ArrayView3<'a, F>),
    /// `[T, B]`; each stands for a row of zeros with a one.
    Tokens(ArrayView2<'a, usize>),
}

impl<F: Float> Input<'_, F> {
    /// T and B.
    pub(super) fn dim(&self) -> (usize, usize) {
        match self {
            Input::Rows(xs) => (xs.len_of(Axis(0)), xs.len_of(Axis(1))),
            Input::Tokens(tokens) => tokens.dim(),
        }
    }

    #[track_caller]
    pub(super) fn check(&self, input_size: usize) {
        match self {
            Input::Rows(xs) => assert_eq!(xs.len_of(Axis(2)), input_size, "xs: the cell has inputs of D columns"),
            Input::Tokens(tokens) => {
                if let Some(token) = tokens.iter().find(|token| **token >= input_size) {
                    panic!("tokens: each must be less than D = {input_size}, got {token}");
                }
            }
        }
    }

    /// The first rows and the others.
    pub(super) fn cut(self, at: usize) -> (Self, Self) {
        match self {
            Input::Rows(xs) => {
                let (a, b) = xs.split_at(Axis(1), at);
                (Input::Rows(a), Input::Rows(b))
            }
            Input::Tokens(tokens) => {
                let (a, b) = tokens.split_at(Axis(1), at);
                (Input::Tokens(a), Input::Tokens(b))
            }
        }
    }
}

/// A weight, in the form its products want.
#[derive(Clone, Copy)]
pub(super) enum Weight<'a, F> {
    Packed(Packed<'a, F>),
    Plain { w: &'a [F], k: usize, n: usize },
}

impl<F: Float> Weight<'_, F> {
    /// `c [m, n] += a [m, k] · w`.
    pub(super) fn times(self, c: &mut [F], a: &[F], m: usize) {
        match self {
            Weight::Packed(w) => matmul(c, a, w.depth(), m, w),
            Weight::Plain { w, k, n } => matmul_unpacked(c, a, k, m, w, k, n),
        }
    }
}

/// Some rows of a matrix, from row number `first` on.
pub(super) struct Rows<'a, F> {
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) numbers: &'a mut [F],
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
pub(super) fn flat<F, S: Data<Elem = F>, D: Dimension>(a: &ArrayBase<S, D>) -> &[F] {
    a.as_slice().expect("kept in row-major order")
}

#[track_caller]
pub(super) fn flat_mut<F, S: DataMut<Elem = F>, D: Dimension>(a: &mut ArrayBase<S, D>) -> &mut [F] {
    a.as_slice_mut().expect("kept in row-major order")
}

/// The array's numbers in row-major order: its own, or copied into `copy` where they lie otherwise.
pub(super) fn contiguous<'a, F: Float>(a: &ArrayView3<'a, F>, copy: &'a mut [F]) -> &'a [F] {
    match a.to_slice() {
        Some(numbers) => numbers,
        None => {
            let copy = &mut copy[..a.len()];
            let (t, b, width) = a.dim();
            view_mut(copy, t, b, width).assign(a);
            copy
        }
    }
}

/// A `[t, b, width]` view of numbers in row-major order.
#[track_caller]
pub(super) fn view<F>(numbers: &[F], t: usize, b: usize, width: usize) -> ArrayView3<'_, F> {
    ArrayView3::from_shape((t, b, width), numbers).expect("a buffer of this length")
}

#[track_caller]
pub(super) fn view_mut<F>(numbers: &mut [F], t: usize, b: usize, width: usize) -> ArrayViewMut3<'_, F> {
    ArrayViewMut3::from_shape((t, b, width), numbers).expect("a buffer of this length")
}

/// The rows of step `t` of a part: they lie side by side.
#[track_caller]
pub(super) fn at<'a, F>(a: &ArrayView3<'a, F>, t: usize) -> &'a [F] {
    a.clone().index_axis_move(Axis(0), t).to_slice().expect("rows of one step lie side by side")
}

#[track_caller]
pub(super) fn at_mut<'a, F>(a: &'a mut ArrayViewMut3<'_, F>, t: usize) -> &'a mut [F] {
    a.index_axis_mut(Axis(0), t).into_slice().expect("rows of one step lie side by side")
}

/// Steps of one piece.
pub(super) fn piece(steps: usize, batch: usize) -> usize {
    (ROWS / batch).clamp(1, steps)
}

/// Lengths of a row of x·w_x, of h·w_h, of the state lanes beyond h, and of what is saved.
pub(super) struct Widths {
    pub(super) x: usize,
    pub(super) u: usize,
    pub(super) more: usize,
    pub(super) saved: usize,
}

impl<F: Float, P: Pointwise<F>> Gated<F, P> {
    pub(super) fn widths(&self) -> Widths {
        let units = self.units();
        let (x, u) = (P::X::N * units, P::H::N * units);
        Widths { x, u, more: (P::State::N - 1) * units, saved: P::Saved::N * units }
    }

    /// How many parts the work over `rows` rows is worth.
    pub(super) fn parts(&self, rows: usize) -> usize {
        let work = rows.saturating_mul(self.w_x.len() + self.w_h.len());
        threads::at_hand().min(1 + work / WORTH_A_THREAD)
    }
}
