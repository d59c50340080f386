//! The plain loop.

use crate::{PAIRS, Right, Terms, WIDTH, check};

/// As [`Amx::add`](crate::Amx::add), by a plain loop.
///
/// # Panics
/// As those of [`Amx::add`](crate::Amx::add).
pub fn add_plainly(
    c: &mut [f32],
    apart: usize,
    (rows, columns): (usize, usize),
    left: &[Terms],
    right: Right<'_>,
    step: isize,
) {
    check(c, apart, (rows, columns), left, right, step);
    for (i, c) in c.chunks_mut(apart).take(rows).enumerate() {
        for (column, c) in c[..columns].iter_mut().enumerate() {
            for (number, terms) in left.iter().enumerate() {
                let Some(first) = right.pair(number, step) else { continue };
                let panel = &right.words[column / WIDTH * right.apart + first * WIDTH + column % WIDTH..];
                let (mut even, mut odd) = (0.0, 0.0);
                for (a, b) in terms[i / PAIRS][i % PAIRS].iter().zip(panel.iter().step_by(WIDTH)).take(right.pairs) {
                    even = flushed(flushed(low(*a)).mul_add(flushed(low(*b)), even));
                    odd = flushed(flushed(high(*a)).mul_add(flushed(high(*b)), odd));
                }
                *c = flushed(flushed(*c) + flushed(even + odd));
            }
        }
    }
}

fn low(word: u32) -> f32 {
    f32::from_bits(word << 16)
}

fn high(word: u32) -> f32 {
    f32::from_bits(word & 0xffff_0000)
}

/// 0 of the same sign for a denormal number.
fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { 0.0_f32.copysign(x) } else { x }
}
