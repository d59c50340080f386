//! What the engine can train: anything that turns a sequence of inputs into a sequence of outputs.

mod language;
mod sample;

pub(crate) use language::fits;
pub use language::{LanguageModel, LanguageTape};
pub use sample::Sampler;

use std::ops::Range;

use ndarray::{ArrayRef2, ArrayRef3, ArrayView3, ArrayViewMut3, Axis, Slice};

use crate::kernel::scratch;
use crate::kernel::views::view_mut;
use crate::layer::SeqLayer;
use crate::{Error, Float, GradIo, Memory, Recurrent};

/// Time-major data that can be cut along time and batch.
pub trait Sequence: Sync {
    /// T and B.
    fn steps_and_rows(&self) -> (usize, usize);
    /// Calls `f` with these steps of these rows.
    fn part(&self, steps: Range<usize>, rows: Range<usize>, f: &mut dyn FnMut(&Self));
}

impl<F: Float> Sequence for ArrayRef3<F> {
    fn steps_and_rows(&self) -> (usize, usize) {
        (self.len_of(Axis(0)), self.len_of(Axis(1)))
    }
    fn part(&self, steps: Range<usize>, rows: Range<usize>, f: &mut dyn FnMut(&Self)) {
        f(&self.slice_axis(Axis(0), Slice::from(steps)).slice_axis(Axis(1), Slice::from(rows)));
    }
}

impl Sequence for ArrayRef2<usize> {
    fn steps_and_rows(&self) -> (usize, usize) {
        self.dim()
    }
    fn part(&self, steps: Range<usize>, rows: Range<usize>, f: &mut dyn FnMut(&Self)) {
        f(&self.slice_axis(Axis(0), Slice::from(steps)).slice_axis(Axis(1), Slice::from(rows)));
    }
}

/// What [`Bptt`](crate::Bptt) trains. Every [`SeqLayer`] is one, with inputs `[T, B, D]`; a [`LanguageModel`] is one
/// with tokens `[T, B]`. Implement it for a model that starts from something else.
pub trait Model: Recurrent {
    /// What goes in: `ArrayRef3<F>` or `ArrayRef2<usize>`, to which arrays and views dereference.
    type Input: Sequence + ?Sized;

    /// Refuses inputs that do not fit, before anything is run.
    ///
    /// # Errors
    /// If they do not fit.
    fn check(&self, xs: &Self::Input) -> Result<(), Error>;

    /// The outputs `[T, B, H]`, as [`SeqLayer::forward`].
    fn run(
        &self,
        xs: &Self::Input,
        ys: ArrayViewMut3<'_, Self::Elem>,
        state: &mut Self::State,
        tape: Option<&mut Self::Tape>,
    );

    /// The derivative of the last `run` on the tape, as [`SeqLayer::backward`], but nobody asks for that of the input.
    fn run_backward(
        &self,
        xs: &Self::Input,
        ys: ArrayView3<'_, Self::Elem>,
        d_ys: ArrayView3<'_, Self::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    );

    /// Whether a window may be run in pieces, as [`SeqLayer::is_causal`]; a memory budget needs it. The provided answer is
    /// no.
    #[must_use]
    fn runs_in_pieces(&self) -> bool {
        false
    }

    /// As [`Recurrent::memory`] for `run` and `run_backward`; the provided answer is the same.
    #[must_use]
    fn run_memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        self.memory(steps, batch)
    }
}

impl<L: SeqLayer> Model for L {
    type Input = ArrayRef3<L::Elem>;

    fn check(&self, xs: &ArrayRef3<L::Elem>) -> Result<(), Error> {
        if xs.len_of(Axis(2)) == self.input_size() {
            return Ok(());
        }
        Err(Error::shape("inputs", format!("[T, B, {}]", self.input_size()), xs.shape()))
    }

    fn run(
        &self,
        xs: &ArrayRef3<L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut L::Tape>,
    ) {
        scratch::same_depth(|| self.forward(xs.view(), ys, state, tape));
    }

    fn run_backward(
        &self,
        xs: &ArrayRef3<L::Elem>,
        ys: ArrayView3<'_, L::Elem>,
        d_ys: ArrayView3<'_, L::Elem>,
        tape: &mut L::Tape,
        d_state: &mut L::State,
        grads: &mut Self,
    ) {
        scratch::with(xs.len(), |d_x| {
            let d_x = view_mut(d_x, xs.dim());
            self.backward(GradIo { x: xs.view(), y: ys, d_y: d_ys, d_x }, tape, d_state, grads);
        });
    }

    fn runs_in_pieces(&self) -> bool {
        self.is_causal()
    }

    fn run_memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        let layer = self.memory(steps, batch)?;
        let d_x = scratch::bytes::<L::Elem, 1>([steps.saturating_mul(batch).saturating_mul(self.input_size())]);
        Some(Memory { forward: layer.forward.inside(0), backward: layer.backward.inside(d_x), ..layer })
    }
}
