//! Losses: what the outputs of a window should have been.

mod cross_entropy;
mod mean_squared;
mod weighted;

pub use cross_entropy::CrossEntropy;
pub use mean_squared::MeanSquared;
pub use weighted::Weighted;

use ndarray::{ArrayView3, ArrayViewMut3};

use crate::{Context, Error, Float};

/// A loss as a sum and what it was counted over: so the loss of several windows, or shards, or machines is the quotient of two sums,
/// whatever each of them had.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    /// Sum of the losses, each times its weight.
    pub sum: f64,
    /// Sum of the weights: how many tokens there are, where nothing else is said.
    pub weight: f64,
    /// Their quotient, made without a sum that is out of range.
    mean: f64,
}

impl LossSum {
    /// Of a mean over so much weight.
    #[must_use]
    pub fn of_mean(mean: f64, weight: f64) -> Self {
        LossSum { sum: if weight == 0.0 { 0.0 } else { mean * weight }, weight, mean }
    }

    pub(crate) fn parts(&self) -> (f64, f64, f64) {
        (self.sum, self.weight, self.mean)
    }

    pub(crate) fn of_parts(sum: f64, weight: f64, mean: f64) -> Self {
        LossSum { sum, weight, mean }
    }

    /// The mean loss; 0 over no weight.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.weight == 0.0 { 0.0 } else { self.mean }
    }
}

impl std::ops::Add for LossSum {
    type Output = LossSum;
    fn add(self, other: LossSum) -> LossSum {
        let weight = self.weight + other.weight;
        let share = |one: LossSum| if one.weight == 0.0 { 0.0 } else { one.mean * (one.weight / weight) };
        LossSum { sum: self.sum + other.sum, weight, mean: share(self) + share(other) }
    }
}

/// A loss over the outputs of one window, with targets of type `T`.
///
/// A closure becomes one by [`loss_fn`], or by [`BpttBuilder::loss_fn`](crate::train::BpttBuilder::loss_fn).
#[diagnostic::on_unimplemented(
    message = "the loss `{Self}` does not take targets of type `{T}` for outputs of `{F}`",
    label = "this loss and these targets do not go together",
    note = "`CrossEntropy`, which an engine has where no other was said, takes tokens: an array of `usize`; `.loss(MeanSquared)` takes numbers of the network's type",
    note = "a loss of one's own over numbers: `.loss_fn(|outputs, targets, d_outputs| ...)`"
)]
pub trait Loss<F: Float, T: ?Sized> {
    /// Refuses targets that do not fit outputs of this shape `(T, B, V)`, before anything is run.
    ///
    /// # Errors
    /// If they do not fit.
    fn check(&self, outputs: (usize, usize, usize), targets: &T) -> Result<(), Error> {
        let _ = (outputs, targets);
        Ok(())
    }

    /// The loss, and into `d_ys` the gradient of its mean: `ys [T, B, V]`, `d_ys` of the same shape, to be overwritten in full but
    /// for rows past their end.
    fn evaluate(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &T, d_ys: ArrayViewMut3<'_, F>) -> LossSum;

    /// The loss alone, the same bits as [`evaluate`](Loss::evaluate) gives on row-major arrays, where it can be had without
    /// room for the gradient. The provided answer is that it cannot; [`Bptt::evaluate`](crate::train::Bptt::evaluate) then has the
    /// gradient made too.
    fn value(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &T) -> Option<LossSum> {
        let _ = (cx, ys, targets);
        None
    }
}

/// A loss that is a function: see [`loss_fn`].
#[derive(Clone, Copy)]
pub struct FnLoss<L>(L);

/// A loss `|ys, targets, mut d_ys| -> loss` of one's own: its value is the mean over all rows that count ([`Context`]), and what it
/// writes to `d_ys` for the others is not looked at. A closure has to say the type of its targets.
///
/// ```
/// use deep_rnn::ndarray::ArrayRef2;
/// use deep_rnn::Context;
/// use deep_rnn::loss::{CrossEntropy, Loss, loss_fn};
///
/// let half = loss_fn::<f32, _, _>(|ys, targets: &ArrayRef2<usize>, mut d_ys| {
///     let loss = CrossEntropy.evaluate(Context::default(), ys, targets, d_ys.view_mut());
///     d_ys *= 0.5;
///     loss.mean() * 0.5
/// });
/// # fn is_loss(_: impl Loss<f32, ArrayRef2<usize>>) {}
/// # is_loss(half);
/// ```
pub fn loss_fn<F, T, L>(loss: L) -> FnLoss<L>
where
    F: Float,
    T: ?Sized,
    L: Fn(ArrayView3<'_, F>, &T, ArrayViewMut3<'_, F>) -> f64,
{
    FnLoss(loss)
}

impl<L> std::fmt::Debug for FnLoss<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FnLoss")
    }
}

impl<F: Float, T: ?Sized, L: Fn(ArrayView3<'_, F>, &T, ArrayViewMut3<'_, F>) -> f64> Loss<F, T> for FnLoss<L> {
    fn evaluate(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &T, d_ys: ArrayViewMut3<'_, F>) -> LossSum {
        let (t, b, _) = ys.dim();
        LossSum::of_mean((self.0)(ys, targets, d_ys), cx.tokens(t, b) as f64)
    }
}

/// A mean of numbers whose sum need not be one: it is kept as a sum until that grows too large, then as shares.
struct Mean {
    n: f64,
    sum: f64,
    shares: f64,
}

impl Mean {
    /// Over so much weight.
    fn new(n: f64) -> Self {
        Mean { n: if n > 0.0 { n } else { 1.0 }, sum: 0.0, shares: 0.0 }
    }

    fn add(&mut self, x: f64) {
        const LARGE: f64 = f64::MAX / 4.0;
        if x.abs() < LARGE && self.sum.abs() < LARGE {
            self.sum += x;
        } else {
            self.shares += x / self.n + self.sum / self.n;
            self.sum = 0.0;
        }
    }

    fn value(&self) -> f64 {
        self.shares + self.sum / self.n
    }
}
