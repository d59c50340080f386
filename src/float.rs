//! The numbers the crate computes with: `f32` and `f64`.
//!
//! `exp`, `exp_m1`, `tanh` and `sigmoid` are polynomials in plain arithmetic without branches, so a loop over them becomes
//! vector code at any instruction set, and without fused multiply-adds, so they are the same bits at each. Forms of tanh and
//! sigmoid with fused ones are for the processors that have them; the crate's own cells use those.
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

    /// The root of the smallest normal number: 2⁻⁶³ (1.1·10⁻¹⁹) for `f32`, 2⁻⁵¹¹ (1.5·10⁻¹⁵⁴) for `f64`. What the crate
    /// computes over and over (states, gradients along time, moments, packed weights) is rounded to 0 below it, so that the
    /// product of two numbers that are kept is a normal one: arithmetic on denormal numbers takes up to a hundred times as
    /// long on many processors, and numbers that decay would stay denormal for good. See [Numbers near
    /// 0](crate#numbers-near-0).
    const TINY: Self;

    /// The nearest number of this type.
    fn from_f64(x: f64) -> Self;
    /// 0 of the same sign where |x| is below [`TINY`](Float::TINY), else x; NaN stays.
    #[must_use]
    fn flush(self) -> Self;
    /// This number, exactly.
    #[doc(hidden)]
    fn from_f32(x: f32) -> Self;
    /// This number, exactly.
    #[doc(hidden)]
    fn from_i8(x: i8) -> Self;
    /// This number as an `f64`, exactly.
    fn as_f64(self) -> f64;
    /// Whether [`flush`](Float::flush) makes another number of it.
    #[doc(hidden)]
    fn is_tiny(self) -> bool;
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
    /// σ(x) = 1 / (1 + e⁻ˣ), within 2.5 units of the last place; 0 where the result would be below 2⁻¹²⁵·⁵ (`f32`, 1.7·10⁻³⁸) or 2⁻¹⁰²¹·⁵ (`f64`,
    /// 3.1·10⁻³⁰⁸); ½ at ±0, 0 and 1 at -∞ and ∞, NaN for NaN.
    fn sigmoid(self) -> Self;
    /// [`tanh`](Float::tanh), of which products and sums are one operation where `FUSED`: other last digits, the same bounds. For gates that are
    /// told whether the processor has the operation ([`Pointwise::forward_if`](crate::cells::Pointwise::forward_if)); where it has not, this is
    /// a slow call.
    #[must_use]
    fn tanh_if<const FUSED: bool>(self) -> Self;
    /// [`sigmoid`](Float::sigmoid), likewise.
    #[must_use]
    fn sigmoid_if<const FUSED: bool>(self) -> Self;
    /// a·b + c rounded once where `FUSED` (use it only where the processor has the instruction), else rounded twice.
    #[doc(hidden)]
    fn mul_add_if<const FUSED: bool>(self, b: Self, c: Self) -> Self;

    /// Slope of tanh where it has the value `self`: 1 - y².
    #[inline(always)]
    #[must_use]
    fn tanh_slope(self) -> Self {
        let y = self.flush(); // the square of less would not be a normal number
        Self::one() - y * y
    }

    /// Slope of σ where it has the value `self`: y (1 - y).
    #[inline(always)]
    #[must_use]
    fn sigmoid_slope(self) -> Self {
        self * (Self::one() - self)
    }
}

macro_rules! float {
    ($f:ident, $bits:ident) => {
        impl Float for $f {
            const NAME: &'static str = stringify!($f);
            const TINY: Self = $f::from_bits(($f::MAX_EXP as $bits / 2) << ($f::MANTISSA_DIGITS - 1));

            // On the bits: a mask for the comparison, and the sign, which is one instruction where there are mask registers.
            #[inline(always)]
            fn flush(self) -> Self {
                let kept = if self.abs() < Self::TINY { $bits::MAX << ($bits::BITS - 1) } else { $bits::MAX };
                $f::from_bits(self.to_bits() & kept)
            }
            // Without its sign, 0 becoming the largest number there is.
            #[inline(always)]
            fn is_tiny(self) -> bool {
                (self.to_bits() << 1).wrapping_sub(1) < (Self::TINY.to_bits() << 1) - 1
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
                gates::$f::exp::<false>(self)
            }
            #[inline(always)]
            fn exp_m1(self) -> Self {
                gates::$f::exp_m1::<false>(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                gates::$f::tanh::<false>(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                gates::$f::sigmoid::<false>(self)
            }
            #[inline(always)]
            fn tanh_if<const FUSED: bool>(self) -> Self {
                gates::$f::tanh::<FUSED>(self)
            }
            #[inline(always)]
            fn sigmoid_if<const FUSED: bool>(self) -> Self {
                gates::$f::sigmoid::<FUSED>(self)
            }
            #[inline(always)]
            fn mul_add_if<const FUSED: bool>(self, b: Self, c: Self) -> Self {
                if FUSED { self.mul_add(b, c) } else { self * b + c }
            }
        }
    };
}

float!(f32, u32);
float!(f64, u64);
