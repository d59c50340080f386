//! One forward and one backward pass: what goes in, what comes out.

use ndarray::{Array2, Array3, Axis};

use super::compare::{self, Named};
use crate::{Context, Float, Init, Input, SeqGradIo, SeqLayer, State};

/// The inputs of a pass there and back: x, the first state, and the gradients by the outputs and by the last state; and what is
/// said of rows.
#[derive(Clone)]
pub(super) struct Problem<F, S> {
    pub(super) xs: Array3<F>,
    pub(super) state: S,
    pub(super) d_ys: Array3<F>,
    pub(super) d_state: S,
    pub(super) lengths: Option<Vec<usize>>,
    pub(super) resets: Option<Array2<bool>>,
    /// What random layers draw by, if they draw.
    pub(super) key: Option<u64>,
    /// The step and the row of a whole that this begins at.
    pub(super) origin: (usize, usize),
}

/// What comes out.
pub(super) struct Outcome<L: SeqLayer> {
    pub(super) ys: Array3<L::Elem>,
    pub(super) state: L::State,
    pub(super) d_xs: Array3<L::Elem>,
    pub(super) d_state: L::State,
    pub(super) grads: L,
}

/// Random numbers where the zeros of a state were.
pub(super) fn random_state<F: Float, S: State<F>>(mut state: S, init: &mut Init) -> S {
    state.visit_mut(&mut |mut array| {
        let numbers = init.uniform(array.raw_dim(), 0.9);
        array.assign(&numbers);
    });
    state
}

/// Random numbers in place of those of a gradient.
pub(super) fn random_grads<L: SeqLayer>(layer: &L, init: &mut Init) -> L {
    let mut grads = layer.clone();
    grads.visit_mut(&mut |_, mut array| {
        let numbers = init.uniform(array.raw_dim(), 1.0);
        array.assign(&numbers);
    });
    grads
}

impl<F: Float, S: State<F>> Problem<F, S> {
    /// Random numbers everywhere.
    pub(super) fn random<L: SeqLayer<Elem = F, State = S>>(layer: &L, (t, b): (usize, usize), init: &mut Init) -> Self {
        Problem {
            xs: init.uniform((t, b, layer.input_size()), 1.0),
            state: random_state(layer.zero_state(b), init),
            d_ys: init.uniform((layer.output_steps(t), b, layer.output_size()), 1.0),
            d_state: random_state(layer.zero_state(b), init),
            lengths: None,
            resets: None,
            key: None,
            origin: (0, 0),
        }
    }

    /// What its calls are told.
    pub(super) fn context(&self) -> Context<'_> {
        let cx = self.key.map_or(Context::default(), Context::train).with_origin(self.origin.0, self.origin.1);
        let cx = self.lengths.as_ref().map_or(cx, |lengths| cx.with_lengths(lengths));
        self.resets.as_ref().map_or(cx, |resets| cx.with_resets(resets).expect("flags without gaps"))
    }

    /// The problem of these rows of the batch, in this order. What is drawn follows the first of them.
    pub(super) fn rows<L: SeqLayer<Elem = F, State = S>>(&self, layer: &L, rows: &[usize]) -> Self {
        let (xs, d_ys) = (array_rows(&self.xs, rows), array_rows(&self.d_ys, rows));
        let (state, d_state) = (state_rows(layer, &self.state, rows), state_rows(layer, &self.d_state, rows));
        let lengths = self.lengths.as_ref().map(|lengths| rows.iter().map(|row| lengths[*row]).collect());
        let resets = self.resets.as_ref().map(|resets| resets.select(Axis(1), rows).as_standard_layout().into_owned());
        let origin = (self.origin.0, self.origin.1 + rows.first().copied().unwrap_or(0));
        Problem { xs, state, d_ys, d_state, lengths, resets, key: self.key, origin }
    }
}

/// These rows of the batch, in this order, in memory row after row.
fn array_rows<F: Float>(array: &Array3<F>, rows: &[usize]) -> Array3<F> {
    array.select(Axis(1), rows).as_standard_layout().into_owned()
}

/// These rows of a state, in this order.
fn state_rows<L: SeqLayer>(layer: &L, state: &L::State, rows: &[usize]) -> L::State {
    let mut some = layer.zero_state(rows.len());
    for (to, row) in rows.iter().enumerate() {
        some.copy_rows(to, state, *row..row + 1);
    }
    some
}

impl<L: SeqLayer> Outcome<L> {
    /// Everything in it under its name.
    pub(super) fn arrays(&self) -> Named {
        let mut named = self.by_row();
        named.extend(compare::params("grads", &self.grads));
        named
    }

    /// As [`arrays`](Outcome::arrays) without the gradients of the parameters.
    pub(super) fn by_row(&self) -> Named {
        let mut named = vec![("y".to_string(), self.ys.mapv(Float::as_f64).into_dyn())];
        named.extend(compare::state("state", &self.state));
        named.push(("d_x".to_string(), self.d_xs.mapv(Float::as_f64).into_dyn()));
        named.extend(compare::state("d_state", &self.d_state));
        named
    }

    /// The outcome for these rows of the batch, in this order; `grads` as they are.
    pub(super) fn rows(&self, layer: &L, rows: &[usize]) -> Self {
        Outcome {
            ys: array_rows(&self.ys, rows),
            state: state_rows(layer, &self.state, rows),
            d_xs: array_rows(&self.d_xs, rows),
            d_state: state_rows(layer, &self.d_state, rows),
            grads: self.grads.clone(),
        }
    }
}

/// The outputs, into an array that was full of `start` before.
pub(super) fn forward<L: SeqLayer>(
    layer: &L,
    cx: Context<'_>,
    xs: Input<'_, L::Elem>,
    state: &mut L::State,
    tape: Option<&mut L::Tape>,
    start: f64,
) -> Array3<L::Elem> {
    let (t, b) = xs.dim();
    let shape = (layer.output_steps(t), b, layer.output_size());
    let mut ys = Array3::from_elem(shape, Float::from_f64(start));
    layer.forward(cx, xs, ys.view_mut(), state, tape);
    ys
}

/// The way back of a pass whose outputs were `ys`.
pub(super) fn backward<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    (ys, state): (Array3<L::Elem>, L::State),
    tape: &mut L::Tape,
    mut grads: L,
    start: f64,
) -> Outcome<L> {
    let mut d_xs = Array3::from_elem(problem.xs.dim(), Float::from_f64(start));
    let mut d_state = problem.d_state.clone();
    let (x, y, d_y) = (Input::Rows(problem.xs.view()), ys.view(), problem.d_ys.view());
    layer.backward(
        problem.context(),
        SeqGradIo { x, y, d_y, d_x: Some(d_xs.view_mut()) },
        tape,
        &mut d_state,
        &mut grads,
    );
    Outcome { ys, state, d_xs, d_state, grads }
}

/// There and back, with gradients added to `grads`; output arrays are full of `start` before.
pub(super) fn run_from<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    grads: L,
    start: f64,
) -> Outcome<L> {
    let (mut tape, mut state) = (L::Tape::default(), problem.state.clone());
    let ys = forward(layer, problem.context(), (&problem.xs).into(), &mut state, Some(&mut tape), start);
    backward(layer, problem, (ys, state), &mut tape, grads, start)
}

/// There and back from gradients of 0.
pub(super) fn run<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>) -> Outcome<L> {
    run_from(layer, problem, layer.zeros_like(), 0.0)
}

/// As [`run`], where nobody asks for the gradient of x; it is 0 in what comes out.
pub(super) fn run_unasked<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>) -> Outcome<L> {
    let (mut tape, mut state) = (L::Tape::default(), problem.state.clone());
    let ys = forward(layer, problem.context(), (&problem.xs).into(), &mut state, Some(&mut tape), 0.0);
    let (mut d_state, mut grads) = (problem.d_state.clone(), layer.zeros_like());
    let io = SeqGradIo { x: (&problem.xs).into(), y: ys.view(), d_y: problem.d_ys.view(), d_x: None };
    layer.backward(problem.context(), io, &mut tape, &mut d_state, &mut grads);
    Outcome { ys, state, d_xs: Array3::zeros(problem.xs.dim()), d_state, grads }
}
