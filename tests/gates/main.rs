//! exp, exp_m1, sigmoid and tanh: how far off, never turning round, right in the corners. And the other functions of a vanilla
//! cell.
//!
//! `cargo test --release --test gates -- --ignored --nocapture` looks at every `f32`.

mod activations;
mod double;
mod every_f32;
mod f64_grids;

use deep_rnn::Float;

/// A gate function, what it should be, how far it may be off in units of the last place, and below what size of the exact value
/// it may be 0 instead.
#[derive(Clone, Copy)]
struct Gate<F, E> {
    name: &'static str,
    ours: fn(F) -> F,
    exact: E,
    allowed: f64,
    zero_below: f64,
}

/// Spacing of the numbers of the size 2ᵏ with `digits` binary digits, of which none is smaller than 2^`least`.
fn spacing(k: i32, digits: i32, least: i32) -> f64 {
    2f64.powi(k.max(least) + 1 - digits)
}

/// The k in 2ᵏ <= |x| < 2ᵏ⁺¹, of a normal number.
fn exponent(x: f64) -> i32 {
    (x.to_bits() >> 52 & 0x7ff) as i32 - 1023
}

fn corners<F: Float>() {
    let (inf, zero, one) = (F::infinity(), F::zero(), F::one());
    let same = |a: F, b: F| assert_eq!(a.as_f64().to_bits(), b.as_f64().to_bits(), "{a} {b}");
    for zero in [zero, -zero] {
        same(Float::exp(zero), one);
        same(zero.sigmoid(), F::from_f64(0.5));
        same(zero.sigmoid_if::<true>(), F::from_f64(0.5));
        same(Float::tanh(zero), zero);
        same(zero.tanh_if::<true>(), zero);
        same(Float::exp_m1(zero), zero);
    }
    same(Float::exp_m1(inf), inf);
    same(Float::exp_m1(-inf), -one);
    same(Float::exp_m1(F::max_value()), inf);
    same(Float::exp_m1(F::min_value()), -one);
    same(Float::exp(inf), inf);
    same(Float::exp(-inf), zero);
    same(Float::exp(F::max_value()), inf);
    same(Float::exp(F::min_value()), zero);
    for (sigmoid, tanh) in
        [(F::sigmoid_if::<true> as fn(F) -> F, F::tanh_if::<true> as fn(F) -> F), (F::sigmoid, Float::tanh)]
    {
        same(sigmoid(inf), one);
        same(sigmoid(-inf), zero);
        same(sigmoid(F::max_value()), one);
        same(sigmoid(F::min_value()), zero);
        same(tanh(inf), one);
        same(tanh(-inf), -one);
        same(tanh(F::max_value()), one);
    }
    for f in [Float::exp, Float::exp_m1, Float::tanh, F::sigmoid, Float::tanh_if::<true>, F::sigmoid_if::<true>] {
        assert!(f(F::nan()).is_nan() && f(-F::nan()).is_nan());
    }
}

#[test]
fn exact_at_zero_and_infinity() {
    corners::<f32>();
    corners::<f64>();
}
