//! exp, exp_m1, sigmoid and tanh. How they come to be monotone, and their errors: `docs/derivations/gates.md`; `tests/gates`
//! holds them to both.
//!
//! Where `FUSED`, a product and a sum are one operation, which the processor has to have; else the bits are the same on any.
//!
//! Common to all: adding `ROUND` rounds to an integer n and leaves n plus a bias in the low bits of the sum, which a shift
//! turns into the number 2ⁿ (or 2ⁿ⁻¹, as the bias is chosen). Coefficients are minimax fits of the relative error of the result
//! (Remez' exchange), by the program at the end of that page.
//! The order of the sums is Estrin's, which is shorter to wait for than Horner's.

/// `name(x)`: c0 + c1·x + c2·x² + ..., by pairs.
macro_rules! polynomial {
    ($name:ident, $f:ident, [$c0:expr, $c1:expr, $c2:expr, $c3:expr, $c4:expr]) => {
        #[inline(always)]
        fn $name<const FUSED: bool>(x: $f) -> $f {
            let x2 = x * x;
            let low = add::<FUSED>($c1, x, $c0);
            add::<FUSED>(x2, add::<FUSED>(x2, $c4, add::<FUSED>($c3, x, $c2)), low)
        }
    };
    ($name:ident, $f:ident, [$c0:expr, $c1:expr, $c2:expr, $c3:expr, $c4:expr, $c5:expr, $c6:expr, $c7:expr, $c8:expr,
        $c9:expr]) => {
        #[inline(always)]
        fn $name<const FUSED: bool>(x: $f) -> $f {
            let x2 = x * x;
            let x4 = x2 * x2;
            let low = add::<FUSED>(x2, add::<FUSED>($c3, x, $c2), add::<FUSED>($c1, x, $c0));
            let middle = add::<FUSED>(x2, add::<FUSED>($c7, x, $c6), add::<FUSED>($c5, x, $c4));
            add::<FUSED>(x4, add::<FUSED>(x4, add::<FUSED>($c9, x, $c8), middle), low)
        }
    };
}

/// Horner's rule; the highest coefficient first.
macro_rules! horner {
    ($x:expr; $first:expr $(, $c:expr)*) => {{
        let mut p = $first;
        $( p = add::<FUSED>(p, $x, $c); )*
        p
    }};
}

macro_rules! gates {
    ($f:ident, mantissa: $mantissa:expr, bias: $bias:expr, round: $round:expr, ln2: $hi:expr, $lo:expr,
     under: $under:expr, small: $small:expr, exp: $q:tt, exp2: $first:expr, $p:tt, tanh: [$($d:expr),+]) => {
        pub(super) mod $f {
            use std::$f::consts::LOG2_E;

            const ROUND: $f = $round;
            const BIAS: $f = $bias;
            // ln 2 in two parts; n times the first is exact.
            const HI: $f = $hi;
            const LO: $f = $lo;
            /// Where exp becomes 0, or somewhat below.
            const UNDER: $f = $under;
            /// Where tanh goes over from one form to the other.
            const SEAM: $f = 0.625;
            /// The square of less changes no bit of a result. It is left out, since powers of small numbers are not normal ones, on which
            /// processors are slow.
            const SMALL: $f = $small;

            // (eʳ - 1 - r) / r², |r| <= ln(2)/2.
            polynomial!(q, $f, $q);
            // (2ˢ - 1 - FIRST·s) / s², |s| <= 1/2.
            polynomial!(p, $f, $p);
            const FIRST: $f = $first;

            /// a·b + c, rounded once where `FUSED`.
            #[inline(always)]
            fn add<const FUSED: bool>(a: $f, b: $f, c: $f) -> $f {
                if FUSED { a.mul_add(b, c) } else { a * b + c }
            }

            #[inline(always)]
            fn power(z: $f) -> $f {
                $f::from_bits(z.to_bits() << $mantissa)
            }

            /// 0 where `x` is small, else `y`.
            #[inline(always)]
            fn unless_small(x: $f, y: $f) -> $f {
                if x.abs() < SMALL { 0.0 } else { y }
            }

            // With n = round(x / ln 2) and r = x - n ln 2: eˣ = 2ⁿ (1 + r + r² q(r)). Beyond the range n stays at its end: above,
            // r and with it the result grow beyond all bounds; below, 2ⁿ⁻¹ is 0.
            #[inline(always)]
            pub(crate) fn exp<const FUSED: bool>(x: $f) -> $f {
                const R: $f = ROUND + (BIAS - 1.0);
                const TOP: $f = R + (BIAS + 1.0);
                let x = if x < UNDER { UNDER } else { x };
                let z = add::<FUSED>(x, LOG2_E, R);
                let z = if z > TOP { TOP } else { z };
                let n = z - R;
                let r = add::<FUSED>(n, -LO, add::<FUSED>(n, -HI, x));
                let s = unless_small(x, r);
                let p = add::<FUSED>(s * s, q::<FUSED>(s), r);
                // Twice 2ⁿ⁻¹, since 2ⁿ may be too large; doubled first, so that nothing on the way is below the normal numbers.
                (1.0 + p) * 2.0 * power(z)
            }

            // eˣ - 1 = 2ⁿ p + (2ⁿ - 1), halved on the way as there.
            #[inline(always)]
            pub(crate) fn exp_m1<const FUSED: bool>(x: $f) -> $f {
                const R: $f = ROUND + (BIAS - 1.0);
                const TOP: $f = R + (BIAS + 1.0);
                let a = if x < UNDER { UNDER } else { x };
                let z = add::<FUSED>(a, LOG2_E, R);
                let z = if z > TOP { TOP } else { z };
                let n = z - R;
                let r = add::<FUSED>(n, -LO, add::<FUSED>(n, -HI, a));
                let s = unless_small(x, r);
                let p = add::<FUSED>(s * s, q::<FUSED>(s), r);
                let half = power(z);
                (add::<FUSED>(half, p, half - 0.5) * 2.0).copysign(x)
            }

            // The same for e⁻ˣ. Above 64 σ is 1; where it would be no normal number the divisor becomes ∞ at once.
            #[inline(always)]
            pub(crate) fn sigmoid<const FUSED: bool>(x: $f) -> $f {
                const R: $f = ROUND + BIAS;
                const LAST: $f = R + (BIAS - 2.0);
                let x = if x > 64.0 { 64.0 } else { x };
                let z = add::<FUSED>(x, -LOG2_E, R);
                let n = z - R;
                let r = add::<FUSED>(n, -LO, add::<FUSED>(n, -HI, -x));
                let s = unless_small(x, r);
                let p = add::<FUSED>(s * s, q::<FUSED>(s), r);
                let scale = power(z);
                let d = add::<FUSED>(scale, p, 1.0 + scale);
                1.0 / if z > LAST { $f::INFINITY } else { d }
            }

            // Below the seam tanh a = a - a³ / d(a²), above it 1 - 1 / ((e²ᵃ + 1) / 2) with e²ᵃ = 2ⁿ⁺ˢ; one division for both. A
            // NaN takes the first way.
            #[inline(always)]
            pub(crate) fn tanh<const FUSED: bool>(x: $f) -> $f {
                const R: $f = ROUND + (BIAS - 1.0);
                let a = x.abs();
                let w = a * (2.0 * LOG2_E);
                let w = if w > 60.0 { 60.0 } else { w };
                let z = w + R;
                let s = unless_small(a, w - (z - R));
                let p = add::<FUSED>(s * s, p::<FUSED>(s), FIRST * s);
                let half = power(z);
                let e = add::<FUSED>(half, p, half + 0.5);
                let b = unless_small(a, a);
                let t = b * b;
                let d = horner!(t; $($d),+);
                let above = a >= SEAM;
                let first = if above { 1.0 } else { a };
                let top = if above { 1.0 } else { b * t };
                let bottom = if above { e } else { d };
                (first - top / bottom).copysign(x)
            }
        }
    };
}

// Small are 2⁻³⁰ and 2⁻⁶⁰. Relative errors of the polynomials, on the way to eˣ, 2ˢ and tanh: 3.2e-9, 5.3e-9, 5.5e-9.
gates!(f32, mantissa: 23, bias: 127.0, round: 12_582_912.0, ln2: 355.0 / 512.0, -2.121_944_4e-4, under: -87.5, small: 1.0 / 1_073_741_824.0,
    exp: [0.499_999_94, 0.166_665_17, 4.166_810_2e-2, 8.369_165_5e-3, 1.383_800_3e-3],
    exp2: 0.693_147_24, [0.240_226_55, 5.550_272_4e-2, 9.617_063e-3, 1.341_820_3e-3, 1.582_050_8e-4],
    tanh: [-5.528_781_6e-3, 1.199_958_6, 3.000_002_6]);

// 8.8e-18, 3.4e-17, 2.6e-18.
gates!(f64, mantissa: 52, bias: 1023.0, round: 6_755_399_441_055_744.0,
    ln2: 0.693_147_180_369_123_8, 1.908_214_929_270_587_8e-10, under: -708.5, small: 1.0 / 1_152_921_504_606_846_976.0,
    exp: [0.500_000_000_000_001_1, 0.166_666_666_666_664_35, 4.166_666_666_652_58e-2, 8.333_333_333_475_837e-3,
        1.388_888_894_484_632_2e-3, 1.984_126_955_477_998e-4, 2.480_149_179_626_607_3e-5, 2.755_754_276_795_157_8e-6,
        2.763_070_644_762_325e-7, 2.501_215_662_442_829_8e-8],
    exp2: 0.693_147_180_559_945_7, [0.240_226_506_959_101, 5.550_410_866_478_795e-2, 9.618_129_107_606_229e-3,
        1.333_355_815_396_701_4e-3, 1.540_353_044_204_641_4e-4, 1.525_272_686_776_953e-5, 1.321_544_271_961_169_3e-6,
        1.018_088_529_509_337_8e-7, 7.072_514_064_699_081e-9, 4.037_672_137_246_980_6e-10],
    tanh: [-2.740_102_217_479_498e-8, 5.974_312_439_854e-7, -1.220_323_970_754_781_2e-5, 2.539_681_778_606_784e-4,
        -5.714_285_707_077_794e-3, 1.199_999_999_999_676_9, 3.000_000_000_000_005]);
