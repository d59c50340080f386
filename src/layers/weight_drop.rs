//! Weights left out at random in training.

use ndarray::ArrayViewMut3;

use super::dropout::check_rate;
use super::{Causal, Run, SeqLayer, recurrent_as_inner};
use crate::infer::{Precision, PreparedBox};
use crate::memory::bytes;
use crate::philox::{Draw, Place};
use crate::{Context, Describe, Error, Float, Init, Input, Memory, Params, PassSize, Recurrent, SeqGradIo, Spec, Tape};

/// Weight drop (Merity, Keskar and Socher 2018): in training each entry of the recurrent weights is 0 with probability p for all steps
/// and rows, and the others are multiplied by 1/(1 - p).
///
/// It drops the arrays called `w_h`, wherever they are in the inner layer; or those of [another name](WeightDrop::of).
///
/// # Parameters
/// The inner layer's, under their names.
/// # Memory
/// The inner layer's, a copy of it, and on the way back its gradient three times more.
#[derive(Clone, Debug)]
pub struct WeightDrop<L> {
    inner: L,
    array: String,
    rate: f64,
}

crate::params!([L: SeqLayer] WeightDrop<L>, L::Elem => inner);

impl<L: SeqLayer> WeightDrop<L> {
    /// Drops the recurrent weights of `inner`, those called `w_h`.
    ///
    /// # Errors
    /// If there are none, or the rate is no probability below 1.
    pub fn new(inner: L, rate: f64) -> Result<Self, Error> {
        Self::of(inner, "w_h", rate)
    }

    /// Drops the arrays whose name, or the last part of it, is `array`.
    ///
    /// # Errors
    /// If there are none, or the rate is no probability below 1.
    pub fn of(inner: L, array: &str, rate: f64) -> Result<Self, Error> {
        check_rate("weight drop", rate)?;
        let mut names = Vec::new();
        inner.visit(&mut |name, _| names.push(name.to_string()));
        if !names.iter().any(|name| is_called(name, array)) {
            let expected = format!("the name of an array of {}: one of {}", inner.describe(), names.join(", "));
            return Err(Error::value("weight drop", expected, array));
        }
        Ok(WeightDrop { inner, array: array.to_string(), rate })
    }

    /// Over the layer that `spec` makes.
    pub fn spec<S: Spec<Layer = L>>(spec: S, rate: f64) -> impl Spec<Layer = WeightDrop<L>> {
        move |width: usize, init: &mut Init| -> Result<WeightDrop<L>, Error> {
            WeightDrop::new(spec.build(width, init)?, rate)
        }
    }

    /// The layer itself.
    pub fn inner(&self) -> &L {
        &self.inner
    }

    /// Multiplies what is dropped and kept.
    fn mask(&self, draw: &Draw, layer: &mut L) {
        let (mut index, mut mask) = (0, Vec::new());
        layer.visit_mut(&mut |name, mut array| {
            if is_called(name, &self.array) {
                mask.resize(array.len(), Float::from_f64(0.0));
                draw.mask(Place::of_array(index), &mut mask);
                array.iter_mut().zip(&mask).for_each(|(x, m)| *x *= *m);
            }
            index += 1;
        });
    }
}

fn is_called(name: &str, array: &str) -> bool {
    name.rsplit('.').next() == Some(array)
}

/// The inner tape; and on the way back through pieces of a sequence the gradient by the dropped weights so far, which is scaled as a
/// whole, so that the pieces sum to the bits of the whole.
#[derive(Clone, Debug)]
pub struct WeightDropTape<L: SeqLayer> {
    inner: L::Tape,
    sum: Option<Sum<L>>,
}

/// By what was drawn, what there was before the first piece, what the pieces gave, and what came of it.
#[derive(Clone, Debug)]
struct Sum<L> {
    draw: Draw,
    base: L,
    raw: L,
    result: L,
}

impl<L: SeqLayer> Default for WeightDropTape<L> {
    fn default() -> Self {
        WeightDropTape { inner: L::Tape::default(), sum: None }
    }
}

impl<L: SeqLayer> Tape for WeightDropTape<L> {
    fn is_drained(&self) -> bool {
        self.inner.is_drained()
    }
}

/// Whether all numbers are the same bits.
fn same<P: Params>(a: &P, b: &P) -> bool {
    let mut all = Vec::new();
    a.visit(&mut |_, array| all.push(array));
    let (mut all, mut same) = (all.into_iter(), true);
    b.visit(&mut |_, array| same &= all.next().is_some_and(|a| a == array));
    same
}

impl<L: SeqLayer> Recurrent for WeightDrop<L> {
    type State = L::State;
    type Tape = WeightDropTape<L>;

    recurrent_as_inner!();

    fn initial_state(&self, batch: usize) -> L::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        self.inner.memory(size).map(|memory| self.with_copies(memory))
    }
    fn describe(&self) -> Describe {
        let all = Describe::around("WeightDrop", "", self.inner.describe()).option(self.rate.to_string());
        all.setting("array", self.array.as_str()).setting("rate", self.rate)
    }
}

impl<L: SeqLayer> WeightDrop<L> {
    fn with_copies(&self, memory: Memory) -> Memory {
        let copy = bytes::<L::Elem>(self.inner.num_params());
        Memory { forward: memory.forward.inside(copy), backward: memory.backward.inside(5 * copy), ..memory }
    }
}

impl<L: SeqLayer> Run for WeightDrop<L> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut Self::Tape>,
    ) {
        let tape = tape.map(|tape| &mut tape.inner);
        let inner_cx = cx.layer(0);
        match Draw::new(&cx, self.rate) {
            None => self.inner.forward(inner_cx, xs, ys, state, tape),
            Some(draw) => {
                let mut dropped = self.inner.clone();
                self.mask(&draw, &mut dropped);
                dropped.forward(inner_cx, xs, ys, state, tape);
            }
        }
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}

impl<L: SeqLayer> SeqLayer for WeightDrop<L> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, L::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut L::State,
        grads: &mut Self,
    ) {
        let inner_cx = cx.layer(0);
        let WeightDropTape { inner: tape, sum } = tape;
        let Some(draw) = Draw::new(&cx, self.rate) else {
            return self.inner.backward(inner_cx, io, tape, d_state, &mut grads.inner);
        };
        let mut dropped = self.inner.clone();
        self.mask(&draw, &mut dropped);
        // Another sum has begun where the draw is another one, or the gradients are not those that were left here.
        let going = sum.take().filter(|sum| sum.draw == draw && same(&sum.result, &grads.inner));
        let mut going = going.unwrap_or_else(|| {
            let base = grads.inner.clone();
            Sum { draw, raw: self.inner.zeros_like(), result: base.clone(), base }
        });
        dropped.backward(inner_cx, io, tape, d_state, &mut going.raw);
        going.result.clone_from(&going.raw);
        self.mask(&draw, &mut going.result);
        going.result.add_scaled(&going.base, Float::from_f64(1.0));
        grads.inner.clone_from(&going.result);
        *sum = Some(going);
    }

    fn initial_state_backward(&self, d_state: &L::State, grads: &mut Self) {
        self.inner.initial_state_backward(d_state, &mut grads.inner);
    }

    fn carry_backward(&self, d_state: &L::State, reversed: bool, grads: &mut Self) {
        self.inner.carry_backward(d_state, reversed, &mut grads.inner);
    }

    /// As the layer itself: outside of training nothing is left out.
    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<L::Elem>, Error>
    where
        L: 'static,
    {
        self.inner.prepare_boxed(precision)
    }
}

impl<L: SeqLayer + Causal> Causal for WeightDrop<L> {
    fn check_causal(&self) -> Result<(), Error> {
        self.inner.check_causal()
    }
}
