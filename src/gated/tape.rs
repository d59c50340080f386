//! What a gated cell keeps of a forward pass.

use crate::Record;

/// A stack of sequences. Each keeps, for every step, the state lanes other than h as they were before it and the lanes
/// the gate maths saved, and h before the first step; the later h are the outputs, which the caller has.
#[derive(Clone, Debug, Default)]
pub struct GatedTape<F> {
    /// Steps and rows of each sequence.
    frames: Vec<(usize, usize)>,
    /// `[B, H]` a sequence.
    pub(super) h: Record<F>,
    /// `[T, B, (S - 1)·H]` a sequence.
    pub(super) before: Record<F>,
    /// `[T, B, saved·H]` a sequence.
    pub(super) saved: Record<F>,
}

impl<F: Copy + Default> GatedTape<F> {
    pub(super) fn push_frame(&mut self, steps: usize, batch: usize) {
        self.frames.push((steps, batch));
    }

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
}

impl<F: Copy + Default> crate::Tape for GatedTape<F> {
    fn is_drained(&self) -> bool {
        self.frames.is_empty() && self.h.is_empty() && self.before.is_empty() && self.saved.is_empty()
    }
}
