//! Sums over very many rows, in blocks.
//!
//! A gradient is summed row after row, last to first, so that it does not matter how a sequence is cut. Over millions of rows such a
//! sum loses what lies below its last digit: 4·10⁷ shares of 0.1 come to 0.0625 in `f32`. So a call of more than
//! [`MANY_ROWS`] sums blocks of [`BLOCK_ROWS`], counted from its end, each from zero, and adds these with what each
//! addition lost (Kahan 1965).

use std::ops::Range;

use ndarray::Zip;

use crate::Params;

/// Rows (steps times batch) of a call that are summed one after the other.
const MANY_ROWS: usize = 1 << 14;
/// Rows of a block.
pub(crate) const BLOCK_ROWS: usize = 1 << 11;

/// Whether a call of this shape is summed in blocks.
pub(crate) fn in_blocks(steps: usize, rows: usize) -> bool {
    steps.saturating_mul(rows) > MANY_ROWS
}

/// Steps of a block, for so many rows a step: a power of two, so that blocks and segments of a memory budget fit into each
/// other. It depends on nothing else.
pub(crate) fn block_steps(rows: usize) -> usize {
    let most = (BLOCK_ROWS / rows.max(1)).max(1);
    1 << most.ilog2()
}

/// The blocks of `len` places, last to first: counted from the end.
pub(crate) fn blocks(len: usize, block: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
    (0..len.div_ceil(block)).map(move |i| {
        let end = len - i * block;
        end.saturating_sub(block)..end
    })
}

/// The gradients of a block, and what additions have lost so far.
#[derive(Clone, Debug)]
pub(crate) struct BlockSum<P> {
    block: P,
    lost: P,
}

/// How many times the parameters it holds.
pub(crate) const COPIES: usize = 2;

impl<P: Params> BlockSum<P> {
    pub(crate) fn new(like: &P) -> Self {
        BlockSum { block: like.zeros_like(), lost: like.zeros_like() }
    }

    /// Starts another sum.
    pub(crate) fn clear(&mut self) {
        self.block.set_zero();
        self.lost.set_zero();
    }

    /// Where the gradients of the block in hand gather.
    pub(crate) fn block(&mut self) -> &mut P {
        &mut self.block
    }

    /// Adds the block to `sum`, the same one each time, and starts another.
    pub(crate) fn add_to(&mut self, sum: &mut P) {
        let BlockSum { block, lost } = self;
        block.zip_mut(lost, &mut |_, mut block, lost| Zip::from(&mut block).and(&lost).for_each(|b, &l| *b += l));
        lost.zip_mut(sum, &mut |_, mut before, sum| before.assign(&sum));
        sum.zip_mut(block, &mut |_, mut sum, block| Zip::from(&mut sum).and(&block).for_each(|s, &b| *s += b));
        lost.zip_mut(sum, &mut |_, mut before, sum| Zip::from(&mut before).and(&sum).for_each(|l, &s| *l = s - *l));
        lost.zip_mut(block, &mut |_, mut added, block| Zip::from(&mut added).and(&block).for_each(|l, &b| *l = b - *l));
        block.set_zero();
    }
}
