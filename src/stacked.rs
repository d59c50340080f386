//! Cells on top of each other: a stack, which is itself a cell.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, Ix2, Ix3};

use crate::layers::{self, Cells, Layers, list_of_layers};
use crate::{GradIo, RnnCell};

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

list_of_layers!(Stacked of Cells);

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
