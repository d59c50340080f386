//! Targets that count for more or less, or not at all.

use std::ops::Range;

use ndarray::{Array2, ArrayView3, ArrayViewMut3, Axis, Slice};

use super::{CrossEntropy, Loss, LossSum};
use crate::{Context, Error, Float, Sequence, Targets};

/// Tokens to be said, each with a weight by which [`CrossEntropy`] counts it: 0 is a mask, and what it masks may be any token below V. The
/// loss is the mean over the weights.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::loss::Weighted;
/// use ndarray::Array2;
///
/// let net = Network::<f32>::builder(5).gru(8).linear(5).seed(1).build()?;
/// let mut bptt = Bptt::builder(net).build()?;
/// let x = Array2::from_elem((6, 2), 1);
/// // Only the last two steps count.
/// let weights = Array2::from_shape_fn((6, 2), |(t, _)| if t < 4 { 0.0 } else { 1.0 });
/// let report = bptt.train(&x, &Weighted::new(x.clone(), weights)?)?;
/// assert_eq!(report.losses.weight, 4.0);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    targets: Array2<usize>,
    weights: Array2<f64>,
}

impl Weighted {
    /// These targets `[T, B]` with these weights `[T, B]`.
    ///
    /// # Errors
    /// If the two are not of one shape, or a weight is below 0 or not finite.
    pub fn new(targets: Array2<usize>, weights: Array2<f64>) -> Result<Self, Error> {
        if targets.dim() != weights.dim() {
            return Err(Error::shape("weights", format!("{:?}, as the targets", targets.shape()), weights.shape()));
        }
        if let Some(weight) = weights.iter().find(|weight| !(0.0..f64::INFINITY).contains(*weight)) {
            return Err(Error::value("weights", "finite numbers from 0 on", weight));
        }
        Ok(Weighted { targets, weights })
    }
}

impl Sequence for Weighted {
    fn steps(&self) -> Option<usize> {
        Some(self.targets.nrows())
    }
    fn rows(&self) -> usize {
        self.targets.ncols()
    }
    fn part(&self, steps: Range<usize>, rows: Range<usize>, f: &mut dyn FnMut(&Self)) {
        let (steps, rows) = (Slice::from(steps), Slice::from(rows));
        f(&Weighted {
            targets: self.targets.slice_axis(Axis(0), steps).slice_axis(Axis(1), rows).to_owned(),
            weights: self.weights.slice_axis(Axis(0), steps).slice_axis(Axis(1), rows).to_owned(),
        });
    }
}

impl Targets for Weighted {
    type Of = Self;
    fn targets(&self) -> &Self {
        self
    }
}

impl<F: Float> Loss<F, Weighted> for CrossEntropy {
    #[inline(never)]
    fn check(&self, outputs: (usize, usize, usize), targets: &Weighted) -> Result<(), Error> {
        Loss::<F, ndarray::ArrayRef2<usize>>::check(self, outputs, &targets.targets)
    }

    #[inline(never)]
    fn evaluate(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        Weighted { targets, weights }: &Weighted,
        d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        Self::gradient(cx, ys, targets.iter(), Some(weights), d_ys)
    }

    #[inline(never)]
    fn value(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        Weighted { targets, weights }: &Weighted,
    ) -> Option<LossSum> {
        Some(Self::alone(cx, ys, targets.iter(), Some(weights)))
    }
}
