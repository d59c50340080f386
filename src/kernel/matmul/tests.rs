//! The kernels against the naive loop, and every blocking against every other.

use super::super::operands::Operands;
use super::super::pack::{pack, pack_transposed, packed_len};
use super::super::stored::from_bf16;
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

/// The nearest bfloat16 number by arithmetic on integers, and 0 for what is nearer to 0 than 2⁻⁵⁵.
fn bf16(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    let near = from_bf16(super::super::stored::bf16(f64::from(x)));
    if x.abs() < 2.0_f32.powi(-55) { 0.0_f32.copysign(x) } else { near }
}

/// The promised order for rows `from` to `from + k` of a packed operand: 32 rows together, counted from an even one, or from the end from
/// behind an odd one; the terms of even rows, those of odd ones, both together on top of `c`.
fn in_blocks(
    c: &[f32],
    a: &[f32],
    b: &[f32],
    (m, k, n): (usize, usize, usize),
    from: usize,
    from_the_end: bool,
) -> Vec<f32> {
    let (start, end) = (from - from % 2, from + k + (from + k) % 2);
    let block = |number: usize| {
        if from_the_end {
            (end - 32 * number).saturating_sub(32)..end - 32 * number
        } else {
            start + 32 * number..start + 32 * number + 32
        }
    };
    let mut sums = c.to_vec();
    for (x, sum) in sums.iter_mut().enumerate() {
        for rows in (0..(end - start).div_ceil(32)).map(block) {
            let of = |odd: usize| {
                let rows = (rows.start.max(from)..rows.end.min(from + k)).filter(|row| row % 2 == odd);
                let term = |row: usize| bf16(a[x / n * k + row - from]) * bf16(b[row * n + x % n]);
                rows.map(term).fold(0.0, |sum, term| sum + term)
            };
            *sum += of(0) + of(1);
        }
    }
    assert_eq!(sums.len(), m * n);
    sums
}

#[test]
fn rounded_products_have_the_bits_of_their_order_at_every_level() {
    let sizes = [1, 2, 3, 5, 6, 7, 8, 13, 16, 17, 31, 33, 48, 49, 64, 65, 130, 200];
    for (s, &m) in sizes.iter().enumerate() {
        for &k in &[1, 2, 7, 31, 32, 33, 63, 64, 65, 97, 512] {
            let n = sizes[(s * 5 + k) % sizes.len()];
            let spread = |numbers: Vec<f32>| -> Vec<f32> {
                // Of many sizes: some so near to 0 that they count as 0, products of others near 2⁻¹¹⁰.
                let scaled = numbers.iter().enumerate();
                scaled.map(|(i, x)| x * [1.0, 3e-16, 1e-17, -2.7, 1e4, 1e-38][i * 7 % 11 % 6]).collect()
            };
            let (a, b) = (spread(numbers(m * k, 1)), spread(numbers(k * n, 2)));
            let c = numbers::<f32>(m * n, 3);
            let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let expected = bits(&in_blocks(&c, &a, &b, (m, k, n), 0, false));
            Operands::bf16().with(|| {
                let mut memory = vec![0.0; packed_len::<f32>(k, n)];
                let packed = pack(&b, k, n, &mut memory);
                let mut whole = c.clone();
                matmul(&mut whole, &a, k, m, packed);
                assert!(bits(&whole) == expected, "matmul {m}x{k}x{n}");
                let cut = m / 3;
                let mut parts = c.clone();
                matmul(&mut parts[..cut * n], &a, k, cut, packed);
                matmul(&mut parts[cut * n..], &a[cut * k..], k, m - cut, packed);
                assert!(bits(&parts) == expected, "matmul in parts {m}x{k}x{n}");

                let mut started = vec![f32::NAN; m * n];
                matmul_from(&c[..n], &mut started, &a, k, m, packed);
                let start: Vec<f32> = (0..m * n).map(|x| c[x % n]).collect();
                assert!(bits(&started) == bits(&in_blocks(&start, &a, &b, (m, k, n), 0, false)), "from {m}x{k}x{n}");

                let mut back = c.clone();
                matmul_transposed(&mut back, &transposed(&a, k, m), m, m, packed);
                assert!(bits(&back) == bits(&in_blocks(&c, &a, &b, (m, k, n), 0, true)), "transposed {m}x{k}x{n}");

                let mut memory = vec![0.0; packed_len::<f32>(k, n)];
                let packed = pack_transposed(&transposed(&b, n, k), k, n, &mut memory);
                let mut again = c.clone();
                matmul(&mut again, &a, k, m, packed);
                assert!(bits(&again) == expected, "pack_transposed {m}x{k}x{n}");
                // Some rows of a packed operand, from an odd one on too.
                for from in (1..4).filter(|from| *from < k) {
                    let depth = (k - from).min(40);
                    let part = packed.rows(from, depth);
                    let some: Vec<f32> = a.chunks(k).flat_map(|row| &row[from..from + depth]).copied().collect();
                    let size = (m, depth, n);
                    let mut rest = c.clone();
                    matmul(&mut rest, &a[from..], k, m, part);
                    assert!(bits(&rest) == bits(&in_blocks(&c, &some, &b, size, from, false)), "rows {m}x{k}x{n}");
                    let mut rest = c.clone();
                    matmul_transposed(&mut rest, &transposed(&some, depth, m), m, m, part);
                    assert!(bits(&rest) == bits(&in_blocks(&c, &some, &b, size, from, true)), "rows back {m}x{k}x{n}");
                }
            });
        }
    }
}

#[test]
fn rounded_products_are_as_near_as_their_sums_allow_and_pass_over_nothing() {
    for k in [10, 100, 1000, 10_000] {
        let (m, n) = (7, 70);
        let (a, b) = (numbers::<f32>(m * k, 4), numbers::<f32>(k * n, 5));
        let rounded = |numbers: &[f32]| numbers.iter().map(|x| bf16(*x)).collect::<Vec<_>>();
        let expected = naive(&vec![0.0; m * n], &rounded(&a), &rounded(&b), (m, k, n));
        Operands::bf16().with(|| {
            let mut memory = vec![0.0; packed_len::<f32>(k, n)];
            let packed = pack(&b, k, n, &mut memory);
            let (mut c, mut back) = (vec![0.0; m * n], vec![0.0; m * n]);
            matmul(&mut c, &a, k, m, packed);
            matmul_transposed(&mut back, &transposed(&a, k, m), m, m, packed);
            for (got, expected) in c.iter().chain(&back).zip(expected.iter().chain(&expected)) {
                let error = (f64::from(*got) - expected).abs();
                assert!(error <= 7e-7 * (k as f64).sqrt(), "{k} terms: {got} against {expected}");
            }
        });
    }
    Operands::bf16().with(nothing_of_rounded_is_skipped);
    // Of `f64` nothing is rounded.
    Operands::bf16().with(|| check::<f64>(1.2e-15));
}

fn nothing_of_rounded_is_skipped() {
    for special in [f32::INFINITY, f32::NAN] {
        for (m, k, n) in [(1, 1, 1), (5, 40, 7), (50, 33, 65)] {
            let mut a = vec![0.0; m * k];
            a[m * k - 1] = special;
            let b = vec![0.0; k * n];
            let mut memory = vec![0.0; packed_len::<f32>(k, n)];
            let packed = pack(&b, k, n, &mut memory);
            for transpose in [false, true] {
                let mut c = vec![1.0_f32; m * n];
                if transpose {
                    matmul_transposed(&mut c, &transposed(&a, k, m), m, m, packed);
                } else {
                    matmul(&mut c, &a, k, m, packed);
                }
                for (x, c) in c.iter().enumerate() {
                    assert!(if x / n == m - 1 { c.is_nan() } else { *c == 1.0 }, "{m}x{k}x{n} at {x}: {c}");
                }
            }
        }
    }
}
