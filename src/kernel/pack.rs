//! The right operand of a product, packed: cut into panels of some columns, each stored as one run of memory.

use std::ops::Range;

use super::dispatch::{Job, dispatch, is_wide};
use super::matmul::round;
use super::operands::Operands;
use super::threads::{self, Divisible, divide};
use crate::Float;

/// Columns of a panel: those of a tile, since a part of a wider one would lie a line in so many, which fall into a part of L1 only.
fn panel_width<F>() -> usize {
    if is_wide() { 256 / size_of::<F>() } else { 64 / size_of::<F>() }
}

/// The length of the memory for a packed `[k, n]` operand.
pub(crate) fn packed_len<F>(k: usize, n: usize) -> usize {
    n.div_ceil(panel_width::<F>()).saturating_mul(panel_width::<F>()).saturating_mul(k)
}

/// A packed operand `[k, n]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'a, F> {
    /// The rows in use.
    pub(super) first: usize,
    pub(super) k: usize,
    /// The rows that are there.
    pub(super) height: usize,
    pub(super) n: usize,
    pub(super) panels: &'a [F],
    /// What the numbers are, and with them what they are multiplied by.
    pub(super) operands: Operands,
}

impl<F> Packed<'_, F> {
    /// k, the inner dimension.
    pub(crate) fn depth(&self) -> usize {
        self.k
    }

    /// n, the columns.
    pub(crate) fn width(&self) -> usize {
        self.n
    }

    /// The operand's rows `first` to `first + k`.
    pub(crate) fn rows(self, first: usize, k: usize) -> Self {
        debug_assert!(first + k <= self.k);
        Packed { first: self.first + first, k, ..self }
    }
}

/// Packs `b [k, n]` (row-major) into `memory`.
pub(crate) fn pack<'a, F: Float>(b: &[F], k: usize, n: usize, memory: &'a mut [F]) -> Packed<'a, F> {
    pack_adding(b, k, n, memory, [None, None])
}

/// As [`pack`]; on the way the rows of `b`, last to first, are added to each of `sums [n]`.
pub(crate) fn pack_adding<'a, F: Float>(
    b: &[F],
    k: usize,
    n: usize,
    memory: &'a mut [F],
    sums: [Option<&mut [F]>; 2],
) -> Packed<'a, F> {
    let (panels, operands) = (&mut memory[..packed_len::<F>(k, n)], Operands::of::<F>());
    if k > 0 && n > 0 {
        let all = Panels { first: 0, height: k, numbers: &mut *panels, sums: sums.map(|sum| sum.unwrap_or_default()) };
        divide(all, parts(k * n), 1, &|panels| {
            let mut pack = Pack { b, n, panels };
            dispatch(&mut pack);
            round(operands, pack.panels.numbers, k);
        });
    }
    Packed { first: 0, k, height: k, n, panels, operands }
}

/// Packs the transpose of `w [n, k]` (row-major): an operand `[k, n]`.
pub(crate) fn pack_transposed<'a, F: Float>(w: &[F], k: usize, n: usize, memory: &'a mut [F]) -> Packed<'a, F> {
    const BLOCK: usize = 16; // rows of `w` read side by side: their lines stay in L1 while columns are written
    let (width, operands) = (panel_width::<F>(), Operands::of::<F>());
    let panels = &mut memory[..packed_len::<F>(k, n)];
    if k > 0 && n > 0 {
        let all = Panels { first: 0, height: k, numbers: &mut *panels, sums: Default::default() };
        divide(all, parts(k * n), 1, &|Panels { first, numbers, .. }| {
            for (j, panel) in (first..).zip(numbers.chunks_exact_mut(k * width)) {
                let used = width.min(n - j * width);
                if used < width {
                    panel.fill(F::zero());
                }
                for c in (0..used).step_by(BLOCK) {
                    let rows = &w[(j * width + c) * k..];
                    let block = BLOCK.min(used - c);
                    for (p, to) in panel.chunks_exact_mut(width).enumerate() {
                        for (i, to) in to[c..c + block].iter_mut().enumerate() {
                            *to = rows[i * k + p];
                        }
                    }
                }
                round(operands, panel, k);
            }
        });
    }
    Packed { first: 0, k, height: k, n, panels, operands }
}

/// Some columns of each of several blocks of columns: the gates of some units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) blocks: usize,
    /// Columns of a block, and of these the ones from `first` on.
    pub(crate) stride: usize,
    pub(crate) first: usize,
    pub(crate) width: usize,
}

impl Columns {
    /// Where each block's columns are in a row of `w`, and in a row of their own.
    pub(crate) fn ranges(self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        (0..self.blocks).map(move |block| {
            let (from, to) = (block * self.stride + self.first, block * self.width);
            (from..from + self.width, to..to + self.width)
        })
    }
}

/// Packs these columns of `b [k, blocks·stride]`: an operand `[k, blocks·width]`.
pub(crate) fn pack_columns<'a, F: Float>(b: &[F], k: usize, columns: Columns, memory: &'a mut [F]) -> Packed<'a, F> {
    let (width, n) = (panel_width::<F>(), columns.blocks * columns.width);
    let panels = &mut memory[..packed_len::<F>(k, n)];
    panels.fill(F::zero());
    for (p, row) in b.chunks_exact(columns.blocks * columns.stride).take(k).enumerate() {
        for (from, to) in columns.ranges() {
            let (mut from, mut to) = (&row[from], to.start);
            while !from.is_empty() {
                let len = (width - to % width).min(from.len());
                panels[(to / width * k + p) * width + to % width..][..len].copy_from_slice(&from[..len]);
                (from, to) = (&from[len..], to + len);
            }
        }
    }
    let operands = Operands::of::<F>();
    round(operands, panels, k);
    Packed { first: 0, k, height: k, n, panels, operands }
}

/// How many parts the packing of `len` numbers is worth.
fn parts(len: usize) -> usize {
    const WORTH_A_THREAD: usize = 1 << 16;
    threads::available().min(1 + len / WORTH_A_THREAD)
}

/// Panels to be filled, from number `first` on, and the sums of their columns (or none).
struct Panels<'a, F> {
    first: usize,
    height: usize,
    numbers: &'a mut [F],
    sums: [&'a mut [F]; 2],
}

impl<F: Float> Divisible for Panels<'_, F> {
    fn len(&self) -> usize {
        self.numbers.len() / (self.height * panel_width::<F>())
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let Panels { first, height, numbers, sums: [sum, other] } = self;
        let columns = at * panel_width::<F>();
        let (numbers, numbers_b) = numbers.split_at_mut(columns * height);
        let ((sum, sum_b), (other, other_b)) =
            (sum.split_at_mut(columns.min(sum.len())), other.split_at_mut(columns.min(other.len())));
        (
            Panels { first, height, numbers, sums: [sum, other] },
            Panels { first: first + at, height, numbers: numbers_b, sums: [sum_b, other_b] },
        )
    }
}

struct Pack<'a, F> {
    b: &'a [F],
    n: usize,
    panels: Panels<'a, F>,
}

impl<F: Float> Job for &mut Pack<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        match (size_of::<F>(), WIDE) {
            (4, true) => self.fill::<64>(),
            (4, false) => self.fill::<16>(),
            (_, true) => self.fill::<32>(),
            (_, false) => self.fill::<8>(),
        }
    }
}

impl<F: Float> Pack<'_, F> {
    #[inline(always)]
    fn fill<const WIDTH: usize>(&mut self) {
        let Pack { b, n, panels: Panels { first, height, numbers, sums } } = self;
        let (b, n, first, height) = (*b, *n, *first, *height);
        for (j, panel) in numbers.chunks_exact_mut(height * WIDTH).enumerate() {
            let column = (first + j) * WIDTH;
            let used = WIDTH.min(n - column);
            let mut totals = [[F::zero(); WIDTH]; 2];
            for (total, sum) in totals.iter_mut().zip(&*sums) {
                if !sum.is_empty() {
                    total[..used].copy_from_slice(&sum[j * WIDTH..][..used]);
                }
            }
            for (to, row) in panel.chunks_exact_mut(WIDTH).zip(b.chunks_exact(n)).rev() {
                let row = &row[column..][..used];
                if used == WIDTH {
                    to.copy_from_slice(&row[..WIDTH]);
                } else {
                    to[..used].copy_from_slice(row);
                    to[used..].fill(F::zero());
                }
                for (total, sum) in totals.iter_mut().zip(&*sums) {
                    if !sum.is_empty() {
                        for i in 0..WIDTH {
                            total[i] += to[i];
                        }
                    }
                }
            }
            for (total, sum) in totals.iter().zip(&mut *sums) {
                if !sum.is_empty() {
                    sum[j * WIDTH..][..used].copy_from_slice(&total[..used]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sums::add_rows;
    use super::*;

    fn numbers<F: Float>(n: usize) -> Vec<F> {
        (0..n).map(|i| F::from_f64(((i * 7919 + 13) % 1000) as f64 / 500.0 - 1.0)).collect()
    }

    /// Bits, so that padding counts too.
    fn bits<F: Float>(packed: Packed<'_, F>) -> Vec<u64> {
        packed.panels.iter().map(|x| x.as_f64().to_bits()).collect()
    }

    fn columns_where_they_lie<F: Float>() {
        for (k, blocks, stride, first, width) in
            [(1, 1, 1, 0, 1), (3, 4, 20, 5, 15), (5, 3, 131, 43, 44), (2, 4, 256, 128, 128)]
        {
            let b = numbers::<F>(k * blocks * stride);
            let n = blocks * width;
            let gathered: Vec<F> = (0..k * n)
                .map(|i| b[i / n * blocks * stride + i % n / width * stride + first + i % n % width])
                .collect();
            let (mut one, mut other) = (vec![F::nan(); packed_len::<F>(k, n)], vec![F::nan(); packed_len::<F>(k, n)]);
            let packed = pack_columns(&b, k, Columns { blocks, stride, first, width }, &mut one);
            assert!(bits(packed) == bits(pack(&gathered, k, n, &mut other)), "{k} rows, {width} of {stride} columns");
        }
    }

    fn sums_on_the_way<F: Float>() {
        for (k, n) in [(1, 1), (7, 63), (9, 64), (30, 65), (512, 300)] {
            let (b, start) = (numbers::<F>(k * n), numbers::<F>(n));
            let (mut expected, mut first, mut second) = (start.clone(), start.clone(), start.clone());
            add_rows(&mut expected, &b);
            let (mut plain, mut memory) =
                (vec![F::nan(); packed_len::<F>(k, n)], vec![F::nan(); packed_len::<F>(k, n)]);
            let plain = bits(pack(&b, k, n, &mut plain));
            assert!(bits(pack_adding(&b, k, n, &mut memory, [Some(&mut first), None])) == plain);
            assert!(bits(pack_adding(&b, k, n, &mut memory, [None, Some(&mut second)])) == plain);
            assert!(first == expected && second == expected, "{k} rows of {n}: other sums");
            let (mut first, mut second) = (start.clone(), start);
            assert!(bits(pack_adding(&b, k, n, &mut memory, [Some(&mut first), Some(&mut second)])) == plain);
            assert!(first == expected && second == expected, "{k} rows of {n}: other sums, both");
        }
    }

    #[test]
    fn columns_are_packed_as_if_gathered_first() {
        columns_where_they_lie::<f32>();
        columns_where_they_lie::<f64>();
    }

    #[test]
    fn sums_on_the_way_are_those_of_the_rows() {
        sums_on_the_way::<f32>();
        sums_on_the_way::<f64>();
    }
}
