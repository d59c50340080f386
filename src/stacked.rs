//! Cells on top of each other: a stack, which is itself a cell.

use std::fmt;

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, Ix2, Ix3};

use crate::builder::Builder;
use crate::layer::{TokenInput, TokenIo};
use crate::layers::{self, Cells, Layers, LayersTape, TokenLayers};
use crate::{Error, GradIo, Recurrent, RnnCell};

/// L cells, bottom first: the output of each step goes to the next step of its layer and to the next layer of its step.
///
/// `L` is a `Vec` of one kind of cell, or a tuple of 1 to 8 kinds; widths may differ. A stack is a cell, so stacks
/// stack. A sequence runs layer after layer, so that each layer's own way with whole sequences stays in use.
///
/// ```
/// use deep_rnn::prelude::*;
///
/// // Two layers of one kind; widths are inferred.
/// let deep = Stacked::builder(28).repeat(2, Lstm::<f32>::spec(256)).seed(1).build()?;
/// assert_eq!((deep.input_size(), deep.output_size()), (28, 256));
/// // A wide LSTM under a narrow GRU.
/// let mixed = Stacked::builder(28).layer(Lstm::<f32>::spec(512)).layer(Gru::spec(128)).build()?;
/// assert_eq!(mixed.zero_state(3).1[0].dim(), (3, 128));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct Stacked<L> {
    layers: L,
}

crate::params!([L: Layers] Stacked<L>, L::Elem => layers);

impl Stacked<()> {
    /// Starts a stack for inputs of `input_size` columns.
    #[must_use]
    pub fn builder(input_size: usize) -> Builder<Stacked<()>, ()> {
        Builder::new(input_size)
    }
}

impl<L: Cells> Stacked<L> {
    /// A stack of cells that are there already, bottom first.
    ///
    /// # Errors
    /// If there is none, or one does not take what the one below it gives.
    pub fn new(layers: L) -> Result<Self, Error> {
        layers::check(&layers)?;
        Ok(Stacked { layers })
    }

    /// The cells.
    #[must_use]
    pub fn layers(&self) -> &L {
        &self.layers
    }
}

impl<L: Layers + fmt::Debug> fmt::Debug for Stacked<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stacked")?;
        self.layers.fmt(f)
    }
}

impl<L: Cells> Recurrent for Stacked<L> {
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

impl<L: Cells> RnnCell for Stacked<L> {
    fn step(
        &self,
        x: ArrayView2<'_, L::Elem>,
        y: ArrayViewMut2<'_, L::Elem>,
        state: &mut L::States,
        tape: Option<&mut Self::Tape>,
    ) {
        self.scan(x.insert_axis(Axis(0)), y.insert_axis(Axis(0)), state, tape);
    }

    fn step_backward(
        &self,
        io: GradIo<'_, L::Elem, Ix2>,
        tape: &mut Self::Tape,
        d_state: &mut L::States,
        grads: &mut Self,
    ) {
        let one = Axis(0);
        let (x, y, d_y) = (io.x.insert_axis(one), io.y.insert_axis(one), io.d_y.insert_axis(one));
        self.scan_backward(GradIo { x, y, d_y, d_x: io.d_x.insert_axis(one) }, tape, d_state, grads);
    }

    fn scan(
        &self,
        xs: ArrayView3<'_, L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::States,
        tape: Option<&mut Self::Tape>,
    ) {
        layers::forward(&self.layers, xs, ys, state, tape);
    }

    fn scan_backward(
        &self,
        io: GradIo<'_, L::Elem, Ix3>,
        tape: &mut Self::Tape,
        d_state: &mut L::States,
        grads: &mut Self,
    ) {
        layers::backward(&self.layers, io, tape, d_state, &mut grads.layers);
    }
}

impl<L: Cells + TokenLayers> TokenInput for Stacked<L> {
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
