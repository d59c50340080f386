//! A first state that was learned, packed.

use super::steps::{forward_by_steps, numeric};
use super::{Packed, Precision, Prepare};
use crate::layers::LearnedState;
use crate::{Causal, Context, Describe, Error, Input, Recurrent, Run, SeqLayer, State};

/// A [`LearnedState`] layer packed for inference.
#[derive(Debug)]
pub struct PreparedLearnedState<P: Packed> {
    inner: P,
    /// Of one row.
    state: P::State,
}

impl<L: SeqLayer + Prepare> Prepare for LearnedState<L> {
    type Prepared = PreparedLearnedState<L::Prepared>;

    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        Ok(PreparedLearnedState { inner: self.inner().prepare(precision)?, state: self.state().clone() })
    }
}

impl<P: Packed> PreparedLearnedState<P> {
    /// The layer inside.
    pub fn inner(&self) -> &P {
        &self.inner
    }
}

numeric!([P: Packed] PreparedLearnedState<P>, P::Elem);

impl<P: Packed> Recurrent for PreparedLearnedState<P> {
    type State = P::State;
    type Tape = ();

    crate::layers::recurrent_as_inner!();

    fn initial_state(&self, batch: usize) -> P::State {
        let mut state = self.inner.zero_state(batch);
        (0..batch).for_each(|row| state.copy_rows(row, &self.state, 0..1));
        state
    }
    fn carry(&self, state: &mut P::State, reversed: bool) {
        if reversed {
            let rows = state.shapes().first().map_or(0, |[rows, _]| *rows);
            *state = self.initial_state(rows);
        }
    }
    fn describe(&self) -> Describe {
        Describe::around("LearnedState", "", self.inner.describe())
    }
}

forward_by_steps!([P: Packed] PreparedLearnedState<P>, P::Elem);

impl<P: Packed> Causal for PreparedLearnedState<P> {
    fn check_causal(&self) -> Result<(), Error> {
        self.inner.check_causal()
    }
    #[inline]
    fn step_clean(&self, x: &[P::Elem], y: &mut [P::Elem], state: &mut P::State) {
        self.inner.step_clean(x, y, state);
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [P::Elem], state: &mut P::State) {
        self.inner.step_tokens_clean(tokens, y, state);
    }
}

impl<P: Packed> Packed for PreparedLearnedState<P> {
    fn bytes(&self) -> usize {
        let mut numbers = 0;
        self.state.visit(&mut |array| numbers += array.len());
        self.inner.bytes() + numbers * size_of::<P::Elem>()
    }
}
