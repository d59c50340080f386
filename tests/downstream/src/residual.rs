//! A layer around any other, one that cannot be stepped included: y = x + inner(x).

use deep_rnn::ndarray::{ArrayView3, ArrayViewMut3};
use deep_rnn::{
    Context, Error, Float, Recurrent, Run, SeqLayer,
    custom::{Memory, PassSize, Record, SeqGradIo, Tape},
    data::Input,
    infer::Causal,
    params,
};

#[derive(Clone, Debug)]
pub struct Residual<L> {
    inner: L,
}

params!([L: SeqLayer] Residual<L>, L::Elem => { inner });

impl<L: SeqLayer> Residual<L> {
    pub fn new(inner: L) -> Result<Self, Error> {
        let (input, output) = (inner.input_size(), inner.output_size());
        if input != output {
            return Err(Error::value("output_size", format!("{input}, as the input"), output));
        }
        if inner.output_steps(2) != 2 {
            return Err(Error::value("output_steps", "2, as the input", inner.output_steps(2)));
        }
        Ok(Residual { inner })
    }

    fn with_outputs(&self, mut memory: Memory, size: PassSize) -> Memory {
        memory.tape += size.numbers(self.output_size()) * size_of::<L::Elem>();
        memory
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
    fn initial_state(&self, batch: usize) -> L::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn splits_itself(&self) -> bool {
        self.inner.splits_itself() // and what is done here is one number at a time
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        Some(self.with_outputs(self.inner.memory(size)?, size))
    }
}

impl<L: SeqLayer> Run for Residual<L> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, L::Elem>,
        mut ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut Self::Tape>,
    ) {
        match tape {
            Some(tape) => {
                self.inner.forward(cx, xs.reborrow(), ys.view_mut(), state, Some(&mut tape.inner));
                tape.outputs.push(ys.len()).iter_mut().zip(&ys).for_each(|(kept, y)| *kept = *y);
            }
            None => self.inner.forward(cx, xs.reborrow(), ys.view_mut(), state, None),
        }
        match xs {
            Input::Rows(xs) => ys += &xs,
            Input::Tokens(tokens) => {
                tokens.indexed_iter().for_each(|((t, b), token)| ys[[t, b, *token]] += L::Elem::from_f64(1.0));
            }
        }
        cx.clear_padding(&mut ys); // past the end of a row x may be anything
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}

impl<L: SeqLayer> SeqLayer for Residual<L> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, L::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut L::State,
        grads: &mut Self,
    ) {
        let SeqGradIo { x, y, d_y, mut d_x } = io;
        let len = y.len();
        let inner_y = ArrayView3::from_shape(y.raw_dim(), tape.outputs.top(len)).expect("as many as were kept");
        let inner_d_x = d_x.as_mut().map(|d_x| d_x.view_mut());
        let inner_io = SeqGradIo { x: x.reborrow(), y: inner_y, d_y: d_y.view(), d_x: inner_d_x };
        self.inner.backward(cx, inner_io, &mut tape.inner, d_state, &mut grads.inner);
        tape.outputs.pop(len);
        if let Some(d_x) = &mut d_x {
            *d_x += &d_y;
            cx.clear_padding(d_x);
        }
    }

    fn initial_state_backward(&self, d_state: &L::State, grads: &mut Self) {
        self.inner.initial_state_backward(d_state, &mut grads.inner);
    }

    fn carry_backward(&self, d_state: &L::State, reversed: bool, grads: &mut Self) {
        self.inner.carry_backward(d_state, reversed, &mut grads.inner);
    }
}

impl<L: SeqLayer + Causal> Causal for Residual<L> {
    fn check_causal(&self) -> Result<(), Error> {
        self.inner.check_causal()
    }
}
