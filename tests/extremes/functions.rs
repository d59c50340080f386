//! Activations near 0 and far out.

use deep_rnn::{Float, cells::Activation};

use crate::near;

#[test]
fn elu_near_zero_and_far_below() {
    for exponent in 1..=37 {
        let a = -10.0_f64.powi(-exponent);
        let (y, slope) = Activation::Elu(1.0).apply(a);
        near(y, a.exp_m1(), 5e-16);
        near(slope, a.exp(), 5e-16);
        let (y, _) = Activation::Elu(2.0).apply(a as f32);
        near(f64::from(y), 2.0 * f64::from(a as f32).exp_m1(), 3e-7);
    }
    // y + scale would have lost these.
    for a in [-5.0_f64, -20.0, -40.0] {
        near(f64::from(Activation::Elu(1.0).apply(a as f32).1), a.exp(), 2e-7);
        near(Activation::Elu(0.5).apply(5.0 * a).1, 0.5 * (5.0 * a).exp(), 1e-15);
    }
    assert_eq!(Activation::Elu(1.5).apply(-1e30_f32), (-1.5, 0.0));
    assert_eq!(Activation::Elu(0.0).apply(1e30_f32), (1e30, 1.0));
}

#[test]
fn softsign_to_the_end_of_the_range() {
    fn check<F: Float>() {
        for a in [F::max_value(), F::infinity()] {
            assert_eq!(Activation::Softsign.apply(a), (F::one(), F::zero()));
            assert_eq!(Activation::Softsign.apply(-a), (-F::one(), F::zero()));
        }
        assert!(Activation::Softsign.apply(F::nan()).0.is_nan());
        near(Activation::Softsign.apply(F::from_f64(3.0)).0.as_f64(), 0.75, 1e-15);
    }
    check::<f32>();
    check::<f64>();
}
