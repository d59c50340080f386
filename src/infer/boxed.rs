//! A packed layer whose type is known at run time only.

use std::fmt;

use ndarray::ArrayViewMut3;

use super::steps::numeric;
use super::{Packed, Precision, Prepare, Unprepared};
use crate::boxed::{BoxedState, StateForm};
use crate::{Boxed, Causal, Context, Describe, Error, Float, Input, Recurrent, Run, SeqLayer};

/// A [`Boxed`] layer packed for inference.
pub struct PreparedBox<F> {
    inside: Box<dyn Layer<F>>,
    /// Of a state of one row, where its form says all.
    form: Option<StateForm>,
}

impl<F: Float> PreparedBox<F> {
    /// Puts a packed layer into a box.
    pub fn new<P: Packed<Elem = F> + 'static>(layer: P) -> Self {
        let form = if P::PLAIN_STATE { BoxedState::new(layer.zero_state(1)).form() } else { None };
        PreparedBox { inside: Box::new(layer), form }
    }

    /// A layer as it is.
    pub(crate) fn unprepared<L: SeqLayer<Elem = F> + 'static>(layer: &L) -> Self {
        PreparedBox::new(Unprepared::new(layer.clone()))
    }
}

/// What a box asks of a packed layer.
trait Layer<F: Float>: Send + Sync {
    fn input_size(&self) -> usize;
    fn output_size(&self) -> usize;
    fn output_steps(&self, steps: usize) -> usize;
    fn zero_state(&self, batch: usize) -> BoxedState<F>;
    fn initial_state(&self, batch: usize) -> BoxedState<F>;
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize]));
    fn describe(&self) -> Describe;
    fn forward(&self, cx: Context<'_>, xs: Input<'_, F>, ys: ArrayViewMut3<'_, F>, state: &mut BoxedState<F>);
    fn is_causal(&self) -> bool;
    fn takes_state(&self, state: &BoxedState<F>, rows: usize) -> bool;
    fn carry(&self, state: &mut BoxedState<F>, reversed: bool);
    fn step_clean(&self, x: &[F], y: &mut [F], state: &mut BoxedState<F>);
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [F], state: &mut BoxedState<F>);
    fn bytes(&self) -> usize;
}

impl<P: Packed + 'static> Layer<P::Elem> for P {
    fn input_size(&self) -> usize {
        Recurrent::input_size(self)
    }
    fn output_size(&self) -> usize {
        Recurrent::output_size(self)
    }
    fn output_steps(&self, steps: usize) -> usize {
        Recurrent::output_steps(self, steps)
    }
    fn zero_state(&self, batch: usize) -> BoxedState<P::Elem> {
        BoxedState::new(Recurrent::zero_state(self, batch))
    }
    fn initial_state(&self, batch: usize) -> BoxedState<P::Elem> {
        BoxedState::new(Recurrent::initial_state(self, batch))
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        Recurrent::visit_cells(self, f);
    }
    fn describe(&self) -> Describe {
        Recurrent::describe(self)
    }
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, P::Elem>,
        ys: ArrayViewMut3<'_, P::Elem>,
        state: &mut BoxedState<P::Elem>,
    ) {
        Run::forward(self, cx, xs, ys, state.inside_mut(), None);
    }
    fn is_causal(&self) -> bool {
        Run::is_causal(self)
    }
    #[inline]
    fn takes_state(&self, state: &BoxedState<P::Elem>, rows: usize) -> bool {
        state.downcast_ref().is_some_and(|state| Recurrent::takes_state(self, state, rows))
    }
    fn carry(&self, state: &mut BoxedState<P::Elem>, reversed: bool) {
        Recurrent::carry(self, state.inside_mut(), reversed);
    }
    #[inline]
    fn step_clean(&self, x: &[P::Elem], y: &mut [P::Elem], state: &mut BoxedState<P::Elem>) {
        Causal::step_clean(self, x, y, state.inside_mut());
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [P::Elem], state: &mut BoxedState<P::Elem>) {
        Causal::step_tokens_clean(self, tokens, y, state.inside_mut());
    }
    fn bytes(&self) -> usize {
        Packed::bytes(self)
    }
}

numeric!([F: Float] PreparedBox<F>, F);

impl<F: Float> Recurrent for PreparedBox<F> {
    type State = BoxedState<F>;
    type Tape = ();

    fn input_size(&self) -> usize {
        (*self.inside).input_size()
    }
    fn output_size(&self) -> usize {
        (*self.inside).output_size()
    }
    fn output_steps(&self, steps: usize) -> usize {
        (*self.inside).output_steps(steps)
    }
    fn zero_state(&self, batch: usize) -> BoxedState<F> {
        (*self.inside).zero_state(batch)
    }
    fn initial_state(&self, batch: usize) -> BoxedState<F> {
        (*self.inside).initial_state(batch)
    }
    #[inline]
    fn takes_state(&self, state: &BoxedState<F>, rows: usize) -> bool {
        // Without a call, as most steps are short ones.
        self.form.is_some_and(|form| state.form() == Some(form.with_rows(rows)))
            || (*self.inside).takes_state(state, rows)
    }
    fn carry(&self, state: &mut BoxedState<F>, reversed: bool) {
        (*self.inside).carry(state, reversed);
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        (*self.inside).visit_cells(f);
    }
    fn describe(&self) -> Describe {
        (*self.inside).describe()
    }
}

impl<F: Float> Run for PreparedBox<F> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        state: &mut BoxedState<F>,
        _: Option<&mut ()>,
    ) {
        (*self.inside).forward(cx, xs, ys, state);
    }
    fn is_causal(&self) -> bool {
        (*self.inside).is_causal()
    }
}

impl<F: Float> Causal for PreparedBox<F> {
    fn check_causal(&self) -> Result<(), Error> {
        if (*self.inside).is_causal() { Ok(()) } else { Err(crate::boxed::looks_ahead(&(*self.inside).describe())) }
    }
    #[inline]
    fn step_clean(&self, x: &[F], y: &mut [F], state: &mut BoxedState<F>) {
        (*self.inside).step_clean(x, y, state);
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [F], state: &mut BoxedState<F>) {
        (*self.inside).step_tokens_clean(tokens, y, state);
    }
}

impl<F: Float> Packed for PreparedBox<F> {
    fn bytes(&self) -> usize {
        (*self.inside).bytes()
    }
}

impl<F: Float> Prepare for Boxed<F> {
    type Prepared = PreparedBox<F>;
    fn prepare(&self, precision: Precision) -> Result<PreparedBox<F>, Error> {
        self.prepare_inner(precision)
    }
}

impl<F: Float> fmt::Debug for PreparedBox<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (*self.inside).describe())
    }
}
