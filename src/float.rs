//! The numbers the crate computes with: `f32` and `f64`.
//!
//! `exp`, `tanh` and `sigmoid` are polynomials in plain arithmetic without branches, so a loop over them becomes
//! vector code at any instruction set, and without fused multiply-adds, so they are the same bits at each.

use std::fmt::{Debug, Display, LowerExp};
use std::iter::Sum;

use ndarray::{LinalgScalar, ScalarOperand};
use num_traits::NumAssign;
use num_traits::float::FloatCore;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`.
///
/// Arithmetic, comparison, `abs`, `max`, `is_finite` and so on come from [`num_traits`]; what a gate needs beyond that
/// is here. It is sealed because the kernels choose their block sizes for these two types.
///
/// In generic code (`F: Float`) `x.tanh()` is this trait's. On a concrete `f32` Rust prefers the standard library's
/// method of the same name, which is a slower one.
pub trait Float:
    FloatCore
    + NumAssign
    + LinalgScalar
    + ScalarOperand
    + Sum
    + Default
    + Debug
    + Display
    + LowerExp
    + Send
    + Sync
    + bytemuck::Pod
    + sealed::Sealed
{
    /// `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// The nearest number of this type.
    fn from_f64(x: f64) -> Self;
    /// This number, exactly.
    #[doc(hidden)]
    fn from_f32(x: f32) -> Self;
    /// This number, exactly.
    #[doc(hidden)]
    fn from_i8(x: i8) -> Self;
    /// This number as an `f64`, exactly.
    fn as_f64(self) -> f64;
    /// √x, correctly rounded.
    fn sqrt(self) -> Self;
    /// Natural logarithm (the platform's).
    fn ln(self) -> Self;
    /// eˣ; 0 where the result would be below about 10⁻³⁷ (`f32`) or 10⁻³⁰⁷ (`f64`), ∞ above the range, NaN for NaN.
    fn exp(self) -> Self;
    /// (e²ˣ - 1) / (e²ˣ + 1), accurate near 0 too; ±1 at ±∞, NaN for NaN.
    fn tanh(self) -> Self;
    /// a·b + c rounded once where `FUSED` (use it only where the processor has the instruction), else rounded twice.
    #[doc(hidden)]
    fn mul_add_if<const FUSED: bool>(self, b: Self, c: Self) -> Self;

    /// σ(x) = 1 / (1 + e⁻ˣ); 0 and 1 at -∞ and ∞, NaN for NaN.
    #[inline(always)]
    #[must_use]
    fn sigmoid(self) -> Self {
        Self::one() / (Self::one() + Float::exp(-self))
    }

    /// Slope of tanh where it has the value `self`: 1 - y².
    #[inline(always)]
    #[must_use]
    fn tanh_slope(self) -> Self {
        Self::one() - self * self
    }

    /// Slope of σ where it has the value `self`: y (1 - y).
    #[inline(always)]
    #[must_use]
    fn sigmoid_slope(self) -> Self {
        self * (Self::one() - self)
    }
}

/// Horner's rule; the highest coefficient first.
macro_rules! horner {
    ($r:expr; $first:expr $(, $c:expr)*) => {{
        let mut p = $first;
        $( p = p * $r + $c; )*
        p
    }};
}

macro_rules! float {
    ($f:ident, $bits:ident, round: $round:expr, bias: $bias:expr, mantissa: $mantissa:expr,
     ln2: $hi:expr, $lo:expr, exp_range: $under:expr, $over:expr, tanh_one: $one:expr, q: [$($q:expr),+]) => {
        impl Float for $f {
            const NAME: &'static str = stringify!($f);

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $f
            }
            #[inline(always)]
            fn from_f32(x: f32) -> Self {
                x as $f
            }
            #[inline(always)]
            fn from_i8(x: i8) -> Self {
                x as $f
            }
            #[inline(always)]
            fn as_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$f>::sqrt(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                <$f>::ln(self)
            }
            #[inline(always)]
            fn mul_add_if<const FUSED: bool>(self, b: Self, c: Self) -> Self {
                if FUSED { self.mul_add(b, c) } else { self * b + c }
            }

            // With n = round(x / ln 2) and r = x - n ln 2, |r| <= ln(2)/2: e^x = 2^n (1 + p), p = r + r^2 q(r). Adding
            // `round` leaves n in the low bits of the sum. 2^(n-1) is always a normal number within the range.
            #[inline(always)]
            fn exp(self) -> Self {
                let z = self * std::$f::consts::LOG2_E + $round;
                let n = z - $round;
                let r = (self - n * $hi) - n * $lo;
                let p = r + r * r * horner!(r; $($q),+);
                let half = <$f>::from_bits((z.to_bits() << $mantissa).wrapping_add(($bias - 1) << $mantissa));
                let y = (half + half * p) * 2.0;
                let y = if self < $under { 0.0 } else { y };
                if self > $over { <$f>::INFINITY } else { y }
            }

            // e^2|x| - 1 = 2^n p + (2^n - 1) keeps its digits near 0, where n = 0.
            #[inline(always)]
            fn tanh(self) -> Self {
                let x = 2.0 * self.abs();
                let x = if x > $one { $one } else { x };
                let z = x * std::$f::consts::LOG2_E + $round;
                let n = z - $round;
                let r = (x - n * $hi) - n * $lo;
                let p = r + r * r * horner!(r; $($q),+);
                let scale = <$f>::from_bits((z.to_bits() << $mantissa).wrapping_add($bias << $mantissa));
                let e = p * scale + (scale - 1.0);
                (e / (e + 2.0)).copysign(self)
            }
        }
    };
}

// q(r) = (e^r - 1 - r) / r^2 by interpolation at Chebyshev nodes on |r| <= 1.001 ln(2)/2; relative error of 1 + p:
// 2e-10 (f32), 2e-19 (f64).
float!(f32, u32, round: 12_582_912.0_f32, bias: 127_u32, mantissa: 23,
    ln2: 355.0_f32 / 512.0, -2.121_944_4e-4_f32, exp_range: -86.5, 88.722_84, tanh_one: 20.0,
    q: [1.989_108_e-4_f32, 1.393_373_1e-3, 8.333_311e-3, 4.166_646_4e-2, 0.166_666_67, 0.5]);

float!(f64, u64, round: 6_755_399_441_055_744.0_f64, bias: 1023_u64, mantissa: 52,
    ln2: 0.693_147_180_369_123_8_f64, 1.908_214_929_270_587_8e-10_f64,
    exp_range: -707.5, 709.782_712_893_384, tanh_one: 40.0,
    q: [2.091_475_532_589_32e-9_f64, 2.510_531_272_962_210_2e-8, 2.755_727_347_871_858e-7, 2.755_725_517_000_089e-6,
        2.480_158_732_567_746e-5, 1.984_126_987_500_228e-4, 1.388_888_888_888_371_1e-3, 8.333_333_333_326_083e-3,
        4.166_666_666_666_667e-2, 0.166_666_666_666_666_7, 0.5]);

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units of the last place of `b`.
    fn ulps<F: Float>(a: F, b: f64) -> f64 {
        let spacing = F::from_f64(b).abs().max(F::min_positive_value()) * F::epsilon();
        ((a.as_f64() - b) / spacing.as_f64()).abs()
    }

    fn worst<F: Float>(from: f64, to: f64, ours: impl Fn(F) -> F, exact: impl Fn(f64) -> f64) -> f64 {
        let n = 400_001;
        let points = (0..n).map(|i| F::from_f64(from + (to - from) * i as f64 / (n - 1) as f64));
        points.map(|x| ulps(ours(x), exact(x.as_f64()))).fold(0.0, f64::max)
    }

    #[test]
    fn exp_tanh_and_sigmoid_stay_within_four_ulps() {
        let sigmoid = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        assert!(worst::<f32>(-86.0, 88.7, Float::exp, libm::exp) <= 4.0);
        assert!(worst::<f64>(-700.0, 709.0, Float::exp, libm::exp) <= 4.0);
        assert!(worst::<f32>(-10.0, 10.0, Float::tanh, libm::tanh) <= 4.0);
        assert!(worst::<f64>(-20.0, 20.0, Float::tanh, libm::tanh) <= 4.0);
        assert!(worst::<f32>(-80.0, 80.0, Float::sigmoid, sigmoid) <= 4.0);
        assert!(worst::<f64>(-600.0, 600.0, Float::sigmoid, sigmoid) <= 4.0);
        assert!(worst::<f32>(-1e-6, 1e-6, Float::tanh, libm::tanh) <= 2.0);
        assert!(worst::<f64>(-1e-9, 1e-9, Float::tanh, libm::tanh) <= 2.0);
    }

    fn edges<F: Float>() {
        let inf = F::infinity();
        assert_eq!(Float::exp(F::zero()), F::one());
        assert_eq!(Float::exp(inf), inf);
        assert_eq!(Float::exp(-inf), F::zero());
        assert_eq!(Float::tanh(F::zero()), F::zero());
        assert!(Float::tanh(-F::zero()).is_sign_negative());
        assert_eq!(Float::tanh(inf), F::one());
        assert_eq!(Float::tanh(-inf), -F::one());
        assert_eq!(F::zero().sigmoid(), F::from_f64(0.5));
        assert_eq!(inf.sigmoid(), F::one());
        assert_eq!((-inf).sigmoid(), F::zero());
        for f in [Float::exp, Float::tanh, Float::sigmoid] {
            assert!(f(F::nan()).is_nan());
        }
    }

    #[test]
    fn exact_at_zero_and_infinity_and_nan_stays_nan() {
        edges::<f32>();
        edges::<f64>();
    }
}
