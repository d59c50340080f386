//! A sequence read from its end.

use ndarray::{Array2, ArrayView3, ArrayViewMut3, Axis};

use super::{Run, SeqLayer, recurrent_as_inner};
use crate::kernel::scratch;
use crate::kernel::views::{view, view_mut};
use crate::{Context, Describe, Float, Input, Memory, PassSize, Recurrent, SeqGradIo};

/// A layer over the sequence from the last step to the first. Outputs keep their places: the output at t is the one made
/// after steps T - 1, ..., t. (Keras' `go_backwards` leaves them in the order they were made; Flax's `keep_order` is this.)
/// A row that is shorter is read from its own last step.
///
/// A window's last step comes first, so nothing is carried into it from the window before
/// ([`carry`](crate::Recurrent::carry)).
#[derive(Clone, Debug)]
pub struct Reversed<L> {
    inner: L,
}

crate::params!([L: SeqLayer] Reversed<L>, L::Elem => inner);

impl<L> Reversed<L> {
    /// `inner`, the other way round.
    pub fn new(inner: L) -> Self {
        Reversed { inner }
    }

    /// The layer itself.
    pub fn inner(&self) -> &L {
        &self.inner
    }
}

impl<L: SeqLayer> Recurrent for Reversed<L> {
    type State = L::State;
    type Tape = L::Tape;

    recurrent_as_inner!();

    fn initial_state(&self, batch: usize) -> L::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, !reversed);
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        self.inner.memory(size)
    }
    fn describe(&self) -> Describe {
        Describe::around("Reversed", "", self.inner.describe())
    }
}

/// Writes the rows of `from`, each from its own end, to `to`, and zeros past the ends. Twice is once.
fn turn<T: Copy + Default>(cx: &Context<'_>, from: &[T], to: &mut [T], (t, b, width): (usize, usize, usize)) {
    for row in 0..b {
        let length = cx.length(row, t);
        for step in 0..t {
            let to = &mut to[(step * b + row) * width..][..width];
            if step < length {
                to.copy_from_slice(&from[((length - 1 - step) * b + row) * width..][..width]);
            } else {
                to.fill(T::default());
            }
        }
    }
}

/// The flags as the inner layer, which reads from the end, meets them: what starts afresh before step t was at its end after
/// step t - 1.
fn turn_flags(cx: &Context<'_>, (t, b): (usize, usize)) -> Option<Vec<bool>> {
    cx.has_resets().then(|| {
        let mut flags = vec![false; (t + 1) * b];
        for row in 0..b {
            let length = cx.length(row, t);
            flags[row] = cx.resets_end(length, row);
            for step in 1..=length {
                flags[step * b + row] = cx.is_reset(length - step, row);
            }
        }
        flags
    })
}

/// Numbers in row-major order.
fn turned<F: Float>(cx: &Context<'_>, xs: &ArrayView3<'_, F>, to: &mut [F]) {
    let own = xs.as_standard_layout();
    if let Some(from) = own.as_slice() {
        turn(cx, from, to, xs.dim());
    }
}

impl<L: SeqLayer> Reversed<L> {
    fn forward_ragged(
        &self,
        cx: Context<'_>,
        xs: Input<'_, L::Elem>,
        mut ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut L::Tape>,
    ) {
        let ((t, b), d, h) = (xs.dim(), self.input_size(), self.output_size());
        let flags = turn_flags(&cx, (t, b));
        let inner = cx.turned(t).with_flags(flags.as_deref(), b);
        let rows = if matches!(xs, Input::Rows(_)) { t * b * d } else { 0 };
        scratch::with_each([rows, t * b * h, t * b * h], |[x, y, back]| {
            let tokens = turn_input(&cx, xs, x, d);
            let xs = tokens.as_ref().map_or_else(|| Input::Rows(view(x, (t, b, d))), Input::from);
            self.inner.forward(inner, xs, view_mut(y, (t, b, h)), state, tape);
            turn(&cx, y, back, (t, b, h));
            ys.assign(&view(back, (t, b, h)));
        });
    }

    fn backward_ragged(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, L::Elem>,
        tape: &mut L::Tape,
        d_state: &mut L::State,
        grads: &mut Self,
    ) {
        let ((t, b), d, h) = (io.x.dim(), self.input_size(), self.output_size());
        let flags = turn_flags(&cx, (t, b));
        let inner = cx.turned(t).with_flags(flags.as_deref(), b);
        let rows = if matches!(io.x, Input::Rows(_)) { t * b * d } else { 0 };
        let asked = if io.d_x.is_some() { t * b * d } else { 0 };
        scratch::with_each([rows, t * b * h, t * b * h, asked, asked], |[x, y, d_y, d_x, back]| {
            let SeqGradIo { x: xs, y: ys, d_y: d_ys, d_x: d_xs } = io;
            turned(&cx, &ys, y);
            turned(&cx, &d_ys, d_y);
            let tokens = turn_input(&cx, xs, x, d);
            let xs = tokens.as_ref().map_or_else(|| Input::Rows(view(x, (t, b, d))), Input::from);
            let (y, d_y) = (view(y, (t, b, h)), view(d_y, (t, b, h)));
            let own = d_xs.is_some().then(|| view_mut(d_x, (t, b, d)));
            self.inner.backward(inner, SeqGradIo { x: xs, y, d_y, d_x: own }, tape, d_state, &mut grads.inner);
            if let Some(mut d_xs) = d_xs {
                turn(&cx, d_x, back, (t, b, d));
                d_xs.assign(&view(back, (t, b, d)));
            }
        });
    }
}

/// The input the other way round: numbers go to `to`, tokens come back.
fn turn_input<F: Float>(cx: &Context<'_>, xs: Input<'_, F>, to: &mut [F], width: usize) -> Option<Array2<usize>> {
    xs.expect(width);
    match xs {
        Input::Rows(xs) => {
            turned(cx, &xs, to);
            None
        }
        Input::Tokens(tokens) => {
            let (t, b) = tokens.dim();
            let mut turned = Array2::zeros((t, b));
            if let (Some(from), Some(to)) = (tokens.as_standard_layout().as_slice(), turned.as_slice_mut()) {
                turn(cx, from, to, (t, b, 1));
            }
            Some(turned)
        }
    }
}

/// Whether turning whole arrays will not do.
fn row_by_row(cx: &Context<'_>, steps: usize) -> bool {
    cx.is_ragged(steps) || cx.has_resets()
}

impl<L: SeqLayer> Run for Reversed<L> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, L::Elem>,
        mut ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut L::Tape>,
    ) {
        if row_by_row(&cx, xs.dim().0) {
            return self.forward_ragged(cx, xs, ys, state, tape);
        }
        ys.invert_axis(Axis(0));
        self.inner.forward(cx.turned(xs.dim().0), inverted(xs), ys, state, tape);
    }
}

impl<L: SeqLayer> SeqLayer for Reversed<L> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, L::Elem>,
        tape: &mut L::Tape,
        d_state: &mut L::State,
        grads: &mut Self,
    ) {
        if row_by_row(&cx, io.x.dim().0) {
            return self.backward_ragged(cx, io, tape, d_state, grads);
        }
        let SeqGradIo { x, mut y, mut d_y, mut d_x } = io;
        y.invert_axis(Axis(0));
        d_y.invert_axis(Axis(0));
        if let Some(d_x) = &mut d_x {
            d_x.invert_axis(Axis(0));
        }
        let cx = cx.turned(x.dim().0);
        self.inner.backward(cx, SeqGradIo { x: inverted(x), y, d_y, d_x }, tape, d_state, &mut grads.inner);
    }

    fn initial_state_backward(&self, d_state: &L::State, grads: &mut Self) {
        self.inner.initial_state_backward(d_state, &mut grads.inner);
    }

    fn carry_backward(&self, d_state: &L::State, reversed: bool, grads: &mut Self) {
        self.inner.carry_backward(d_state, !reversed, &mut grads.inner);
    }
}

fn inverted<F: Float>(xs: Input<'_, F>) -> Input<'_, F> {
    match xs {
        Input::Rows(mut xs) => {
            xs.invert_axis(Axis(0));
            Input::Rows(xs)
        }
        Input::Tokens(mut tokens) => {
            tokens.invert_axis(Axis(0));
            Input::Tokens(tokens)
        }
    }
}
