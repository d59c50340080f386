//! The numbers the crate computes with: `f32` and `f64`.
//!
//! `exp`, `exp_m1`, `tanh` and `sigmoid` are polynomials in plain arithmetic without branches, so a loop over them becomes
//! vector code at any instruction set, and without fused multiply-adds, so they are the same bits at each.
//! They are monotone: of two numbers the larger never has the smaller value.

use std::fmt::{Debug, Display, LowerExp};
use std::iter::Sum;

use ndarray::{LinalgScalar, ScalarOperand};
use num_traits::NumAssign;
use num_traits::float::FloatCore;

mod gates;

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
    /// 2⁻⁶³ (`f32`, 1.1·10⁻¹⁹) or 2⁻⁵¹¹ (`f64`, 1.5·10⁻¹⁵⁴), the root of the smallest normal number: the product of two
    /// numbers that are no smaller is normal.
    const TINY: Self;

    /// 0 of the same sign where |x| is below [`TINY`](Float::TINY), else x.
    #[must_use]
    fn flush(self) -> Self;
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
    /// eˣ, within 1.1 units of the last place; 0 where the result would be below 2⁻¹²⁵·⁵ (`f32`, 1.7·10⁻³⁸) or 2⁻¹⁰²¹·⁵ (`f64`, 3.1·10⁻³⁰⁸), ∞ above
    /// the range; 1 at ±0, 0 and ∞ at -∞ and ∞, NaN for NaN.
    fn exp(self) -> Self;
    /// eˣ - 1, within 2.1 units of the last place, near 0 too; ±0 at ±0, -1 and ∞ at -∞ and ∞, NaN for NaN.
    fn exp_m1(self) -> Self;
    /// (e²ˣ - 1) / (e²ˣ + 1), within 1.7 units of the last place; odd, ±0 at ±0 and ±1 at ±∞, NaN for NaN.
    fn tanh(self) -> Self;
    /// σ(x) = 1 / (1 + e⁻ˣ), within 2.5 units of the last place, of what is a normal number; 0 where the result would be below 2⁻¹²⁸ (`f32`, 2.9·10⁻³⁹) or 2⁻¹⁰²⁴ (`f64`,
    /// 5.6·10⁻³⁰⁹); ½ at ±0, 0 and 1 at -∞ and ∞, NaN for NaN.
    fn sigmoid(self) -> Self;
    /// a·b + c rounded once where `FUSED` (use it only where the processor has the instruction), else rounded twice.
    #[doc(hidden)]
    fn mul_add_if<const FUSED: bool>(self, b: Self, c: Self) -> Self;

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

macro_rules! float {
    ($f:ident, $tiny:expr) => {
        impl Float for $f {
            const NAME: &'static str = stringify!($f);
            // A power of two, by its exponent's bits.
            const TINY: Self = <$f>::from_bits($tiny);

            #[inline(always)]
            fn flush(self) -> Self {
                if self.abs() < Self::TINY { (0.0 as $f).copysign(self) } else { self }
            }
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
            fn exp(self) -> Self {
                gates::$f::exp(self)
            }
            #[inline(always)]
            fn exp_m1(self) -> Self {
                gates::$f::exp_m1(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                gates::$f::tanh(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                gates::$f::sigmoid(self)
            }
            #[inline(always)]
            fn mul_add_if<const FUSED: bool>(self, b: Self, c: Self) -> Self {
                if FUSED { self.mul_add(b, c) } else { self * b + c }
            }
        }
    };
}

float!(f32, (127 - 63) << 23);
float!(f64, (1023 - 511) << 52);
