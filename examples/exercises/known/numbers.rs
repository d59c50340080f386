//! Random numbers for data: the same on every machine.

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Numbers(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Numbers {
    /// Those of a seed, for one use of several.
    pub(crate) fn new(seed: u64, usage: u64) -> Self {
        let mut numbers = Numbers(seed);
        let key = numbers.next();
        Numbers(key ^ usage.wrapping_mul(STEP))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0, below 1: 24 bits, all of which an `f32` has.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// Below `n`, which is small beside 2³².
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let high = self.next() >> 32;
        ((high * n as u64) >> 32) as usize
    }

    /// Fisher and Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Rows for batch after batch: all of them once an epoch, in another order each.
pub(crate) struct Rows {
    order: Vec<usize>,
    batch: usize,
    next: usize,
    numbers: Numbers,
}

impl Rows {
    pub(crate) fn new(rows: Vec<usize>, batch: usize, numbers: Numbers) -> Self {
        Rows { order: rows, batch, next: 0, numbers }
    }

    /// The last batch of an epoch may be a smaller one.
    pub(crate) fn batches_per_epoch(&self) -> usize {
        self.order.len().div_ceil(self.batch)
    }

    pub(crate) fn batch(&mut self) -> Vec<usize> {
        if self.next == 0 {
            self.numbers.shuffle(&mut self.order);
        }
        let end = self.order.len().min(self.next + self.batch);
        let rows = self.order[self.next..end].to_vec();
        self.next = if end == self.order.len() { 0 } else { end };
        rows
    }
}
