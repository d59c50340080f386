//! A sequence read from its end.

use ndarray::{ArrayView3, ArrayViewMut3, Axis, Ix3};

use super::SeqLayer;
use crate::{GradIo, Memory, Recurrent};

/// A layer over the sequence from the last step to the first. Outputs keep their places: the output at t is the one made
/// after steps T - 1, ..., t. (Keras' `go_backwards` leaves them in the order they were made; Flax's `keep_order` is this.)
///
/// A window's last step comes first, so nothing is carried into it from the window before
/// ([`carry`](crate::Recurrent::carry)).
#[derive(Clone, Debug)]
pub struct Reversed<L> {
    inner: L,
}

crate::params!([L: SeqLayer] Reversed<L>, L::Elem => inner);

impl<L: SeqLayer> Reversed<L> {
    /// `inner`, the other way round.
    pub fn new(inner: L) -> Self {
        Reversed { inner }
    }

    /// The layer itself.
    pub fn inner(&self) -> &L {
        &self.inner
    }

    fn inner_memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        self.inner.memory(steps, batch)
    }

    fn carry_inner(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, !reversed);
    }
}

recurrent_as_inner!(Reversed);

impl<L: SeqLayer> SeqLayer for Reversed<L> {
    fn forward(
        &self,
        mut xs: ArrayView3<'_, L::Elem>,
        mut ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut L::Tape>,
    ) {
        xs.invert_axis(Axis(0));
        ys.invert_axis(Axis(0));
        self.inner.forward(xs, ys, state, tape);
    }

    fn backward(&self, mut io: GradIo<'_, L::Elem, Ix3>, tape: &mut L::Tape, d_state: &mut L::State, grads: &mut Self) {
        for array in [&mut io.x, &mut io.y, &mut io.d_y] {
            array.invert_axis(Axis(0));
        }
        io.d_x.invert_axis(Axis(0));
        self.inner.backward(io, tape, d_state, &mut grads.inner);
    }
}
