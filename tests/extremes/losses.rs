//! Losses and their means.

use deep_rnn::loss::Loss;
use deep_rnn::prelude::*;
use ndarray::{Array2, Array3, ArrayRef3, ArrayView3, ArrayViewMut3};

use crate::{Frozen, near};

/// Loss and gradient of one row.
fn cross_entropy<F: Float>(logits: &[F], target: usize) -> (f64, Vec<f64>) {
    let ys = Array3::from_shape_vec((1, 1, logits.len()), logits.to_vec()).unwrap();
    let mut d_ys = Array3::from_elem(ys.dim(), F::nan());
    let targets = Array2::from_elem((1, 1), target);
    let loss = CrossEntropy.evaluate(Context::default(), ys.view(), &*targets, d_ys.view_mut()).mean();
    (loss, d_ys.iter().map(|d| d.as_f64()).collect())
}

/// Of a target that is nearly certain, the loss is what the others have.
#[test]
fn cross_entropy_of_a_target_that_is_nearly_certain() {
    for gap in [1.0_f64, 10.0, 30.0, 40.0] {
        let rest = 2.0 * (-gap).exp();
        let (loss, d) = cross_entropy(&[gap, 0.0, 0.0], 0);
        near(loss, rest.ln_1p(), 1e-14);
        near(d[0], -rest / (1.0 + rest), 1e-14);
        near(d[1], rest / 2.0 / (1.0 + rest), 1e-14);
        let (loss, d) = cross_entropy(&[gap as f32, 0.0, 0.0], 0);
        near(loss, rest.ln_1p(), 1e-6);
        near(d[0], -rest / (1.0 + rest), 1e-6);
    }
    // Below the smallest share that counts.
    assert_eq!(cross_entropy(&[60.0_f32, 0.0], 0), (0.0, vec![0.0, 0.0]));
}

#[test]
fn cross_entropy_of_logits_far_apart() {
    assert_eq!(cross_entropy(&[3e38_f32, -3e38], 1).0, f64::from(3e38_f32) * 2.0);
    assert_eq!(cross_entropy(&[1e308, 0.0], 1), (1e308, vec![1.0, -1.0]));
    let (loss, d) = cross_entropy(&[-1e308, -1e308, f64::NEG_INFINITY], 0);
    near(loss, 2.0_f64.ln(), 1e-15);
    assert_eq!(d, [-0.5, 0.5, 0.0]);
    // No number says how surprising these are.
    let (inf, minus) = (f64::INFINITY, f64::NEG_INFINITY);
    for (row, target) in [([minus; 3], 0), ([0.0, minus, 1.0], 1), ([f64::NAN, 0.0, 0.0], 1), ([0.0, inf, 0.0], 1)] {
        assert!(!cross_entropy(&row, target).0.is_finite(), "{row:?}, {target}");
        let row32 = row.map(|x| x as f32);
        assert!(!cross_entropy(&row32, target).0.is_finite(), "{row:?}, {target}");
    }
}

/// Shares of a tenth, each of many tokens, in `f32`.
#[test]
fn cross_entropy_over_a_large_vocabulary() {
    let v = 3_000_000;
    let mut logits = vec![0.1_f32.ln(); v];
    logits[5] = 0.0;
    let share = f64::from(logits[0]).exp();
    let total = 1.0 + (v - 1) as f64 * share;
    let (loss, d) = cross_entropy(&logits, 5);
    near(loss, total.ln(), 1e-6);
    near(d[7], share / total, 1e-6);
}

#[test]
fn means_of_numbers_whose_sum_is_none() {
    // Cross-entropy: four tokens, each as surprising as a number can say.
    let ys = Array3::from_shape_fn((4, 1, 2), |(_, _, v)| if v == 0 { 1.5e308 } else { 0.0 });
    let mut d_ys = Array3::zeros(ys.dim());
    let targets = Array2::from_elem((4, 1), 1);
    let loss = CrossEntropy.evaluate(Context::default(), ys.view(), &*targets, d_ys.view_mut()).mean();
    near(loss, 1.5e308, 1e-15);
    // Mean square: the sum, and a square, beyond the range.
    for (off, n, expected) in [(1.2e154, 8, 1.44e308), (1e156, 1, f64::INFINITY)] {
        let ys = Array3::from_elem((n, 1, 1), off);
        let mut d_ys = Array3::zeros(ys.dim());
        let targets = Array3::zeros(ys.dim());
        let loss = MeanSquared.evaluate(Context::default(), ys.view(), &*targets, d_ys.view_mut()).mean();
        assert!(loss == expected || (loss / expected - 1.0).abs() < 1e-14, "{loss:e}, {expected:e}");
    }
    let mut ys = Array3::zeros((40_000, 1, 1));
    ys[[7, 0, 0]] = 2e156;
    let mut d_ys = Array3::zeros(ys.dim());
    let targets = Array3::zeros(ys.dim());
    let loss = MeanSquared.evaluate(Context::default(), ys.view(), &*targets, d_ys.view_mut()).mean();
    near(loss, 1e308, 1e-14);
}

/// Losses and norms of windows whose sums are too large for a number.
#[test]
fn a_report_of_large_losses() -> Result<(), Error> {
    let loss = |_: ArrayView3<'_, f64>, _: &ArrayRef3<f64>, mut d_ys: ArrayViewMut3<'_, f64>| {
        d_ys.fill(1e307);
        1e308
    };
    let model = Linear::from_arrays(Array2::ones((1, 1)), None)?;
    let mut bptt = Bptt::builder(model).loss(deep_rnn::loss::loss_fn(loss)).optimizer(Frozen).window(2).build()?;
    let xs = Array3::from_elem((50, 1, 1), 4.0);
    let report = bptt.train_next(&xs, &xs)?;
    near(report.loss(), 1e308, 1e-14);
    near(report.gradient_norm(), 8e307, 1e-14);
    assert_eq!((report.updates, report.perplexity()), (25, f64::INFINITY));
    Ok(())
}

/// What is lost in a product counts as 0; nothing comes out denormal.
#[test]
fn no_gradient_of_a_loss_is_denormal() {
    fn check<F: Float>() {
        let ys = Array3::from_shape_fn((1, 400, 3), |(_, b, v)| F::from_f64(if v == 0 { b as f64 } else { 0.0 }));
        let mut d_ys = Array3::zeros(ys.dim());
        let targets = Array2::from_elem((1, 400), 0);
        CrossEntropy.evaluate(Context::default(), ys.view(), &*targets, d_ys.view_mut());
        assert!(d_ys.iter().all(|d| *d == F::zero() || d.abs() >= F::TINY));
        let mut small = F::one();
        let ys = Array3::from_shape_fn((1, 1200, 1), |_| {
            small *= F::from_f64(0.5);
            small
        });
        let mut d_ys = Array3::zeros(ys.dim());
        MeanSquared.evaluate(Context::default(), ys.view(), &*Array3::zeros(ys.dim()), d_ys.view_mut());
        assert!(d_ys.iter().all(|d| *d == F::zero() || d.abs() >= F::TINY));
    }
    check::<f32>();
    check::<f64>();
}
