//! A stack of numbers: what a tape is made of.

/// Numbers pushed by a forward pass and taken back, last first, by the backward pass. It keeps its memory, so a tape
/// that has been used once takes the same work again without allocating.
#[derive(Clone, Debug, Default)]
pub struct Record<F> {
    numbers: Vec<F>,
    len: usize,
}

impl<F: Copy + Default> Record<F> {
    /// How many numbers are on the stack.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the stack is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts `n` numbers on top, for the caller to fill: their values are arbitrary.
    pub fn push(&mut self, n: usize) -> &mut [F] {
        let start = self.len;
        self.len += n;
        if self.numbers.len() < self.len {
            if start == 0 {
                // Nothing to keep: as much as is asked for and no more.
                drop(std::mem::take(&mut self.numbers));
                self.numbers.reserve_exact(n);
            }
            self.numbers.resize(self.len, F::default());
        }
        &mut self.numbers[start..self.len]
    }

    /// The `n` numbers on top.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    #[track_caller]
    pub fn top(&self, n: usize) -> &[F] {
        assert!(n <= self.len, "a tape gives back what a forward pass pushed: it holds {} numbers, not {n}", self.len);
        &self.numbers[self.len - n..self.len]
    }

    /// As [`top`](Record::top), to change them.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    #[track_caller]
    pub fn top_mut(&mut self, n: usize) -> &mut [F] {
        assert!(n <= self.len, "a tape gives back what a forward pass pushed: it holds {} numbers, not {n}", self.len);
        &mut self.numbers[self.len - n..self.len]
    }

    /// Takes `n` numbers off.
    ///
    /// # Panics
    /// If there are fewer.
    #[track_caller]
    pub fn pop(&mut self, n: usize) {
        assert!(n <= self.len, "a tape gives back what a forward pass pushed: it holds {} numbers, not {n}", self.len);
        self.len -= n;
    }

    /// Takes everything off.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}
