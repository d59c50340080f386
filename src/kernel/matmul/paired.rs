//! Products of rounded operands by the matrix unit of Intel processors: the same bits as the plain loop (`rounded`).

use bytemuck::{cast_slice, cast_slice_mut};
use deep_rnn_amx::{Amx, PAIRS, ROWS, Right, Terms, WIDTH};

use super::super::dispatch::{Job, dispatch};
use super::super::pack::Packed;
use super::blocks::DEPTH;
use super::rounded::round;
use super::terms::{Block, Blocks};
use super::{Product, Transposed};

/// Blocks of terms of a strip of rows that are packed together.
const TOGETHER: usize = 8;

type Strip = [Terms; TOGETHER];

/// Brings the rows of panels together two by two, in words, at the beginning of each panel.
pub(super) fn pair_up(panels: &mut [f32], k: usize) {
    dispatch(PairUp { panels, k });
}

struct PairUp<'a> {
    panels: &'a mut [f32],
    k: usize,
}

impl Job for PairUp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let PairUp { panels, k } = self;
        for panel in panels.chunks_exact_mut(k * WIDTH) {
            for pair in 0..k.div_ceil(2) {
                let mut words = [0; WIDTH];
                let (even, odd) = panel[2 * pair * WIDTH..].split_at(WIDTH);
                let odd = odd.first_chunk().unwrap_or(&[0.0; WIDTH]);
                for ((word, even), odd) in words.iter_mut().zip(even).zip(odd) {
                    *word = self::word(*even, *odd);
                }
                cast_slice_mut(&mut panel[pair * WIDTH..][..WIDTH]).copy_from_slice(&words);
            }
        }
    }
}

/// Two numbers, rounded, the even one below.
#[inline(always)]
fn word(even: f32, odd: f32) -> u32 {
    round(even).to_bits() >> 16 | round(odd).to_bits()
}

/// Where the numbers of a strip come from.
enum Left<'a> {
    /// Rows so many numbers apart.
    Rows(&'a [f32], usize),
    /// Terms so many numbers apart, each with the numbers of all rows.
    Terms(&'a [f32], usize),
}

/// Puts these blocks of `m` rows into the form of the unit, zeros where there is no term.
struct Fill<'a> {
    strip: &'a mut Strip,
    left: &'a Left<'a>,
    m: usize,
    blocks: Blocks,
    first: usize,
    count: usize,
}

impl Job for Fill<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let Fill { strip, left, m, blocks, first, count } = self;
        for (i, terms) in (first..).zip(&mut strip[..count]) {
            let block = blocks.get(i);
            match *left {
                Left::Rows(numbers, apart) => {
                    let rows = terms.as_flattened_mut().iter_mut().zip(numbers.chunks(apart));
                    for (to, from) in rows.take(m) {
                        let mut row = [0.0; 2 * PAIRS];
                        row[block.skip..][..block.count].copy_from_slice(&from[block.term..][..block.count]);
                        for (word, pair) in to.iter_mut().zip(row.as_chunks::<2>().0) {
                            *word = self::word(pair[0], pair[1]);
                        }
                    }
                }
                Left::Terms(numbers, apart) => {
                    for pair in 0..PAIRS {
                        let [even, odd] = [0, 1].map(|odd| row_of(numbers, apart, m, block, 2 * pair + odd));
                        let to = terms.as_flattened_mut().iter_mut();
                        for ((to, even), odd) in to.zip(even).zip(odd) {
                            to[pair] = word(even, odd);
                        }
                    }
                }
            }
        }
    }
}

/// The numbers of all rows for the term in this place of a block; zeros where it is not meant.
#[inline(always)]
fn row_of(numbers: &[f32], apart: usize, m: usize, block: Block, place: usize) -> [f32; ROWS] {
    let mut row = [0.0; ROWS];
    if (block.skip..block.skip + block.count).contains(&place) {
        row[..m].copy_from_slice(&numbers[(block.term + place - block.skip) * apart..][..m]);
    }
    row
}

/// Adds to `m` rows of c, up to 32, what these terms give.
fn strip(
    amx: Amx,
    (c, ldc): (&mut [f32], usize),
    left: &Left<'_>,
    m: usize,
    b: Packed<'_, f32>,
    blocks: Blocks,
    step: isize,
) {
    let mut strip: Strip = [[[[0; PAIRS]; ROWS / 2]; 2]; TOGETHER];
    let words: &[u32] = cast_slice(b.panels);
    let mut first = 0;
    while first < blocks.len() {
        // Blocks of whole pairs together, one of fewer alone.
        let pairs = blocks.get(first).pairs;
        let whole = |i: &usize| pairs == PAIRS && blocks.get(*i).pairs == PAIRS;
        let count = (first..blocks.len().min(first + TOGETHER)).take_while(whole).count().max(1);
        dispatch(Fill { strip: &mut strip, left, m, blocks, first, count });
        let right = Right { words, apart: b.height * WIDTH, first: blocks.get(first).row / 2, pairs };
        amx.add(c, ldc, (m, b.n), &strip[..count], right, step);
        first += count;
    }
}

pub(super) fn product(amx: Amx, product: Product<'_, f32>) {
    let Product { start, c, ldc, a, lda, m, b } = product;
    for top in (0..m).step_by(ROWS) {
        let (m, c) = (ROWS.min(m - top), &mut c[top * ldc..]);
        if let Some(start) = start {
            for c in c.chunks_mut(ldc).take(m) {
                c[..b.n].copy_from_slice(&start[..b.n]);
            }
        }
        let left = Left::Rows(&a[top * lda..], lda);
        strip(amx, (c, ldc), &left, m, b, Blocks::new(b.first, b.k, false), PAIRS as isize);
    }
}

/// The terms are taken from the end, in the same pieces as by the plain loop.
pub(super) fn transposed(amx: Amx, Transposed(product, _): Transposed<'_, f32>) {
    let Product { c, ldc, a, lda, m, b, .. } = product;
    let mut end = b.k;
    while end > 0 {
        let first = end.saturating_sub(DEPTH);
        let blocks = Blocks::new(b.first + first, end - first, true);
        for top in (0..m).step_by(ROWS) {
            let left = Left::Terms(&a[first * lda + top..], lda);
            strip(amx, (&mut c[top * ldc..], ldc), &left, ROWS.min(m - top), b, blocks, -(PAIRS as isize));
        }
        end = first;
    }
}
