//! An affine map of few rows.

use super::{Operand, StepInput, add, copy, padded, width};
use crate::Float;
use crate::gates::BLOCK;
use crate::kernel::dispatch::{Job, dispatch};
use crate::kernel::stored::Stored;

/// An affine map: `y [B, n] = b + x · w`, where each column of `w` counts as a unit of one lane; without a `b`, `y += x · w`.
pub(crate) struct Affine<'a, F, W> {
    pub(crate) w: &'a Operand<F, W>,
    pub(crate) b: Option<&'a [F]>,
    pub(crate) n: usize,
    /// Rows of `y` begin so many numbers apart; the last may end after its `n`.
    pub(crate) ld: usize,
    pub(crate) x: StepInput<'a, F>,
    pub(crate) y: &'a mut [F],
}

impl<F: Float, W: Stored<F>> Affine<'_, F, W> {
    pub(crate) fn start(mut self) {
        dispatch(Run(&mut self));
    }
}

/// By reference, as in a [`Step`](super::Step).
struct Run<'s, 'a, F, W>(&'s mut Affine<'a, F, W>);

impl<F: Float, W: Stored<F>> Job for Run<'_, '_, F, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let affine = self.0;
        let rows = if affine.y.len() == affine.ld { 1 } else { affine.y.len().div_ceil(affine.ld) };
        let whole = padded(affine.n) / BLOCK;
        for r in 0..rows {
            let mut q = 0;
            while q + 4 <= whole {
                affine.tile::<4, false, FUSED>(r, q);
                q += 4;
            }
            if q + 2 <= whole {
                affine.tile::<2, false, FUSED>(r, q);
                q += 2;
            }
            if q < whole {
                affine.tile::<1, false, FUSED>(r, q);
            }
            if whole * BLOCK < affine.n {
                affine.tile::<1, true, FUSED>(r, whole);
            }
        }
    }
}

impl<F: Float, W: Stored<F>> Affine<'_, F, W> {
    #[inline(always)]
    fn tile<const A: usize, const HALVED: bool, const FUSED: bool>(&mut self, r: usize, q: usize) {
        let mut sums = [[[[F::zero(); BLOCK]; 1]; A]; 1];
        match self.b {
            Some(b) => {
                let numbers = sums.as_flattened_mut().as_flattened_mut().as_flattened_mut();
                let wide = (A - 1) * BLOCK + width::<A, HALVED>(A - 1);
                numbers[..wide].copy_from_slice(&b[q * BLOCK..][..wide]);
            }
            None => {
                for (i, [sums]) in sums[0].iter_mut().enumerate() {
                    let unit = (q + i) * BLOCK;
                    copy(sums, &self.y[r * self.ld + unit..], BLOCK.min(self.n - unit));
                }
            }
        }
        add::<F, W, [F; 1], 1, A, HALVED, FUSED>(&mut sums, self.x.rows(r, self.w.k), self.w, q);
        for (i, [sums]) in sums[0].iter().enumerate() {
            let unit = (q + i) * BLOCK;
            copy(&mut self.y[r * self.ld + unit..], sums, BLOCK.min(self.n - unit));
        }
    }
}
