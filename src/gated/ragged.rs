//! Rows of several lengths, and rows that start afresh on the way.
//!
//! Rows are put in order, longest first, so that each step has the first so many of them: what is padding takes no part in any
//! product or gate. Sums take the rows of a step in that order, whoever makes them.

mod backward;
mod forward;

use ndarray::{Array2, s};

use crate::kernel::views::{copy_clean, copy_row, put_row};
use crate::{Context, Float, Input};

/// The rows that each step has.
pub(super) struct Rows<'a> {
    cx: Context<'a>,
    steps: usize,
    batch: usize,
    /// The caller's number of each row, longest first; empty where all are as long as the call.
    order: Vec<usize>,
    /// Their lengths.
    lengths: Vec<usize>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(cx: Context<'a>, steps: usize, batch: usize) -> Self {
        let mut rows = Rows { cx, steps, batch, order: Vec::new(), lengths: Vec::new() };
        if let Some(lengths) = cx.lengths() {
            // By their whole lengths, so that the pieces of a sequence have one order.
            let sorted = lengths.windows(2).all(|pair| pair[0] >= pair[1]);
            if !sorted || cx.is_ragged(steps) {
                rows.order.extend(0..batch);
                rows.order.sort_by_key(|row| std::cmp::Reverse(lengths[*row]));
                rows.lengths.extend(rows.order.iter().map(|row| cx.length(*row, steps)));
            }
        }
        if cx.is_ragged(steps) && rows.order.is_empty() {
            rows.order.extend(0..batch);
            rows.lengths.resize(batch, 0);
        }
        rows
    }

    /// Whether every row has every step, and none starts afresh.
    pub(super) fn is_plain(&self) -> bool {
        self.order.is_empty() && !self.cx.has_resets()
    }

    /// The caller's number of row `r`.
    fn row(&self, r: usize) -> usize {
        if self.order.is_empty() { r } else { self.order[r] }
    }

    /// Steps of row `r`.
    fn length(&self, r: usize) -> usize {
        if self.order.is_empty() { self.steps } else { self.lengths[r] }
    }

    /// How many rows have step `t`.
    fn count(&self, t: usize) -> usize {
        if self.order.is_empty() {
            return if t < self.steps { self.batch } else { 0 };
        }
        self.lengths.partition_point(|length| *length > t)
    }

    /// How many of the rows `first` to `first + rows` have step `t`: the first of them.
    fn count_of(&self, t: usize, first: usize, rows: usize) -> usize {
        self.count(t).saturating_sub(first).min(rows)
    }

    fn is_reset(&self, t: usize, r: usize) -> bool {
        self.cx.is_reset(t, self.row(r))
    }

    /// Where to cut rows `first` to `first + rows` so that about `at` of `rows` shares of the steps from `start` to `end` come first.
    fn cut(&self, (start, end): (usize, usize), first: usize, rows: usize, at: usize) -> usize {
        let work = |r: usize| self.length(first + r).min(end).saturating_sub(start);
        let all: usize = (0..rows).map(work).sum();
        let mut so_far = 0;
        for r in 0..rows {
            if so_far * rows >= all * at && r > 0 {
                return r;
            }
            so_far += work(r);
        }
        rows.saturating_sub(1).max(1)
    }

    /// Copies the rows of an array into those of a buffer, at column `at` of rows `width` long.
    pub(super) fn take<F: Float>(&self, from: &Array2<F>, to: &mut [F], [at, width]: [usize; 2]) {
        for (r, to) in to.chunks_exact_mut(width.max(1)).take(self.batch).enumerate() {
            let from = from.row(self.row(r));
            copy_row(&mut to[at..at + from.len()], from);
        }
    }

    /// The way back.
    pub(super) fn put<F: Float>(&self, from: &[F], [at, width]: [usize; 2], to: &mut Array2<F>) {
        for (r, from) in from.chunks_exact(width.max(1)).take(self.batch).enumerate() {
            let to = to.row_mut(self.row(r));
            let width = to.len();
            put_row(to, &from[at..at + width]);
        }
    }

    /// Of the steps `start` to `end`, the rows `first` to `first + rows` that have them, one after the other.
    fn each(&self, (start, end): (usize, usize), first: usize, rows: usize) -> impl Iterator<Item = [usize; 2]> + '_ {
        (start..end).flat_map(move |t| (first..first + self.count_of(t, first, rows)).map(move |r| [t, r]))
    }

    /// The inputs of those rows: numbers in `copy`, without any that are too near 0, or tokens.
    fn gather<'c, F: Float>(
        &self,
        input: &Input<'_, F>,
        steps: (usize, usize),
        (first, rows): (usize, usize),
        copy: &'c mut [F],
    ) -> Gathered<'c, F> {
        match input {
            Input::Rows(xs) => {
                let width = xs.len_of(ndarray::Axis(2));
                let mut n = 0;
                for ([t, r], to) in self.each(steps, first, rows).zip(copy.chunks_exact_mut(width)) {
                    copy_clean(to, xs.slice(s![t, self.row(r), ..]));
                    n += 1;
                }
                Gathered::Rows(&copy[..n * width])
            }
            Input::Tokens(tokens) => {
                let all: Vec<usize> = self.each(steps, first, rows).map(|[t, r]| tokens[[t, self.row(r)]]).collect();
                let shape = (all.len(), 1);
                Gathered::Tokens(Array2::from_shape_vec(shape, all).expect("a column of this length"))
            }
        }
    }
}

/// The inputs of some rows, one after the other.
enum Gathered<'c, F> {
    Rows(&'c [F]),
    Tokens(Array2<usize>),
}
