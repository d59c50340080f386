//! One batch of training data.

use ndarray::Array2;

use crate::{Context, Error};

/// Inputs and targets of one window of `B` sequences, time-major.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch<X, Y> {
    /// The inputs: `[T, B]` tokens or `[T, B, D]` numbers.
    pub x: X,
    /// The targets: one for each step and row, or whatever the loss wants.
    pub y: Y,
    /// Row `b` goes on where row `b` of the previous batch ended, so the state is carried into it (and cut from its
    /// past). Where this is false the state starts afresh.
    pub continues: bool,
    /// How many of its steps each row has; none where all have all.
    pub lengths: Option<Vec<usize>>,
    /// Before which steps each row starts afresh, `[T, B]`.
    pub resets: Option<Array2<bool>>,
}

impl<X, Y> Batch<X, Y> {
    /// Of sequences that start here.
    pub fn new(x: X, y: Y) -> Self {
        Batch { x, y, continues: false, lengths: None, resets: None }
    }

    /// Of sequences that go on where those of the previous batch ended, or not.
    #[must_use]
    pub fn continues(mut self, continues: bool) -> Self {
        self.continues = continues;
        self
    }

    /// With rows of these lengths.
    #[must_use]
    pub fn lengths(mut self, lengths: Vec<usize>) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// With rows that start afresh on the way.
    #[must_use]
    pub fn resets(mut self, resets: Array2<bool>) -> Self {
        self.resets = Some(resets);
        self
    }

    /// The context with what the batch says of its rows.
    pub(crate) fn context<'a>(&'a self, cx: Context<'a>) -> Result<Context<'a>, Error> {
        let cx = match &self.lengths {
            Some(lengths) => cx.with_lengths(lengths),
            None => cx,
        };
        match &self.resets {
            Some(resets) => cx.with_resets(resets),
            None => Ok(cx),
        }
    }
}
