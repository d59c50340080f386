//! Q of a factorisation Q·R, by Householder's reflections (Golub and Van Loan, Matrix Computations, 5.2).
//!
//! Columns lie one after the other, and each is taken through many reflections while it is in cache. Sums run in an order
//! that depends on lengths alone, so the numbers are the same on every platform.

use ndarray::Array2;

/// Columns taken through the reflections side by side: each reflection is read once for all of them.
const BESIDE: usize = 8;

/// The factor Q `[rows, cols]` of a matrix at least as high as wide, for the R whose diagonal is positive.
pub(super) fn orthonormal(a: &Array2<f64>) -> Array2<f64> {
    let (rows, cols) = a.dim();
    let mut columns: Vec<f64> = a.t().iter().copied().collect();
    // Column j becomes the vector v, from row j on, of the reflection 1 - v·vᵀ that makes all below row j zero.
    let mut signs = Vec::with_capacity(cols);
    for first in (0..cols).step_by(BESIDE) {
        let last = cols.min(first + BESIDE);
        let (done, here) = columns.split_at_mut(first * rows);
        let here = &mut here[..(last - first) * rows];
        for (j, v) in done.chunks_exact(rows).enumerate() {
            here.chunks_exact_mut(rows).for_each(|column| reflect(&v[j..], &mut column[j..]));
        }
        for j in first..last {
            let (v, others) = here[(j - first) * rows..].split_at_mut(rows);
            signs.push(make_reflection(&mut v[j..]));
            others.chunks_exact_mut(rows).for_each(|column| reflect(&v[j..], &mut column[j..]));
        }
    }
    // Q's columns are those of the unit matrix, taken through all reflections from the last to the first.
    let mut q = vec![0.0; rows * cols];
    for (block, here) in q.chunks_mut(BESIDE * rows).enumerate() {
        let first = block * BESIDE;
        let last = first + here.len() / rows;
        for (j, column) in (first..).zip(here.chunks_exact_mut(rows)) {
            column[j] = signs[j];
        }
        for (j, v) in columns.chunks_exact(rows).enumerate().take(last).rev() {
            // The reflections after its own leave a column of the unit matrix as it is.
            let from = j.saturating_sub(first) * rows;
            here[from..].chunks_exact_mut(rows).for_each(|column| reflect(&v[j..], &mut column[j..]));
        }
    }
    Array2::from_shape_fn((rows, cols), |(i, j)| q[j * rows + i])
}

/// Turns x into the v of the reflection that takes it to ∓|x| along its first axis; tells the sign that makes |x| of it.
fn make_reflection(x: &mut [f64]) -> f64 {
    let norm = dot(x, x).sqrt();
    // Away from x, so that nothing cancels.
    let sign = if x[0] < 0.0 { 1.0 } else { -1.0 };
    x[0] -= sign * norm;
    // |v|² = 2, so that 1 - v·vᵀ is a reflection; x = 0 needs none.
    let length = (norm * (x[0].abs())).sqrt();
    if length > 0.0 {
        x.iter_mut().for_each(|x| *x /= length);
        sign
    } else {
        1.0
    }
}

/// x -= v (v·x)
fn reflect(v: &[f64], x: &mut [f64]) {
    let along = dot(v, x);
    x.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
}

/// Eight running sums, so that the loop becomes vector code.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}
