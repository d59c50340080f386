//! The peak of multiply-adds on one core, measured: independent chains in registers and nothing else.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

/// Enough chains to hide the latency, few enough to stay in registers.
const CHAINS: usize = 12;

struct Chains(u32);

impl WithSimd for Chains {
    /// Numbers in a register.
    type Output = usize;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let (a, b) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        let mut sums = [simd.splat_f32s(1.0); CHAINS];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, a, b);
            }
        }
        for sum in sums {
            black_box(simd.reduce_sum_f32s(sum));
        }
        size_of::<S::f32s>() / size_of::<f32>()
    }
}

/// GFLOP/s of one core.
pub(crate) fn gflops() -> f64 {
    const ROUNDS: u32 = 100_000;
    let arch = Arch::new();
    let once = || {
        let start = Instant::now();
        let width = arch.dispatch(Chains(ROUNDS));
        f64::from(ROUNDS) * (CHAINS * width * 2) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..200).map(|_| once()).fold(0.0, f64::max)
}
