//! The forms in which a weight can be kept: the number itself, 16 bits of it, or 8.

use crate::Float;

/// A word of a packed operand. It holds the weights of one column in [`ROWS`](Stored::ROWS) rows that follow each other.
pub(crate) trait Stored<F: Float>: Copy + Default + Send + Sync + 'static {
    /// 1 or 2.
    const ROWS: usize;
    /// Whether a column has a scale, by which the sum of its terms is multiplied at the end.
    const SCALED: bool;

    /// The scale of a column whose largest |w| is this.
    fn scale(_largest: F) -> F {
        F::one()
    }

    /// The word of these weights, [`ROWS`](Stored::ROWS) of them or (at the end of a column) fewer; none where one of them cannot be kept.
    fn store(weights: &[F], scale: F) -> Option<Self>;

    /// Weight number `ROW` of the word, over the scale.
    fn load<const ROW: usize>(self) -> F;
}

impl<F: Float> Stored<F> for F {
    const ROWS: usize = 1;
    const SCALED: bool = false;

    fn store(weights: &[F], _: F) -> Option<F> {
        weights.first().copied().filter(|w| w.is_finite())
    }
    #[inline(always)]
    fn load<const ROW: usize>(self) -> F {
        self
    }
}

/// Two weights of 16 bits, the first one below: each is taken out by one instruction, where two words of 16 bits take two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bf16Pair(u32);

impl<F: Float> Stored<F> for Bf16Pair {
    const ROWS: usize = 2;
    const SCALED: bool = false;

    fn store(weights: &[F], _: F) -> Option<Self> {
        let mut word = 0;
        for (row, w) in weights.iter().enumerate() {
            let bits = bf16(w.as_f64());
            if !from_bf16(bits).is_finite() {
                return None;
            }
            word |= u32::from(bits) << (16 * row);
        }
        Some(Bf16Pair(word))
    }
    #[inline(always)]
    fn load<const ROW: usize>(self) -> F {
        F::from_f32(f32::from_bits(if ROW == 0 { self.0 << 16 } else { self.0 & 0xffff_0000 }))
    }
}

impl<F: Float> Stored<F> for i8 {
    const ROWS: usize = 1;
    const SCALED: bool = true;

    fn scale(largest: F) -> F {
        let (scale, most) = (largest / F::from_f64(127.0), F::from_f64(127.0));
        // Of the largest numbers there are, the product could be too large.
        if (scale * most).is_finite() { scale } else { scale * (F::one() - F::epsilon()) }
    }
    fn store(weights: &[F], scale: F) -> Option<i8> {
        let w = weights.first().copied().filter(|w| w.is_finite())?;
        // A column of zeros has the scale 0; one of subnormal numbers may have one too coarse.
        let q = if scale > F::zero() {
            (w / scale).round().max(F::from_f64(-127.0)).min(F::from_f64(127.0))
        } else {
            F::zero()
        };
        Some(q.as_f64() as i8)
    }
    #[inline(always)]
    fn load<const ROW: usize>(self) -> F {
        F::from_i8(self)
    }
}

/// The bfloat16 number nearest to `x`, of two equally near ones the even one; the upper half of an `f32`.
pub(crate) fn bf16(x: f64) -> u16 {
    let near = x as f32;
    let bits = near.to_bits();
    if near.is_nan() {
        return (bits >> 16) as u16 | 0x40; // stays one when the lower half goes
    }
    let (upper, lower) = ((bits >> 16) as u16, bits & 0xffff);
    // Halfway by `near` may be above or below it by `x`.
    let (exact, rounded) = (x.abs(), f64::from(near).abs());
    let up = if lower == 0x8000 && exact != rounded {
        exact > rounded
    } else {
        lower > 0x8000 || lower == 0x8000 && upper & 1 == 1
    };
    upper + u16::from(up)
}

/// A bfloat16 number, exactly.
pub(crate) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_the_nearest_and_to_the_even_one_of_two() {
        for (bits, expected) in [
            (0x3f80_0000, 0x3f80), // 1
            (0x3f80_7fff, 0x3f80),
            (0x3f80_8000, 0x3f80), // halfway, even below
            (0x3f80_8001, 0x3f81),
            (0x3f81_8000, 0x3f82), // halfway, even above
            (0x3f7f_ffff, 0x3f80), // over the edge of an exponent
            (0x8000_0000, 0x8000), // -0
            (0x0000_0001, 0x0000), // the smallest subnormal
            (0x0000_8001, 0x0001), // to the smallest one kept
            (0x007f_ffff, 0x0080), // the largest subnormal, to the smallest normal number
            (0x7f7f_7fff, 0x7f7f), // the largest that stays finite
            (0x7f7f_ffff, 0x7f80), // the largest f32, to infinity
            (0xff80_0000, 0xff80), // -infinity
        ] {
            let x = f32::from_bits(bits);
            assert_eq!(bf16(f64::from(x)), expected, "{bits:#x}");
        }
        assert!(from_bf16(bf16(f64::NAN)).is_nan());
        assert!(from_bf16(bf16(f64::from(f32::from_bits(0x7f80_0001)))).is_nan());
    }

    #[test]
    fn every_bf16_number_is_kept_as_it_is() {
        for bits in 0..=u16::MAX {
            let x = from_bf16(bits);
            let again = from_bf16(bf16(f64::from(x)));
            assert!(again.to_bits() == x.to_bits() || x.is_nan() && again.is_nan(), "{bits:#x}");
        }
    }

    #[test]
    fn bf16_of_an_f64_is_rounded_once() {
        let halfway = 1.0 + 1.0 / 256.0;
        assert_eq!(bf16(halfway), 0x3f80);
        // Both are `halfway` as an f32.
        assert_eq!(bf16(halfway + 1e-12), 0x3f81);
        assert_eq!(bf16(-halfway - 1e-12), 0xbf81);
        let odd = 1.0 + 3.0 / 256.0;
        assert_eq!(bf16(odd), 0x3f82);
        assert_eq!(bf16(odd - 1e-12), 0x3f81);
    }

    #[test]
    fn a_pair_gives_both_back() {
        let pair = <Bf16Pair as Stored<f32>>::store(&[1.5, -0.25], 1.0).unwrap();
        assert_eq!([Stored::<f32>::load::<0>(pair), pair.load::<1>()], [1.5, -0.25]);
        assert_eq!([Stored::<f64>::load::<0>(pair), pair.load::<1>()], [1.5, -0.25]);
        assert!(<Bf16Pair as Stored<f32>>::store(&[1.0, f32::MAX], 1.0).is_none());
        assert!(<Bf16Pair as Stored<f64>>::store(&[1e300], 1.0).is_none());
        assert!(<Bf16Pair as Stored<f32>>::store(&[f32::NAN], 1.0).is_none());
    }

    #[test]
    fn int8_is_within_half_a_scale() {
        for largest in [1.0_f32, 0.37, 1e38, 1e-30] {
            let scale = <i8 as Stored<f32>>::scale(largest);
            for i in -1000..=1000 {
                let w = largest * (i as f32 / 1000.0);
                let q: f32 = <i8 as Stored<f32>>::store(&[w], scale).unwrap().load::<0>();
                assert!(q.abs() <= 127.0 && (q * scale - w).abs() <= scale * 0.500_01, "{w} of {largest}");
            }
        }
        assert_eq!(<i8 as Stored<f32>>::store(&[0.0], 0.0), Some(0));
        assert_eq!(<i8 as Stored<f32>>::store(&[f32::INFINITY], 1.0), None);
    }

    /// Of the largest numbers a type has, the largest weight comes back finite.
    fn int8_of_the_largest<F: Float>(next_down: impl Fn(F) -> F) {
        let mut largest = F::max_value();
        let mut too_large = 0;
        for _ in 0..1000 {
            let naive = largest / F::from_f64(127.0);
            too_large += usize::from(!(naive * F::from_f64(127.0)).is_finite());
            let scale = <i8 as Stored<F>>::scale(largest);
            assert!((scale - naive).abs() <= F::epsilon() * naive, "{scale:e} of {largest:e}");
            for w in [largest, -largest] {
                let q: F = <i8 as Stored<F>>::store(&[w], scale).unwrap().load::<0>();
                let back = q * scale;
                assert!(back.is_finite() && (back - w).abs() <= scale * F::from_f64(0.5), "{back:e} for {w:e}");
            }
            largest = next_down(largest);
        }
        assert!(too_large > 0, "none of these was in danger");
    }

    #[test]
    fn int8_of_the_largest_numbers_is_finite() {
        int8_of_the_largest::<f32>(f32::next_down);
        int8_of_the_largest::<f64>(f64::next_down);
    }

    #[test]
    fn int8_rounds_to_the_nearest_and_halves_away_from_zero() {
        let expected = [(0.49, 0), (0.5, 1), (1.49, 1), (1.5, 2), (2.5, 3), (126.49, 126), (126.5, 127), (127.0, 127)];
        for (w, q) in expected {
            for scale in [1.0_f64, 0.25] {
                assert_eq!(<i8 as Stored<f64>>::store(&[w * scale], scale), Some(q), "{w}");
                assert_eq!(<i8 as Stored<f64>>::store(&[-w * scale], scale), Some(-q), "-{w}");
            }
        }
        // A scale too coarse for its column: the ends are ±127.
        for w in [127.6, 190.0, 1e30] {
            assert_eq!(<i8 as Stored<f64>>::store(&[w], 1.0), Some(127));
            assert_eq!(<i8 as Stored<f64>>::store(&[-w], 1.0), Some(-127));
        }
        assert_eq!(<i8 as Stored<f64>>::scale(127.0), 1.0);
        assert_eq!(<i8 as Stored<f32>>::scale(0.0), 0.0);
    }
}
