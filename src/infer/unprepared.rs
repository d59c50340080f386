//! Layers that take part as they are.

use ndarray::ArrayViewMut3;

use super::Packed;
use super::steps::numeric;
use crate::boxed::looks_ahead;
use crate::{Causal, Context, Describe, Error, Input, Memory, PassSize, Recurrent, Run, SeqLayer};

/// A layer that runs as it is, whatever the precision asked for. One with no packed form gives itself so in four lines
/// ([module docs](super)).
#[derive(Clone, Debug)]
pub struct Unprepared<L> {
    inner: L,
}

impl<L: SeqLayer> Unprepared<L> {
    /// `layer` as it is.
    pub fn new(layer: L) -> Self {
        Unprepared { inner: layer }
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.inner
    }
}

numeric!([L: SeqLayer] Unprepared<L>, L::Elem);

impl<L: SeqLayer> Recurrent for Unprepared<L> {
    type State = L::State;
    type Tape = ();

    crate::layers::recurrent_as_inner!();

    fn initial_state(&self, batch: usize) -> L::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        self.inner.memory(size)
    }
    fn describe(&self) -> Describe {
        self.inner.describe()
    }
}

impl<L: SeqLayer> Run for Unprepared<L> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        _: Option<&mut ()>,
    ) {
        self.inner.forward(cx, xs, ys, state, None);
    }
    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}

impl<L: SeqLayer> Causal for Unprepared<L> {
    fn check_causal(&self) -> Result<(), Error> {
        if self.is_causal() { Ok(()) } else { Err(looks_ahead(&self.describe())) }
    }
}

impl<L: SeqLayer> Packed for Unprepared<L> {
    fn bytes(&self) -> usize {
        self.inner.num_params() * size_of::<L::Elem>()
    }
}
