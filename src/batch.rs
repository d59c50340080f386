//! One batch of training data.

/// Inputs and targets of one window of `B` sequences, time-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<X, Y> {
    /// The inputs: `[T, B]` tokens or `[T, B, D]` numbers.
    pub x: X,
    /// The targets, one for each step and row where the loss wants so.
    pub y: Y,
    /// Row `b` goes on where row `b` of the previous batch ended, so the state is carried into it (and cut from its
    /// past). Where this is false the state starts from zero.
    pub continues: bool,
}
