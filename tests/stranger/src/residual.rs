//! A layer around any other, one that cannot be stepped included: y = x + inner(x).

use deep_rnn::ndarray::{ArrayView3, ArrayViewMut3, Ix3};
use deep_rnn::{Error, GradIo, Memory, Record, Recurrent, SeqLayer, Tape, params};

#[derive(Clone, Debug)]
pub struct Residual<L> {
    inner: L,
}

params!([L: SeqLayer] Residual<L>, L::Elem => { inner });

impl<L: SeqLayer> Residual<L> {
    pub fn new(inner: L) -> Result<Self, Error> {
        if inner.input_size() == inner.output_size() {
            return Ok(Residual { inner });
        }
        Err(Error::value("output_size", format!("{}, as the input", inner.input_size()), inner.output_size()))
    }
}

/// The inner tape, and the inner outputs: the inner layer may want them back, and x + y - x is not quite y.
#[derive(Debug, Default)]
pub struct ResidualTape<T, F> {
    inner: T,
    outputs: Record<F>,
}

impl<T: Tape, F: Copy + Default> Tape for ResidualTape<T, F> {
    fn is_drained(&self) -> bool {
        self.inner.is_drained() && self.outputs.is_empty()
    }
}

impl<L: SeqLayer> Recurrent for Residual<L> {
    type State = L::State;
    type Tape = ResidualTape<L::Tape, L::Elem>;

    fn input_size(&self) -> usize {
        self.inner.input_size()
    }
    fn output_size(&self) -> usize {
        self.inner.output_size()
    }
    fn zero_state(&self, batch: usize) -> L::State {
        self.inner.zero_state(batch)
    }
    fn carry(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn splits_itself(&self) -> bool {
        self.inner.splits_itself() // and what is done here is one number at a time
    }
    fn memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        let mut memory = self.inner.memory(steps, batch)?;
        memory.tape += steps * batch * self.output_size() * size_of::<L::Elem>();
        Some(memory)
    }
}

impl<L: SeqLayer> SeqLayer for Residual<L> {
    fn forward(
        &self,
        xs: ArrayView3<'_, L::Elem>,
        mut ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut Self::Tape>,
    ) {
        match tape {
            Some(tape) => {
                self.inner.forward(xs, ys.view_mut(), state, Some(&mut tape.inner));
                tape.outputs.push(ys.len()).iter_mut().zip(&ys).for_each(|(kept, y)| *kept = *y);
            }
            None => self.inner.forward(xs, ys.view_mut(), state, None),
        }
        ys += &xs;
    }

    fn backward(&self, io: GradIo<'_, L::Elem, Ix3>, tape: &mut Self::Tape, d_state: &mut L::State, grads: &mut Self) {
        let GradIo { x, y, d_y, mut d_x } = io;
        let len = y.len();
        let inner_y = ArrayView3::from_shape(y.raw_dim(), tape.outputs.top(len)).expect("as many as were kept");
        let inner_io = GradIo { x, y: inner_y, d_y: d_y.view(), d_x: d_x.view_mut() };
        self.inner.backward(inner_io, &mut tape.inner, d_state, &mut grads.inner);
        tape.outputs.pop(len);
        d_x += &d_y;
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}
