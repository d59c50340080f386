//! Losses: what the outputs of a window should have been.

use ndarray::{Array1, ArrayRef2, ArrayRef3, ArrayView1, ArrayView3, ArrayViewMut1, ArrayViewMut3, Axis, Zip};

use crate::{Error, Float};

/// A loss over the outputs of one window, with targets of type `T`.
///
/// A closure `|ys, targets, mut d_ys| -> loss` is one, so a user's own loss needs no type.
pub trait Loss<F: Float, T: ?Sized> {
    /// Refuses targets that do not fit outputs of this shape `(T, B, V)`, before anything is run.
    ///
    /// # Errors
    /// If they do not fit.
    fn check(&self, outputs: (usize, usize, usize), targets: &T) -> Result<(), Error> {
        let _ = (outputs, targets);
        Ok(())
    }

    /// The loss, and into `d_ys` its gradient: `ys [T, B, V]`, `d_ys` of the same shape, to be overwritten in full.
    fn evaluate(&self, ys: ArrayView3<'_, F>, targets: &T, d_ys: ArrayViewMut3<'_, F>) -> f64;

    /// The loss alone, the same bits as [`evaluate`](Loss::evaluate) gives on row-major arrays, where it can be had without
    /// room for the gradient. The provided answer is that it cannot; [`Bptt::evaluate`](crate::Bptt::evaluate) then has the
    /// gradient made too.
    fn value(&self, ys: ArrayView3<'_, F>, targets: &T) -> Option<f64> {
        let _ = (ys, targets);
        None
    }
}

impl<F: Float, T: ?Sized, L: Fn(ArrayView3<'_, F>, &T, ArrayViewMut3<'_, F>) -> f64> Loss<F, T> for L {
    fn evaluate(&self, ys: ArrayView3<'_, F>, targets: &T, d_ys: ArrayViewMut3<'_, F>) -> f64 {
        self(ys, targets, d_ys)
    }
}

/// Softmax and cross-entropy in one, averaged over the T·B tokens: the mean of log Σ exp(y) - y\[target\].
///
/// The largest output of each row is subtracted first, so no output is too large. Targets `[T, B]`, each less than V.
/// Derived in `docs/derivations/softmax.md`.
///
/// ```
/// use deep_rnn::{CrossEntropy, Loss};
/// use ndarray::{Array3, array};
///
/// let (ys, mut d_ys) = (array![[[2.0_f64, 1.0, 0.0]]], Array3::zeros((1, 1, 3)));
/// let loss = CrossEntropy.evaluate(ys.view(), &*array![[1]], d_ys.view_mut());
/// let sum = 2.0_f64.exp() + 1.0_f64.exp() + 1.0;
/// assert!((loss - (sum.ln() - 1.0)).abs() < 1e-15);
/// assert!((d_ys[[0, 0, 0]] - 2.0_f64.exp() / sum).abs() < 1e-15);
/// assert!((d_ys[[0, 0, 1]] - (1.0_f64.exp() / sum - 1.0)).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropy;

impl<F: Float> Loss<F, ArrayRef2<usize>> for CrossEntropy {
    fn check(&self, (t, b, v): (usize, usize, usize), targets: &ArrayRef2<usize>) -> Result<(), Error> {
        if targets.dim() != (t, b) {
            return Err(Error::shape("targets", format!("[{t}, {b}]"), targets.shape()));
        }
        match targets.iter().find(|target| **target >= v) {
            Some(target) => Err(Error::value("targets", format!("tokens below {v}, the width of the output"), target)),
            None => Ok(()),
        }
    }

    fn evaluate(&self, ys: ArrayView3<'_, F>, targets: &ArrayRef2<usize>, mut d_ys: ArrayViewMut3<'_, F>) -> f64 {
        let tokens = targets.len();
        if tokens == 0 {
            return 0.0;
        }
        let share = F::one() / F::from_f64(tokens as f64);
        let mut sum = 0.0;
        let rows = d_ys.rows_mut().into_iter().zip(ys.rows()).zip(targets);
        for ((mut d, y), &target) in rows {
            let (loss, total) = exponentials(d.view_mut(), y, target);
            sum += loss;
            let k = share / total;
            d.map_inplace(|d| *d *= k);
            d[target] -= share;
        }
        sum / tokens as f64
    }

    fn value(&self, ys: ArrayView3<'_, F>, targets: &ArrayRef2<usize>) -> Option<f64> {
        let mut row = Array1::zeros(ys.len_of(Axis(2)));
        let losses = ys.rows().into_iter().zip(targets).map(|(y, target)| exponentials(row.view_mut(), y, *target).0);
        let sum = losses.fold(0.0, |sum, loss| sum + loss);
        Some(sum / targets.len().max(1) as f64)
    }
}

/// Writes e^(y - max y) to `d`; the loss of the row, and the sum of `d`.
fn exponentials<F: Float>(mut d: ArrayViewMut1<'_, F>, y: ArrayView1<'_, F>, target: usize) -> (f64, F) {
    let top = y.iter().fold(F::neg_infinity(), |top, &y| if y > top || y.is_nan() { y } else { top });
    Zip::from(&mut d).and(&y).for_each(|d, &y| *d = Float::exp(y - top));
    let total = d.sum();
    (total.as_f64().ln() + (top - y[target]).as_f64(), total)
}

/// The mean of (y - target)² over all T·B·V outputs.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanSquared;

impl<F: Float> Loss<F, ArrayRef3<F>> for MeanSquared {
    fn check(&self, outputs: (usize, usize, usize), targets: &ArrayRef3<F>) -> Result<(), Error> {
        if targets.dim() == outputs {
            return Ok(());
        }
        let (t, b, v) = outputs;
        Err(Error::shape("targets", format!("[{t}, {b}, {v}]"), targets.shape()))
    }

    fn evaluate(&self, ys: ArrayView3<'_, F>, targets: &ArrayRef3<F>, mut d_ys: ArrayViewMut3<'_, F>) -> f64 {
        if ys.is_empty() {
            return 0.0;
        }
        let k = F::from_f64(2.0 / ys.len() as f64);
        let mut sum = 0.0;
        Zip::from(&mut d_ys).and(&ys).and(targets).for_each(|d, &y, &target| {
            let off = y - target;
            *d = k * off;
            sum += off.as_f64() * off.as_f64();
        });
        sum / ys.len() as f64
    }

    fn value(&self, ys: ArrayView3<'_, F>, targets: &ArrayRef3<F>) -> Option<f64> {
        let mut sum = 0.0;
        Zip::from(&ys).and(targets).for_each(|&y, &target| {
            let off = (y - target).as_f64();
            sum += off * off;
        });
        Some(sum / ys.len().max(1) as f64)
    }
}
