//! Products of operands rounded to bfloat16, with sums in `f32`, in the order of the matrix units that have such products in hardware
//! (Intel's `TDPBF16PS`): of 32 terms the even ones are summed from zero, the odd ones likewise, and both together are added
//! (`terms`).
//!
//! A product of two bfloat16 numbers is an `f32` exactly, and those below [`SMALLEST`] count as 0, so that no sum becomes denormal: the
//! results are the same bits with and without fused multiply-add, at every level.

use super::super::dispatch::{Job, dispatch};
use super::super::pack::Packed;
use super::blocks::{DEPTH, PACKED_ROWS, pack_left, rows_of_tile};
use super::terms::{Block, Blocks, TERMS};
use super::tile::{line, prefetch};
use super::{AtLevel, Product, Tiled, Transposed};
use crate::Float;

/// Rows of a tile: two sums for each number of the result have to stay in registers.
const ROWS: usize = 3;
/// Rows of the result that go through all terms of a panel together.
const TOGETHER: usize = 48;

/// Operands nearer to 0 count as 0: 2⁻⁵⁵. Products of the others are multiples of 2⁻¹²⁴, and so are their sums, none of which can
/// then be denormal.
const SMALLEST: u32 = (127 - 55) << 23;

/// 32 terms of a panel, two by two.
type Terms<const WIDTH: usize> = [[[f32; WIDTH]; 2]; TERMS / 2];

/// The nearest bfloat16 number, of two equally near ones the even one; NaN stays.
#[inline(always)]
pub(super) fn round(x: f32) -> f32 {
    let bits = x.to_bits();
    let (size, sign) = (bits & 0x7fff_ffff, bits & 0x8000_0000);
    let near = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    let near = if size < SMALLEST { sign } else { near };
    f32::from_bits(if size > 0x7f80_0000 { (bits | 0x0040_0000) & 0xffff_0000 } else { near })
}

/// Rounds an operand where it lies.
pub(super) fn round_all(numbers: &mut [f32]) {
    struct All<'a>(&'a mut [f32]);
    impl Job for All<'_> {
        type Output = ();
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) {
            self.0.iter_mut().for_each(|x| *x = round(*x));
        }
    }
    dispatch(All(numbers));
}

pub(super) fn product(product: Product<'_, f32>) {
    dispatch(AtLevel(Rounded(product)));
}

pub(super) fn transposed(product: Transposed<'_, f32>) {
    dispatch(AtLevel(Rounded(product)));
}

struct Rounded<T>(T);

impl Tiled for Rounded<Product<'_, f32>> {
    type Elem = f32;
    #[inline(always)]
    fn tiled<const COLS: usize, const WIDTH: usize, const R: usize, const FUSED: bool>(self) {
        let Product { start, c, ldc, a, lda, m, b } = self.0;
        // All rows panel by panel, since a panel fits L2 and all of them may not.
        for column in (0..b.n).step_by(WIDTH) {
            let used = WIDTH.min(b.n - column);
            for top in (0..m).step_by(TOGETHER) {
                let m = TOGETHER.min(m - top);
                let c = &mut c[top * ldc + column..];
                if let Some(start) = start {
                    for c in c.chunks_mut(ldc).take(m) {
                        c[..used].copy_from_slice(&start[column..][..used]);
                    }
                }
                let rows = Rows { numbers: &a[top * lda..], apart: lda };
                add_panel::<_, COLS, WIDTH, FUSED, false>(Part { c, ldc, used }, m, &rows, b, column, (0, b.k));
            }
        }
    }
}

impl Tiled for Rounded<Transposed<'_, f32>> {
    type Elem = f32;
    /// The terms are taken from the end, 32 by 32.
    #[inline(always)]
    fn tiled<const COLS: usize, const WIDTH: usize, const R: usize, const FUSED: bool>(self) {
        let Transposed(Product { c, ldc, a, lda, m, b, .. }, memory) = self.0;
        for top in (0..m).step_by(PACKED_ROWS) {
            let m = PACKED_ROWS.min(m - top);
            let mut end = b.k;
            while end > 0 {
                let first = end.saturating_sub(DEPTH);
                let depth = end - first;
                pack_left::<f32, ROWS>(&a[first * lda + top..], lda, (m, depth), memory);
                memory[..m * depth].iter_mut().for_each(|x| *x = round(*x));
                let left = Tiles { numbers: &memory[..m * depth], depth };
                for column in (0..b.n).step_by(WIDTH) {
                    let c = &mut c[top * ldc + column..];
                    let part = Part { c, ldc, used: WIDTH.min(b.n - column) };
                    add_panel::<_, COLS, WIDTH, FUSED, true>(part, m, &left, b, column, (first, depth));
                }
                end = first;
            }
        }
    }
}

/// A left operand.
trait Left {
    type Columns<const R: usize>: Columns<R>;
    /// The numbers of `R` rows for the terms of a block, zeros where there is none.
    fn columns<const R: usize>(&self, row: usize, block: Block) -> Self::Columns<R>;
    /// Asks for the numbers of `R` rows that come after these blocks.
    fn ask<const R: usize>(&self, row: usize, last: Block);
}

/// Numbers for the terms of a tile.
trait Columns<const R: usize> {
    /// Those of the even or the odd term of a pair.
    fn column(&self, pair: usize, odd: usize) -> [f32; R];
}

/// Rows so many numbers apart, still to be rounded.
struct Rows<'a> {
    numbers: &'a [f32],
    apart: usize,
}

struct ByRow<const R: usize>([[[f32; 2]; TERMS / 2]; R]);

impl Left for Rows<'_> {
    type Columns<const R: usize> = ByRow<R>;
    #[inline(always)]
    fn columns<const R: usize>(&self, row: usize, block: Block) -> ByRow<R> {
        let mut rows = [[[0.0; 2]; TERMS / 2]; R];
        for (i, to) in rows.iter_mut().enumerate() {
            let (to, from) =
                (to.as_flattened_mut(), &self.numbers[(row + i) * self.apart + block.term..][..block.count]);
            if let Some(from) = from.first_chunk::<TERMS>() {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = round(*from));
            } else {
                to[block.skip..].iter_mut().zip(from).for_each(|(to, from)| *to = round(*from));
            }
        }
        ByRow(rows)
    }
    #[inline(always)]
    fn ask<const R: usize>(&self, row: usize, last: Block) {
        for i in 0..R {
            let next = self.numbers.get((row + i) * self.apart + last.term + TERMS..).unwrap_or_default();
            for line in next.chunks(line::<f32>()).take(2 * TERMS / line::<f32>()) {
                prefetch(&line[0]);
            }
        }
    }
}

impl<const R: usize> Columns<R> for ByRow<R> {
    #[inline(always)]
    fn column(&self, pair: usize, odd: usize) -> [f32; R] {
        std::array::from_fn(|i| self.0[i][pair][odd])
    }
}

/// Packed and rounded: tile after tile, each term by term.
struct Tiles<'a> {
    numbers: &'a [f32],
    depth: usize,
}

struct ByTerm<const R: usize>([[[f32; R]; 2]; TERMS / 2]);

impl Left for Tiles<'_> {
    type Columns<const R: usize> = ByTerm<R>;
    #[inline(always)]
    fn columns<const R: usize>(&self, row: usize, block: Block) -> ByTerm<R> {
        let numbers = &self.numbers[row * self.depth + block.term * R..][..block.count * R];
        if let Some(all) = numbers.as_chunks::<R>().0.as_chunks::<2>().0.first_chunk() {
            return ByTerm(*all);
        }
        let mut columns = [[[0.0; R]; 2]; TERMS / 2];
        columns.as_flattened_mut().as_flattened_mut()[block.skip * R..][..numbers.len()].copy_from_slice(numbers);
        ByTerm(columns)
    }
    #[inline(always)]
    fn ask<const R: usize>(&self, _: usize, _: Block) {
        // They lie one after the other.
    }
}

impl<const R: usize> Columns<R> for ByTerm<R> {
    #[inline(always)]
    fn column(&self, pair: usize, odd: usize) -> [f32; R] {
        self.0[pair][odd]
    }
}

/// Rows of the result and how many of their first columns, up to 64, are meant.
struct Part<'a> {
    c: &'a mut [f32],
    ldc: usize,
    used: usize,
}

/// Adds to `m` rows what `depth` terms, from row `from` of the right operand on, give to the columns of the panel at `column`.
#[inline(always)]
fn add_panel<A: Left, const COLS: usize, const WIDTH: usize, const FUSED: bool, const BACK: bool>(
    mut part: Part<'_>,
    m: usize,
    left: &A,
    b: Packed<'_, f32>,
    column: usize,
    (from, depth): (usize, usize),
) {
    let blocks = Blocks::new(b.first + from, depth, BACK);
    let panel = &b.panels[column / WIDTH * b.height * WIDTH..][..b.height * WIDTH];
    let mut i = 0;
    while i < blocks.len() {
        let block = blocks.get(i);
        if !block.is_full() {
            let padded = pad(panel, block);
            add_blocks::<A, COLS, WIDTH, FUSED, _>(&mut part, m, left, [(block, &padded)], &[]);
            i += 1;
            continue;
        }
        let next = blocks.get((i + 1).min(blocks.len() - 1));
        let terms = [block, next].map(|block| panel[block.row * WIDTH..].as_chunks::<WIDTH>().0.as_chunks::<2>().0);
        // What comes after the two, in the order of memory.
        let row = if BACK { next.row.saturating_sub(2 * TERMS) } else { block.row + 2 * TERMS };
        let ahead = b.panels.get((column / WIDTH * b.height + row) * WIDTH..).unwrap_or_default();
        let ahead = &ahead[..ahead.len().min(2 * TERMS * WIDTH)];
        match (terms[0].first_chunk(), terms[1].first_chunk()) {
            (Some(one), Some(other)) if i + 1 < blocks.len() && next.is_full() => {
                add_blocks::<A, COLS, WIDTH, FUSED, _>(&mut part, m, left, [(block, one), (next, other)], ahead);
                i += 2;
            }
            (Some(one), _) => {
                add_blocks::<A, COLS, WIDTH, FUSED, _>(&mut part, m, left, [(block, one)], ahead);
                i += 1;
            }
            (None, _) => unreachable!("a full block has all its rows"),
        }
    }
}

/// Adds one block of terms, or two in turn while the tile is in L1, to `m` rows, and asks for the numbers `ahead`.
#[inline(always)]
fn add_blocks<A: Left, const COLS: usize, const WIDTH: usize, const FUSED: bool, const N: usize>(
    part: &mut Part<'_>,
    m: usize,
    left: &A,
    blocks: [(Block, &Terms<WIDTH>); N],
    ahead: &[f32],
) {
    let (tiles, mut row) = (m.div_ceil(ROWS), 0);
    let mut ahead = ahead.chunks((ahead.len() / tiles).max(1));
    for tile in 0..tiles {
        for line in ahead.next().unwrap_or_default().chunks(line::<f32>()) {
            prefetch(&line[0]);
        }
        let rows = rows_of_tile(m, tiles, tile);
        left.ask::<ROWS>(row, blocks[N - 1].0);
        for (block, terms) in blocks {
            macro_rules! tile {
                ($($r:literal)*) => { match rows {
                    $( $r => part.add::<$r, COLS, WIDTH, FUSED, _>(row, &left.columns::<$r>(row, block), terms), )*
                    _ => unreachable!("a tile has 1 to 3 rows"),
                } };
            }
            tile!(1 2 3);
        }
        row += rows;
    }
}

/// The rows of a block, then zeros.
#[inline(never)]
fn pad<const WIDTH: usize>(panel: &[f32], block: Block) -> Terms<WIDTH> {
    let mut terms = [[[0.0; WIDTH]; 2]; TERMS / 2];
    let rows = 2 * block.pairs * WIDTH;
    let numbers = &panel[block.row * WIDTH..];
    let numbers = &numbers[..rows.min(numbers.len())];
    terms.as_flattened_mut().as_flattened_mut()[..numbers.len()].copy_from_slice(numbers);
    terms
}

impl Part<'_> {
    /// Adds the terms to `R` rows, some columns at a time.
    #[inline(always)]
    fn add<const R: usize, const COLS: usize, const WIDTH: usize, const FUSED: bool, A: Columns<R>>(
        &mut self,
        row: usize,
        a: &A,
        terms: &Terms<WIDTH>,
    ) {
        let Part { c, ldc, used } = self;
        for from in (0..*used).step_by(COLS) {
            let sums = sums::<R, COLS, WIDTH, FUSED, A>(a, terms, from / COLS);
            for (i, sums) in sums.iter().enumerate() {
                let c = &mut c[(row + i) * *ldc + from..];
                if *used - from >= COLS {
                    c[..COLS].iter_mut().zip(sums).for_each(|(c, sum)| *c += *sum);
                } else {
                    c[..*used - from].iter_mut().zip(sums).for_each(|(c, sum)| *c += *sum);
                }
            }
        }
    }
}

/// The sums of the even terms plus those of the odd ones.
#[inline(always)]
fn sums<const R: usize, const COLS: usize, const WIDTH: usize, const FUSED: bool, A: Columns<R>>(
    a: &A,
    terms: &Terms<WIDTH>,
    group: usize,
) -> [[f32; COLS]; R] {
    let (mut even, mut odd) = ([[0.0; COLS]; R], [[0.0; COLS]; R]);
    for (pair, b) in terms.iter().enumerate() {
        term::<R, COLS, WIDTH, FUSED>(&mut even, a.column(pair, 0), &b[0], group);
        term::<R, COLS, WIDTH, FUSED>(&mut odd, a.column(pair, 1), &b[1], group);
    }
    std::array::from_fn(|i| std::array::from_fn(|j| even[i][j] + odd[i][j]))
}

#[inline(always)]
fn term<const R: usize, const COLS: usize, const WIDTH: usize, const FUSED: bool>(
    sums: &mut [[f32; COLS]; R],
    a: [f32; R],
    b: &[f32; WIDTH],
    group: usize,
) {
    let b = &b.as_chunks::<COLS>().0[group];
    for i in 0..R {
        for j in 0..COLS {
            sums[i][j] = a[i].mul_add_if::<FUSED>(b[j], sums[i][j]);
        }
    }
}
