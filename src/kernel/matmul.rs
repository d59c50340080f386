//! Matrix products on operands packed once and used many times.
//!
//! The right operand is [packed](super::pack). A tile of up to 6 rows of the result stays in registers while the inner
//! dimension goes by. Written plainly, compiled for each level by [`dispatch`](super::dispatch): the compiler keeps the tile
//! in registers because no index in it is a run-time number.

use bytemuck::{cast_slice, cast_slice_mut};

use super::dispatch::{Job, dispatch};
use super::pack::Packed;
use crate::Float;

/// `c [m, n] += a [m, k] · b`; rows of `a` begin `lda` numbers apart, rows of `c` are `n` long.
pub(crate) fn matmul<F: Float>(c: &mut [F], a: &[F], lda: usize, m: usize, b: Packed<'_, F>) {
    Product::<F, false> { start: None, c, ldc: b.n, a, lda, m, b }.start();
}

/// As [`matmul`]; rows of `c` begin `ldc` numbers apart.
pub(crate) fn matmul_apart<F: Float>(c: &mut [F], ldc: usize, a: &[F], lda: usize, m: usize, b: Packed<'_, F>) {
    Product::<F, false> { start: None, c, ldc, a, lda, m, b }.start();
}

/// As [`matmul`], but every row of `c` starts from `start [n]`, whatever it held.
pub(crate) fn matmul_from<F: Float>(start: &[F], c: &mut [F], a: &[F], lda: usize, m: usize, b: Packed<'_, F>) {
    Product::<F, false> { start: Some(start), c, ldc: b.n, a, lda, m, b }.start();
}

/// `c [m, n] += aᵀ · b` for `a [k, m]`, whose rows begin `lda` numbers apart; the k terms are added last to first, as a
/// backward pass meets them.
pub(crate) fn matmul_transposed<F: Float>(c: &mut [F], a: &[F], lda: usize, m: usize, b: Packed<'_, F>) {
    Product::<F, true> { start: None, c, ldc: b.n, a, lda, m, b }.start();
}

/// As [`matmul_transposed`]; rows of `c` begin `ldc` numbers apart.
pub(crate) fn matmul_transposed_apart<F: Float>(
    c: &mut [F],
    ldc: usize,
    a: &[F],
    lda: usize,
    m: usize,
    b: Packed<'_, F>,
) {
    Product::<F, true> { start: None, c, ldc, a, lda, m, b }.start();
}

/// As [`matmul`] for a `b [k, n]` (row-major) used too few times to be worth packing; the same bits.
pub(crate) fn matmul_unpacked<F: Float>(c: &mut [F], a: &[F], lda: usize, m: usize, b: &[F], k: usize, n: usize) {
    if m > 0 && n > 0 && k > 0 {
        let rows = Rows { c, a, lda, m, b, k, n };
        if size_of::<F>() == 4 { rows_f32(rows.cast()) } else { rows_f64(rows.cast()) }
    }
}

// Compiled here, once for each type, and not again in every crate that uses a cell.
fn product_f32(product: Product<'_, f32, false>) {
    dispatch(product);
}
fn product_f64(product: Product<'_, f64, false>) {
    dispatch(product);
}
fn transposed_f32(product: Product<'_, f32, true>) {
    dispatch(product);
}
fn transposed_f64(product: Product<'_, f64, true>) {
    dispatch(product);
}
fn rows_f32(rows: Rows<'_, f32>) {
    dispatch(rows);
}
fn rows_f64(rows: Rows<'_, f64>) {
    dispatch(rows);
}

struct Product<'a, F, const TRANSPOSED: bool> {
    start: Option<&'a [F]>,
    c: &'a mut [F],
    ldc: usize,
    a: &'a [F],
    lda: usize,
    m: usize,
    b: Packed<'a, F>,
}

impl<'a, F: Float, const TRANSPOSED: bool> Product<'a, F, TRANSPOSED> {
    fn start(self) {
        if self.m == 0 || self.b.n == 0 || self.b.k == 0 {
            return;
        }
        match (size_of::<F>(), TRANSPOSED) {
            (4, false) => product_f32(self.cast()),
            (_, false) => product_f64(self.cast()),
            (4, true) => transposed_f32(self.cast()),
            (_, true) => transposed_f64(self.cast()),
        }
    }

    /// The same product; `G` is `F`, under a name the compiler knows.
    fn cast<G: Float, const SAME: bool>(self) -> Product<'a, G, SAME> {
        let Product { start, c, ldc, a, lda, m, b: Packed { first, k, height, n, panels } } = self;
        let b = Packed { first, k, height, n, panels: cast_slice(panels) };
        Product { start: start.map(cast_slice), c: cast_slice_mut(c), ldc, a: cast_slice(a), lda, m, b }
    }
}

impl<F: Float, const TRANSPOSED: bool> Job for Product<'_, F, TRANSPOSED> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        // Columns of a tile: 4 registers of 64 bytes, 2 of 32, or 2 of 16.
        match (size_of::<F>(), WIDE, FUSED) {
            (4, true, _) => self.panels::<64, 64, 6, FUSED>(),
            (4, false, true) => self.panels::<16, 64, 6, FUSED>(),
            (4, false, false) => self.panels::<8, 64, 4, FUSED>(),
            (_, true, _) => self.panels::<32, 32, 6, FUSED>(),
            (_, false, true) => self.panels::<8, 32, 6, FUSED>(),
            (_, false, false) => self.panels::<4, 32, 4, FUSED>(),
        }
    }
}

impl<F: Float, const TRANSPOSED: bool> Product<'_, F, TRANSPOSED> {
    /// Goes over blocks of the inner dimension (a panel's block stays in L2), panels, columns of a tile, rows.
    #[inline(always)]
    fn panels<const COLS: usize, const WIDTH: usize, const ROWS: usize, const FUSED: bool>(self) {
        const BLOCK: usize = 512;
        let Product { start: given, c, ldc, a, lda, m, b: Packed { first: start, k, height, n, panels } } = self;
        if m == 1 && !TRANSPOSED && k <= BLOCK {
            if let Some(given) = given {
                c[..n].copy_from_slice(&given[..n]);
            }
            return one_row::<F, WIDTH, FUSED>(c, a, &panels[start * WIDTH..], (k, height, n));
        }
        let tiles = m.div_ceil(ROWS);
        for block in 0..k.div_ceil(BLOCK) {
            // A transposed product takes its terms from the end, so its blocks go from the end too.
            let first = if TRANSPOSED { k.div_ceil(BLOCK) - 1 - block } else { block } * BLOCK;
            let depth = BLOCK.min(k - first);
            let a = if TRANSPOSED { &a[first * lda..] } else { &a[first..] };
            for (j, panel) in panels.chunks_exact(height * WIDTH).enumerate() {
                let panel = &panel[(start + first) * WIDTH..][..depth * WIDTH];
                let next = panels.get(((j + 1) * height + start + first) * WIDTH..).unwrap_or_default();
                let next = if next.len() < depth * WIDTH { panel } else { next };
                for column in (j * WIDTH..n.min((j + 1) * WIDTH)).step_by(COLS) {
                    let b = &panel[column - j * WIDTH..];
                    let mut row = 0;
                    for tile in 0..tiles {
                        // Tiles of nearly equal height: 32 rows as 6 6 5 5 5 5, not 6 6 6 6 6 2.
                        let rows = m / tiles + usize::from(tile < m % tiles);
                        let a = if TRANSPOSED { &a[row..] } else { &a[row * lda..] };
                        let c = &mut c[row * ldc + column..];
                        if let Some(given) = given.filter(|_| block == 0) {
                            // Just before the tile reads them: they are still in L1.
                            let given = &given[column..n.min(column + COLS)];
                            for i in 0..rows {
                                c[i * ldc..][..given.len()].copy_from_slice(given);
                            }
                        }
                        // The panel after this one, a quarter with each tile; and the rows of C that come next.
                        let ahead = &next[tile.min(3) * (depth * WIDTH / 4)..][..depth * WIDTH / 4];
                        for i in 0..ROWS {
                            for to_come in
                                c.get((rows + i) * ldc..).unwrap_or_default().chunks(WIDTH / 4).take(COLS * 4 / WIDTH)
                            {
                                prefetch(&to_come[0]);
                            }
                        }
                        macro_rules! tile {
                            ($($r:literal)*) => { match rows {
                                $( $r => edge::<F, $r, COLS, WIDTH, FUSED, TRANSPOSED>(c, ldc, n - column, (a, lda), depth, b, ahead), )*
                                _ => unreachable!("a tile has 1 to 6 rows"),
                            } };
                        }
                        tile!(1 2 3 4 5 6);
                        row += rows;
                    }
                }
            }
        }
    }
}

/// One row of the result: bound by reading the operand, so four panels are read side by side.
#[inline(always)]
fn one_row<F: Float, const WIDTH: usize, const FUSED: bool>(
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
        let b = &panels[column * height..][..k * WIDTH];
        edge::<F, 1, WIDTH, WIDTH, FUSED, false>(&mut c[column..], n, columns, (a, k), k, b, b);
        column += WIDTH;
    }
}

/// A tile whose columns may reach past the matrix: then it works on a copy.
#[inline(always)]
fn edge<F: Float, const R: usize, const COLS: usize, const WIDTH: usize, const FUSED: bool, const TRANSPOSED: bool>(
    c: &mut [F],
    ldc: usize,
    columns: usize,
    (a, lda): (&[F], usize),
    depth: usize,
    b: &[F],
    ahead: &[F],
) {
    if columns >= COLS {
        tile::<F, R, COLS, WIDTH, FUSED, TRANSPOSED>(c, ldc, (a, lda), depth, b, ahead);
    } else {
        let mut copy = [[F::zero(); COLS]; R];
        for (i, row) in copy.iter_mut().enumerate() {
            row[..columns].copy_from_slice(&c[i * ldc..][..columns]);
        }
        tile::<F, R, COLS, WIDTH, FUSED, TRANSPOSED>(copy.as_flattened_mut(), COLS, (a, lda), depth, b, ahead);
        for (i, row) in copy.iter().enumerate() {
            c[i * ldc..][..columns].copy_from_slice(&row[..columns]);
        }
    }
}

/// Asks for the cache line of `number`, to be in L2 when it is needed. Processors read ahead by themselves, but stop at
/// the end of each page, and of an operand larger than L2 they do so too late.
#[inline(always)]
fn prefetch<F>(number: &F) {
    #[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse"))]
    safe_arch::prefetch_t1(number);
    #[cfg(not(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse")))]
    let _ = number;
}

/// The tile itself: `R` rows and `COLS` columns, all in registers.
#[inline(always)]
fn tile<F: Float, const R: usize, const COLS: usize, const WIDTH: usize, const FUSED: bool, const TRANSPOSED: bool>(
    c: &mut [F],
    ldc: usize,
    (a, lda): (&[F], usize),
    depth: usize,
    b: &[F],
    ahead: &[F],
) {
    let mut sums = [[F::zero(); COLS]; R];
    for (i, row) in sums.iter_mut().enumerate() {
        row.copy_from_slice(&c[i * ldc..][..COLS]);
    }
    if TRANSPOSED {
        let a = &a[..(depth - 1) * lda + R];
        let lines = ahead.chunks_exact(WIDTH / 4).rev();
        for ((column, b), line) in a.chunks(lda).zip(b.chunks(WIDTH)).rev().zip(lines) {
            prefetch(&line[0]);
            let (column, b) = (&column[..R], &b[..COLS]);
            for i in 0..R {
                for j in 0..COLS {
                    sums[i][j] = column[i].mul_add_if::<FUSED>(b[j], sums[i][j]);
                }
            }
        }
    } else {
        let rows: [&[F]; R] = std::array::from_fn(|i| &a[i * lda..][..depth]);
        for p in 0..depth {
            prefetch(&ahead[p * (WIDTH / 4)]);
            let b = &b[p * WIDTH..][..COLS];
            let column: [F; R] = std::array::from_fn(|i| rows[i][p]);
            for i in 0..R {
                for j in 0..COLS {
                    sums[i][j] = column[i].mul_add_if::<FUSED>(b[j], sums[i][j]);
                }
            }
        }
    }
    for (i, row) in sums.iter().enumerate() {
        c[i * ldc..][..COLS].copy_from_slice(row);
    }
}

/// Few rows against an operand in its own layout: whole rows of it stream by, four at a time.
struct Rows<'a, F> {
    c: &'a mut [F],
    a: &'a [F],
    lda: usize,
    m: usize,
    b: &'a [F],
    k: usize,
    n: usize,
}

impl<'a, F: Float> Rows<'a, F> {
    /// The same; `G` is `F`, under a name the compiler knows.
    fn cast<G: Float>(self) -> Rows<'a, G> {
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

#[cfg(test)]
mod tests;
