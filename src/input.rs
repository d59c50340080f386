//! What a sequence starts from: rows of numbers, or tokens.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayBase, ArrayRef2, ArrayRef3, ArrayView2, ArrayView3, Axis, Data, Ix2, Ix3, Slice};

use crate::{Error, Float};

/// The input of a call: numbers `[T, B, D]`, or tokens `[T, B]`, token k standing for a row of zeros with a one in column k,
/// which need never be built.
///
/// Arrays and views become one by `into()`. Their axes are taken as time, batch, columns; [`batch_major`] takes them as batch,
/// time, columns, and copies nothing.
#[derive(Debug)]
pub enum Input<'a, F> {
    /// `[T, B, D]`.
    Rows(ArrayView3<'a, F>),
    /// `[T, B]`.
    Tokens(ArrayView2<'a, usize>),
}

impl<F> Clone for Input<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Input<'_, F> {}

impl<F: Float> Input<'_, F> {
    /// T and B.
    #[must_use]
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Input::Rows(xs) => (xs.len_of(Axis(0)), xs.len_of(Axis(1))),
            Input::Tokens(tokens) => tokens.dim(),
        }
    }

    /// The same for a shorter time.
    #[must_use]
    pub fn reborrow(&self) -> Input<'_, F> {
        match self {
            Input::Rows(xs) => Input::Rows(xs.view()),
            Input::Tokens(tokens) => Input::Tokens(tokens.view()),
        }
    }

    /// These steps of these rows.
    #[must_use]
    pub fn part(&self, steps: Range<usize>, rows: Range<usize>) -> Input<'_, F> {
        let (steps, rows) = (Slice::from(steps), Slice::from(rows));
        match self {
            Input::Rows(xs) => Input::Rows(xs.slice_axis(Axis(0), steps).slice_axis_move(Axis(1), rows)),
            Input::Tokens(tokens) => Input::Tokens(tokens.slice_axis(Axis(0), steps).slice_axis_move(Axis(1), rows)),
        }
    }

    /// These steps.
    #[must_use]
    pub fn steps(&self, steps: Range<usize>) -> Input<'_, F> {
        self.part(steps, 0..self.dim().1)
    }

    /// Refuses what is not an input of `width` columns.
    ///
    /// # Errors
    /// If rows are of another width, or a token is not below it.
    pub fn check(&self, width: usize) -> Result<(), Error> {
        match self {
            Input::Rows(xs) if xs.len_of(Axis(2)) != width => {
                Err(Error::shape("inputs", format!("[T, B, {width}]"), xs.shape()))
            }
            Input::Tokens(tokens) => match tokens.iter().find(|token| **token >= width) {
                Some(token) => Err(Error::value("tokens", format!("below {width}"), token)),
                None => Ok(()),
            },
            Input::Rows(_) => Ok(()),
        }
    }

    /// Panics on what is not an input of `width` columns: the rule of the traits' methods.
    #[track_caller]
    pub(crate) fn expect(&self, width: usize) {
        match self {
            Input::Rows(xs) => assert_eq!(xs.len_of(Axis(2)), width, "xs: the layer has inputs of D columns"),
            Input::Tokens(tokens) => {
                if let Some(token) = tokens.iter().find(|token| **token >= width) {
                    panic!("tokens: each must be less than D = {width}, got {token}");
                }
            }
        }
    }

    /// The rows themselves: those that tokens stand for are built.
    pub fn with_rows<R>(self, width: usize, f: impl FnOnce(ArrayView3<'_, F>) -> R) -> R {
        match self {
            Input::Rows(xs) => f(xs),
            Input::Tokens(tokens) => {
                let (t, b) = tokens.dim();
                crate::kernel::scratch::with(t * b * width, |rows: &mut [F]| {
                    one_hot(rows, width, tokens.iter().copied());
                    f(crate::kernel::views::view(rows, (t, b, width)))
                })
            }
        }
    }
}

/// Rows of zeros with a one where each token says.
pub(crate) fn one_hot<F: Float>(rows: &mut [F], width: usize, tokens: impl Iterator<Item = usize>) {
    rows.fill(F::zero());
    for (row, token) in rows.chunks_exact_mut(width).zip(tokens) {
        row[token] = F::one();
    }
}

/// What can be the input of a network over `F`: arrays and views, time-major, and what [`batch_major`] and [`unbatched`] make of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no input of a network over `{F}`",
    label = "neither numbers of `{F}` [T, B, D] nor tokens of `usize` [T, B]",
    note = "an input is an array or a view of either; one sequence [T, D]: `unbatched(&xs)`; batch first [B, T, D]: `batch_major(&xs)`"
)]
pub trait AsInput<F: Float> {
    /// The input.
    fn as_input(&self) -> Input<'_, F>;
}

// One for each number of axes, by the type of the numbers: so the type of `Array3::zeros(..)` follows from the network's.
impl<F: Float, S: Data<Elem = F>> AsInput<F> for ArrayBase<S, Ix3> {
    fn as_input(&self) -> Input<'_, F> {
        Input::Rows(self.view())
    }
}

impl<F: Float, S: Data<Elem = usize>> AsInput<F> for ArrayBase<S, Ix2> {
    fn as_input(&self) -> Input<'_, F> {
        Input::Tokens(self.view())
    }
}

impl<F: Float> AsInput<F> for ArrayRef3<F> {
    fn as_input(&self) -> Input<'_, F> {
        Input::Rows(self.view())
    }
}

impl<F: Float> AsInput<F> for ArrayRef2<usize> {
    fn as_input(&self) -> Input<'_, F> {
        Input::Tokens(self.view())
    }
}

impl<F: Float, X: AsInput<F> + ?Sized> AsInput<F> for &X {
    fn as_input(&self) -> Input<'_, F> {
        (**self).as_input()
    }
}

impl<F: Float> AsInput<F> for Input<'_, F> {
    fn as_input(&self) -> Input<'_, F> {
        self.reborrow()
    }
}

impl<'a, F> From<ArrayView3<'a, F>> for Input<'a, F> {
    fn from(xs: ArrayView3<'a, F>) -> Self {
        Input::Rows(xs)
    }
}

impl<'a, F> From<&'a Array3<F>> for Input<'a, F> {
    fn from(xs: &'a Array3<F>) -> Self {
        Input::Rows(xs.view())
    }
}

impl<'a, F> From<&'a ArrayRef3<F>> for Input<'a, F> {
    fn from(xs: &'a ArrayRef3<F>) -> Self {
        Input::Rows(xs.view())
    }
}

impl<'a, F> From<ArrayView2<'a, usize>> for Input<'a, F> {
    fn from(tokens: ArrayView2<'a, usize>) -> Self {
        Input::Tokens(tokens)
    }
}

impl<'a, F> From<&'a Array2<usize>> for Input<'a, F> {
    fn from(tokens: &'a Array2<usize>) -> Self {
        Input::Tokens(tokens.view())
    }
}

impl<'a, F> From<&'a ArrayRef2<usize>> for Input<'a, F> {
    fn from(tokens: &'a ArrayRef2<usize>) -> Self {
        Input::Tokens(tokens.view())
    }
}

/// Numbers `[T, B, D]`, as they are taken anyway: for programs that say so.
pub fn time_major<F: Float, S: Data<Elem = F>>(xs: &ArrayBase<S, Ix3>) -> Input<'_, F> {
    Input::Rows(xs.view())
}

/// Numbers `[B, T, D]`: their axes are exchanged, nothing is copied. Outputs are `[T, B, H]` all the same.
pub fn batch_major<F: Float, S: Data<Elem = F>>(xs: &ArrayBase<S, Ix3>) -> Input<'_, F> {
    Input::Rows(xs.view().permuted_axes([1, 0, 2]))
}

/// One sequence `[T, D]`: a batch of one row.
pub fn unbatched<F: Float, S: Data<Elem = F>>(xs: &ArrayBase<S, Ix2>) -> Input<'_, F> {
    Input::Rows(xs.view().insert_axis(Axis(1)))
}
