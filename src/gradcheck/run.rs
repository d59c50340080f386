//! One forward and one backward pass: what goes in, what comes out.

use ndarray::{Array3, ArrayView3, Axis};

use super::compare::{self, Named};
use crate::{GradIo, Init, SeqLayer, State};

/// The inputs of a pass there and back: x, the first state, and the gradients by the outputs and by the last state.
#[derive(Clone)]
pub(super) struct Problem<S> {
    pub(super) xs: Array3<f64>,
    pub(super) state: S,
    pub(super) d_ys: Array3<f64>,
    pub(super) d_state: S,
}

/// What comes out.
pub(super) struct Outcome<L, S> {
    pub(super) ys: Array3<f64>,
    pub(super) state: S,
    pub(super) d_xs: Array3<f64>,
    pub(super) d_state: S,
    pub(super) grads: L,
}

/// Random numbers where the zeros of a state were.
pub(super) fn random_state<S: State<f64>>(mut state: S, init: &mut Init) -> S {
    state.visit_mut(&mut |mut array| {
        let numbers = init.uniform(array.raw_dim(), 0.9);
        array.assign(&numbers);
    });
    state
}

/// Random numbers in place of those of a gradient.
pub(super) fn random_grads<L: SeqLayer<Elem = f64>>(layer: &L, init: &mut Init) -> L {
    let mut grads = layer.clone();
    grads.visit_mut(&mut |_, mut array| {
        let numbers = init.uniform(array.raw_dim(), 1.0);
        array.assign(&numbers);
    });
    grads
}

impl<S: State<f64>> Problem<S> {
    /// Random numbers everywhere.
    pub(super) fn random<L: SeqLayer<Elem = f64, State = S>>(
        layer: &L,
        (t, b): (usize, usize),
        init: &mut Init,
    ) -> Self {
        Problem {
            xs: init.uniform((t, b, layer.input_size()), 1.0),
            state: random_state(layer.zero_state(b), init),
            d_ys: init.uniform((t, b, layer.output_size()), 1.0),
            d_state: random_state(layer.zero_state(b), init),
        }
    }

    /// The problem of these rows of the batch, in this order.
    pub(super) fn rows<L: SeqLayer<Elem = f64, State = S>>(&self, layer: &L, rows: &[usize]) -> Self {
        let (xs, d_ys) = (array_rows(&self.xs, rows), array_rows(&self.d_ys, rows));
        let (state, d_state) = (state_rows(layer, &self.state, rows), state_rows(layer, &self.d_state, rows));
        Problem { xs, state, d_ys, d_state }
    }
}

/// These rows of the batch, in this order, in memory row after row.
fn array_rows(array: &Array3<f64>, rows: &[usize]) -> Array3<f64> {
    array.select(Axis(1), rows).as_standard_layout().into_owned()
}

/// These rows of a state, in this order.
fn state_rows<L: SeqLayer<Elem = f64>>(layer: &L, state: &L::State, rows: &[usize]) -> L::State {
    let mut some = layer.zero_state(rows.len());
    for (to, row) in rows.iter().enumerate() {
        some.copy_rows(to, state, *row..row + 1);
    }
    some
}

impl<L: SeqLayer<Elem = f64>> Outcome<L, L::State> {
    /// Everything in it under its name.
    pub(super) fn arrays(&self) -> Named {
        let mut named = self.by_row();
        named.extend(compare::params("grads", &self.grads));
        named
    }

    /// As [`arrays`](Outcome::arrays) without the gradients of the parameters.
    pub(super) fn by_row(&self) -> Named {
        let mut named = vec![("y".to_string(), self.ys.clone().into_dyn())];
        named.extend(compare::state("state", &self.state));
        named.push(("d_x".to_string(), self.d_xs.clone().into_dyn()));
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
pub(super) fn forward<L: SeqLayer<Elem = f64>>(
    layer: &L,
    xs: ArrayView3<'_, f64>,
    state: &mut L::State,
    tape: Option<&mut L::Tape>,
    start: f64,
) -> Array3<f64> {
    let (t, b, _) = xs.dim();
    let mut ys = Array3::from_elem((t, b, layer.output_size()), start);
    layer.forward(xs, ys.view_mut(), state, tape);
    ys
}

/// The way back of a pass whose outputs were `ys`.
pub(super) fn backward<L: SeqLayer<Elem = f64>>(
    layer: &L,
    problem: &Problem<L::State>,
    (ys, state): (Array3<f64>, L::State),
    tape: &mut L::Tape,
    mut grads: L,
    start: f64,
) -> Outcome<L, L::State> {
    let mut d_xs = Array3::from_elem(problem.xs.dim(), start);
    let mut d_state = problem.d_state.clone();
    let io = GradIo { x: problem.xs.view(), y: ys.view(), d_y: problem.d_ys.view(), d_x: d_xs.view_mut() };
    layer.backward(io, tape, &mut d_state, &mut grads);
    Outcome { ys, state, d_xs, d_state, grads }
}

/// There and back, with gradients added to `grads`; output arrays are full of `start` before.
pub(super) fn run_from<L: SeqLayer<Elem = f64>>(
    layer: &L,
    problem: &Problem<L::State>,
    grads: L,
    start: f64,
) -> Outcome<L, L::State> {
    let (mut tape, mut state) = (L::Tape::default(), problem.state.clone());
    let ys = forward(layer, problem.xs.view(), &mut state, Some(&mut tape), start);
    backward(layer, problem, (ys, state), &mut tape, grads, start)
}

/// There and back from gradients of 0.
pub(super) fn run<L: SeqLayer<Elem = f64>>(layer: &L, problem: &Problem<L::State>) -> Outcome<L, L::State> {
    run_from(layer, problem, layer.zeros_like(), 0.0)
}
