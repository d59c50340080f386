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
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        use pulp::x86::{V3, V4};
        match level() {
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
    job.run::<false, false>()
}

fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| best().min(allowed(std::env::var("DEEP_RNN_SIMD").ok().as_deref())))
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
