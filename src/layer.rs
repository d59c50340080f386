//! Layers: whatever maps a whole sequence to a whole sequence.

/// [`Recurrent`] for a layer around another one: sizes, state and tape are the inner one's.
macro_rules! recurrent_as_inner {
    ($wrapper:ident) => {
        impl<L: SeqLayer> Recurrent for $wrapper<L> {
            type State = L::State;
            type Tape = L::Tape;

            fn input_size(&self) -> usize {
                self.inner.input_size()
            }
            fn output_size(&self) -> usize {
                self.inner.output_size()
            }
            fn zero_state(&self, batch: usize) -> L::State {
                self.inner.zero_state(batch)
            }
            fn carry(&self, state: &mut L::State, reversed: bool) {
                self.carry_inner(state, reversed);
            }
            fn splits_itself(&self) -> bool {
                self.inner.splits_itself()
            }
            fn memory(&self, steps: usize, batch: usize) -> Option<crate::Memory> {
                self.inner_memory(steps, batch)
            }
        }
    };
}

mod bidirectional;
mod chain;
mod linear;
mod one_hot;
mod reversed;

pub use bidirectional::{Bidirectional, BidirectionalSpec, BidirectionalTape, Merge};
pub use chain::Chain;
pub use linear::{Linear, LinearSpec};
pub use one_hot::OneHot;
pub use reversed::Reversed;

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, Ix3};

use crate::{GradIo, Memory, Recurrent, RnnCell};

/// A layer over sequences. Every [`RnnCell`] is one; so is what cannot be stepped, such as a
/// [`Bidirectional`] layer, whose first output needs the last input.
pub trait SeqLayer: Recurrent {
    /// `xs [T, B, D]` and the state give `ys [T, B, H]` and the state after the last step.
    ///
    /// # Panics
    /// If the shapes do not fit.
    fn forward(
        &self,
        xs: ArrayView3<'_, Self::Elem>,
        ys: ArrayViewMut3<'_, Self::Elem>,
        state: &mut Self::State,
        tape: Option<&mut Self::Tape>,
    );

    /// The derivative of the last `forward` on the tape; the rules are those of
    /// [`RnnCell::step_backward`](RnnCell::step_backward).
    ///
    /// # Panics
    /// If the shapes do not fit, or the tape does not hold such a pass.
    fn backward(
        &self,
        io: GradIo<'_, Self::Elem, Ix3>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    );

    /// Whether a sequence may be run in pieces, the state carried from each to the next, with the results of the whole:
    /// no output depends on a later input. Every cell says so; the provided answer is no.
    #[must_use]
    fn is_causal(&self) -> bool {
        false
    }
}

impl<C: RnnCell> SeqLayer for C {
    fn forward(
        &self,
        xs: ArrayView3<'_, C::Elem>,
        ys: ArrayViewMut3<'_, C::Elem>,
        state: &mut C::State,
        tape: Option<&mut C::Tape>,
    ) {
        self.scan(xs, ys, state, tape);
    }

    fn backward(&self, io: GradIo<'_, C::Elem, Ix3>, tape: &mut C::Tape, d_state: &mut C::State, grads: &mut C) {
        self.scan_backward(io, tape, d_state, grads);
    }

    fn is_causal(&self) -> bool {
        true
    }
}

/// A layer that can start from tokens: row `k` of the input is all zeros but for a 1 at column `tokens[k]`, and is never
/// built. The results are the same bits as with the rows built.
///
/// [`Gated`](crate::Gated) cells look rows of `w_x` up; a stack or a chain can do it where its bottom layer can;
/// [`OneHot`] serves any other layer.
pub trait TokenInput: SeqLayer {
    /// As [`SeqLayer::forward`] for `tokens [T, B]`, each less than D.
    ///
    /// # Panics
    /// If the shapes do not fit, or a token is D or more.
    fn forward_tokens(
        &self,
        tokens: ArrayView2<'_, usize>,
        ys: ArrayViewMut3<'_, Self::Elem>,
        state: &mut Self::State,
        tape: Option<&mut Self::Tape>,
    );

    /// As [`SeqLayer::backward`]; a token has no gradient.
    ///
    /// # Panics
    /// If the shapes do not fit, or the tape does not hold such a pass.
    fn backward_tokens(
        &self,
        io: TokenIo<'_, Self::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    );

    /// As [`Recurrent::memory`] for passes that start from tokens; the provided answer is the same.
    #[must_use]
    fn memory_for_tokens(&self, steps: usize, batch: usize) -> Option<Memory> {
        self.memory(steps, batch)
    }
}

/// The arrays of a backward call that began with tokens.
#[derive(Debug)]
pub struct TokenIo<'a, F> {
    /// The tokens `[T, B]` the forward call had.
    pub tokens: ArrayView2<'a, usize>,
    /// The output `[T, B, H]` it gave.
    pub y: ArrayView3<'a, F>,
    /// ∂L/∂y.
    pub d_y: ArrayView3<'a, F>,
}
