//! Layers on top of each other that need not be cells.

use std::fmt;

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, Ix3};

use super::{SeqLayer, TokenInput, TokenIo};
use crate::builder::Builder;
use crate::layers::{self, Layers, LayersTape, TokenLayers};
use crate::{Error, GradIo, Recurrent};

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

crate::params!([L: Layers] Chain<L>, L::Elem => layers);

impl Chain<()> {
    /// Starts a chain for inputs of `input_size` columns.
    #[must_use]
    pub fn builder(input_size: usize) -> Builder<Chain<()>, ()> {
        Builder::new(input_size)
    }
}

impl<L: Layers> Chain<L> {
    /// A chain of layers that are there already, bottom first.
    ///
    /// # Errors
    /// If there is none, or one does not take what the one below it gives.
    pub fn new(layers: L) -> Result<Self, Error> {
        layers::check(&layers)?;
        Ok(Chain { layers })
    }

    /// The layers.
    #[must_use]
    pub fn layers(&self) -> &L {
        &self.layers
    }
}

impl<L: Layers + fmt::Debug> fmt::Debug for Chain<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")?;
        self.layers.fmt(f)
    }
}

impl<L: Layers> Recurrent for Chain<L> {
    type State = L::States;
    type Tape = LayersTape<L::Tapes, L::Elem>;

    fn input_size(&self) -> usize {
        self.layers.widths(0).0
    }
    fn output_size(&self) -> usize {
        self.layers.widths(self.layers.count() - 1).1
    }
    fn zero_state(&self, batch: usize) -> L::States {
        self.layers.zero_states(batch)
    }
    fn splits_itself(&self) -> bool {
        self.layers.split_themselves()
    }
}

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
}

impl<L: TokenLayers> TokenInput for Chain<L> {
    fn forward_tokens(
        &self,
        tokens: ArrayView2<'_, usize>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::States,
        tape: Option<&mut Self::Tape>,
    ) {
        layers::forward_tokens(&self.layers, tokens, ys, state, tape);
    }

    fn backward_tokens(
        &self,
        io: TokenIo<'_, L::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut L::States,
        grads: &mut Self,
    ) {
        layers::backward_tokens(&self.layers, io, tape, d_state, &mut grads.layers);
    }
}
