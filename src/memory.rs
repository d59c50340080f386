//! How much memory a pass takes: bytes that a layer tells before anything is run.

/// Calls that hold a buffer while the next one runs inside them; what is deeper is counted at the last.
const DEPTH: usize = 16;

/// What a pass of a layer over some steps and rows takes, in bytes. It is what
/// [`Recurrent::memory`](crate::Recurrent::memory) tells.
///
/// A cell of one's own fills it with plain numbers; a layer around another starts from the inner one's:
///
/// ```
/// use deep_rnn::{Memory, Work};
///
/// # let (steps, batch, units) = (100, 4, 8);
/// // A cell that keeps three [B, H] arrays a step and makes two at a time on the way.
/// let array = batch * units * size_of::<f32>();
/// let cell = Memory::new(steps * 3 * array, Work::of(2 * array), Work::of(2 * array));
/// // A layer that keeps the cell's outputs, and holds a sequence while it goes backward.
/// let mut layer = cell;
/// layer.tape += steps * array;
/// layer.backward = cell.backward.inside(steps * array);
/// assert_eq!((layer.tape, layer.backward.bytes()), (steps * 4 * array, (steps + 2) * array));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// What a forward call keeps for the backward call.
    pub tape: usize,
    /// Working memory of a forward call, with or without tape, whichever takes more.
    pub forward: Work,
    /// Working memory of a backward call.
    pub backward: Work,
}

impl Memory {
    /// So many bytes of tape, and the working memory of a forward and of a backward call.
    #[must_use]
    pub fn new(tape: usize, forward: Work, backward: Work) -> Self {
        Memory { tape, forward, backward }
    }
}

/// The working memory of a call: what it holds itself, and inside it what the calls it makes hold, one in the other.
///
/// The crate's layers keep one buffer for each depth of such calls and use it again, so two passes together take, depth
/// by depth, what the larger one takes; hence a list and not one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    depths: [usize; DEPTH],
    /// What each further thread takes that a part of the call's work goes to.
    elsewhere: usize,
}

impl Work {
    /// A call that holds so many bytes and makes no other.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let mut work = Work::default();
        work.depths[0] = bytes;
        work
    }

    /// A call that holds so many bytes while the call of this working memory runs inside it.
    #[must_use]
    pub fn inside(self, bytes: usize) -> Self {
        let mut depths = [0; DEPTH];
        depths[0] = bytes;
        for (i, inner) in self.depths.into_iter().enumerate() {
            let outer = &mut depths[(i + 1).min(DEPTH - 1)];
            *outer = outer.saturating_add(inner);
        }
        Work { depths, ..self }
    }

    /// Two calls, one after the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut work = self;
        for (a, b) in work.depths.iter_mut().zip(other.depths) {
            *a = b.max(*a);
        }
        Work { elsewhere: self.elsewhere.max(other.elsewhere), ..work }
    }

    /// The same call with so many bytes more of its own.
    #[must_use]
    pub(crate) fn and(mut self, bytes: usize) -> Self {
        self.depths[0] = self.depths[0].saturating_add(bytes);
        self
    }

    /// The same call with so many bytes on each further thread.
    #[must_use]
    pub(crate) fn elsewhere(self, bytes: usize) -> Self {
        Work { elsewhere: bytes, ..self }
    }

    /// All of it on one thread.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.depths.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// All of it where there are `threads`.
    pub(crate) fn bytes_over(&self, threads: usize) -> usize {
        self.bytes().saturating_add(self.elsewhere.saturating_mul(threads - 1))
    }
}

/// The bytes of so many numbers.
pub(crate) fn bytes<F>(numbers: usize) -> usize {
    numbers.saturating_mul(size_of::<F>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_inside_each_other_add_and_calls_in_turn_share() {
        let (inner, other) = (Work::of(10).inside(3), Work::of(5).inside(4));
        assert_eq!((inner.bytes(), other.bytes()), (13, 9));
        assert_eq!(inner.or(other), Work::of(10).inside(4));
        assert_eq!(inner.and(1), Work::of(10).inside(4));
        let deep = (0..2 * DEPTH).fold(Work::default(), |work, _| work.inside(1));
        assert_eq!(deep.bytes(), 2 * DEPTH);
        assert_eq!([1, 2, 3].map(|threads| inner.elsewhere(7).bytes_over(threads)), [13, 20, 27]);
    }
}
