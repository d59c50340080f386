//! A layer whose type is known at run time only.

mod kept;

pub(crate) use kept::StateForm;
pub use kept::{BoxedState, BoxedTape};

use std::any::Any;
use std::fmt;

use ndarray::{ArrayViewD, ArrayViewMut3, ArrayViewMutD};

use crate::infer::{Precision, PreparedBox};
use crate::{
    Causal, Context, Describe, Error, Float, Input, Memory, Numeric, Params, PassSize, Recurrent, Run, SeqGradIo,
    SeqLayer, ZipMut,
};
use kept::{inside, inside_mut};

/// Any layer over `F`, the caller's own included, behind one type. What it gives are the bits of the layer inside; a call
/// costs a nanosecond or two more.
pub struct Boxed<F>(Box<dyn Layer<F>>);

impl<F: Float> Boxed<F> {
    /// Puts a layer into a box.
    pub fn new<L: SeqLayer<Elem = F> + 'static>(layer: L) -> Self {
        Boxed(Box::new(layer))
    }

    /// The layer inside, if it is an `L`.
    #[must_use]
    pub fn downcast_ref<L: 'static>(&self) -> Option<&L> {
        (*self.0).as_any().downcast_ref()
    }

    pub(crate) fn prepare_inner(&self, precision: Precision) -> Result<PreparedBox<F>, Error> {
        (*self.0).prepare(precision)
    }
}

/// What a box asks of a layer: the traits' methods without their types.
trait Layer<F: Float>: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn clone_box(&self) -> Box<dyn Layer<F>>;
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, F>));
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, F>));
    fn zip_mut(&mut self, other: &dyn Any, f: ZipMut<'_, F>);
    fn input_size(&self) -> usize;
    fn output_size(&self) -> usize;
    fn output_steps(&self, steps: usize) -> usize;
    fn zero_state(&self, batch: usize) -> BoxedState<F>;
    fn takes_state(&self, state: &BoxedState<F>, rows: usize) -> bool;
    fn initial_state(&self, batch: usize) -> BoxedState<F>;
    fn carry(&self, state: &mut BoxedState<F>, reversed: bool);
    fn splits_itself(&self) -> bool;
    fn memory(&self, size: PassSize) -> Option<Memory>;
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize]));
    fn describe(&self) -> Describe;
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        state: &mut BoxedState<F>,
        tape: Option<&mut BoxedTape>,
    );
    fn is_causal(&self) -> bool;
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, F>,
        tape: &mut BoxedTape,
        d_state: &mut BoxedState<F>,
        grads: &mut dyn Any,
    );
    fn initial_state_backward(&self, d_state: &BoxedState<F>, grads: &mut dyn Any);
    fn carry_backward(&self, d_state: &BoxedState<F>, reversed: bool, grads: &mut dyn Any);
    fn prepare(&self, precision: Precision) -> Result<PreparedBox<F>, Error>;
}

impl<L: SeqLayer + 'static> Layer<L::Elem> for L {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn clone_box(&self) -> Box<dyn Layer<L::Elem>> {
        Box::new(self.clone())
    }
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, L::Elem>)) {
        Params::visit(self, f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, L::Elem>)) {
        Params::visit_mut(self, f);
    }
    fn zip_mut(&mut self, other: &dyn Any, f: ZipMut<'_, L::Elem>) {
        Params::zip_mut(self, inside(other), f);
    }
    fn input_size(&self) -> usize {
        Recurrent::input_size(self)
    }
    fn output_size(&self) -> usize {
        Recurrent::output_size(self)
    }
    fn output_steps(&self, steps: usize) -> usize {
        Recurrent::output_steps(self, steps)
    }
    fn zero_state(&self, batch: usize) -> BoxedState<L::Elem> {
        BoxedState::new(Recurrent::zero_state(self, batch))
    }
    fn takes_state(&self, state: &BoxedState<L::Elem>, rows: usize) -> bool {
        state.downcast_ref().is_some_and(|state| Recurrent::takes_state(self, state, rows))
    }
    fn initial_state(&self, batch: usize) -> BoxedState<L::Elem> {
        BoxedState::new(Recurrent::initial_state(self, batch))
    }
    fn carry(&self, state: &mut BoxedState<L::Elem>, reversed: bool) {
        Recurrent::carry(self, state.inside_mut(), reversed);
    }
    fn splits_itself(&self) -> bool {
        Recurrent::splits_itself(self)
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        Recurrent::memory(self, size)
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
        xs: Input<'_, L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut BoxedState<L::Elem>,
        tape: Option<&mut BoxedTape>,
    ) {
        Run::forward(self, cx, xs, ys, state.inside_mut(), tape.map(BoxedTape::inside::<L::Tape>));
    }
    fn is_causal(&self) -> bool {
        Run::is_causal(self)
    }
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, L::Elem>,
        tape: &mut BoxedTape,
        d_state: &mut BoxedState<L::Elem>,
        grads: &mut dyn Any,
    ) {
        SeqLayer::backward(self, cx, io, tape.inside::<L::Tape>(), d_state.inside_mut(), inside_mut(grads));
    }
    fn initial_state_backward(&self, d_state: &BoxedState<L::Elem>, grads: &mut dyn Any) {
        SeqLayer::initial_state_backward(self, d_state.inside(), inside_mut(grads));
    }
    fn carry_backward(&self, d_state: &BoxedState<L::Elem>, reversed: bool, grads: &mut dyn Any) {
        SeqLayer::carry_backward(self, d_state.inside(), reversed, inside_mut(grads));
    }
    fn prepare(&self, precision: Precision) -> Result<PreparedBox<L::Elem>, Error> {
        SeqLayer::prepare_boxed(self, precision)
    }
}

impl<F: Float> Clone for Boxed<F> {
    fn clone(&self) -> Self {
        Boxed((*self.0).clone_box())
    }
}

impl<F: Float> fmt::Debug for Boxed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (*self.0).describe())
    }
}

impl<F: Float> Numeric for Boxed<F> {
    type Elem = F;
}

impl<F: Float> Params for Boxed<F> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, F>)) {
        (*self.0).visit(f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, F>)) {
        (*self.0).visit_mut(f);
    }
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, F>) {
        (*self.0).zip_mut((*other.0).as_any(), f);
    }
}

impl<F: Float> Recurrent for Boxed<F> {
    type State = BoxedState<F>;
    type Tape = BoxedTape;

    fn input_size(&self) -> usize {
        (*self.0).input_size()
    }
    fn output_size(&self) -> usize {
        (*self.0).output_size()
    }
    fn output_steps(&self, steps: usize) -> usize {
        (*self.0).output_steps(steps)
    }
    fn zero_state(&self, batch: usize) -> BoxedState<F> {
        (*self.0).zero_state(batch)
    }
    fn takes_state(&self, state: &BoxedState<F>, rows: usize) -> bool {
        (*self.0).takes_state(state, rows)
    }
    fn initial_state(&self, batch: usize) -> BoxedState<F> {
        (*self.0).initial_state(batch)
    }
    fn carry(&self, state: &mut BoxedState<F>, reversed: bool) {
        (*self.0).carry(state, reversed);
    }
    fn splits_itself(&self) -> bool {
        (*self.0).splits_itself()
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        (*self.0).memory(size)
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        (*self.0).visit_cells(f);
    }
    fn describe(&self) -> Describe {
        (*self.0).describe()
    }
}

impl<F: Float> Run for Boxed<F> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        state: &mut BoxedState<F>,
        tape: Option<&mut BoxedTape>,
    ) {
        (*self.0).forward(cx, xs, ys, state, tape);
    }
    fn is_causal(&self) -> bool {
        (*self.0).is_causal()
    }
}

impl<F: Float> SeqLayer for Boxed<F> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, F>,
        tape: &mut BoxedTape,
        d_state: &mut BoxedState<F>,
        grads: &mut Self,
    ) {
        (*self.0).backward(cx, io, tape, d_state, (*grads.0).as_any_mut());
    }
    fn initial_state_backward(&self, d_state: &BoxedState<F>, grads: &mut Self) {
        (*self.0).initial_state_backward(d_state, (*grads.0).as_any_mut());
    }
    fn carry_backward(&self, d_state: &BoxedState<F>, reversed: bool, grads: &mut Self) {
        (*self.0).carry_backward(d_state, reversed, (*grads.0).as_any_mut());
    }
    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<F>, Error> {
        self.prepare_inner(precision)
    }
}

/// A box can be stepped where what is inside says so.
impl<F: Float> Causal for Boxed<F> {
    fn check_causal(&self) -> Result<(), Error> {
        if (*self.0).is_causal() {
            return Ok(());
        }
        Err(looks_ahead(&(*self.0).describe()))
    }
}

pub(crate) fn looks_ahead(layer: &Describe) -> Error {
    let expected = "a layer whose outputs depend on no later input";
    Error::value("step", expected, format!("{layer}, which looks ahead (run the whole sequence by `forward`)"))
}
