//! The order in which a product goes over its operands: blocks of the inner dimension, panels, columns of a tile, rows.

use super::tile::{Ahead, edge, line, prefetch};
use crate::Float;

/// The inner dimension is done in blocks of this: a panel's block stays in L2.
pub(super) const DEPTH: usize = 512;
/// Rows of a transposed left operand that are packed together: with [`DEPTH`] they take less than half of L2.
pub(super) const PACKED_ROWS: usize = 192;

/// A block of A: rows so many numbers apart; or packed, tile after tile, each tile column by column.
#[derive(Clone, Copy)]
pub(super) struct Left<'a, F> {
    pub(super) numbers: &'a [F],
    pub(super) apart: usize,
}

/// `depth` rows of the packed operand, from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Right<'a, F> {
    pub(super) panels: &'a [F],
    pub(super) height: usize,
    pub(super) n: usize,
    pub(super) first: usize,
    pub(super) depth: usize,
}

/// Rows of tile number `tile`: of nearly equal height, 32 rows as 6 6 5 5 5 5 and not 6 6 6 6 6 2.
#[inline(always)]
pub(super) fn rows_of_tile(m: usize, tiles: usize, tile: usize) -> usize {
    m / tiles + usize::from(tile < m % tiles)
}

/// Packs `m` columns of `a [depth, _]`, the columns of a tile side by side.
#[inline(always)]
pub(super) fn pack_left<'a, F: Float, const ROWS: usize>(
    a: &[F],
    lda: usize,
    (m, depth): (usize, usize),
    memory: &'a mut [F],
) -> &'a [F] {
    let (tiles, mut row) = (m.div_ceil(ROWS), 0);
    for tile in 0..tiles {
        let rows = rows_of_tile(m, tiles, tile);
        let to = &mut memory[row * depth..][..rows * depth];
        macro_rules! columns {
            ($($r:literal)*) => { match rows {
                $( $r => for (to, from) in to.as_chunks_mut::<$r>().0.iter_mut().zip(a[row..].chunks(lda)) {
                    to.copy_from_slice(&from[..$r]);
                }, )*
                _ => unreachable!("a tile has 1 to 6 rows"),
            } };
        }
        columns!(1 2 3 4 5 6);
        row += rows;
    }
    &memory[..m * depth]
}

/// `c += left · right`, or for the first block of all `c = given + left · right`.
#[inline(always)]
pub(super) fn block<
    F: Float,
    const COLS: usize,
    const WIDTH: usize,
    const ROWS: usize,
    const FUSED: bool,
    const PACKED: bool,
>(
    c: &mut [F],
    ldc: usize,
    given: Option<&[F]>,
    left: Left<'_, F>,
    m: usize,
    Right { panels, height, n, first, depth }: Right<'_, F>,
) {
    // Steps of the inner dimension from asking for numbers to having them in L1.
    const SOON: usize = 8;
    let tiles = m.div_ceil(ROWS);
    for j in 0..n.div_ceil(WIDTH) {
        let at = (j * height + first) * WIDTH;
        let panel = &panels[at..][..depth * WIDTH];
        let next = panels.get(at + height * WIDTH..).unwrap_or_default();
        let next = if next.len() < depth * WIDTH { panel } else { next };
        // The end of another panel, or of none, at an end of this one.
        let soon = if PACKED { at.checked_sub(SOON * WIDTH) } else { Some(at + SOON * WIDTH) };
        let soon = soon.and_then(|at| panels.get(at..at + depth * WIDTH)).unwrap_or(panel);
        for column in (j * WIDTH..n.min((j + 1) * WIDTH)).step_by(COLS) {
            let mut row = 0;
            for tile in 0..tiles {
                let rows = rows_of_tile(m, tiles, tile);
                let a = &left.numbers[row * if PACKED { depth } else { left.apart }..];
                let c = &mut c[row * ldc + column..];
                if let Some(given) = given {
                    // Just before the tile reads them: they are still in L1.
                    let given = &given[column..n.min(column + COLS)];
                    for i in 0..rows {
                        c[i * ldc..][..given.len()].copy_from_slice(given);
                    }
                }
                // The panel after this one, a quarter with each tile; and the rows of C that come next.
                let ahead = &next[tile.min(3) * (depth * WIDTH / 4)..][..depth * WIDTH / 4];
                for i in 0..ROWS {
                    let to_come = c.get((rows + i) * ldc..).unwrap_or_default();
                    for line in to_come.chunks(line::<F>()).take(COLS.div_ceil(line::<F>())) {
                        prefetch(&line[0]);
                    }
                }
                let b = Ahead { panel, from: column - j * WIDTH, soon, next: ahead };
                macro_rules! tile {
                    ($($r:literal)*) => { match rows {
                        $( $r => edge::<F, $r, COLS, WIDTH, FUSED, PACKED>(c, ldc, n - column, (a, left.apart), depth, b), )*
                        _ => unreachable!("a tile has 1 to 6 rows"),
                    } };
                }
                tile!(1 2 3 4 5 6);
                row += rows;
            }
        }
    }
}
