//! A layer whose type is known at run time only.

use std::any::Any;
use std::fmt;

use ndarray::{ArrayView2, ArrayViewD, ArrayViewMut2, ArrayViewMut3, ArrayViewMutD};

use crate::infer::{Precision, PreparedBox};
use crate::{
    Causal, Context, Describe, Error, Float, Input, Memory, Numeric, Params, PassSize, Recurrent, Run, SeqGradIo,
    SeqLayer, State, Tape, ZipMut,
};

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

/// What is in the box, as the type that the layer knows.
fn inside<T: 'static>(any: &dyn Any) -> &T {
    any.downcast_ref().expect("a state, tape or gradient of this layer")
}

fn inside_mut<T: 'static>(any: &mut dyn Any) -> &mut T {
    any.downcast_mut().expect("a state, tape or gradient of this layer")
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
        BoxedState(Box::new(Recurrent::zero_state(self, batch)))
    }
    fn takes_state(&self, state: &BoxedState<L::Elem>, rows: usize) -> bool {
        state.downcast_ref().is_some_and(|state| Recurrent::takes_state(self, state, rows))
    }
    fn initial_state(&self, batch: usize) -> BoxedState<L::Elem> {
        BoxedState(Box::new(Recurrent::initial_state(self, batch)))
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
        SeqLayer::initial_state_backward(self, inside((*d_state.0).as_any()), inside_mut(grads));
    }
    fn carry_backward(&self, d_state: &BoxedState<L::Elem>, reversed: bool, grads: &mut dyn Any) {
        SeqLayer::carry_backward(self, inside((*d_state.0).as_any()), reversed, inside_mut(grads));
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

/// The state of a [`Boxed`] layer.
pub struct BoxedState<F>(Box<dyn AnyState<F>>);

trait AnyState<F: Float>: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn clone_box(&self) -> Box<dyn AnyState<F>>;
    fn clone_from_any(&mut self, other: &dyn Any) -> bool;
    fn is_like_any(&self, other: &dyn Any) -> bool;
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>));
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>));
}

impl<F: Float, S: State<F> + 'static> AnyState<F> for S {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn clone_box(&self) -> Box<dyn AnyState<F>> {
        Box::new(self.clone())
    }
    fn clone_from_any(&mut self, other: &dyn Any) -> bool {
        other.downcast_ref().map(|other| self.clone_from(other)).is_some()
    }
    fn is_like_any(&self, other: &dyn Any) -> bool {
        other.downcast_ref().is_some_and(|other| self.is_like(other))
    }
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>)) {
        State::visit(self, f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>)) {
        State::visit_mut(self, f);
    }
}

impl<F: Float> BoxedState<F> {
    pub(crate) fn new(state: impl State<F> + 'static) -> Self {
        BoxedState(Box::new(state))
    }

    /// The state inside, if it is an `S`.
    #[must_use]
    pub fn downcast_ref<S: 'static>(&self) -> Option<&S> {
        (*self.0).as_any().downcast_ref()
    }

    /// As [`downcast_ref`](BoxedState::downcast_ref), to change it.
    #[must_use]
    pub fn downcast_mut<S: 'static>(&mut self) -> Option<&mut S> {
        (*self.0).as_any_mut().downcast_mut()
    }

    #[inline]
    pub(crate) fn inside_mut<S: 'static>(&mut self) -> &mut S {
        inside_mut((*self.0).as_any_mut())
    }
}

impl<F: Float> Clone for BoxedState<F> {
    fn clone(&self) -> Self {
        BoxedState((*self.0).clone_box())
    }
    /// Into the memory that is there.
    fn clone_from(&mut self, other: &Self) {
        if !(*self.0).clone_from_any((*other.0).as_any()) {
            *self = other.clone();
        }
    }
}

impl<F: Float> fmt::Debug for BoxedState<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        State::visit(self, &mut |array| {
            list.entry(&array);
        });
        list.finish()
    }
}

impl<F: Float> State<F> for BoxedState<F> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>)) {
        (*self.0).visit(f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>)) {
        (*self.0).visit_mut(f);
    }
    fn is_like(&self, other: &Self) -> bool {
        (*self.0).is_like_any((*other.0).as_any())
    }
}

/// The tape of a [`Boxed`] layer, made when first used.
#[derive(Default)]
pub struct BoxedTape(Option<Box<dyn AnyTape>>);

trait AnyTape: Send + Sync {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn is_drained(&self) -> bool;
}

impl<T: Tape + Send + Sync + 'static> AnyTape for T {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn is_drained(&self) -> bool {
        Tape::is_drained(self)
    }
}

impl BoxedTape {
    fn inside<T: Tape + Default + Send + Sync + 'static>(&mut self) -> &mut T {
        let tape = self.0.get_or_insert_with(|| Box::new(T::default()));
        inside_mut((**tape).as_any_mut())
    }
}

impl fmt::Debug for BoxedTape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoxedTape(drained: {})", Tape::is_drained(self))
    }
}

impl Tape for BoxedTape {
    fn is_drained(&self) -> bool {
        self.0.as_ref().is_none_or(|tape| (**tape).is_drained())
    }
}
