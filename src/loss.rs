//! Losses: what the outputs of a window should have been.

use ndarray::{Array1, ArrayRef1, ArrayRef2, ArrayRef3, ArrayView1, ArrayView3, ArrayViewMut1, ArrayViewMut3, Zip};

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
/// A closure `|ys, targets, mut d_ys| -> loss` is one, so a user's own loss needs no type: its value is the mean over all rows that
/// count ([`Context`]), and what it writes to `d_ys` for the others is not looked at.
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
    /// room for the gradient. The provided answer is that it cannot; [`Bptt::evaluate`](crate::Bptt::evaluate) then has the
    /// gradient made too.
    fn value(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &T) -> Option<LossSum> {
        let _ = (cx, ys, targets);
        None
    }
}

impl<F: Float, T: ?Sized, L: Fn(ArrayView3<'_, F>, &T, ArrayViewMut3<'_, F>) -> f64> Loss<F, T> for L {
    fn evaluate(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &T, d_ys: ArrayViewMut3<'_, F>) -> LossSum {
        let (t, b, _) = ys.dim();
        LossSum::of_mean(self(ys, targets, d_ys), cx.tokens(t, b) as f64)
    }
}

/// Softmax and cross-entropy in one, averaged over the tokens that count: the mean of log Σ exp(y) - y\[target\].
///
/// The largest output of each row is subtracted first, so no output is too large. Targets `[T, B]`, each less than V, or `[B]` for
/// a network that gives one output a row ([`Last`](crate::Last)).
/// Shares exp(y - largest) and gradients below [`Float::TINY`] count as 0. A row that is -∞ throughout, or at its target, or has
/// NaN or ∞ has a loss that is not finite, which the engine refuses. Derived in `docs/derivations/softmax.md`.
///
/// ```
/// use deep_rnn::{Context, CrossEntropy, Loss};
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
    fn check_tokens<'a>(v: usize, mut targets: impl Iterator<Item = &'a usize>) -> Result<(), Error> {
        match targets.find(|target| **target >= v) {
            Some(target) => Err(Error::value("targets", format!("tokens below {v}, the width of the output"), target)),
            None => Ok(()),
        }
    }

    fn gradient<'a, F: Float>(
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: impl Iterator<Item = &'a usize>,
        mut d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        let (t, b, _) = ys.dim();
        let tokens = cx.tokens(t, b);
        let ragged = cx.is_ragged(t);
        let mut losses = Mean::new(tokens.max(1));
        let rows = d_ys.rows_mut().into_iter().zip(ys.rows()).zip(targets);
        for (i, ((mut d, y), &target)) in rows.enumerate() {
            if ragged && i / b >= cx.length(i % b, t) {
                continue;
            }
            let Exponentials { loss, others, total } = Exponentials::of(d.view_mut(), y, target);
            losses.add(loss);
            let k = 1.0 / (total * tokens as f64);
            let (scale, least) = (F::from_f64(k), F::from_f64(F::TINY.as_f64() / k));
            d.map_inplace(|d| *d = if *d < least { F::zero() } else { *d * scale });
            d[target] = F::from_f64(-others * k).flush();
        }
        LossSum::of_mean(losses.value(), tokens as f64)
    }

    fn alone<'a, F: Float>(
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: impl Iterator<Item = &'a usize>,
    ) -> LossSum {
        let (t, b, v) = ys.dim();
        let tokens = cx.tokens(t, b);
        let mut row = Array1::zeros(v);
        let mut losses = Mean::new(tokens.max(1));
        for (i, (y, target)) in ys.rows().into_iter().zip(targets).enumerate() {
            if i / b < cx.length(i % b, t) {
                losses.add(Exponentials::of(row.view_mut(), y, *target).loss);
            }
        }
        LossSum::of_mean(losses.value(), tokens as f64)
    }
}

impl<F: Float> Loss<F, ArrayRef2<usize>> for CrossEntropy {
    fn check(&self, (t, b, v): (usize, usize, usize), targets: &ArrayRef2<usize>) -> Result<(), Error> {
        if targets.dim() != (t, b) {
            return Err(Error::shape("targets", format!("[{t}, {b}]"), targets.shape()));
        }
        Self::check_tokens(v, targets.iter())
    }

    fn evaluate(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: &ArrayRef2<usize>,
        d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        Self::gradient(cx, ys, targets.iter(), d_ys)
    }

    fn value(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &ArrayRef2<usize>) -> Option<LossSum> {
        Some(Self::alone(cx, ys, targets.iter()))
    }
}

impl<F: Float> Loss<F, ArrayRef1<usize>> for CrossEntropy {
    fn check(&self, (t, b, v): (usize, usize, usize), targets: &ArrayRef1<usize>) -> Result<(), Error> {
        if t != 1 || targets.len() != b {
            let expected = format!("[{t}, {b}], as the outputs ([{b}] is for networks that give one step)");
            return Err(Error::shape("targets", expected, targets.shape()));
        }
        Self::check_tokens(v, targets.iter())
    }

    fn evaluate(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: &ArrayRef1<usize>,
        d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        Self::gradient(cx, ys, targets.iter(), d_ys)
    }

    fn value(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &ArrayRef1<usize>) -> Option<LossSum> {
        Some(Self::alone(cx, ys, targets.iter()))
    }
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

/// A mean of numbers whose sum need not be one: it is kept as a sum until that grows too large, then as shares.
struct Mean {
    n: f64,
    sum: f64,
    shares: f64,
}

impl Mean {
    fn new(n: usize) -> Self {
        Mean { n: n as f64, sum: 0.0, shares: 0.0 }
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

/// The mean of (y - target)² over the V outputs of all rows that count. Differences and gradients below [`Float::TINY`] count
/// as 0. Targets `[T, B, V]`; `[1, B, V]` for a network that gives one output a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanSquared;

impl MeanSquared {
    fn gradient<F: Float>(
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: ArrayView3<'_, F>,
        mut d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        let (t, b, v) = ys.dim();
        let tokens = cx.tokens(t, b);
        if tokens * v == 0 {
            return LossSum::default();
        }
        let k = F::from_f64(2.0 / (tokens * v) as f64);
        let mut sum = 0.0;
        let mut each = |d: &mut F, y: F, target: F| {
            let off = (y - target).flush();
            *d = (k * off).flush();
            sum += off.as_f64() * off.as_f64();
        };
        if cx.is_ragged(t) {
            for row in 0..b {
                let here = ndarray::s![..cx.length(row, t), row, ..];
                let (mut d, y, target) = (d_ys.slice_mut(here), ys.slice(here), targets.slice(here));
                Zip::from(&mut d).and(&y).and(&target).for_each(|d, &y, &target| each(d, y, target));
            }
        } else {
            Zip::from(&mut d_ys).and(&ys).and(&targets).for_each(|d, &y, &target| each(d, y, target));
        }
        LossSum::of_mean(mean_of_squares(sum, &cx, &ys, &targets), tokens as f64)
    }

    fn alone<F: Float>(cx: Context<'_>, ys: ArrayView3<'_, F>, targets: ArrayView3<'_, F>) -> LossSum {
        let (t, b, _) = ys.dim();
        let mut sum = 0.0;
        let mut each = |y: F, target: F| {
            let off = (y - target).flush().as_f64();
            sum += off * off;
        };
        if cx.is_ragged(t) {
            for row in 0..b {
                let here = ndarray::s![..cx.length(row, t), row, ..];
                Zip::from(&ys.slice(here)).and(&targets.slice(here)).for_each(|&y, &target| each(y, target));
            }
        } else {
            Zip::from(&ys).and(&targets).for_each(|&y, &target| each(y, target));
        }
        LossSum::of_mean(mean_of_squares(sum, &cx, &ys, &targets), cx.tokens(t, b) as f64)
    }
}

impl<F: Float> Loss<F, ArrayRef3<F>> for MeanSquared {
    fn check(&self, outputs: (usize, usize, usize), targets: &ArrayRef3<F>) -> Result<(), Error> {
        if targets.dim() == outputs {
            return Ok(());
        }
        let (t, b, v) = outputs;
        Err(Error::shape("targets", format!("[{t}, {b}, {v}]"), targets.shape()))
    }

    fn evaluate(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: &ArrayRef3<F>,
        d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        Self::gradient(cx, ys, targets.view(), d_ys)
    }

    fn value(&self, cx: Context<'_>, ys: ArrayView3<'_, F>, targets: &ArrayRef3<F>) -> Option<LossSum> {
        Some(Self::alone(cx, ys, targets.view()))
    }
}

/// The mean, of the sum. That may be too large where the mean is not: then each term is a share of the mean.
fn mean_of_squares<F: Float>(sum: f64, cx: &Context<'_>, ys: &ArrayView3<'_, F>, targets: &ArrayView3<'_, F>) -> f64 {
    let (t, b, v) = ys.dim();
    let n = (cx.tokens(t, b) * v).max(1) as f64;
    if sum < f64::INFINITY {
        return sum / n;
    }
    let (root, mut mean) = (n.sqrt(), 0.0);
    for row in 0..b {
        let here = ndarray::s![..cx.length(row, t), row, ..];
        Zip::from(&ys.slice(here)).and(&targets.slice(here)).for_each(|&y, &target| {
            let off = (y - target).as_f64() / root;
            mean += off * off;
        });
    }
    mean
}
