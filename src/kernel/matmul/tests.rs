//! The kernels against the naive loop, and every blocking against every other.

use super::super::pack::{pack, pack_transposed, packed_len};
use super::*;

fn numbers<F: Float>(n: usize, seed: usize) -> Vec<F> {
    (0..n).map(|i| F::from_f64(((i * 7919 + seed * 104_729) % 1000) as f64 / 500.0 - 1.0)).collect()
}

/// The loop that the kernels are measured against.
fn naive<F: Float>(c: &[F], a: &[F], b: &[F], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
    let at = |i: usize, j: usize| -> f64 { (0..k).map(|p| a[i * k + p].as_f64() * b[p * n + j].as_f64()).sum() };
    (0..m * n).map(|x| c[x].as_f64() + at(x / n, x % n)).collect()
}

/// The loop in the order that is promised: the k terms one after the other on top of `c`, from the first or from the last.
fn in_order<F: Float>(c: &[F], a: &[F], b: &[F], (m, k, n): (usize, usize, usize), from_the_end: bool) -> Vec<F> {
    let fused = crate::cpu::simd_level() != "baseline";
    let mut sums = c.to_vec();
    for i in 0..m {
        for step in 0..k {
            let p = if from_the_end { k - 1 - step } else { step };
            for (sum, b) in sums[i * n..][..n].iter_mut().zip(&b[p * n..][..n]) {
                *sum = if fused { a[i * k + p].mul_add_if::<true>(*b, *sum) } else { *sum + a[i * k + p] * *b };
            }
        }
    }
    sums
}

fn transposed<F: Float>(a: &[F], rows: usize, cols: usize) -> Vec<F> {
    (0..rows * cols).map(|x| a[x % cols * rows + x / cols]).collect()
}

fn check<F: Float>(tolerance: f64) {
    let sizes = [1, 2, 3, 5, 6, 7, 8, 13, 16, 17, 31, 33, 64, 65, 130];
    for (s, &m) in sizes.iter().enumerate() {
        for &k in &[1, 2, 7, 8, 9, 64, 513, 1030] {
            let n = sizes[(s * 5 + k) % sizes.len()];
            let (a, b, c) = (numbers::<F>(m * k, 1), numbers::<F>(k * n, 2), numbers::<F>(m * n, 3));
            let expected = naive(&c, &a, &b, (m, k, n));
            let close = |got: &[F], what: &str| {
                for (x, (g, e)) in got.iter().zip(&expected).enumerate() {
                    let error = (g.as_f64() - e).abs();
                    assert!(error <= tolerance * k as f64, "{what} {m}x{k}x{n} at {x}: {g} against {e}");
                }
            };
            let mut memory = vec![F::zero(); packed_len::<F>(k, n)];
            let packed = pack(&b, k, n, &mut memory);
            let mut whole = c.clone();
            matmul(&mut whole, &a, k, m, packed);
            close(&whole, "matmul");
            assert!(whole == in_order(&c, &a, &b, (m, k, n), false), "the terms are not in order, {m}x{k}x{n}");

            let mut rows = c.clone();
            matmul_unpacked(&mut rows, &a, k, m, &b, k, n);
            assert!(rows == whole, "unpacked has other bits, {m}x{k}x{n}");
            let cut = m / 2;
            let mut halves = c.clone();
            matmul(&mut halves[..cut * n], &a, k, cut, packed);
            matmul(&mut halves[cut * n..], &a[cut * k..], k, m - cut, packed);
            assert!(halves == whole, "parts have other bits, {m}x{k}x{n}");
            let mut same_start = c.clone();
            same_start.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(&c[..n]));
            let mut started = vec![F::nan(); m * n];
            matmul(&mut same_start, &a, k, m, packed);
            matmul_from(&c[..n], &mut started, &a, k, m, packed);
            assert!(started == same_start, "matmul_from differs, {m}x{k}x{n}");

            let mut by_transpose = c.clone();
            matmul_transposed(&mut by_transpose, &transposed(&a, k, m), m, m, packed);
            close(&by_transpose, "matmul_transposed");
            assert!(by_transpose == in_order(&c, &a, &b, (m, k, n), true), "not last to first, {m}x{k}x{n}");

            let mut memory = vec![F::zero(); packed_len::<F>(k, n)];
            let packed = pack_transposed(&transposed(&b, n, k), k, n, &mut memory);
            let mut again = c.clone();
            matmul(&mut again, &a, k, m, packed);
            assert!(again == whole, "pack_transposed differs, {m}x{k}x{n}");
        }
    }
}

#[test]
fn products_agree_with_the_naive_loop_and_have_the_same_bits_in_every_blocking() {
    check::<f32>(6e-7);
    check::<f64>(1.2e-15);
}

/// ∞ in one operand and 0 in the other make NaN, in exactly that row or column; no zero is passed over.
fn nothing_is_skipped<F: Float>() {
    for (m, k, n) in [(1, 1, 1), (1, 9, 300), (5, 3, 7), (6, 8, 64), (7, 513, 65), (13, 17, 130), (33, 5, 31)] {
        for special in [F::infinity(), F::nan()] {
            for last in [false, true] {
                let at = |rows: usize, cols: usize| if last { rows * cols - 1 } else { 0 };
                for in_a in [true, false] {
                    let (mut a, mut b) = (vec![F::zero(); m * k], vec![F::zero(); k * n]);
                    let (row, column) = if last { (m - 1, n - 1) } else { (0, 0) };
                    if in_a {
                        a[at(m, k)] = special;
                    } else {
                        b[at(k, n)] = special;
                    }
                    let right = |c: &[F], what: &str| {
                        for (x, c) in c.iter().enumerate() {
                            let hit = if in_a { x / n == row } else { x % n == column };
                            assert!(if hit { c.is_nan() } else { *c == F::one() }, "{what} {m}x{k}x{n} at {x}: {c}");
                        }
                    };
                    let mut memory = vec![F::zero(); packed_len::<F>(k, n)];
                    let packed = pack(&b, k, n, &mut memory);
                    let ones = vec![F::one(); m * n];
                    let mut c = ones.clone();
                    matmul(&mut c, &a, k, m, packed);
                    right(&c, "matmul");
                    let mut c = vec![F::zero(); m * n];
                    matmul_from(&ones[..n], &mut c, &a, k, m, packed);
                    right(&c, "matmul_from");
                    let mut c = ones.clone();
                    matmul_transposed(&mut c, &transposed(&a, k, m), m, m, packed);
                    right(&c, "matmul_transposed");
                    let mut c = ones.clone();
                    matmul_unpacked(&mut c, &a, k, m, &b, k, n);
                    right(&c, "matmul_unpacked");
                }
            }
        }
    }
}

#[test]
fn infinity_times_zero_is_nan_at_the_edges_of_tiles() {
    nothing_is_skipped::<f32>();
    nothing_is_skipped::<f64>();
}
