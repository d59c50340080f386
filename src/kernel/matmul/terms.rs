//! The order of sums of rounded products: 32 terms together, the even ones apart from the odd ones.
//!
//! Terms are even and odd as rows of the packed operand, which lie two by two where a matrix unit reads them. So a product of some of its
//! rows may begin or end with half a pair.

/// Terms that are summed by themselves.
pub(super) const TERMS: usize = 32;

/// Blocks of the terms that belong to `depth` rows of the right operand, from row `from` on.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    from: usize,
    depth: usize,
    /// Last block first, each counted from the end.
    back: bool,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// The first row of the right operand, an even one.
    pub(super) row: usize,
    /// Its pairs of rows, up to 16.
    pub(super) pairs: usize,
    /// Whether the first row is not meant.
    pub(super) skip: usize,
    /// The first term, and how many there are.
    pub(super) term: usize,
    pub(super) count: usize,
}

impl Blocks {
    #[inline(always)]
    pub(super) fn new(from: usize, depth: usize, back: bool) -> Self {
        Blocks { from, depth, back }
    }

    /// Rows of whole pairs.
    #[inline(always)]
    fn rows(self) -> (usize, usize) {
        (self.from / 2 * 2, (self.from + self.depth).div_ceil(2) * 2)
    }

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        let (start, end) = self.rows();
        (end - start).div_ceil(TERMS)
    }

    #[inline(always)]
    pub(super) fn get(self, i: usize) -> Block {
        let (start, end) = self.rows();
        let (row, next) = if self.back {
            let next = end - i * TERMS;
            (start.max(next.saturating_sub(TERMS)), next)
        } else {
            (start + i * TERMS, end.min(start + (i + 1) * TERMS))
        };
        let (first, last) = (row.max(self.from), next.min(self.from + self.depth));
        Block { row, pairs: (next - row) / 2, skip: first - row, term: first - self.from, count: last - first }
    }
}

impl Block {
    /// Whether every row of 32 is meant.
    #[inline(always)]
    pub(super) fn is_full(self) -> bool {
        self.count == TERMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_is_in_one_block_and_every_pair_whole() {
        for from in 0..5 {
            for depth in 1..140 {
                for back in [false, true] {
                    let blocks = Blocks::new(from, depth, back);
                    let mut seen = vec![0; depth];
                    let mut last = None;
                    for block in (0..blocks.len()).map(|i| blocks.get(i)) {
                        assert!(block.row % 2 == 0 && (1..=16).contains(&block.pairs) && block.skip < 2);
                        assert_eq!(block.row + block.skip, from + block.term);
                        assert!(
                            block.skip + block.count <= 2 * block.pairs
                                && 2 * block.pairs < block.skip + block.count + 2
                        );
                        assert!(!block.is_full() || block.skip == 0 && block.pairs == 16);
                        (block.term..block.term + block.count).for_each(|term| seen[term] += 1);
                        assert!(last.is_none_or(|last| (block.row < last) == back));
                        last = Some(block.row);
                    }
                    assert!(seen.iter().all(|seen| *seen == 1), "{from} {depth} {back}");
                }
            }
        }
    }
}
