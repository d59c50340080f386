//! The mean square of differences.

use ndarray::{ArrayRef3, ArrayView3, ArrayViewMut3, Zip};

use super::{Loss, LossSum};
use crate::{Context, Error, Float};

/// The mean of (y - target)² over the V outputs of all rows that count. Differences and gradients below [`Float::TINY`] count
/// as 0. Targets `[T, B, V]`; `[1, B, V]` for a network that gives one output a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanSquared;

impl MeanSquared {
    #[inline(never)]
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

    #[inline(never)]
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
    #[inline(never)]
    fn check(&self, outputs: (usize, usize, usize), targets: &ArrayRef3<F>) -> Result<(), Error> {
        if targets.dim() == outputs {
            return Ok(());
        }
        let (t, b, v) = outputs;
        Err(Error::shape("targets", format!("[{t}, {b}, {v}]"), targets.shape()))
    }

    #[inline(never)]
    fn evaluate(
        &self,
        cx: Context<'_>,
        ys: ArrayView3<'_, F>,
        targets: &ArrayRef3<F>,
        d_ys: ArrayViewMut3<'_, F>,
    ) -> LossSum {
        Self::gradient(cx, ys, targets.view(), d_ys)
    }

    #[inline(never)]
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
