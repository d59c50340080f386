//! What a boxed layer keeps: its state and its tape, in boxes too.

use std::any::{Any, TypeId};
use std::fmt;

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::{Float, State, Tape};

/// What is in the box, as the type that the layer knows.
pub(super) fn inside<T: 'static>(any: &dyn Any) -> &T {
    any.downcast_ref().expect("a state, tape or gradient of this layer")
}

pub(super) fn inside_mut<T: 'static>(any: &mut dyn Any) -> &mut T {
    any.downcast_mut().expect("a state, tape or gradient of this layer")
}

/// The state of a [`Boxed`](crate::layers::Boxed) layer.
pub struct BoxedState<F> {
    inside: Box<dyn AnyState<F>>,
    /// What it was made as; none once it was out of hand.
    form: Option<StateForm>,
}

/// Which state it is, to be told by a comparison: its type and the shapes of its arrays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StateForm {
    kind: TypeId,
    rows: usize,
    widths: [usize; 2],
}

impl StateForm {
    /// Of up to two arrays with the same number of rows; of other states none.
    fn of<F: Float, S: State<F> + 'static>(state: &S) -> Option<Self> {
        let mut form = StateForm { kind: TypeId::of::<S>(), rows: 0, widths: [0; 2] };
        let (mut arrays, mut fits) = (0, true);
        state.visit(&mut |array| {
            fits &= arrays < 2 && (arrays == 0 || array.nrows() == form.rows);
            if fits {
                (form.rows, form.widths[arrays]) = array.dim();
            }
            arrays += 1;
        });
        fits.then_some(form)
    }

    pub(crate) fn with_rows(self, rows: usize) -> Self {
        let no_arrays = self.widths == [0; 2];
        StateForm { rows: if no_arrays { 0 } else { rows }, ..self }
    }
}

trait AnyState<F: Float>: Any + Send + Sync {
    fn clone_box(&self) -> Box<dyn AnyState<F>>;
    fn clone_from_any(&mut self, other: &dyn Any) -> bool;
    fn is_like_any(&self, other: &dyn Any) -> bool;
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, F>));
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>));
}

impl<F: Float, S: State<F> + 'static> AnyState<F> for S {
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
    pub(crate) fn new<S: State<F> + 'static>(state: S) -> Self {
        BoxedState { form: StateForm::of(&state), inside: Box::new(state) }
    }

    /// The state inside, if it is an `S`.
    #[must_use]
    pub fn downcast_ref<S: 'static>(&self) -> Option<&S> {
        (&*self.inside as &dyn Any).downcast_ref()
    }

    /// As [`downcast_ref`](BoxedState::downcast_ref), to change it.
    #[must_use]
    pub fn downcast_mut<S: 'static>(&mut self) -> Option<&mut S> {
        self.form = None;
        (&mut *self.inside as &mut dyn Any).downcast_mut()
    }

    /// What it was made as, if nobody can have changed that.
    #[inline]
    pub(crate) fn form(&self) -> Option<StateForm> {
        self.form
    }

    pub(super) fn inside<S: 'static>(&self) -> &S {
        inside(&*self.inside)
    }

    #[inline]
    pub(crate) fn inside_mut<S: 'static>(&mut self) -> &mut S {
        inside_mut(&mut *self.inside)
    }
}

impl<F: Float> Clone for BoxedState<F> {
    fn clone(&self) -> Self {
        BoxedState { inside: (*self.inside).clone_box(), form: self.form }
    }
    /// Into the memory that is there.
    fn clone_from(&mut self, other: &Self) {
        if (*self.inside).clone_from_any(&*other.inside) {
            self.form = other.form;
        } else {
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
        (*self.inside).visit(f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, F>)) {
        (*self.inside).visit_mut(f);
    }
    fn is_like(&self, other: &Self) -> bool {
        (*self.inside).is_like_any(&*other.inside)
    }
}

/// The tape of a [`Boxed`](crate::layers::Boxed) layer, made when first used.
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
    pub(super) fn inside<T: Tape + Default + Send + Sync + 'static>(&mut self) -> &mut T {
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
