//! The small language model that the engine trains, its text, and an optimiser that does nothing.

use deep_rnn::ndarray::Array2;
use deep_rnn::prelude::*;
use deep_rnn::{Error, optim::Optimizer};

pub(crate) const V: usize = 7;

pub(crate) type Lm<F> = LanguageModel<Stacked<Lstm<F>>>;

pub(crate) fn lstm<F: Float>(units: usize, seed: u64) -> Lm<F> {
    LanguageModel::new(Stacked::repeat(V, 2, &Lstm::spec(units), seed).unwrap(), seed).unwrap()
}

/// Some text, `[T, B]`, from place `start` on.
pub(crate) fn text(start: usize, t: usize, b: usize) -> Array2<usize> {
    Array2::from_shape_fn((t, b), |(t, b)| {
        let i = start + t + 13 * b;
        (i * i / 3 + 2 * i + b) % V
    })
}

/// What follows each token of a text.
pub(crate) fn batch(start: usize, t: usize, b: usize, continues: bool) -> Batch<Array2<usize>, Array2<usize>> {
    Batch::new(text(start, t, b), text(start + 1, t, b)).continues(continues)
}

/// An optimiser that leaves everything where it is.
pub(crate) struct Frozen;
impl<P: Params> Optimizer<P> for Frozen {
    fn step(&mut self, _: &mut P, _: &P) -> Result<(), Error> {
        Ok(())
    }
}
