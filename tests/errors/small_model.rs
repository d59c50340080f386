//! The small language model that most calls are made on, and a text for it.

use deep_rnn::cells::{GatedSpec, LstmGates};
use deep_rnn::ndarray::Array2;
use deep_rnn::prelude::*;

pub(crate) const V: usize = 5;

/// Sizes that no memory holds.
pub(crate) const HUGE: [usize; 5] = [usize::MAX, usize::MAX / 2 + 1, isize::MAX as usize, 1 << 40, 1 << 24];

pub(crate) fn spec(units: usize) -> GatedSpec<f64, LstmGates> {
    Lstm::<f64>::spec(units)
}

pub(crate) fn seeded() -> Init {
    Init::seeded(1)
}

pub(crate) type Lm = LanguageModel<Stacked<Lstm<f64>>>;

pub(crate) fn model() -> Lm {
    LanguageModel::new(Stacked::repeat(V, 2, &spec(4), 0).unwrap(), 1).unwrap()
}

pub(crate) fn text(t: usize, b: usize) -> Array2<usize> {
    Array2::from_shape_fn((t, b), |(t, b)| (t * t + 2 * b) % V)
}
