//! Matrix products on operands packed once and used many times.
//!
//! The right operand is [packed](super::pack), a transposed left one too, on the way. A tile of up to 6 rows of the result
//! stays in registers while the inner dimension goes by. Written plainly, compiled for each level by
//! [`dispatch`](super::dispatch): the compiler keeps the tile in registers because no index in it is a run-time number.

mod blocks;
mod few_rows;
#[cfg(feature = "amx")]
mod paired;
mod rounded;
mod terms;
mod tile;

use bytemuck::{cast_slice, cast_slice_mut};

use self::blocks::{DEPTH, Left, PACKED_ROWS, Right, block, pack_left};
use self::few_rows::{Rows, one_row};
use super::dispatch::{Job, dispatch};
use super::operands::Operands;
use super::pack::Packed;
use super::scratch;
use crate::Float;

/// `c [m, n] += a [m, k] · b`; rows of `a` begin `lda` numbers apart, rows of `c` are `n` long.
pub(crate) fn matmul<F: Float>(c: &mut [F], a: &[F], lda: usize, m: usize, b: Packed<'_, F>) {
    Product { start: None, c, ldc: b.n, a, lda, m, b }.run();
}

/// As [`matmul`]; rows of `c` begin `ldc` numbers apart.
pub(crate) fn matmul_apart<F: Float>(c: &mut [F], ldc: usize, a: &[F], lda: usize, m: usize, b: Packed<'_, F>) {
    Product { start: None, c, ldc, a, lda, m, b }.run();
}

/// As [`matmul`], but every row of `c` starts from `start [n]`, whatever it held.
pub(crate) fn matmul_from<F: Float>(start: &[F], c: &mut [F], a: &[F], lda: usize, m: usize, b: Packed<'_, F>) {
    Product { start: Some(start), c, ldc: b.n, a, lda, m, b }.run();
}

/// `c [m, n] += aᵀ · b` for `a [k, m]`, whose rows begin `lda` numbers apart; the k terms are added last to first, as a
/// backward pass meets them.
pub(crate) fn matmul_transposed<F: Float>(c: &mut [F], a: &[F], lda: usize, m: usize, b: Packed<'_, F>) {
    Product { start: None, c, ldc: b.n, a, lda, m, b }.run_transposed();
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
    Product { start: None, c, ldc, a, lda, m, b }.run_transposed();
}

/// As [`matmul`] for a `b [k, n]` (row-major) used too few times to be worth packing; the same bits.
pub(crate) fn matmul_unpacked<F: Float>(c: &mut [F], a: &[F], lda: usize, m: usize, b: &[F], k: usize, n: usize) {
    if m > 0 && n > 0 && k > 0 {
        let rows = Rows { c, a, lda, m, b, k, n };
        if size_of::<F>() == 4 { rows_f32(rows.cast()) } else { rows_f64(rows.cast()) }
    }
}

/// Bytes of what [`matmul_transposed`] packs.
pub(crate) fn matmul_transposed_bytes<F>(m: usize, k: usize) -> usize {
    scratch::bytes::<F, 1>([packed_left_len(m, k)])
}

fn packed_left_len(m: usize, k: usize) -> usize {
    m.min(PACKED_ROWS) * k.min(DEPTH)
}

// Compiled here, once for each type, and not again in every crate that uses a cell.
fn product_f32(product: Product<'_, f32>) {
    dispatch(AtLevel(product));
}
fn product_f64(product: Product<'_, f64>) {
    dispatch(AtLevel(product));
}
fn transposed_f32(product: Transposed<'_, f32>) {
    dispatch(AtLevel(product));
}
fn transposed_f64(product: Transposed<'_, f64>) {
    dispatch(AtLevel(product));
}
fn rows_f32(rows: Rows<'_, f32>) {
    dispatch(rows);
}
fn rows_f64(rows: Rows<'_, f64>) {
    dispatch(rows);
}

fn rounded_product(product: Product<'_, f32>) {
    match product.b.operands {
        #[cfg(feature = "amx")]
        Operands::Paired(amx) => paired::product(amx, product),
        _ => rounded::product(product),
    }
}
fn rounded_transposed(product: Transposed<'_, f32>) {
    match product.0.b.operands {
        #[cfg(feature = "amx")]
        Operands::Paired(amx) => paired::transposed(amx, product),
        _ => rounded::transposed(product),
    }
}

/// Makes the panels of `k` rows what these operands are.
#[cfg_attr(not(feature = "amx"), expect(unused_variables, reason = "only pairs have to know it"))]
pub(super) fn round<F: Float>(operands: Operands, panels: &mut [F], k: usize) {
    match operands {
        Operands::Full => {}
        Operands::Rounded => rounded::round_all(cast_slice_mut(panels)),
        #[cfg(feature = "amx")]
        Operands::Paired(_) => paired::pair_up(cast_slice_mut(panels), k),
    }
}

struct Product<'a, F> {
    start: Option<&'a [F]>,
    c: &'a mut [F],
    ldc: usize,
    a: &'a [F],
    lda: usize,
    m: usize,
    b: Packed<'a, F>,
}

/// A product whose `a` is to be transposed, and the room to pack it in.
struct Transposed<'a, F>(Product<'a, F>, &'a mut [F]);

impl<'a, F: Float> Product<'a, F> {
    fn is_empty(&self) -> bool {
        self.m == 0 || self.b.n == 0 || self.b.k == 0
    }

    fn run(self) {
        match size_of::<F>() {
            _ if self.is_empty() => {}
            4 if !self.b.operands.is_full() => rounded_product(self.cast()),
            4 => product_f32(self.cast()),
            _ => product_f64(self.cast()),
        }
    }

    fn run_transposed(self) {
        if self.is_empty() {
            return;
        }
        // Here and not inside, where it would not be compiled for the level.
        scratch::with(packed_left_len(self.m, self.b.k), |memory: &mut [F]| match size_of::<F>() {
            4 if !self.b.operands.is_full() => rounded_transposed(Transposed(self.cast(), cast_slice_mut(memory))),
            4 => transposed_f32(Transposed(self.cast(), cast_slice_mut(memory))),
            _ => transposed_f64(Transposed(self.cast(), cast_slice_mut(memory))),
        });
    }

    /// The same product; `G` is `F`, under a name the compiler knows.
    fn cast<'b, G: Float>(self) -> Product<'b, G>
    where
        'a: 'b,
    {
        let Product { start, c, ldc, a, lda, m, b: Packed { first, k, height, n, panels, operands } } = self;
        let b = Packed { first, k, height, n, panels: cast_slice(panels), operands };
        Product { start: start.map(cast_slice), c: cast_slice_mut(c), ldc, a: cast_slice(a), lda, m, b }
    }
}

/// What is done by tiles, of a size that suits the level.
trait Tiled {
    type Elem;
    /// `COLS` columns of a panel's `WIDTH`, up to `ROWS` rows.
    fn tiled<const COLS: usize, const WIDTH: usize, const ROWS: usize, const FUSED: bool>(self);
}

struct AtLevel<T>(T);

impl<T: Tiled> Job for AtLevel<T> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        // Columns of a tile: 4 registers of 64 bytes, 2 of 32, or 2 of 16.
        match (size_of::<T::Elem>(), WIDE, FUSED) {
            (4, true, _) => self.0.tiled::<64, 64, 6, FUSED>(),
            (4, false, true) => self.0.tiled::<16, 16, 6, FUSED>(),
            (4, false, false) => self.0.tiled::<8, 16, 4, FUSED>(),
            (_, true, _) => self.0.tiled::<32, 32, 6, FUSED>(),
            (_, false, true) => self.0.tiled::<8, 8, 6, FUSED>(),
            (_, false, false) => self.0.tiled::<4, 8, 4, FUSED>(),
        }
    }
}

impl<F: Float> Tiled for Product<'_, F> {
    type Elem = F;
    #[inline(always)]
    fn tiled<const COLS: usize, const WIDTH: usize, const ROWS: usize, const FUSED: bool>(self) {
        let Product { start: given, c, ldc, a, lda, m, b: Packed { first: start, k, height, n, panels, .. } } = self;
        if m == 1 && k <= DEPTH {
            if let Some(given) = given {
                c[..n].copy_from_slice(&given[..n]);
            }
            return one_row::<F, WIDTH, FUSED>(c, a, &panels[start * WIDTH..], (k, height, n));
        }
        for first in (0..k).step_by(DEPTH) {
            let right = Right { panels, height, n, first: start + first, depth: DEPTH.min(k - first) };
            let left = Left { numbers: &a[first..], apart: lda };
            block::<F, COLS, WIDTH, ROWS, FUSED, false>(c, ldc, given.filter(|_| first == 0), left, m, right);
        }
    }
}

impl<F: Float> Tiled for Transposed<'_, F> {
    type Elem = F;
    /// A transposed operand's numbers lie as far apart as its rows are long: of 1024 columns, all in the same few lines of L1. So it is
    /// packed, as many rows as stay in L2.
    #[inline(always)]
    fn tiled<const COLS: usize, const WIDTH: usize, const ROWS: usize, const FUSED: bool>(self) {
        let Transposed(Product { c, ldc, a, lda, m, b: Packed { first: start, k, height, n, panels, .. }, .. }, memory) =
            self;
        for top in (0..m).step_by(PACKED_ROWS) {
            let (m, c) = (PACKED_ROWS.min(m - top), &mut c[top * ldc..]);
            // The terms are taken from the end, so the blocks are too.
            for first in (0..k).step_by(DEPTH).rev() {
                let depth = DEPTH.min(k - first);
                let numbers = pack_left::<F, ROWS>(&a[first * lda + top..], lda, (m, depth), memory);
                let right = Right { panels, height, n, first: start + first, depth };
                block::<F, COLS, WIDTH, ROWS, FUSED, true>(c, ldc, None, Left { numbers, apart: 1 }, m, right);
            }
        }
    }
}

#[cfg(test)]
mod tests;
