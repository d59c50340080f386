//! Windows of a text, in batches.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::epoch::{Epoch, Place, Rows};
use crate::Error;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Sequential,
    Random,
}

/// Batches of `B` windows of `T` tokens, epoch after epoch.
///
/// A batch has `x` and `y` of shape `[T, B]`; `y` holds the token that follows each token of `x`. Every epoch begins at
/// a new random offset, so that the windows are cut elsewhere; with N tokens and the offset o,
///
/// - *sequential*: o is in 0 ..= T; the text from o is laid in B rows of ⌊(N-o-1)/B⌋ tokens, and the batches go through
///   these from left to right. Row b of a batch goes on where row b of the one before ended, so `continues` is true
///   except in the first.
/// - *random*: o is in 0 ..= T-1; the ⌊(N-o-1)/T⌋ windows that follow each other from o are shuffled. `continues` is
///   false.
///
/// What does not fill a row, a window or a batch is left out. Every epoch has one batch at least, whatever its offset.
///
/// The offset and the order of an epoch depend only on the seed and the number of the epoch, on every machine, so a
/// training goes on where it stopped with [`Batches::set_epoch`]. Cloning shares the tokens.
///
/// ```
/// use deep_rnn::text::Batches;
///
/// let batches = Batches::sequential((0..35).collect::<Vec<_>>(), 2, 5, 0)?;
/// let first = batches.epoch_at(0)?.next().unwrap();
/// assert_eq!(first.x.column(0).to_vec(), [0, 1, 2, 3, 4]);
/// assert_eq!(first.x.column(1).to_vec(), [17, 18, 19, 20, 21]);
/// assert_eq!(first.y.column(1).to_vec(), [18, 19, 20, 21, 22]);
/// assert_eq!(batches.epoch_at(0)?.len(), 3);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct Batches {
    tokens: Arc<[usize]>,
    batch_size: usize,
    num_steps: usize,
    order: Order,
    seed: u64,
    epoch: u64,
    /// Tells these batches from those of other data, or cut in another way.
    data: Arc<OnceLock<String>>,
}

impl Batches {
    /// Batches that follow each other in the text, for a state that is carried from one to the next.
    ///
    /// # Errors
    /// [`Error::Value`] when `batch_size` or `num_steps` is 0, and when `tokens` are fewer than B·T + T + 1, with which
    /// some offset would leave no batch.
    pub fn sequential(
        tokens: impl Into<Arc<[usize]>>,
        batch_size: usize,
        num_steps: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        Batches::new(tokens.into(), batch_size, num_steps, seed, Order::Sequential)
    }

    /// Batches of windows from anywhere in the text, for a state that starts from zero in each.
    ///
    /// # Errors
    /// [`Error::Value`] when `batch_size` or `num_steps` is 0, and when `tokens` are fewer than B·T + T, with which
    /// some offset would leave no batch.
    pub fn random(
        tokens: impl Into<Arc<[usize]>>,
        batch_size: usize,
        num_steps: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        Batches::new(tokens.into(), batch_size, num_steps, seed, Order::Random)
    }

    fn new(tokens: Arc<[usize]>, batch_size: usize, num_steps: usize, seed: u64, order: Order) -> Result<Self, Error> {
        for (argument, value) in [("batch_size", batch_size), ("num_steps", num_steps)] {
            if value == 0 {
                return Err(Error::value(argument, "at least 1", 0));
            }
        }
        let window = batch_size.checked_mul(num_steps).and_then(|size| size.checked_add(num_steps));
        let needed = match order {
            Order::Sequential => window.and_then(|size| size.checked_add(1)),
            Order::Random => window,
        };
        if needed.is_none_or(|needed| tokens.len() < needed) {
            let needed = needed.map_or("more than memory holds".to_owned(), |needed| format!("at least {needed}"));
            let expected = format!("{needed} for batch_size {batch_size} and num_steps {num_steps}");
            return Err(Error::value("number of tokens", expected, tokens.len()));
        }
        Ok(Batches { tokens, batch_size, num_steps, order, seed, epoch: 0, data: Arc::default() })
    }

    /// The batches of the next epoch.
    pub fn epoch(&mut self) -> Epoch {
        let mut rng = self.rng();
        let offset = to_usize(below(&mut rng, to_u64(self.max_offset()).saturating_add(1)));
        let number = self.epoch;
        self.epoch = self.epoch.wrapping_add(1);
        Epoch { number, ..self.cut(offset, &mut rng) }
    }

    /// The rest of the epoch that a training was in, from the batch on that came next; the first epoch from its
    /// beginning, if the place is the default one. The next [`epoch`](Batches::epoch) is the one after it.
    ///
    /// # Errors
    /// If the place is one in other data, or in data cut in another way (rows, steps, order, seed).
    pub fn from(&mut self, place: &Place) -> Result<Epoch, Error> {
        let mut there = Batches { epoch: place.epoch, ..self.clone() };
        let mut epoch = there.epoch();
        if let Some(data) = place.data.as_deref().filter(|data| *data != epoch.data()) {
            return Err(Error::value("data", format!("{data}, as before"), epoch.data()));
        }
        if place.batch > epoch.count {
            return Err(Error::value("batch", format!("at most {}", epoch.count), place.batch));
        }
        epoch.next = place.batch;
        *self = there;
        Ok(epoch)
    }

    /// The batches of an epoch with the offset given; the order of random batches is that of the next epoch. It does
    /// not count as an epoch.
    ///
    /// # Errors
    /// [`Error::Value`] when `offset` is above [`Batches::max_offset`].
    pub fn epoch_at(&self, offset: usize) -> Result<Epoch, Error> {
        if offset > self.max_offset() {
            return Err(Error::value("offset", format_args!("at most {}", self.max_offset()), offset));
        }
        Ok(self.cut(offset, &mut self.rng()))
    }

    /// The largest offset an epoch may have.
    #[must_use]
    pub fn max_offset(&self) -> usize {
        match self.order {
            Order::Sequential => self.num_steps,
            Order::Random => self.num_steps - 1,
        }
    }

    /// The least and the greatest number of batches an epoch may have.
    #[must_use]
    pub fn batches_per_epoch(&self) -> RangeInclusive<usize> {
        self.count(self.max_offset())..=self.count(0)
    }

    /// The number of the epoch that [`Batches::epoch`] gives next; the first is 0.
    #[must_use]
    pub fn next_epoch(&self) -> u64 {
        self.epoch
    }

    /// Makes [`Batches::epoch`] give epoch number `epoch` next.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// B, the number of windows in a batch.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// T, the number of tokens in a window.
    #[must_use]
    pub fn num_steps(&self) -> usize {
        self.num_steps
    }

    /// Whether the windows come in random order.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.order == Order::Random
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many tokens the targets of an epoch at `offset` can be chosen from. Never underflows: see `new`.
    fn targets(&self, offset: usize) -> usize {
        self.tokens.len() - offset - 1
    }

    fn count(&self, offset: usize) -> usize {
        match self.order {
            Order::Sequential => self.targets(offset) / self.batch_size / self.num_steps,
            Order::Random => self.targets(offset) / self.num_steps / self.batch_size,
        }
    }

    fn cut(&self, offset: usize, rng: &mut ChaCha8Rng) -> Epoch {
        let rows = match self.order {
            Order::Sequential => Rows::Side { by: self.targets(offset) / self.batch_size },
            Order::Random => {
                let mut starts: Vec<usize> =
                    (0..self.targets(offset) / self.num_steps).map(|window| offset + window * self.num_steps).collect();
                shuffle(&mut starts, rng);
                Rows::At(starts)
            }
        };
        Epoch {
            tokens: Arc::clone(&self.tokens),
            batch_size: self.batch_size,
            num_steps: self.num_steps,
            offset,
            rows,
            next: 0,
            count: self.count(offset),
            number: self.epoch,
            seed: self.seed,
            data: Arc::clone(&self.data),
        }
    }

    /// The random numbers of the next epoch: ChaCha's stream of that number, under the seed as its key.
    fn rng(&self) -> ChaCha8Rng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(self.epoch);
        rng
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("order", &self.order)
            .field("tokens", &self.tokens.len())
            .field("batch_size", &self.batch_size)
            .field("num_steps", &self.num_steps)
            .field("seed", &self.seed)
            .field("next_epoch", &self.epoch)
            .finish()
    }
}

// Numbers are drawn as u64 whatever the width of usize, so that a seed means the same on every machine.

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A number below `n`, each equally likely.
fn below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    let n = n.max(1);
    let fair = u64::MAX - u64::MAX % n; // a multiple of n
    loop {
        let drawn = rng.next_u64();
        if drawn < fair {
            return drawn % n;
        }
    }
}

/// Fisher and Yates.
fn shuffle(items: &mut [usize], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, to_usize(below(rng, to_u64(last) + 1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a bound that does not divide 2⁶⁴, what is left over would come up twice as often: here half of all numbers.
    #[test]
    fn a_large_bound_is_as_fair_as_a_small_one() {
        let (third, draws) = (1_u64 << 62, 30_000);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0_usize; 3];
        (0..draws).for_each(|_| counts[to_usize(below(&mut rng, 3 * third) / third)] += 1);
        // Five standard deviations.
        assert!(counts.iter().all(|count| count.abs_diff(draws / 3) < 410), "{counts:?}");
        assert_eq!([below(&mut rng, 0), below(&mut rng, 1)], [0, 0]);
    }
}
