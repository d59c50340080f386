//! A first state that is learned.

use std::any::Any;

use ndarray::{ArrayView2, ArrayViewD, ArrayViewMut2, ArrayViewMut3, ArrayViewMutD, Axis, Slice};

use super::{Boxed, Causal, Run, SeqLayer, recurrent_as_inner};
use crate::cell::{restart, restart_backward};
use crate::infer::{Precision, Prepare, PreparedBox};
use crate::{Context, Describe, Error, Input, Memory, Numeric, Params, PassSize, Recurrent, SeqGradIo, State};

/// A layer whose [first state](Recurrent::initial_state) is among its parameters, the same for every row. It starts as the inner
/// layer's own.
///
/// # Parameters
/// The inner layer's under their names, and `state.0 [1, H]`, `state.1`, ..., an array of the state each.
/// # Resets
/// A row that starts afresh on the way starts from the learned state too; for that the sequence is cut there, so the inner layer must
/// be causal.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::{gradcheck, layers::LearnedState};
///
/// let net = LearnedState::new(Gru::<f64>::spec(4).build(3, &mut Init::seeded(1))?)?;
/// gradcheck::assert_layer(&net);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct LearnedState<L: Recurrent> {
    inner: L,
    /// Of one row.
    state: L::State,
}

impl<L: SeqLayer> LearnedState<L> {
    /// Over `inner`.
    ///
    /// # Errors
    /// If `inner` looks ahead: wrap the two directions, not both together. If it has learned its first state already.
    pub fn new(inner: L) -> Result<Self, Error> {
        let refused = |expected| Error::value("inner", expected, inner.describe());
        if !inner.is_causal() {
            return Err(refused("a layer whose outputs depend on no later input (of two directions, wrap each)"));
        }
        let state = inner.initial_state(1);
        let (mut arrays, mut learned) = (0, false);
        state.visit(&mut |_| arrays += 1);
        inner.visit(&mut |own, _| learned |= (0..arrays).any(|index| own == name(&mut { index })));
        if learned {
            return Err(refused("a layer whose first state is not learned yet"));
        }
        Ok(LearnedState { inner, state })
    }

    /// The layer itself.
    pub fn inner(&self) -> &L {
        &self.inner
    }

    /// The state that a sequence starts from, of one row.
    pub fn state(&self) -> &L::State {
        &self.state
    }

    /// Calls `f` with the bounds of each stretch of steps between which no row starts afresh.
    fn stretches(&self, cx: &Context<'_>, (t, b): (usize, usize)) -> Vec<(usize, usize)> {
        if t == 0 {
            return Vec::new();
        }
        let cuts: Vec<usize> = (1..t).filter(|step| cx.resets_any(*step, b)).collect();
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        starts.zip(cuts.iter().copied().chain([t])).collect()
    }
}

impl<L: SeqLayer> std::fmt::Debug for LearnedState<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.describe())
    }
}

impl<L: SeqLayer> Numeric for LearnedState<L> {
    type Elem = L::Elem;
}

/// `state.0` and so on.
fn name(index: &mut usize) -> String {
    *index += 1;
    format!("state.{}", *index - 1)
}

impl<L: SeqLayer> Params for LearnedState<L> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, L::Elem>)) {
        self.inner.visit(f);
        let mut index = 0;
        self.state.visit(&mut |array: ArrayView2<'a, L::Elem>| f(&name(&mut index), array.into_dyn()));
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, L::Elem>)) {
        self.inner.visit_mut(f);
        let mut index = 0;
        self.state.visit_mut(&mut |array: ArrayViewMut2<'a, L::Elem>| f(&name(&mut index), array.into_dyn()));
    }
}

impl<L: SeqLayer> Recurrent for LearnedState<L> {
    type State = L::State;
    type Tape = L::Tape;

    recurrent_as_inner!();

    fn initial_state(&self, batch: usize) -> L::State {
        let mut state = self.inner.zero_state(batch);
        (0..batch).for_each(|row| state.copy_rows(row, &self.state, 0..1));
        state
    }
    fn carry(&self, state: &mut L::State, reversed: bool) {
        if reversed {
            let mut rows = 0;
            state.visit(&mut |array| rows = array.nrows());
            *state = self.initial_state(rows);
        }
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        self.inner.memory(size)
    }
    fn describe(&self) -> Describe {
        Describe::around("LearnedState", "", self.inner.describe())
    }
}

impl<L: SeqLayer> Run for LearnedState<L> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, L::Elem>,
        mut ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        mut tape: Option<&mut L::Tape>,
    ) {
        let (t, b) = xs.dim();
        if !cx.has_resets() {
            return self.inner.forward(cx, xs, ys, state, tape);
        }
        for (from, to) in self.stretches(&cx, (t, b)) {
            restart(self, &cx, from, b, state);
            let ys = ys.slice_axis_mut(Axis(0), Slice::from(from..to));
            let cx = cx.from_step(from).without_resets();
            self.inner.forward(cx, xs.steps(from..to), ys, state, tape.as_deref_mut());
        }
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}

impl<L: SeqLayer> SeqLayer for LearnedState<L> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, L::Elem>,
        tape: &mut L::Tape,
        d_state: &mut L::State,
        grads: &mut Self,
    ) {
        let (t, b) = io.x.dim();
        if !cx.has_resets() {
            return self.inner.backward(cx, io, tape, d_state, &mut grads.inner);
        }
        let SeqGradIo { x, y, d_y, mut d_x } = io;
        for (from, to) in self.stretches(&cx, (t, b)).into_iter().rev() {
            let steps = Slice::from(from..to);
            let io = SeqGradIo {
                x: x.steps(from..to),
                y: y.slice_axis(Axis(0), steps),
                d_y: d_y.slice_axis(Axis(0), steps),
                d_x: d_x.as_mut().map(|d_x| d_x.slice_axis_mut(Axis(0), steps)),
            };
            let inner = cx.from_step(from).without_resets();
            self.inner.backward(inner, io, tape, d_state, &mut grads.inner);
            restart_backward(self, &cx, from, b, d_state, |d_first| self.initial_state_backward(d_first, grads));
        }
    }

    fn initial_state_backward(&self, d_state: &L::State, grads: &mut Self) {
        let mut rows = Vec::new();
        d_state.visit(&mut |array| rows.push(array.sum_axis(Axis(0))));
        let mut rows = rows.into_iter();
        grads.state.visit_mut(&mut |mut array| {
            if let Some(sum) = rows.next() {
                array.row_mut(0).zip_mut_with(&sum, |to, from| *to += *from);
            }
        });
    }

    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<L::Elem>, Error>
    where
        L: 'static,
    {
        // Only of a box is it known that its packed form has its state.
        match (self as &dyn Any).downcast_ref::<LearnedState<Boxed<L::Elem>>>() {
            Some(layer) => Ok(PreparedBox::new(layer.prepare(precision)?)),
            None => Ok(PreparedBox::unprepared(self)),
        }
    }
}

impl<L: SeqLayer + Causal> Causal for LearnedState<L> {
    fn check_causal(&self) -> Result<(), Error> {
        self.inner.check_causal()
    }
}
