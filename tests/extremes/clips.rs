//! Norms whose squares leave the range, and what a clip makes of such gradients.

use deep_rnn::prelude::*;
use ndarray::{Array1, Array3, ArrayRef3, ArrayView3, ArrayViewMut3, array, s};

use crate::{Frozen, near};

#[test]
fn norms_of_large_and_small_numbers() {
    for scale in [1e-320, 1e-308, 1e-300, 1e-200, 1e-150, 1.0, 1e150, 1e200, 1e300, 2e307] {
        let (a, b) = (array![3.0 * scale, 0.0], array![[4.0 * scale]]);
        let tolerance = if scale < 1e-300 { 1e-3 } else { 1e-15 };
        near((a.clone(), b.clone()).norm(), 5.0 * scale, tolerance);
        near(vec![(Some(a), b)].norm(), 5.0 * scale, tolerance);
        // Not in one piece of memory.
        let wide = Array1::from_elem(50, scale);
        near(wide.slice(s![..;2]).to_owned().norm(), 5.0 * scale, tolerance);
    }
    near(array![3e200, 4e200].norm(), 5e200, 2e-16);
    assert_eq!(array![1e-200].norm(), 1e-200);
    assert_eq!(array![5e-324].norm(), 5e-324);
    assert_eq!(array![0.0, -0.0].norm(), 0.0);
    assert_eq!(array![f64::MAX, f64::MAX].norm(), f64::INFINITY);
    assert_eq!(array![1.0, f64::NEG_INFINITY].norm(), f64::INFINITY);
    assert!(array![f64::INFINITY, f64::NAN, 1e300].norm().is_nan());
    near(array![f32::MAX, f32::MAX].norm(), f64::from(f32::MAX) * 2.0_f64.sqrt(), 1e-15);
    near(array![1e-45_f32].norm(), f64::from(1e-45_f32), 1e-15);
}

/// The gradients of one window, whose outputs have this gradient, after the clip.
fn clipped<F: Float>(d_y: f64, bound: f64) -> (Linear<F>, f64) {
    let loss = |_: ArrayView3<'_, F>, _: &ArrayRef3<F>, mut d_ys: ArrayViewMut3<'_, F>| {
        d_ys.fill(F::from_f64(d_y));
        1.0
    };
    let model = Linear::from_arrays(ndarray::Array2::ones((2, 2)), Some(Array1::zeros(2))).unwrap();
    let mut bptt =
        Bptt::builder(model).loss(deep_rnn::loss::loss_fn(loss)).optimizer(Frozen).clip_norm(bound).build().unwrap();
    let xs = Array3::from_elem((1, 1, 2), F::from_f64(0.5));
    let report = bptt.train_next(&xs, &xs).unwrap();
    assert_eq!(report.clipped, 1);
    (bptt.gradients().clone(), report.gradient_norm())
}

#[test]
fn a_clipped_norm_is_the_bound() {
    for d_y in [1e20, 1e160, 1e300] {
        for bound in [1e-300, 1e-200, 1e-10, 1e-3, 1.0] {
            let (grads, norm) = clipped::<f64>(d_y, bound);
            near(norm, d_y * 3.0_f64.sqrt(), 1e-14);
            near(grads.norm(), bound, 1e-14);
            near(grads.w()[[1, 0]], bound / 12.0_f64.sqrt(), 1e-14);
        }
    }
    for d_y in [1e5, 1e20, 1e38] {
        for bound in [1e-36, 1e-30, 1e-10, 1e-3, 1.0] {
            near(clipped::<f32>(d_y, bound).0.norm(), bound, 1e-6);
        }
    }
}
