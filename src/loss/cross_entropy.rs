//! Cross-entropy.

use ndarray::{Array1, Array2, ArrayRef1, ArrayRef2, ArrayView1, ArrayView3, ArrayViewMut1, ArrayViewMut3, Zip};

use super::{Loss, LossSum, Mean};
use crate::{Context, Error, Float};

/// Softmax and cross-entropy in one, averaged over the tokens that count: the mean of log Σ exp(y) - y\[target\].
///
/// The largest output of each row is subtracted first, so no output is too large. Targets `[T, B]`, each less than V, or `[B]` for
/// a network that gives one output a row ([`Last`](crate::layers::Last)).
/// Shares exp(y - largest) and gradients below [`Float::TINY`] count as 0. A row that is -∞ throughout, or at its target, or has
/// NaN or ∞ has a loss that is not finite, which the engine refuses. Derived in `docs/derivations/softmax.md`.
///
/// ```
/// use deep_rnn::Context;
/// use deep_rnn::loss::{CrossEntropy, Loss};
/// use ndarray::{Array3, array};
///
/// let (ys, mut d_ys) = (array![[[2.0_f64, 1.0, 0.0]]], Array3::zeros((1, 1, 3)));
/// let loss = CrossEntropy.evaluate(Context::default(), ys.view(), &*array![[1]], d_ys.view_mut()).mean();
/// let sum = 2.0_f64.exp() + 1.0_f64.exp() + 1.0;
/// assert!((loss - (sum.ln() - 1.0)).abs() < 1e-15);
/// assert!((d_ys[[0, 0, 0]] - 2.0_f64.exp() / sum).abs() < 1e-15);
/// assert!((d_ys[[0, 0, 1]] - (1.0_f64.exp() / sum - 1.0)).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropy;

impl CrossEntropy {
    pub(super) fn check_tokens<'a>(v: usize, mut targets: impl Iterator<Item = &'a usize>) -> Result<(), Error> {
        match targets.find(|target| **target >= v) {
            Some(target) => Err(Error::value("targets", format!("tokens below {v}, the width of the output"), target)),
            None => Ok(()),
        }
    }

    pub(super) fn gradient<'a, F: Float>(
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: impl Iterator<Item = &'a usize>,
        weights: Option<&Array2<f64>>,
        mut d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        let (t, b, _) = ys.dim();
        let all = total(&cx, (t, b), weights);
        let ragged = cx.is_ragged(t);
        let mut losses = Mean::new(all);
        let rows = d_ys.rows_mut().into_iter().zip(ys.rows()).zip(targets);
        for (i, ((mut d, y), &target)) in rows.enumerate() {
            if ragged && i / b >= cx.length(i % b, t) {
                continue;
            }
            let Exponentials { loss, others, total } = Exponentials::of(d.view_mut(), y, target);
            let weight = weights.map_or(1.0, |weights| weights[[i / b, i % b]]);
            losses.add(weighted(weight, loss));
            let k = weight / (total * all);
            if k == 0.0 {
                d.fill(F::zero());
                continue;
            }
            let (scale, least) = (F::from_f64(k), F::from_f64(F::TINY.as_f64() / k));
            d.map_inplace(|d| *d = if *d < least { F::zero() } else { *d * scale });
            d[target] = F::from_f64(-others * k).flush();
        }
        LossSum::of_mean(losses.value(), all)
    }

    pub(super) fn alone<'a, F: Float>(
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: impl Iterator<Item = &'a usize>,
        weights: Option<&Array2<f64>>,
    ) -> LossSum {
        let (t, b, v) = ys.dim();
        let all = total(&cx, (t, b), weights);
        let mut row = Array1::zeros(v);
        let mut losses = Mean::new(all);
        for (i, (y, target)) in ys.rows().into_iter().zip(targets).enumerate() {
            if i / b < cx.length(i % b, t) {
                let weight = weights.map_or(1.0, |weights| weights[[i / b, i % b]]);
                losses.add(weighted(weight, Exponentials::of(row.view_mut(), y, *target).loss));
            }
        }
        LossSum::of_mean(losses.value(), all)
    }
}

impl<F: Float> Loss<F, ArrayRef2<usize>> for CrossEntropy {
    #[inline(never)]
    fn check(&self, (t, b, v): (usize, usize, usize), targets: &ArrayRef2<usize>) -> Result<(), Error> {
        if targets.dim() != (t, b) {
            return Err(Error::shape("targets", format!("[{t}, {b}]"), targets.shape()));
        }
        Self::check_tokens(v, targets.iter())
    }

    #[inline(never)]
    fn evaluate(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: &ArrayRef2<usize>,
        d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        Self::gradient(cx, ys, targets.iter(), None, d_ys)
    }

    #[inline(never)]
    fn value(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &ArrayRef2<usize>) -> Option<LossSum> {
        Some(Self::alone(cx, ys, targets.iter(), None))
    }
}

impl<F: Float> Loss<F, ArrayRef1<usize>> for CrossEntropy {
    #[inline(never)]
    fn check(&self, (t, b, v): (usize, usize, usize), targets: &ArrayRef1<usize>) -> Result<(), Error> {
        if t != 1 || targets.len() != b {
            let expected = format!("[{t}, {b}], as the outputs ([{b}] is for networks that give one step)");
            return Err(Error::shape("targets", expected, targets.shape()));
        }
        Self::check_tokens(v, targets.iter())
    }

    #[inline(never)]
    fn evaluate(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: &ArrayRef1<usize>,
        d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        Self::gradient(cx, ys, targets.iter(), None, d_ys)
    }

    #[inline(never)]
    fn value(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &ArrayRef1<usize>) -> Option<LossSum> {
        Some(Self::alone(cx, ys, targets.iter(), None))
    }
}

/// What is counted: tokens, or their weights.
fn total(cx: &Context<'_>, (t, b): (usize, usize), weights: Option<&Array2<f64>>) -> f64 {
    let Some(weights) = weights else { return cx.tokens(t, b) as f64 };
    weights.indexed_iter().filter(|((step, row), _)| *step < cx.length(*row, t)).map(|(_, weight)| *weight).sum()
}

/// A loss that does not count may be no number.
fn weighted(weight: f64, loss: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * loss }
}

/// Of the outputs of one token: its loss, and Σ exp(y - max y) without the target's own share and with it.
struct Exponentials {
    loss: f64,
    others: f64,
    total: f64,
}

impl Exponentials {
    /// Writes exp(y - max y) to `d`, but 0 for the target.
    fn of<F: Float>(mut d: ArrayViewMut1<'_, F>, y: ArrayView1<'_, F>, target: usize) -> Self {
        let top = y.iter().fold(F::neg_infinity(), |top, &y| if y > top || y.is_nan() { y } else { top });
        Zip::from(&mut d).and(&y).for_each(|d, &y| *d = Float::exp(y - top).flush());
        // The target's own share is left out of the sum: of a target that is nearly certain the others are all that is left, of the
        // loss and of the gradient.
        let own = std::mem::replace(&mut d[target], F::zero()).as_f64();
        let others = sum(&d.view());
        let total = others + own;
        let log = if own == 1.0 { others.ln_1p() } else { total.ln() };
        Exponentials { loss: log + (top.as_f64() - y[target].as_f64()), others, total }
    }
}

/// Eight running sums in `f64`, so that the loop becomes vector code and many small terms are not lost.
fn sum<F: Float>(row: &ArrayView1<'_, F>) -> f64 {
    let Some(row) = row.as_slice() else { return row.iter().map(|x| x.as_f64()).sum() };
    let (chunks, rest) = row.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x.as_f64();
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| x.as_f64()).sum::<f64>()
}
