//! Losses: a closure, extreme logits, PyTorch's numbers.

use approx::{assert_abs_diff_eq, relative_eq};
use deep_rnn::loss::Loss;
use deep_rnn::ndarray::{Array2, Array3, ArrayRef2, ArrayView3, ArrayViewMut3, Ix2, aview1};
use deep_rnn::prelude::*;

use crate::fixture::{self, get, max_rel_error};
use crate::small_model::{lstm, text};

/// The mean of log Σ exp(y) - y[target] as a user would write it.
fn own_cross_entropy(ys: ArrayView3<'_, f64>, targets: &ArrayRef2<usize>, mut d_ys: ArrayViewMut3<'_, f64>) -> f64 {
    let n = targets.len() as f64;
    let mut loss = 0.0;
    for ((y, mut d), &target) in ys.rows().into_iter().zip(d_ys.rows_mut()).zip(targets) {
        let sum: f64 = y.iter().map(|y| y.exp()).sum();
        loss += (sum.ln() - y[target]) / n;
        d.assign(&y.mapv(|y| y.exp() / sum / n));
        d[target] -= 1.0 / n;
    }
    loss
}

#[test]
fn a_closure_is_a_loss() {
    let (x, y) = (text(0, 6, 3), text(1, 6, 3));
    let mut ours = Bptt::builder(lstm::<f64>(5, 1)).build().unwrap();
    let loss = |ys: ArrayView3<'_, f64>, targets: &ArrayRef2<usize>, d_ys: ArrayViewMut3<'_, f64>| {
        own_cross_entropy(ys, targets, d_ys)
    };
    let mut closure = Bptt::builder(lstm::<f64>(5, 1)).loss(deep_rnn::loss::loss_fn(loss)).build().unwrap();
    for _ in 0..4 {
        let (a, b) = (ours.train_next(&x, &y).unwrap(), closure.train_next(&x, &y).unwrap());
        assert_abs_diff_eq!(a.loss(), b.loss(), epsilon = 1e-13);
        assert_abs_diff_eq!(a.norm_sum, b.norm_sum, epsilon = 1e-13);
    }
    let mut far = ours.model().clone();
    far.add_scaled(closure.model(), -1.0);
    assert!(far.norm() < 1e-12);
}

/// Saturated logits: the loss is log Σ exp to the last digits, not infinite.
#[test]
fn the_loss_of_extreme_logits() {
    let cases: [([f64; 3], usize, f64); 5] = [
        ([1e4, -1e4, 0.0], 0, 0.0),
        ([1e4, -1e4, 0.0], 1, 2e4),
        ([3.0, 3.0, 3.0], 2, 3.0_f64.ln()),
        ([-1e4, -1e4, -1e4], 0, 3.0_f64.ln()),
        ([f64::NEG_INFINITY, 0.0, 0.0], 1, 2.0_f64.ln()),
    ];
    for (logits, target, expected) in cases {
        let ys = Array3::from_shape_vec((1, 1, 3), logits.to_vec()).unwrap();
        let (mut d_ys, targets) = (Array3::from_elem((1, 1, 3), f64::NAN), Array2::from_elem((1, 1), target));
        let loss = CrossEntropy.evaluate(Context::default(), ys.view(), &*targets, d_ys.view_mut()).mean();
        let near = relative_eq!(loss, expected, epsilon = 1e-14, max_relative = 1e-14);
        assert!(near, "{logits:?}: {loss}");
        assert!(d_ys.iter().all(|d| d.is_finite()));
        assert_abs_diff_eq!(d_ys.sum(), 0.0, epsilon = 1e-15);
    }
}

/// What PyTorch says of the losses.
#[test]
fn losses_of_pytorch() {
    let logits = get("softmax", "logits").into_dimensionality().unwrap();
    let targets = get("softmax", "targets").into_dimensionality::<Ix2>().unwrap().mapv(|t: f64| t as usize);
    let mut d_ys = Array3::zeros(logits.raw_dim());
    let loss = CrossEntropy.evaluate(Context::default(), logits.view(), &*targets, d_ys.view_mut()).mean();
    let error = max_rel_error(aview1(&[loss]).into_dyn(), get("softmax", "loss").view());
    let slope = max_rel_error(d_ys.view().into_dyn(), get("softmax", "d_logits").view());
    println!("softmax: loss {error:.1e}, gradient {slope:.1e}");
    assert!(error < 1e-14 && slope < 1e-12);

    let prediction = fixture::array3(fixture::stream(203, 0), [4, 3, 2], 2.0);
    let target = fixture::array3(fixture::stream(203, 1), [4, 3, 2], 2.0);
    let mut d_ys = Array3::zeros(prediction.raw_dim());
    let loss = MeanSquared.evaluate(Context::default(), prediction.view(), &*target, d_ys.view_mut()).mean();
    let error = max_rel_error(aview1(&[loss]).into_dyn(), get("mse", "loss").view());
    let slope = max_rel_error(d_ys.view().into_dyn(), get("mse", "d_pred").view());
    println!("mse: loss {error:.1e}, gradient {slope:.1e}");
    assert!(error < 1e-14 && slope < 1e-14);
}
