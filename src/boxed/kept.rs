//! What a boxed layer keeps: its state and its tape, in boxes too.

use std::any::Any;
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

/// The state of a [`Boxed`](crate::Boxed) layer.
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

    pub(super) fn inside<S: 'static>(&self) -> &S {
        inside((*self.0).as_any())
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

/// The tape of a [`Boxed`](crate::Boxed) layer, made when first used.
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
