//! Runs a piece of plain code compiled for the best instruction set the processor has.

use std::sync::OnceLock;

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use pulp::NullaryFnOnce;

/// What the code is compiled for. The variable `DEEP_RNN_SIMD` (`baseline`, `avx2` or `avx512`) lowers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Baseline,
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    Avx2,
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    Avx512,
}

/// A loop to be compiled once for each level. `FUSED` says that multiply-add is one instruction there, `WIDE` that
/// there are 32 registers of 64 bytes.
pub(crate) trait Job {
    type Output;
    fn run<const FUSED: bool, const WIDE: bool>(self) -> Self::Output;
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
struct At<J, const WIDE: bool>(J);

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
impl<J: Job, const WIDE: bool> NullaryFnOnce for At<J, WIDE> {
    type Output = J::Output;
    #[inline(always)]
    fn call(self) -> J::Output {
        self.0.run::<true, WIDE>()
    }
}

pub(crate) fn dispatch<J: Job>(job: J) -> J::Output {
    dispatch_at(level(), job)
}

fn dispatch_at<J: Job>(level: Level, job: J) -> J::Output {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        use pulp::x86::{V3, V4};
        match level {
            Level::Avx512 => {
                if let Some(simd) = V4::try_new() {
                    return simd.vectorize(At::<J, true>(job));
                }
            }
            Level::Avx2 => {
                if let Some(simd) = V3::try_new() {
                    return simd.vectorize(At::<J, false>(job));
                }
            }
            Level::Baseline => {}
        }
    }
    let _ = level;
    baseline(job)
}

/// Not inlined, so that it is there once and not wherever a job is started.
#[inline(never)]
fn baseline<J: Job>(job: J) -> J::Output {
    job.run::<false, false>()
}

fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| best().min(allowed(std::env::var("DEEP_RNN_SIMD").ok().as_deref())))
}

/// Whether there are 32 registers of 64 bytes.
pub(super) fn is_wide() -> bool {
    match level() {
        Level::Baseline => false,
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Level::Avx2 => false,
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Level::Avx512 => true,
    }
}

/// Whether a lower level was asked for than the best there is.
#[cfg(feature = "amx")]
pub(crate) fn is_lowered() -> bool {
    level() < best()
}

fn best() -> Level {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        if pulp::x86::V4::try_new().is_some() {
            return Level::Avx512;
        }
        if pulp::x86::V3::try_new().is_some() {
            return Level::Avx2;
        }
    }
    Level::Baseline
}

fn allowed(name: Option<&str>) -> Level {
    match name {
        Some("baseline") => Level::Baseline,
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Some("avx2") => Level::Avx2,
        _ => best(),
    }
}

/// The name of the level in use: `baseline`, `avx2` or `avx512`.
///
/// The environment variable `DEEP_RNN_SIMD`, read once, may ask for a lower one by its name. A level the processor does not have,
/// and a word that names none, leave the best there is: look here which one runs.
#[must_use]
pub fn simd_level() -> &'static str {
    match level() {
        Level::Baseline => "baseline",
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Level::Avx2 => "avx2",
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Level::Avx512 => "avx512",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Float;

    fn levels() -> impl Iterator<Item = Level> {
        let all = [
            Level::Baseline,
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Level::Avx2,
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Level::Avx512,
        ];
        all.into_iter().filter(|level| *level <= best())
    }

    struct Gates<'a, F>(&'a [F], &'a mut [[F; 4]]);

    impl<F: Float> Job for Gates<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) {
            for (x, y) in self.0.iter().zip(self.1) {
                *y = [Float::exp(*x), Float::exp_m1(*x), x.sigmoid(), Float::tanh(*x)];
            }
        }
    }

    fn same_bits<F: Float>(xs: &[F], bits: impl Fn(F) -> u64) {
        let at = |level| {
            let mut ys = vec![[F::zero(); 4]; xs.len()];
            dispatch_at(level, Gates(xs, &mut ys));
            ys
        };
        let expected = at(Level::Baseline);
        for level in levels() {
            for ((x, ours), expected) in xs.iter().zip(at(level)).zip(&expected) {
                for (a, b) in ours.iter().zip(expected) {
                    assert!(bits(*a) == bits(*b) || a.is_nan() && b.is_nan(), "{level:?} at {x:e}: {a:e}, {b:e}");
                }
            }
        }
    }

    #[test]
    fn gates_have_the_same_bits_at_every_level() {
        let floats: Vec<f32> = (0..=u32::MAX).step_by(4093).map(f32::from_bits).collect();
        same_bits(&floats, |x| u64::from(x.to_bits()));
        let doubles: Vec<f64> =
            (0..1_000_000).map(|i: u64| f64::from_bits(i.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
        same_bits(&doubles, f64::to_bits);
        let moderate: Vec<f64> = (-500_000..500_000).map(|i| f64::from(i) * 8.1e-5).collect();
        same_bits(&moderate, f64::to_bits);
    }

    #[test]
    fn the_variable_only_lowers_the_level() {
        assert_eq!(allowed(Some("baseline")), Level::Baseline);
        for other in [None, Some("avx512"), Some(""), Some("AVX2"), Some("sse9")] {
            assert_eq!(allowed(other), best(), "{other:?}");
        }
        assert!(levels().any(|level| level == best()));
    }
}
