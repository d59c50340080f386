//! A cell that panics when its fuse has burnt down.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use deep_rnn::ndarray::{ArrayView2, ArrayViewMut2};
use deep_rnn::{
    Context, Recurrent, RnnCell,
    custom::{GradIo, Memory, PassSize},
    params,
};

/// Counts the calls of whatever holds it; one of them panics.
#[derive(Clone, Debug)]
pub(crate) struct Fuse(Arc<AtomicIsize>);

impl Fuse {
    pub(crate) fn new() -> Self {
        Fuse(Arc::new(AtomicIsize::new(isize::MAX / 2)))
    }

    /// Call number `calls` from now on will panic, counted from 0.
    pub(crate) fn light(&self, calls: usize) {
        self.0.store(calls as isize, Ordering::SeqCst);
    }

    /// None will.
    pub(crate) fn put_out(&self) {
        self.0.store(isize::MAX / 2, Ordering::SeqCst);
    }

    pub(crate) fn burn(&self) {
        assert!(self.0.fetch_sub(1, Ordering::SeqCst) != 0, "the fuse has burnt down");
    }

    /// The calls that were made since it was put out.
    pub(crate) fn calls(&self) -> usize {
        (isize::MAX / 2 - self.0.load(Ordering::SeqCst)) as usize
    }
}

/// A cell with a fuse, which burns with every step and every step back.
#[derive(Clone, Debug)]
pub(crate) struct Fragile<C> {
    inner: C,
    fuse: Fuse,
    splits_itself: bool,
}

params!([C: RnnCell] Fragile<C>, C::Elem => inner);

impl<C: RnnCell> Fragile<C> {
    pub(crate) fn new(inner: C, fuse: &Fuse, splits_itself: bool) -> Self {
        Fragile { inner, fuse: fuse.clone(), splits_itself }
    }
}

impl<C: RnnCell> Recurrent for Fragile<C> {
    type State = C::State;
    type Tape = C::Tape;

    fn input_size(&self) -> usize {
        self.inner.input_size()
    }
    fn output_size(&self) -> usize {
        self.inner.output_size()
    }
    fn zero_state(&self, batch: usize) -> C::State {
        self.inner.zero_state(batch)
    }
    fn splits_itself(&self) -> bool {
        self.splits_itself
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        self.inner.memory(size)
    }
}

impl<C: RnnCell> RnnCell for Fragile<C> {
    fn step(
        &self,
        cx: Context<'_>,
        x: ArrayView2<'_, C::Elem>,
        y: ArrayViewMut2<'_, C::Elem>,
        state: &mut C::State,
        tape: Option<&mut C::Tape>,
    ) {
        self.fuse.burn();
        self.inner.step(cx, x, y, state, tape);
    }

    fn step_backward(
        &self,
        cx: Context<'_>,
        io: GradIo<'_, C::Elem>,
        tape: &mut C::Tape,
        d_state: &mut C::State,
        grads: &mut Self,
    ) {
        self.fuse.burn();
        self.inner.step_backward(cx, io, tape, d_state, &mut grads.inner);
    }
}
