//! What a gated cell keeps of a forward pass.

use ndarray::{ArrayView3, ArrayViewMut3, Axis};

use super::sequence::Widths;
use crate::Record;
use crate::kernel::views::{at_mut, view, view_mut};

/// A stack of sequences. Each keeps, for every step, the state lanes other than h as they were before it and the lanes
/// the gate maths saved, and h before the first step; the later h are the outputs, which the caller has. Where outputs are
/// projected it keeps what is projected, and where those are clipped, the outputs.
#[derive(Clone, Debug, Default)]
pub struct GatedTape<F> {
    /// Steps and rows of each sequence.
    frames: Vec<(usize, usize)>,
    /// `[B, R]` a sequence.
    pub(super) h: Record<F>,
    /// `[T, B, (S - 1)·H]` a sequence.
    before: Record<F>,
    /// `[T, B, saved]` a sequence.
    saved: Record<F>,
    /// `[T, B, H]` a sequence.
    unprojected: Record<F>,
    /// `[T, B, R]` a sequence.
    clipped: Record<F>,
}

/// Room for all steps of some rows.
#[derive(Debug)]
pub(super) struct TapeMut<'a, F> {
    before: ArrayViewMut3<'a, F>,
    saved: ArrayViewMut3<'a, F>,
    unprojected: ArrayViewMut3<'a, F>,
    clipped: ArrayViewMut3<'a, F>,
}

/// Room for the rows of one step.
#[derive(Debug)]
pub(super) struct TapeStep<'a, F> {
    pub(super) before: &'a mut [F],
    pub(super) saved: &'a mut [F],
    pub(super) unprojected: &'a mut [F],
    pub(super) clipped: &'a mut [F],
}

impl<'a, F> TapeStep<'a, F> {
    /// Of the first `n` rows.
    pub(super) fn rows(self, n: usize, widths: &Widths) -> TapeStep<'a, F> {
        let TapeStep { before, saved, unprojected, clipped } = self;
        TapeStep {
            before: &mut before[..n * widths.more],
            saved: &mut saved[..n * widths.saved],
            unprojected: &mut unprojected[..n * widths.unprojected],
            clipped: &mut clipped[..n * widths.clipped],
        }
    }
}

impl<F> TapeMut<'_, F> {
    /// The first rows and the others.
    pub(super) fn cut(self, at: usize) -> (Self, Self) {
        let TapeMut { before, saved, unprojected, clipped } = self;
        let [before, saved, unprojected, clipped] =
            [before, saved, unprojected, clipped].map(|array| array.split_at(Axis(1), at));
        (
            TapeMut { before: before.0, saved: saved.0, unprojected: unprojected.0, clipped: clipped.0 },
            TapeMut { before: before.1, saved: saved.1, unprojected: unprojected.1, clipped: clipped.1 },
        )
    }

    /// The same for a shorter time.
    pub(super) fn reborrow(&mut self) -> TapeMut<'_, F> {
        let TapeMut { before, saved, unprojected, clipped } = self;
        let [before, saved, unprojected, clipped] = [before, saved, unprojected, clipped].map(|array| array.view_mut());
        TapeMut { before, saved, unprojected, clipped }
    }

    pub(super) fn step(&mut self, t: usize) -> TapeStep<'_, F> {
        TapeStep {
            before: at_mut(&mut self.before, t),
            saved: at_mut(&mut self.saved, t),
            unprojected: at_mut(&mut self.unprojected, t),
            clipped: at_mut(&mut self.clipped, t),
        }
    }
}

/// What is kept of some steps of some rows.
#[derive(Debug)]
pub(super) struct TapeView<'a, F> {
    pub(super) before: ArrayView3<'a, F>,
    pub(super) saved: ArrayView3<'a, F>,
    pub(super) unprojected: ArrayView3<'a, F>,
    pub(super) clipped: ArrayView3<'a, F>,
}

// By hand, as a derived one would ask it of F.
impl<F> Clone for TapeView<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F> Copy for TapeView<'_, F> {}

impl<'a, F> TapeView<'a, F> {
    // A view's lifetime cannot be shortened but by a call.
    fn map<'b>(self, f: impl Fn(ArrayView3<'a, F>) -> ArrayView3<'a, F>) -> TapeView<'b, F>
    where
        'a: 'b,
    {
        let TapeView { before, saved, unprojected, clipped } = self;
        let [before, saved, unprojected, clipped] =
            [before, saved, unprojected, clipped].map(|array| f(array).reborrow());
        TapeView { before, saved, unprojected, clipped }
    }

    /// Of these steps.
    pub(super) fn steps<'b>(self, first: usize, end: usize) -> TapeView<'b, F>
    where
        'a: 'b,
    {
        self.map(|array| array.slice_axis_move(Axis(0), ndarray::Slice::from(first..end)))
    }

    /// The first rows and the others.
    pub(super) fn cut(self, at: usize) -> (Self, Self) {
        (self.map(|array| array.split_at(Axis(1), at).0), self.map(|array| array.split_at(Axis(1), at).1))
    }
}

impl<F: Copy + Default> GatedTape<F> {
    /// A sequence of these steps and rows from `h`.
    pub(super) fn push(&mut self, (t, b): (usize, usize), h: &[F], widths: &Widths) -> TapeMut<'_, F> {
        self.frames.push((t, b));
        self.h.push(h.len()).copy_from_slice(h);
        let Widths { more, saved, unprojected, clipped, .. } = *widths;
        TapeMut {
            before: view_mut(self.before.push(t * b * more), (t, b, more)),
            saved: view_mut(self.saved.push(t * b * saved), (t, b, saved)),
            unprojected: view_mut(self.unprojected.push(t * b * unprojected), (t, b, unprojected)),
            clipped: view_mut(self.clipped.push(t * b * clipped), (t, b, clipped)),
        }
    }

    /// That this is the size of the last sequence.
    #[track_caller]
    pub(super) fn pop_frame(&mut self, steps: usize, batch: usize) {
        match self.frames.pop() {
            Some(frame) => assert!(
                frame == (steps, batch),
                "a backward call undoes the last forward call: that had {} steps of {} rows, this has {steps} of {batch}",
                frame.0,
                frame.1
            ),
            None => panic!("a backward call without a forward call: the tape is empty"),
        }
    }

    /// What is kept of the last sequence: h before it, and the rest.
    pub(super) fn top(&self, (t, b): (usize, usize), widths: &Widths) -> (&[F], TapeView<'_, F>) {
        let Widths { out, more, saved, unprojected, clipped, .. } = *widths;
        (
            self.h.top(b * out),
            TapeView {
                before: view(self.before.top(t * b * more), (t, b, more)),
                saved: view(self.saved.top(t * b * saved), (t, b, saved)),
                unprojected: view(self.unprojected.top(t * b * unprojected), (t, b, unprojected)),
                clipped: view(self.clipped.top(t * b * clipped), (t, b, clipped)),
            },
        )
    }

    /// Takes it off.
    pub(super) fn pop(&mut self, (t, b): (usize, usize), widths: &Widths) {
        let Widths { out, more, saved, unprojected, clipped, .. } = *widths;
        self.h.pop(b * out);
        self.before.pop(t * b * more);
        self.saved.pop(t * b * saved);
        self.unprojected.pop(t * b * unprojected);
        self.clipped.pop(t * b * clipped);
    }
}

impl<F: Copy + Default> crate::Tape for GatedTape<F> {
    fn is_drained(&self) -> bool {
        let records = [&self.h, &self.before, &self.saved, &self.unprojected, &self.clipped];
        self.frames.is_empty() && records.iter().all(|record| record.is_empty())
    }
}
