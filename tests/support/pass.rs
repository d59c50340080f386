//! A pass over a sequence, there and back.

use deep_rnn::{
    Context, Float, Recurrent, RnnCell, SeqLayer,
    custom::{GradIo, SeqGradIo, Tape},
    data::Input,
};
use ndarray::{Array3, Axis, s};

/// What a pass there and back is given.
#[derive(Clone)]
pub(crate) struct Problem<F, S> {
    pub(crate) xs: Array3<F>,
    pub(crate) state: S,
    pub(crate) d_ys: Array3<F>,
    pub(crate) d_state: S,
}

/// What it gives: every output and every gradient.
pub(crate) struct Outcome<L: Recurrent> {
    pub(crate) ys: Array3<L::Elem>,
    pub(crate) state: L::State,
    pub(crate) d_xs: Array3<L::Elem>,
    pub(crate) d_state: L::State,
    pub(crate) grads: L,
}

/// What is to be written over.
pub(crate) fn nan<F: Float>(t: usize, b: usize, width: usize) -> Array3<F> {
    Array3::from_elem((t, b, width), F::nan())
}

/// The whole sequence at once.
pub(crate) fn run<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>) -> Outcome<L> {
    let (t, b, d) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (L::Tape::default(), layer.zeros_like());
    let (mut ys, mut d_xs) = (nan(t, b, layer.output_size()), nan(t, b, d));
    let (cx, x) = (Context::default(), Input::Rows(problem.xs.view()));
    layer.forward(cx, x.reborrow(), ys.view_mut(), &mut state, Some(&mut tape));
    let io = SeqGradIo { x, y: ys.view(), d_y: problem.d_ys.view(), d_x: Some(d_xs.view_mut()) };
    layer.backward(cx, io, &mut tape, &mut d_state, &mut grads);
    assert!(tape.is_drained());
    Outcome { ys, state, d_xs, d_state, grads }
}

/// The same in sequences of one step each: a stack has no step of its own that has a derivative.
pub(crate) fn run_one_by_one<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>) -> Outcome<L> {
    let (t, b, d) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (L::Tape::default(), layer.zeros_like());
    let (mut ys, mut d_xs) = (nan(t, b, layer.output_size()), nan(t, b, d));
    let cx = Context::default();
    for t in 0..t {
        let x = Input::Rows(problem.xs.slice(s![t..=t, .., ..]));
        layer.forward(cx, x, ys.slice_mut(s![t..=t, .., ..]), &mut state, Some(&mut tape));
    }
    for t in (0..t).rev() {
        let here = s![t..=t, .., ..];
        let (x, d_x) = (Input::Rows(problem.xs.slice(here)), Some(d_xs.slice_mut(here)));
        let io = SeqGradIo { x, y: ys.slice(here), d_y: problem.d_ys.slice(here), d_x };
        layer.backward(cx, io, &mut tape, &mut d_state, &mut grads);
    }
    assert!(tape.is_drained());
    Outcome { ys, state, d_xs, d_state, grads }
}

/// The same by a cell's steps.
pub(crate) fn run_steps<C: RnnCell>(cell: &C, problem: &Problem<C::Elem, C::State>) -> Outcome<C> {
    let (t, b, d) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (C::Tape::default(), cell.zeros_like());
    let (mut ys, mut d_xs) = (nan(t, b, cell.output_size()), nan(t, b, d));
    for (x, y) in problem.xs.outer_iter().zip(ys.outer_iter_mut()) {
        cell.step(Context::default(), x, y, &mut state, Some(&mut tape));
    }
    for t in (0..t).rev() {
        let io = GradIo {
            x: problem.xs.index_axis(Axis(0), t),
            y: ys.index_axis(Axis(0), t),
            d_y: problem.d_ys.index_axis(Axis(0), t),
            d_x: d_xs.index_axis_mut(Axis(0), t),
        };
        cell.step_backward(Context::default(), io, &mut tape, &mut d_state, &mut grads);
    }
    assert!(tape.is_drained());
    Outcome { ys, state, d_xs, d_state, grads }
}
