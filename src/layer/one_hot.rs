//! Token input for layers that only know rows of numbers.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, Ix3};

use super::{SeqLayer, TokenInput, TokenIo};
use crate::kernel::scratch;
use crate::kernel::views::{view, view_mut};
use crate::{Float, GradIo, Memory, Recurrent};

/// Any layer, made to start from tokens: the rows with a one are really built.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::{LanguageModel, OneHot};
///
/// let net = Stacked::builder(28).repeat(2, GruResetBefore::<f32>::spec(16)).build()?;
/// let model = LanguageModel::new(OneHot::new(net), 1)?;
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OneHot<L> {
    inner: L,
}

crate::params!([L: SeqLayer] OneHot<L>, L::Elem => inner);

impl<L: SeqLayer> OneHot<L> {
    /// `inner` from tokens.
    pub fn new(inner: L) -> Self {
        OneHot { inner }
    }

    /// The layer itself.
    pub fn inner(&self) -> &L {
        &self.inner
    }

    fn inner_memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        self.inner.memory(steps, batch)
    }

    fn carry_inner(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }

    /// Calls `f` with the rows that `tokens` stand for, and with a second array of the same shape.
    fn with_rows<R>(
        &self,
        tokens: ArrayView2<'_, usize>,
        second: bool,
        f: impl FnOnce(ArrayView3<'_, L::Elem>, ArrayViewMut3<'_, L::Elem>) -> R,
    ) -> R {
        let ((t, b), d) = (tokens.dim(), self.inner.input_size());
        let len = t * b * d;
        scratch::with_each([len, if second { len } else { 0 }], |[rows, other]| {
            rows.fill(L::Elem::from_f64(0.0));
            for (row, token) in rows.chunks_exact_mut(d).zip(tokens) {
                row[*token] = L::Elem::from_f64(1.0);
            }
            let rows = view(&*rows, (t, b, d));
            let shape = if second { (t, b, d) } else { (0, 0, 0) };
            f(rows, view_mut(other, shape))
        })
    }
}

recurrent_as_inner!(OneHot);

impl<L: SeqLayer> SeqLayer for OneHot<L> {
    fn forward(
        &self,
        xs: ArrayView3<'_, L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut L::Tape>,
    ) {
        self.inner.forward(xs, ys, state, tape);
    }

    fn backward(&self, io: GradIo<'_, L::Elem, Ix3>, tape: &mut L::Tape, d_state: &mut L::State, grads: &mut Self) {
        self.inner.backward(io, tape, d_state, &mut grads.inner);
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}

impl<L: SeqLayer> TokenInput for OneHot<L> {
    fn forward_tokens(
        &self,
        tokens: ArrayView2<'_, usize>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut L::Tape>,
    ) {
        self.with_rows(tokens, false, |xs, _| self.inner.forward(xs, ys, state, tape));
    }

    fn backward_tokens(&self, io: TokenIo<'_, L::Elem>, tape: &mut L::Tape, d_state: &mut L::State, grads: &mut Self) {
        let TokenIo { tokens, y, d_y } = io;
        self.with_rows(tokens, true, |x, d_x| {
            self.inner.backward(GradIo { x, y, d_y, d_x }, tape, d_state, &mut grads.inner);
        });
    }

    fn memory_for_tokens(&self, steps: usize, batch: usize) -> Option<Memory> {
        let inner = self.inner.memory(steps, batch)?;
        let rows = steps.saturating_mul(batch).saturating_mul(self.inner.input_size());
        let (one, two) = (scratch::bytes::<L::Elem, 2>([rows, 0]), scratch::bytes::<L::Elem, 2>([rows, rows]));
        Some(Memory { forward: inner.forward.inside(one), backward: inner.backward.inside(two), ..inner })
    }
}
