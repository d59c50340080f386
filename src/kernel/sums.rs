//! Sums and copies of whole rows.

use std::ops::Range;

use ndarray::ArrayView2;

use super::dispatch::{Job, dispatch};
use super::pack::Columns;
use crate::Float;

/// Rows whose gradients are summed one after the other. Of more than these a sum of small terms would lose what lies below
/// its last digit, so they are summed in blocks, each from zero, and the blocks are added.
pub(crate) const BLOCK_ROWS: usize = 1 << 14;

/// Steps of a block, for so many rows a step: a power of two, so that blocks and leaves of a memory budget fit into each other. It
/// depends on nothing else.
pub(crate) fn block_steps(rows: usize) -> usize {
    let most = (BLOCK_ROWS / rows.max(1)).max(1);
    1 << most.ilog2()
}

/// Whether a call of this shape is summed in blocks.
pub(crate) fn in_blocks(steps: usize, rows: usize) -> bool {
    rows > BLOCK_ROWS || steps > block_steps(rows)
}

/// The blocks of `len` places, last to first: counted from the end.
pub(crate) fn blocks(len: usize, block: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
    (0..len.div_ceil(block)).map(move |i| {
        let end = len - i * block;
        end.saturating_sub(block)..end
    })
}

/// Adds the rows of `a [_, n]`, last to first, to `sum [n]`.
pub(crate) fn add_rows<F: Float>(sum: &mut [F], a: &[F]) {
    struct AddRows<'a, F>(&'a mut [F], &'a [F]);
    impl<F: Float> Job for AddRows<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) {
            for row in self.1.chunks_exact(self.0.len()).rev() {
                self.0.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
            }
        }
    }
    if !sum.is_empty() {
        dispatch(AddRows(sum, a));
    }
}

/// Row i of `rows [_, n]` becomes `start [n]` plus these columns of row `tokens[i]` of `w`.
pub(crate) fn look_up<F: Float>(rows: &mut [F], start: &[F], w: &[F], columns: Columns, tokens: ArrayView2<'_, usize>) {
    struct LookUp<'a, F>(&'a mut [F], &'a [F], &'a [F], Columns, ArrayView2<'a, usize>);
    impl<F: Float> Job for LookUp<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) {
            let LookUp(rows, start, w, columns, tokens) = self;
            let all = columns.blocks * columns.stride;
            for (row, token) in rows.chunks_exact_mut(start.len()).zip(tokens) {
                let w = &w[token * all..][..all];
                for (from, to) in columns.ranges() {
                    let (row, start) = (&mut row[to.clone()], &start[to]);
                    row.iter_mut().zip(start).zip(&w[from]).for_each(|((x, start), w)| *x = *start + *w);
                }
            }
        }
    }
    dispatch(LookUp(rows, start, w, columns, tokens));
}

/// The way back, for rows `first` and on of w: adds row i of `rows [_, n]`, last to first, to row `tokens[i]` of w where
/// `w` has it.
pub(crate) fn scatter<F: Float>(w: &mut [F], first: usize, n: usize, rows: &[F], tokens: ArrayView2<'_, usize>) {
    struct Scatter<'a, F>(&'a mut [F], usize, usize, &'a [F], ArrayView2<'a, usize>);
    impl<F: Float> Job for Scatter<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) {
            let Scatter(w, first, n, rows, tokens) = self;
            let b = tokens.ncols();
            for (i, row) in rows.chunks_exact(n).enumerate().rev() {
                let at = tokens[[i / b, i % b]].wrapping_sub(first);
                if at < w.len() / n {
                    w[at * n..][..n].iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
                }
            }
        }
    }
    dispatch(Scatter(w, first, n, rows, tokens));
}
