//! How much memory a pass takes: bytes that a layer tells before anything is run.

/// Calls that hold a buffer while the next one runs inside them; what is deeper is counted at the last.
const DEPTH: usize = 16;
/// Further places that are told apart, where parts of a divided call go; those beyond are each counted as the last.
const PLACES: usize = 7;

/// What a pass is over, for those who tell its [`Memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassSize {
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// Whether the input is tokens, not rows of numbers.
    pub tokens: bool,
    /// Whether the gradient of the input is asked for.
    pub d_x: bool,
}

impl PassSize {
    /// From rows of numbers, with their gradient: what a layer inside a network sees.
    #[must_use]
    pub fn of(steps: usize, batch: usize) -> Self {
        PassSize { steps, batch, tokens: false, d_x: true }
    }

    /// From tokens; those have no gradient.
    #[must_use]
    pub fn of_tokens(steps: usize, batch: usize) -> Self {
        PassSize { steps, batch, tokens: true, d_x: false }
    }

    /// Without the gradient of the input, for which the engine has no use.
    #[must_use]
    pub fn without_d_x(self) -> Self {
        PassSize { d_x: false, ..self }
    }

    /// The same over another number of steps.
    #[must_use]
    pub fn with_steps(self, steps: usize) -> Self {
        PassSize { steps, ..self }
    }

    /// The same of rows that are there as numbers, where they had to be built.
    pub(crate) fn of_built_rows(self) -> Self {
        PassSize { tokens: false, ..self }
    }

    /// How many numbers rows of so many columns have; `usize::MAX` where that can't be counted.
    #[must_use]
    pub fn numbers(&self, columns: usize) -> usize {
        self.steps.saturating_mul(self.batch).saturating_mul(columns)
    }
}

/// What a pass of a layer over some steps and rows takes, in bytes. It is what
/// [`Recurrent::memory`](crate::Recurrent::memory) tells.
///
/// A cell of one's own fills it with plain numbers; a layer around another starts from the inner one's:
///
/// ```
/// use deep_rnn::custom::{Memory, Work};
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
    depths: Depths,
    /// What the parts of a divided call hold, place by place: part 0 is the call itself.
    elsewhere: [Depths; PLACES],
}

/// Bytes held by calls inside each other, the outermost first.
type Depths = [usize; DEPTH];

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
        let mut elsewhere = self.elsewhere;
        elsewhere.iter_mut().zip(other.elsewhere).for_each(|(a, b)| *a = larger(*a, b));
        Work { depths: larger(self.depths, other.depths), elsewhere }
    }

    /// The same call divided into so many parts, part `k` of which holds `bytes(k)`; part 0 is counted already.
    #[must_use]
    pub(crate) fn divided(mut self, parts: usize, bytes: impl Fn(usize) -> usize) -> Self {
        for part in 1..parts {
            let place = &mut self.elsewhere[part.min(PLACES) - 1];
            place[0] = place[0].max(bytes(part));
        }
        self
    }

    /// The same call, `places` places of which are taken, with this one beside it in the next.
    #[must_use]
    pub(crate) fn beside(mut self, places: usize, other: Self) -> Self {
        let all = [other.depths].into_iter().chain(other.elsewhere);
        for (i, depths) in all.enumerate() {
            let place = &mut self.elsewhere[(places + i).clamp(1, PLACES) - 1];
            *place = larger(*place, depths);
        }
        self
    }

    /// All of it on one thread.
    #[must_use]
    pub fn bytes(&self) -> usize {
        sum(&self.depths)
    }

    /// All of it where there are `threads`.
    pub(crate) fn bytes_over(&self, threads: usize) -> usize {
        let further = threads.saturating_sub(1);
        let told = self.elsewhere.iter().take(further).fold(0_usize, |bytes, place| bytes.saturating_add(sum(place)));
        let beyond = sum(&self.elsewhere[PLACES - 1]).saturating_mul(further.saturating_sub(PLACES));
        self.bytes().saturating_add(told).saturating_add(beyond)
    }
}

fn larger(a: Depths, b: Depths) -> Depths {
    std::array::from_fn(|i| a[i].max(b[i]))
}

fn sum(depths: &Depths) -> usize {
    depths.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
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
        let deep = (0..2 * DEPTH).fold(Work::default(), |work, _| work.inside(1));
        assert_eq!(deep.bytes(), 2 * DEPTH);
    }

    #[test]
    fn parts_are_counted_at_their_places() {
        let call = Work::of(10).inside(3);
        // Three parts on any number of threads; a smaller division in turn adds nothing.
        let divided = call.divided(3, |_| 7).or(call.divided(2, |_| 5));
        assert_eq!([1, 2, 3, 4].map(|threads| divided.bytes_over(threads)), [13, 20, 27, 27]);
        // Beside it, from place 2 on, a call that is divided in two itself.
        let both = call.divided(2, |_| 7).beside(2, Work::of(100).inside(1).divided(2, |_| 50));
        assert_eq!([1, 2, 3, 4, 5].map(|threads| both.bytes_over(threads)), [13, 20, 121, 171, 171]);
        let many = call.divided(1000, |_| 7);
        assert_eq!([8, 9, 1000].map(|threads| many.bytes_over(threads)), [13 + 49, 13 + 56, 13 + 999 * 7]);
    }

    #[test]
    fn what_cannot_be_counted_is_as_much_as_can_be() {
        let most = Work::of(usize::MAX).inside(usize::MAX).divided(3, |_| usize::MAX);
        assert_eq!((most.bytes(), most.bytes_over(usize::MAX)), (usize::MAX, usize::MAX));
        assert_eq!(bytes::<f64>(usize::MAX / 2), usize::MAX);
    }
}
