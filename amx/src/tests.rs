//! The unit against the plain loop, where there is one; the plain loop against the sums as they are written down; operands that end too early.

use super::*;

/// A bfloat16 number of many sizes, or 0.
fn number(i: usize) -> u32 {
    let spread = i.wrapping_mul(2_654_435_761) >> 7;
    let x = (spread % 511) as f32 - 255.0;
    let scale = [1.0, 1.0 / 64.0, 1e4, 3e-9][spread / 511 % 4];
    (x * scale).to_bits() >> 16
}

fn word(i: usize) -> u32 {
    number(2 * i) | number(2 * i + 1) << 16
}

fn terms(number: usize) -> Terms {
    let at = |tile: usize, row: usize, pair: usize| word(((number * 2 + tile) * 16 + row) * 16 + pair);
    std::array::from_fn(|tile| std::array::from_fn(|row| std::array::from_fn(|pair| at(tile, row, pair))))
}

/// All shapes: blocks of terms, rows, columns, forward and backward, a block of fewer pairs.
fn shapes(mut f: impl FnMut(&[Terms], Right<'_>, (usize, usize), isize)) {
    for (blocks, pairs) in [(1, 16), (2, 16), (7, 16), (1, 1), (1, 9), (1, 15), (0, 16)] {
        for columns in [1_usize, 31, 32, 33, 64, 65, 100, 192] {
            for rows in [1, 15, 16, 17, 31, 32] {
                for back in [false, true] {
                    let (height, panels) = (3 + PAIRS * blocks.max(1) + 2, columns.div_ceil(WIDTH));
                    let words: Vec<u32> = (0..panels * height * WIDTH).map(|i| word(i + 99)).collect();
                    let left: Vec<Terms> = (0..blocks).map(terms).collect();
                    let (first, step) = if back && blocks > 0 {
                        (3 + PAIRS * (blocks - 1), -(PAIRS as isize))
                    } else {
                        (3, PAIRS as isize)
                    };
                    f(&left, Right { words: &words, apart: height * WIDTH, first, pairs }, (rows, columns), step);
                }
            }
        }
    }
}

/// c of rows a little longer than they need be.
fn start(rows: usize, columns: usize) -> (Vec<f32>, usize) {
    let apart = columns + 5;
    ((0..rows * apart).map(|i| f32::from_bits(number(i) << 16) * 1.7).collect(), apart)
}

#[test]
fn the_plain_loop_sums_even_and_odd_terms_apart() {
    shapes(|left, right, (rows, columns), step| {
        let (mut c, apart) = start(rows, columns);
        let before = c.clone();
        add_plainly(&mut c, apart, (rows, columns), left, right, step);
        for (x, (got, before)) in c.iter().zip(&before).enumerate() {
            let (i, j) = (x / apart, x % apart);
            let mut expected = *before;
            for (number, terms) in left.iter().enumerate().filter(|_| j < columns) {
                let first = (right.first as isize + step * number as isize) as usize;
                let term = |pair: usize, half: u32| {
                    let upper = |word: u32| f32::from_bits(word >> (16 * half) << 16);
                    let b = right.words[j / WIDTH * right.apart + (first + pair) * WIDTH + j % WIDTH];
                    upper(terms[i / 16][i % 16][pair]) * upper(b)
                };
                let sum = |half| (0..right.pairs).fold(0.0_f32, |sum, pair| sum + term(pair, half));
                expected += sum(0) + sum(1);
            }
            assert_eq!(got.to_bits(), expected.to_bits(), "{rows} rows, {columns} columns at {x}");
        }
    });
}

#[test]
fn the_unit_has_the_bits_of_the_plain_loop() {
    let Some(amx) = Amx::request() else {
        println!("not run: this processor has no matrix unit for bfloat16, or the system does not let us use it");
        return;
    };
    shapes(|left, right, (rows, columns), step| {
        let (mut c, apart) = start(rows, columns);
        let mut expected = c.clone();
        amx.add(&mut c, apart, (rows, columns), left, right, step);
        add_plainly(&mut expected, apart, (rows, columns), left, right, step);
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let what = format!("{rows} rows, {columns} columns, {} blocks, {} pairs, {step}", left.len(), right.pairs);
        assert!(bits(&c) == bits(&expected), "{what}");
    });
    // On threads of their own, with denormal numbers and infinities.
    std::thread::scope(|scope| {
        for special in [1_u32, 0x8001, 0x7f80, 0x7fc0, 0x0080] {
            scope.spawn(move || {
                let mut left = [terms(1)];
                left[0][0][3][5] = special | special << 16;
                let words = vec![special << 16 | 0x3f80; 16 * WIDTH];
                let right = Right { words: &words, apart: words.len(), first: 0, pairs: 16 };
                let (mut c, apart) = start(32, 64);
                let mut expected = c.clone();
                amx.add(&mut c, apart, (32, 64), &left, right, 16);
                add_plainly(&mut expected, apart, (32, 64), &left, right, 16);
                for (got, expected) in c.iter().zip(&expected) {
                    assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{special:#x}");
                }
            });
        }
    });
}

#[test]
fn operands_that_end_too_early_are_refused() {
    let words = vec![0; 20 * WIDTH];
    let right = Right { words: &words, apart: words.len(), first: 0, pairs: 16 };
    let left = [terms(0); 2];
    let refused = |c: usize, apart: usize, size: (usize, usize), left: &[Terms], right: Right<'_>, step: isize| {
        let mut c = vec![0.0; c];
        let add = std::panic::AssertUnwindSafe(|| add_plainly(&mut c, apart, size, left, right, step));
        assert!(std::panic::catch_unwind(add).is_err(), "{size:?}");
    };
    refused(31 * 64 + 63, 64, (32, 64), &left[..1], right, 16);
    refused(33 * 64, 64, (33, 64), &left[..1], right, 16);
    refused(32 * 64, 63, (32, 64), &left[..1], right, 16);
    refused(32 * 64, 64, (32, 64), &left, right, 16);
    refused(32 * 64, 64, (32, 64), &left, Right { first: 4, ..right }, -16);
    refused(32 * 64, 64, (32, 64), &left[..1], Right { first: 5, ..right }, 16);
    refused(32 * 64, 64, (32, 64), &left[..1], Right { pairs: 0, ..right }, 16);
    refused(32 * 64, 64, (32, 64), &left[..1], Right { pairs: 17, ..right }, 16);
    refused(32 * 64, 64, (32, 64), &left, Right { pairs: 3, ..right }, 1);
    refused(32 * 128, 128, (32, 65), &left[..1], right, 16);
}
