//! Layers: whatever maps a whole sequence to a whole sequence.

mod activate;
mod bidirectional;
mod dropout;
mod embedding;
mod last;
mod layer_norm;
mod learned_state;
mod linear;
mod predict;
mod residual;
mod reversed;
mod scale;
mod tied;
mod weight_drop;
mod zoneout;

pub use crate::boxed::{Boxed, BoxedState, BoxedTape};
pub use crate::kinds::Kinds;
pub use crate::stacked::{Builder, StackedTape};
pub use activate::Activate;
pub use bidirectional::{Bidirectional, BidirectionalSpec, BidirectionalTape, Merge};
pub use dropout::{Dropout, DropoutSpec};
pub use embedding::{Embedding, EmbeddingSpec};
pub use last::Last;
pub use layer_norm::LayerNorm;
pub use learned_state::LearnedState;
pub use linear::{Linear, LinearSpec};
pub use residual::{Residual, ResidualTape};
pub use reversed::Reversed;
pub use scale::Scale;
pub use tied::{Tied, TiedTape};
pub use weight_drop::{WeightDrop, WeightDropTape};
pub use zoneout::{Zoneout, ZoneoutTape};

use ndarray::{Array3, ArrayViewMut3};

use crate::infer::{Precision, PreparedBox};
use crate::kernel::stream::rows_of;
use crate::kernel::sums::has_tiny;
use crate::kernel::views::{view, view_mut};
use crate::{AsInput, Context, Error, Input, Params, Recurrent, RnnCell, SeqGradIo, State};

/// What runs over sequences: a layer, a whole network, packed for inference or not.
///
/// A layer over whole sequences keeps to the rules of [`Context`] where rows are short.
pub trait Run: Recurrent {
    /// `xs` (`[T, B, D]`, or tokens `[T, B]`) and the state give `ys [T, B, H]` and the state after the last step.
    ///
    /// # Panics
    /// If the shapes do not fit, or a token is D or more.
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, Self::Elem>,
        ys: ArrayViewMut3<'_, Self::Elem>,
        state: &mut Self::State,
        tape: Option<&mut Self::Tape>,
    );

    /// Whether a sequence may be run in pieces, the state carried from each to the next, with the results of the whole:
    /// no output depends on a later input. Every cell says so; the provided answer is no.
    #[must_use]
    fn is_causal(&self) -> bool {
        false
    }

    /// The outputs `[T, B, H]` for sequences that start here, in evaluation.
    ///
    /// ```
    /// use deep_rnn::prelude::*;
    /// use ndarray::Array3;
    ///
    /// let net = Network::<f32>::builder(3).lstm(16).linear(2).seed(1).build()?;
    /// let outputs = net.predict(&Array3::zeros((20, 5, 3)))?;
    /// assert_eq!(outputs.dim(), (20, 5, 2));
    /// # Ok::<(), deep_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the input does not fit, or a number in it is NaN or infinite.
    fn predict<X: AsInput<Self::Elem> + ?Sized>(&self, xs: &X) -> Result<Array3<Self::Elem>, Error>
    where
        Self: Sized,
    {
        let mut state = self.initial_state(xs.as_input().dim().1);
        self.predict_with(Context::default(), xs, &mut state)
    }

    /// As [`predict`](Run::predict), from a state that becomes the one after the last step, every direction's at its own; and with
    /// rows of several lengths, or rows that start afresh. Given back to the next call, the state goes on from there, but for what
    /// reads a sequence from its end, which starts afresh in every call ([`carry`](Recurrent::carry)).
    ///
    /// # Errors
    /// If the input, the context or the state does not fit, or a number before a row's end is NaN or infinite.
    fn predict_with<X: AsInput<Self::Elem> + ?Sized>(
        &self,
        cx: Context<'_>,
        xs: &X,
        state: &mut Self::State,
    ) -> Result<Array3<Self::Elem>, Error>
    where
        Self: Sized,
    {
        predict::predict_with(self, cx, xs.as_input(), state)
    }
}

/// A layer over sequences that can be trained. Every [`RnnCell`] is one; so is what cannot be stepped, such as a
/// [`Bidirectional`] layer, whose first output needs the last input.
pub trait SeqLayer: Run + Params {
    /// The derivative of the last `forward` on the tape, whose context it gets too; the rules are those of
    /// [`RnnCell::step_backward`].
    ///
    /// # Panics
    /// If the shapes do not fit, or the tape does not hold such a pass.
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, Self::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    );

    /// Adds to `grads` the derivative of [`initial_state`](Recurrent::initial_state): `d_state` is the gradient with respect to
    /// that state. The provided one does nothing, as is right for a state that is always the same.
    fn initial_state_backward(&self, d_state: &Self::State, grads: &mut Self) {
        let _ = (d_state, grads);
    }

    /// The derivative of [`carry`](Recurrent::carry): where that starts afresh, adds to `grads` what
    /// [`initial_state_backward`](SeqLayer::initial_state_backward) does. A layer around another one hands the call on.
    fn carry_backward(&self, d_state: &Self::State, reversed: bool, grads: &mut Self) {
        if reversed {
            self.initial_state_backward(d_state, grads);
        }
    }

    /// What a [`Boxed`](crate::layers::Boxed) layer is [prepared](crate::infer::Prepare) as; the provided one takes part as it is.
    ///
    /// # Errors
    /// As those of [`Prepare::prepare`](crate::infer::Prepare::prepare).
    #[doc(hidden)]
    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<Self::Elem>, Error>
    where
        Self: 'static,
    {
        let _ = precision;
        Ok(PreparedBox::unprepared(self))
    }
}

/// What can be stepped: outputs depend on no later input.
///
/// ```
/// use deep_rnn::prelude::*;
///
/// let net = Network::<f32>::builder(1).lstm(16).linear(1).seed(1).build()?;
/// let (mut state, mut y) = (net.zero_state(1), [0.0]);
/// for t in 0..100 {
///     net.step_rows(&[(0.1 * t as f32).sin()], &mut y, &mut state)?;
/// }
/// # Ok::<(), deep_rnn::Error>(())
/// ```
pub trait Causal: Run {
    /// Refuses a step of a network that was put together at run time and looks ahead.
    ///
    /// # Errors
    /// If an output depends on a later input.
    fn check_causal(&self) -> Result<(), Error> {
        Ok(())
    }

    /// One step of B rows that lie one after the other, in evaluation: `x [B·D]` and the state give `y [B·H]` and the next state.
    ///
    /// # Errors
    /// If the network looks ahead, or a length or the state does not fit.
    #[inline]
    fn step_rows(&self, x: &[Self::Elem], y: &mut [Self::Elem], state: &mut Self::State) -> Result<(), Error> {
        self.check_causal()?;
        let (d, h) = (self.input_size(), self.output_size());
        let rows = rows_of(y.len(), h);
        if y.len() != rows * h || x.len() != rows * d {
            return Err(wrong_step(("x", x.len()), y.len(), (d, h)));
        }
        if !self.takes_state(state, rows) {
            return Err(wrong_state(self, state, rows));
        }
        if has_tiny(x) {
            crate::kernel::sums::with_flushed(x, &mut |x| self.step_clean(x, y, state));
        } else {
            self.step_clean(x, y, state);
        }
        Ok(())
    }

    /// As [`step_rows`](Causal::step_rows) for `tokens [B]`.
    ///
    /// # Errors
    /// If the network looks ahead, a length or the state does not fit, or a token is D or more.
    fn step_tokens(&self, tokens: &[usize], y: &mut [Self::Elem], state: &mut Self::State) -> Result<(), Error> {
        self.check_causal()?;
        let (d, h) = (self.input_size(), self.output_size());
        if y.len() != tokens.len() * h {
            return Err(wrong_step(("tokens", tokens.len()), y.len(), (1, h)));
        }
        if let Some(token) = tokens.iter().find(|token| **token >= d) {
            return Err(Error::value("tokens", format!("below {d}"), token));
        }
        if !self.takes_state(state, tokens.len()) {
            return Err(wrong_state(self, state, tokens.len()));
        }
        self.step_tokens_clean(tokens, y, state);
        Ok(())
    }

    /// [`step_rows`](Causal::step_rows) for what fits and has no number too near 0.
    #[doc(hidden)]
    fn step_clean(&self, x: &[Self::Elem], y: &mut [Self::Elem], state: &mut Self::State) {
        let (d, h) = (self.input_size(), self.output_size());
        let rows = y.len() / h;
        self.forward(Context::default(), Input::Rows(view(x, (1, rows, d))), view_mut(y, (1, rows, h)), state, None);
    }

    /// [`step_tokens`](Causal::step_tokens) for what fits.
    #[doc(hidden)]
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [Self::Elem], state: &mut Self::State) {
        let (rows, h) = (tokens.len(), self.output_size());
        let tokens = ndarray::ArrayView2::from_shape((1, rows), tokens).expect("a row of this length");
        self.forward(Context::default(), Input::Tokens(tokens), view_mut(y, (1, rows, h)), state, None);
    }
}

#[cold]
fn wrong_step((name, x): (&str, usize), y: usize, (d, h): (usize, usize)) -> Error {
    let expected = format!("B·{d} numbers of {name} for B·{h} of y");
    Error::value(name, expected, format!("{x} for {y}"))
}

#[cold]
pub(crate) fn wrong_state<N: Recurrent + ?Sized>(net: &N, state: &N::State, rows: usize) -> Error {
    let expected: Vec<[usize; 2]> = net.zero_state(1).shapes().into_iter().map(|[_, width]| [rows, width]).collect();
    let got = state.shapes();
    if expected == got {
        return Error::value("state", "one of this network", "that of a network of other kinds of layers");
    }
    Error::value("state", format!("arrays of shapes {expected:?}"), format!("{got:?}"))
}

impl<C: RnnCell> Run for C {
    #[inline]
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, C::Elem>,
        ys: ArrayViewMut3<'_, C::Elem>,
        state: &mut C::State,
        tape: Option<&mut C::Tape>,
    ) {
        self.scan(cx, xs, ys, state, tape);
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<C: RnnCell> SeqLayer for C {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, C::Elem>,
        tape: &mut C::Tape,
        d_state: &mut C::State,
        grads: &mut C,
    ) {
        self.scan_backward(cx, io, tape, d_state, grads);
    }

    fn initial_state_backward(&self, d_state: &C::State, grads: &mut C) {
        RnnCell::initial_state_backward(self, d_state, grads);
    }

    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<C::Elem>, Error>
    where
        C: 'static,
    {
        RnnCell::prepare_boxed(self, precision)
    }
}

impl<C: RnnCell> Causal for C {}

/// The method of a layer around another one whose sizes and state are the inner one's.
macro_rules! recurrent_as_inner {
    () => {
        fn input_size(&self) -> usize {
            self.inner.input_size()
        }
        fn output_size(&self) -> usize {
            self.inner.output_size()
        }
        fn output_steps(&self, steps: usize) -> usize {
            self.inner.output_steps(steps)
        }
        fn zero_state(&self, batch: usize) -> Self::State {
            self.inner.zero_state(batch)
        }
        fn takes_state(&self, state: &Self::State, rows: usize) -> bool {
            self.inner.takes_state(state, rows)
        }
        fn splits_itself(&self) -> bool {
            self.inner.splits_itself()
        }
        fn visit_cells(&self, f: &mut dyn FnMut(&crate::Describe, &[usize])) {
            self.inner.visit_cells(f);
        }
    };
}
pub(crate) use recurrent_as_inner;
