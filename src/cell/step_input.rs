//! What the provided sequences of a cell read step by step.

use ndarray::{Array2, ArrayView2, Axis, CowArray, Ix3};

use crate::input::one_hot;
use crate::{Context, Float, Input};

/// An input to be read step by step, without padding and without numbers that are too near 0.
pub(super) enum StepInput<'a, F> {
    Rows(CowArray<'a, F, Ix3>),
    Tokens(ArrayView2<'a, usize>, usize),
}

impl<'a, F: Float> StepInput<'a, F> {
    pub(super) fn new(cx: &Context<'_>, xs: Input<'a, F>, width: usize) -> Self {
        xs.expect(width);
        match xs {
            Input::Rows(xs) => StepInput::Rows(flushed(cx.cleared(xs))),
            Input::Tokens(tokens) => StepInput::Tokens(tokens, width),
        }
    }

    pub(super) fn with_step(&self, t: usize, f: impl FnOnce(ArrayView2<'_, F>)) {
        match self {
            StepInput::Rows(xs) => f(xs.index_axis(Axis(0), t)),
            StepInput::Tokens(tokens, width) => {
                let tokens = tokens.index_axis(Axis(0), t);
                let mut rows = Array2::zeros((tokens.len(), *width));
                if let Some(rows) = rows.as_slice_mut() {
                    one_hot(rows, *width, tokens.iter().copied());
                }
                f(rows.view());
            }
        }
    }
}

/// The array, or a copy of it without numbers that are too near 0.
pub(super) fn flushed<F: Float>(xs: CowArray<'_, F, Ix3>) -> CowArray<'_, F, Ix3> {
    if xs.iter().any(|x| x.is_tiny()) { xs.mapv(F::flush).into() } else { xs }
}
