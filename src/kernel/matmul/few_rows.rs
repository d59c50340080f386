//! Products of one row, and of few rows with an operand that is not packed: bound by reading it.

use bytemuck::{cast_slice, cast_slice_mut};

use super::tile::{Ahead, edge};
use crate::Float;
use crate::kernel::dispatch::Job;

/// One row of the result: bound by reading the operand, so four panels are read side by side.
#[inline(always)]
pub(super) fn one_row<F: Float, const WIDTH: usize, const FUSED: bool>(
    c: &mut [F],
    a: &[F],
    panels: &[F],
    (k, height, n): (usize, usize, usize),
) {
    const ABREAST: usize = 4;
    let mut column = 0;
    while column + ABREAST * WIDTH <= n {
        let b: [&[F]; ABREAST] = std::array::from_fn(|q| &panels[(column + q * WIDTH) * height..][..k * WIDTH]);
        let c = &mut c[column..][..ABREAST * WIDTH];
        let mut sums = [[F::zero(); WIDTH]; ABREAST];
        for (q, sums) in sums.iter_mut().enumerate() {
            sums.copy_from_slice(&c[q * WIDTH..][..WIDTH]);
        }
        for (p, a) in a[..k].iter().enumerate() {
            for q in 0..ABREAST {
                let b = &b[q][p * WIDTH..][..WIDTH];
                for j in 0..WIDTH {
                    sums[q][j] = a.mul_add_if::<FUSED>(b[j], sums[q][j]);
                }
            }
        }
        for (q, sums) in sums.iter().enumerate() {
            c[q * WIDTH..][..WIDTH].copy_from_slice(sums);
        }
        column += ABREAST * WIDTH;
    }
    while column < n {
        let columns = WIDTH.min(n - column);
        let panel = &panels[column * height..][..k * WIDTH];
        let b = Ahead { panel, from: 0, soon: panel, next: panel };
        edge::<F, 1, WIDTH, WIDTH, FUSED, false>(&mut c[column..], n, columns, (a, k), k, b);
        column += WIDTH;
    }
}

/// Few rows against an operand in its own layout: whole rows of it stream by, four at a time.
pub(super) struct Rows<'a, F> {
    pub(super) c: &'a mut [F],
    pub(super) a: &'a [F],
    pub(super) lda: usize,
    pub(super) m: usize,
    pub(super) b: &'a [F],
    pub(super) k: usize,
    pub(super) n: usize,
}

impl<'a, F: Float> Rows<'a, F> {
    /// The same; `G` is `F`, under a name the compiler knows.
    pub(super) fn cast<G: Float>(self) -> Rows<'a, G> {
        let Rows { c, a, lda, m, b, k, n } = self;
        Rows { c: cast_slice_mut(c), a: cast_slice(a), lda, m, b: cast_slice(b), k, n }
    }
}

impl<F: Float> Job for Rows<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        const TOGETHER: usize = 4; // streams that the processor reads ahead of; with 8 it falls behind
        let Rows { c, a, lda, m, b, k, n } = self;
        let mut p = 0;
        while p < k {
            let together = if k - p >= TOGETHER { TOGETHER } else { 1 };
            let b = &b[p * n..][..together * n];
            for (i, c) in c.chunks_exact_mut(n).take(m).enumerate() {
                let a = &a[i * lda + p..][..together];
                if together == TOGETHER {
                    let row: [&[F]; TOGETHER] = std::array::from_fn(|q| &b[q * n..][..n]);
                    for j in 0..n {
                        let mut sum = c[j];
                        for q in 0..TOGETHER {
                            sum = a[q].mul_add_if::<FUSED>(row[q][j], sum);
                        }
                        c[j] = sum;
                    }
                } else {
                    for (c, b) in c.iter_mut().zip(b) {
                        *c = a[0].mul_add_if::<FUSED>(*b, *c);
                    }
                }
            }
            p += together;
        }
    }
}
