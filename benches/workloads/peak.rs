//! The peak of multiply-adds on one core, measured: independent chains in registers and nothing else.

use std::hint::black_box;
use std::time::Instant;

use pulp::NullaryFnOnce;

/// Enough chains of 64 numbers to hide the latency, few enough to stay in registers.
const CHAINS: usize = 6;

struct Chains(u32);

impl NullaryFnOnce for Chains {
    type Output = f32;
    #[inline(always)]
    fn call(self) -> f32 {
        let mut sums = [[1.0_f32; 64]; CHAINS];
        let (a, b) = (black_box(vec![0.999_f32; CHAINS * 64]), black_box(vec![0.001_f32; 64 * 64]));
        for _ in 0..self.0 / 64 {
            for (a, b) in a.chunks_exact(CHAINS).zip(b.chunks_exact(64)) {
                let column: [f32; CHAINS] = std::array::from_fn(|i| a[i]);
                for i in 0..CHAINS {
                    for j in 0..64 {
                        sums[i][j] = column[i].mul_add(b[j], sums[i][j]);
                    }
                }
            }
        }
        sums.as_flattened().iter().sum()
    }
}

/// With the widest multiply-add there is.
fn run(chains: Chains) -> f32 {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        if let Some(simd) = pulp::x86::V4::try_new() {
            return simd.vectorize(chains);
        }
        if let Some(simd) = pulp::x86::V3::try_new() {
            return simd.vectorize(chains);
        }
    }
    chains.call()
}

/// GFLOP/s of one core.
pub(crate) fn gflops() -> f64 {
    const ROUNDS: u32 = 50_000;
    let once = || {
        let start = Instant::now();
        black_box(run(Chains(ROUNDS)));
        f64::from(ROUNDS) * (CHAINS * 64 * 2) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..50).map(|_| once()).fold(0.0, f64::max)
}
