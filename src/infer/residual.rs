//! A connection around a layer, packed.

use ndarray::{ArrayViewMut3, Zip, s};

use super::steps::{by_steps, numeric};
use super::{Packed, Precision, Prepare};
use crate::kernel::stream::rows_of;
use crate::layers::Residual;
use crate::{Causal, Context, Describe, Error, Float, Input, Recurrent, Run, SeqLayer};

/// A [`Residual`] layer packed for inference.
#[derive(Debug)]
pub struct PreparedResidual<P> {
    inner: P,
}

impl<L: SeqLayer + Prepare> Prepare for Residual<L> {
    type Prepared = PreparedResidual<L::Prepared>;

    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        Ok(PreparedResidual { inner: self.inner().prepare(precision).map_err(|error| error.within("inner"))? })
    }
}

impl<P> PreparedResidual<P> {
    /// The layer inside.
    pub fn inner(&self) -> &P {
        &self.inner
    }
}

numeric!([P: Packed] PreparedResidual<P>, P::Elem);

impl<P: Packed> Recurrent for PreparedResidual<P> {
    type State = P::State;
    type Tape = ();

    crate::layers::recurrent_as_inner!();

    fn initial_state(&self, batch: usize) -> P::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut P::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn describe(&self) -> Describe {
        Describe::around("Residual", "inner", self.inner.describe())
    }
}

impl<P: Packed> Run for PreparedResidual<P> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, P::Elem>,
        mut ys: ArrayViewMut3<'_, P::Elem>,
        state: &mut P::State,
        _: Option<&mut ()>,
    ) {
        if xs.dim().0 == 1 && self.is_causal() {
            return by_steps(self, cx, xs, ys, state); // on the stack
        }
        xs.with_rows(self.input_size(), |xs| {
            self.inner.forward(cx, Input::Rows(xs.view()), ys.view_mut(), state, None);
            let first = xs.slice(s![.., .., ..self.output_size()]);
            Zip::from(&mut ys).and(&first).for_each(|y, x| *y += x.flush());
        });
        cx.clear_padding(&mut ys);
    }
    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}

impl<P: Packed> Causal for PreparedResidual<P> {
    fn check_causal(&self) -> Result<(), Error> {
        self.inner.check_causal()
    }
    fn step_clean(&self, x: &[P::Elem], y: &mut [P::Elem], state: &mut P::State) {
        self.inner.step_clean(x, y, state);
        let (d, h) = (self.input_size(), self.output_size());
        for (y, x) in y.chunks_exact_mut(h).zip(x.chunks_exact(d)) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y += *x);
        }
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [P::Elem], state: &mut P::State) {
        self.inner.step_tokens_clean(tokens, y, state);
        let h = self.output_size();
        debug_assert_eq!(rows_of(y.len(), h), tokens.len());
        for (y, token) in y.chunks_exact_mut(h).zip(tokens) {
            if let Some(y) = y.get_mut(*token) {
                *y += P::Elem::from_f64(1.0);
            }
        }
    }
}

impl<P: Packed> Packed for PreparedResidual<P> {
    fn bytes(&self) -> usize {
        self.inner.bytes()
    }
}
