//! Layers on top of each other that need not be cells.

use ndarray::{ArrayView3, ArrayViewMut3, Ix3};

use super::SeqLayer;
use crate::GradIo;
use crate::layers::{self, Layers, list_of_layers};

/// Layers one after the other over whole sequences, bottom first: what [`Stacked`](crate::Stacked) is for cells, for
/// [`Bidirectional`](super::Bidirectional) layers, [`Linear`](super::Linear) ones and any other [`SeqLayer`] too.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::{Bidirectional, Chain, Linear, Merge};
///
/// let both_ways = Bidirectional::spec(Lstm::<f32>::spec(8), Merge::Concat);
/// let net = Chain::builder(5).layer(both_ways.clone()).layer(both_ways).layer(Linear::spec(3)).build()?;
/// assert_eq!((net.input_size(), net.output_size()), (5, 3));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct Chain<L> {
    layers: L,
}

list_of_layers!(Chain of Layers);

impl<L: Layers> SeqLayer for Chain<L> {
    fn forward(
        &self,
        xs: ArrayView3<'_, L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::States,
        tape: Option<&mut Self::Tape>,
    ) {
        layers::forward(&self.layers, xs, ys, state, tape);
    }

    fn backward(&self, io: GradIo<'_, L::Elem, Ix3>, tape: &mut Self::Tape, d_state: &mut L::States, grads: &mut Self) {
        layers::backward(&self.layers, io, tape, d_state, &mut grads.layers);
    }

    fn is_causal(&self) -> bool {
        self.layers.are_causal()
    }
}
