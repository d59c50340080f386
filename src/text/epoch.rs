//! The batches of one epoch.

use std::fmt;
use std::sync::Arc;

use ndarray::Array2;

use crate::Batch;

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

    /// Where in the text row `row` of batch `batch` begins.
    fn start(&self, batch: usize, row: usize) -> usize {
        match &self.rows {
            Rows::Side { by } => self.offset + row * by + batch * self.num_steps,
            Rows::At(starts) => starts[batch * self.batch_size + row],
        }
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
