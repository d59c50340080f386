//! A connection around a layer.

use std::any::Any;

use ndarray::{ArrayViewMut3, Axis, Zip, s};

use super::{Boxed, Causal, Run, SeqLayer, recurrent_as_inner};
use crate::infer::{Precision, Prepare, PreparedBox};
use crate::kernel::scratch;
use crate::kernel::views::view;
use crate::memory::bytes;
use crate::{
    Context, Describe, Error, Float, Init, Input, Memory, PassSize, Record, Recurrent, SeqGradIo, Spec, Tape, Work,
};

/// y = x + inner(x) (He et al. 2016), so that gradients reach the layers below undiminished.
///
/// Or, where inputs are wider than outputs, y = x[.., ..H] + inner(x): [`of_first_columns`](Residual::of_first_columns). It is what models of
/// amplifiers have, whose first input is the sound and whose others are knobs.
///
/// # Parameters
/// The inner layer's, under `inner.`.
/// # Memory
/// The inner layer's, and its outputs (T·B·H numbers).
#[derive(Clone, Debug)]
pub struct Residual<L> {
    inner: L,
    /// Whether inputs may be wider.
    first_columns: bool,
}

crate::params!([L: SeqLayer] Residual<L>, L::Elem => { inner });

impl<L: SeqLayer> Residual<L> {
    /// Around `inner`.
    ///
    /// # Errors
    /// If its outputs are not as wide as its inputs, or not as many.
    pub fn new(inner: L) -> Result<Self, Error> {
        let (d, h) = (inner.input_size(), inner.output_size());
        if d != h || inner.output_steps(2) != 2 {
            let expected = format!("an output of {d} columns for each step, as the input, for a residual connection");
            return Err(Error::value(inner.describe().to_string(), expected, h));
        }
        Ok(Residual { inner, first_columns: false })
    }

    /// Around `inner`, whose outputs are added to the first columns of its inputs.
    ///
    /// # Errors
    /// If its outputs are wider than its inputs, or not as many.
    pub fn of_first_columns(inner: L) -> Result<Self, Error> {
        let (d, h) = (inner.input_size(), inner.output_size());
        if d < h || inner.output_steps(2) != 2 {
            let expected = format!("an output of at most {d} columns for each step, for a residual connection");
            return Err(Error::value(inner.describe().to_string(), expected, h));
        }
        Ok(Residual { inner, first_columns: true })
    }

    /// Around the layer that `spec` makes.
    pub fn spec<S: Spec<Layer = L>>(spec: S) -> impl Spec<Layer = Residual<L>> {
        move |width: usize, init: &mut Init| -> Result<Residual<L>, Error> { Residual::new(spec.build(width, init)?) }
    }

    /// The layer itself.
    pub fn inner(&self) -> &L {
        &self.inner
    }
}

/// The inner tape, and the inner outputs: the inner layer may want them back, and x + y - x is not quite y.
#[derive(Clone, Debug, Default)]
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

    recurrent_as_inner!();

    fn initial_state(&self, batch: usize) -> L::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let mut memory = self.inner.memory(size.of_built_rows())?;
        memory.tape = memory.tape.saturating_add(bytes::<L::Elem>(size.numbers(self.output_size())));
        let rows = scratch::bytes::<L::Elem, 1>([size.numbers(self.input_size())]);
        let built = |work: Work| if size.tokens { work.inside(0).inside(rows) } else { work.inside(0) };
        Some(Memory { forward: built(memory.forward), backward: built(memory.backward), ..memory })
    }
    fn describe(&self) -> Describe {
        let all = Describe::around("Residual", "inner", self.inner.describe());
        if self.first_columns { all.setting("first_columns", true) } else { all }
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
        xs.expect(self.input_size());
        xs.with_rows(self.input_size(), |xs| {
            scratch::same_depth(|| match tape {
                Some(tape) => {
                    self.inner.forward(cx, Input::Rows(xs.view()), ys.view_mut(), state, Some(&mut tape.inner));
                    tape.outputs.push(ys.len()).iter_mut().zip(&ys).for_each(|(kept, y)| *kept = *y);
                }
                None => self.inner.forward(cx, Input::Rows(xs.view()), ys.view_mut(), state, None),
            });
            let first = xs.slice(s![.., .., ..ys.len_of(Axis(2))]);
            Zip::from(&mut ys).and(&first).for_each(|y, x| *y += x.flush());
        });
        cx.clear_padding(&mut ys);
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
        io.expect(self);
        let SeqGradIo { x, y, d_y, mut d_x } = io;
        let (len, shape) = (y.len(), y.dim());
        x.with_rows(self.input_size(), |x| {
            scratch::same_depth(|| {
                let y = view(tape.outputs.top(len), shape);
                let d_x = d_x.as_mut().map(|d_x| d_x.view_mut());
                let io = SeqGradIo { x: Input::Rows(x.view()), y: y.view(), d_y: d_y.view(), d_x };
                self.inner.backward(cx, io, &mut tape.inner, d_state, &mut grads.inner);
            });
        });
        tape.outputs.pop(len);
        if let Some(d_x) = &mut d_x {
            let first = d_x.slice_mut(s![.., .., ..shape.2]);
            Zip::from(first).and(&d_y).for_each(|to, d| *to += *d);
            cx.clear_padding(d_x);
        }
    }

    fn initial_state_backward(&self, d_state: &L::State, grads: &mut Self) {
        self.inner.initial_state_backward(d_state, &mut grads.inner);
    }

    fn carry_backward(&self, d_state: &L::State, reversed: bool, grads: &mut Self) {
        self.inner.carry_backward(d_state, reversed, &mut grads.inner);
    }

    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<L::Elem>, Error>
    where
        L: 'static,
    {
        // Only of a box is it known that its packed form has its state.
        match (self as &dyn Any).downcast_ref::<Residual<Boxed<L::Elem>>>() {
            Some(residual) => Ok(PreparedBox::new(residual.prepare(precision)?)),
            None => Ok(PreparedBox::unprepared(self)),
        }
    }
}

impl<L: SeqLayer + Causal> Causal for Residual<L> {
    fn check_causal(&self) -> Result<(), Error> {
        self.inner.check_causal()
    }
}
