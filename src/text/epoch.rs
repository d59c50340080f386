//! The batches of one epoch.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ndarray::Array2;
use sha1::{Digest, Sha1};

use crate::part::{Part, Resume};
use crate::{Batch, Error};

/// The batches of one epoch of [`Batches`](crate::text::Batches).
#[derive(Clone)]
#[must_use = "an iterator does nothing until it is asked for batches"]
pub struct Epoch {
    pub(super) tokens: Arc<[usize]>,
    pub(super) batch_size: usize,
    pub(super) num_steps: usize,
    pub(super) offset: usize,
    pub(super) rows: Rows,
    pub(super) next: usize,
    pub(super) count: usize,
    pub(super) number: u64,
    pub(super) seed: u64,
    /// What tells the data from other data, once somebody has asked.
    pub(super) data: Arc<OnceLock<String>>,
}

/// Where the rows of the batches begin.
#[derive(Clone)]
pub(super) enum Rows {
    /// Side by side, `by` tokens from each other.
    Side { by: usize },
    /// One after the other from this list.
    At(Vec<usize>),
}

impl Epoch {
    /// Where in the text the epoch begins.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Where in the data it is: to be kept, and gone on from by [`Batches::from`](crate::text::Batches::from).
    #[must_use]
    pub fn place(&self) -> Place {
        Place { epoch: self.number, batch: self.next, data: Some(self.data().to_string()) }
    }

    /// What tells the data from other data, and from the same cut in another way.
    pub(super) fn data(&self) -> &str {
        self.data.get_or_init(|| {
            let mut hash = Sha1::new();
            self.tokens.iter().for_each(|token| hash.update((*token as u64).to_le_bytes()));
            let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            let order = if matches!(self.rows, Rows::At(_)) { "random" } else { "sequential" };
            let (tokens, rows, steps, seed) = (self.tokens.len(), self.batch_size, self.num_steps, self.seed);
            format!("{tokens} tokens (SHA-1 {digest}) in {rows} rows of {steps} steps, {order}, seed {seed}")
        })
    }

    /// Where in the text row `row` of batch `batch` begins.
    fn start(&self, batch: usize, row: usize) -> usize {
        match &self.rows {
            Rows::Side { by } => self.offset + row * by + batch * self.num_steps,
            Rows::At(starts) => starts[batch * self.batch_size + row],
        }
    }
}

/// Where in the data a training is: an epoch, and a batch in it. The default is the beginning.
///
/// It is a part of a [checkpoint](crate::checkpoint): kept by [`Epoch::place`], taken up by [`Batches::from`](crate::text::Batches::from).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub(super) epoch: u64,
    pub(super) batch: usize,
    /// Of the data and how it is cut; none at the beginning.
    pub(super) data: Option<String>,
}

impl Place {
    /// The number of the epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many batches of the epoch have been given out.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }
}

impl Resume for Place {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("epoch", self.epoch);
        part.set("batch", self.batch);
        if let Some(data) = &self.data {
            part.set("data", data);
        }
        Ok(part)
    }

    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        let data = if part.has("data") { Some(part.get("data")?) } else { None };
        *self = Place { epoch: part.get("epoch")?, batch: part.get("batch")?, data };
        Ok(())
    }
}

impl Iterator for Epoch {
    type Item = Batch<Array2<usize>, Array2<usize>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.count {
            return None;
        }
        let batch = self.next;
        self.next += 1;
        let starts: Vec<usize> = (0..self.batch_size).map(|row| self.start(batch, row)).collect();
        let shape = (self.num_steps, self.batch_size);
        let x = Array2::from_shape_fn(shape, |(step, row)| self.tokens[starts[row] + step]);
        let y = Array2::from_shape_fn(shape, |(step, row)| self.tokens[starts[row] + step + 1]);
        Some(Batch::new(x, y).continues(batch > 0 && matches!(self.rows, Rows::Side { .. })))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count - self.next;
        (left, Some(left))
    }

    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        self.next = self.next.saturating_add(n).min(self.count);
        self.next()
    }
}

impl ExactSizeIterator for Epoch {}

impl std::iter::FusedIterator for Epoch {}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoch")
            .field("offset", &self.offset)
            .field("next", &self.next)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
