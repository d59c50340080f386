//! Products with few columns: a sum for each that runs along whole rows, eight partial sums side by side, where a sum
//! that takes one term after the other would wait for itself.

use bytemuck::{cast_slice, cast_slice_mut};

use super::dispatch::{Job, dispatch};
use super::stream::rows_of;
use crate::Float;

/// So many columns are few.
const FEW: usize = 4;
/// Partial sums.
const ABREAST: usize = 8;

/// Whether an operand `[k, n]` has few columns: then its products have the order of this module.
pub(crate) fn is_narrow(n: usize) -> bool {
    n <= FEW
}

/// The length of the memory for such an operand.
pub(crate) fn narrow_len(k: usize, n: usize) -> usize {
    k.div_ceil(ABREAST).saturating_mul(ABREAST * n)
}

/// An operand `[k, n]`, column after column, each filled up with zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow<'a, F> {
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) columns: &'a [F],
}

impl<'a, F: Float> Narrow<'a, F> {
    /// Takes the columns from where they are.
    pub(crate) fn pack(k: usize, n: usize, memory: &'a mut [F], at: impl Fn(usize, usize) -> F) -> Self {
        let len = narrow_len(k, 1);
        let memory = &mut memory[..narrow_len(k, n)];
        for (j, column) in memory.chunks_exact_mut(len.max(1)).enumerate() {
            for (p, to) in column.iter_mut().enumerate() {
                *to = if p < k { at(p, j) } else { F::zero() };
            }
        }
        Narrow { k, n, columns: memory }
    }

    /// `y [_, n] = start [n] + x [_, k] · w`, without a start x · w.
    pub(crate) fn times(self, start: Option<&[F]>, x: &[F], y: &mut [F]) {
        if size_of::<F>() == 4 { rows_f32(self.rows(start, x, y)) } else { rows_f64(self.rows(start, x, y)) }
    }

    /// The product; `G` is `F`, under a name the compiler knows.
    fn rows<'b, G: Float>(self, start: Option<&'b [F]>, x: &'b [F], y: &'b mut [F]) -> Rows<'b, G>
    where
        'a: 'b,
    {
        let w = Narrow { k: self.k, n: self.n, columns: cast_slice(self.columns) };
        Rows { w, start: start.map(cast_slice), x: cast_slice(x), y: cast_slice_mut(y) }
    }
}

// Compiled here, once for each type.
#[inline(never)]
fn rows_f32(rows: Rows<'_, f32>) {
    dispatch(rows);
}
#[inline(never)]
fn rows_f64(rows: Rows<'_, f64>) {
    dispatch(rows);
}

struct Rows<'a, F> {
    w: Narrow<'a, F>,
    start: Option<&'a [F]>,
    x: &'a [F],
    y: &'a mut [F],
}

impl<F: Float> Job for Rows<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let Rows { w: Narrow { k, n, columns }, start, x, y } = self;
        let len = k.div_ceil(ABREAST) * ABREAST;
        for r in 0..rows_of(y.len(), n) {
            let (x, y) = (&x[r * k..][..k], &mut y[r * n..][..n]);
            for (j, y) in y.iter_mut().enumerate() {
                let product = dot::<F, FUSED>(x, &columns[j * len..][..len]);
                *y = match start {
                    Some(start) => start[j] + product,
                    None => product,
                };
            }
        }
    }
}

/// x · w, for a w that is filled up.
#[inline(always)]
fn dot<F: Float, const FUSED: bool>(x: &[F], w: &[F]) -> F {
    let ((xs, rest), (ws, _)) = (x.as_chunks::<ABREAST>(), w.as_chunks::<ABREAST>());
    let mut sums = [F::zero(); ABREAST];
    for (x, w) in xs.iter().zip(ws) {
        for i in 0..ABREAST {
            sums[i] = x[i].mul_add_if::<FUSED>(w[i], sums[i]);
        }
    }
    for (i, x) in rest.iter().enumerate() {
        sums[i] = x.mul_add_if::<FUSED>(w[xs.len() * ABREAST + i], sums[i]);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the plain loop, every number of columns and rows at a time.
    fn check<F: Float>(tolerance: f64) {
        let number = |i: usize| F::from_f64(((i * 7919 + 13) % 1000) as f64 / 500.0 - 1.0);
        for k in [1, 2, 7, 8, 9, 15, 16, 40, 64, 131] {
            for n in 1..=FEW {
                let rows = 3;
                let (x, w): (Vec<F>, Vec<F>) =
                    ((0..rows * k).map(number).collect(), (5..5 + k * n).map(number).collect());
                let start: Vec<F> = (0..n).map(number).collect();
                let mut memory = vec![F::nan(); narrow_len(k, n)];
                let packed = Narrow::pack(k, n, &mut memory, |p, j| w[p * n + j]);
                let mut y = vec![F::nan(); rows * n];
                packed.times(Some(&start), &x, &mut y);
                for (i, y) in y.iter().enumerate() {
                    let (r, j) = (i / n, i % n);
                    let sum: f64 = (0..k).map(|p| x[r * k + p].as_f64() * w[p * n + j].as_f64()).sum();
                    let error = (y.as_f64() - start[j].as_f64() - sum).abs();
                    assert!(error <= tolerance * (k + 1) as f64, "{k} by {n}, row {r}, column {j}: {error:e}");
                    let mut alone = vec![F::nan(); n];
                    packed.times(Some(&start), &x[r * k..][..k], &mut alone);
                    assert!(alone[j] == *y, "a row by itself has other bits, {k} by {n}");
                }
                let mut bare = vec![F::nan(); rows * n];
                packed.times(None, &x, &mut bare);
                assert!((0..rows * n).all(|i| start[i % n] + bare[i] == y[i]), "without a start, {k} by {n}");
            }
        }
    }

    #[test]
    fn few_columns_as_many() {
        check::<f32>(1e-7);
        check::<f64>(2e-16);
    }
}
