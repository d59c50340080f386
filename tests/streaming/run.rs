//! Runs of a network and of its prepared form, and how they are compared.

use deep_rnn::ndarray::{Array2, Array3, Axis, s};
use deep_rnn::prelude::*;

use crate::bits::state_bits;

/// A sequence and the state before it, which is not zero.
pub(crate) struct Problem<F, S> {
    pub(crate) xs: Array3<F>,
    pub(crate) state: S,
}

pub(crate) fn problem<L: Recurrent>(net: &L, t: usize, b: usize, seed: u64) -> Problem<L::Elem, L::State> {
    let mut init = Init::seeded(seed);
    let xs = init.uniform((t, b, net.input_size()), 1.0);
    let mut state = net.zero_state(b);
    state.visit_mut(&mut |mut view| {
        let numbers: Array2<L::Elem> = init.uniform(view.raw_dim(), 0.9);
        view.assign(&numbers);
    });
    Problem { xs, state }
}

/// The outputs and the state after the last step.
pub(crate) type Outcome<F, S> = (Array3<F>, S);

/// What is to be written over.
pub(crate) fn nan<F: Float>(t: usize, b: usize, width: usize) -> Array3<F> {
    Array3::from_elem((t, b, width), F::nan())
}

/// The sequence at once.
pub(crate) fn forward<L: Run>(net: &L, problem: &Problem<L::Elem, L::State>) -> Outcome<L::Elem, L::State> {
    let (t, b, _) = problem.xs.dim();
    let (mut ys, mut state) = (nan(t, b, net.output_size()), problem.state.clone());
    net.forward(Context::default(), (&problem.xs).into(), ys.view_mut(), &mut state, None);
    (ys, state)
}

/// The cell itself, step by step.
pub(crate) fn cell_steps<C: RnnCell>(cell: &C, problem: &Problem<C::Elem, C::State>) -> Outcome<C::Elem, C::State> {
    let (t, b, _) = problem.xs.dim();
    let (mut ys, mut state) = (nan(t, b, cell.output_size()), problem.state.clone());
    for (x, y) in problem.xs.outer_iter().zip(ys.outer_iter_mut()) {
        cell.step(Context::default(), x, y, &mut state, None);
    }
    (ys, state)
}

/// The network or its prepared form, by [`Causal::step_rows`].
pub(crate) fn row_steps<N: Causal>(net: &N, problem: &Problem<N::Elem, N::State>) -> Outcome<N::Elem, N::State> {
    let (t, b, _) = problem.xs.dim();
    let (mut ys, mut state) = (nan(t, b, net.output_size()), problem.state.clone());
    for (x, mut y) in problem.xs.outer_iter().zip(ys.outer_iter_mut()) {
        net.step_rows(x.to_slice().unwrap(), y.as_slice_mut().unwrap(), &mut state).unwrap();
    }
    (ys, state)
}

/// Sequences of one step, on views of every second row and every third column, from the end.
pub(crate) fn view_steps<N: Run>(net: &N, problem: &Problem<N::Elem, N::State>) -> Outcome<N::Elem, N::State> {
    let (t, b, d) = problem.xs.dim();
    let (mut xs, mut ys) = (nan(t, 2 * b, 3 * d), nan(t, 2 * b, 3 * net.output_size()));
    xs.slice_mut(s![.., ..;-2, ..;-3]).assign(&problem.xs);
    let mut state = problem.state.clone();
    for t in 0..t {
        let here = s![t..=t, ..;-2, ..;-3];
        net.forward(Context::default(), xs.slice(here).into(), ys.slice_mut(here), &mut state, None);
    }
    let written = ys.iter().filter(|y| !y.as_f64().is_nan()).count();
    let ys = ys.slice(s![.., ..;-2, ..;-3]).to_owned();
    assert_eq!(written, ys.len(), "numbers between the rows and columns of y were written");
    (ys, state)
}

/// The sequence at once, on arrays that have the batch first in memory.
pub(crate) fn batch_first<N: Run>(net: &N, problem: &Problem<N::Elem, N::State>) -> Outcome<N::Elem, N::State> {
    let (t, b, _) = problem.xs.dim();
    let xs = problem.xs.view().permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
    let (mut ys, mut state) = (nan(b, t, net.output_size()), problem.state.clone());
    let (x, y) = (xs.view().permuted_axes([1, 0, 2]), ys.view_mut().permuted_axes([1, 0, 2]));
    net.forward(Context::default(), x.into(), y, &mut state, None);
    (ys.permuted_axes([1, 0, 2]), state)
}

/// The same bits, NaN nowhere.
#[track_caller]
pub(crate) fn same<F: Float, S: State<F>>(what: &str, a: &Outcome<F, S>, b: &Outcome<F, S>) {
    assert_eq!(a.0.dim(), b.0.dim(), "{what}");
    for (t, (a, b)) in a.0.axis_iter(Axis(0)).zip(b.0.axis_iter(Axis(0))).enumerate() {
        for ((index, a), b) in a.indexed_iter().zip(b) {
            let equal = a.as_f64().to_bits() == b.as_f64().to_bits() && !a.is_nan();
            assert!(equal, "{what}: y of step {t} at {index:?}: {a:e} and {b:e}");
        }
    }
    assert_eq!(a.1.shapes(), b.1.shapes(), "{what}: state");
    assert!(a.1.is_finite() && state_bits(&a.1) == state_bits(&b.1), "{what}: state");
}

/// The largest difference of two outputs, or of two numbers of the states.
#[track_caller]
pub(crate) fn difference<F: Float, S: State<F>>(a: &Outcome<F, S>, b: &Outcome<F, S>) -> f64 {
    assert_eq!((a.0.dim(), a.1.shapes()), (b.0.dim(), b.1.shapes()));
    let all = |(ys, state): &Outcome<F, S>| {
        let mut all: Vec<f64> = ys.iter().map(|y| y.as_f64()).collect();
        state.visit(&mut |view| all.extend(view.iter().map(|x| x.as_f64())));
        assert!(all.iter().all(|x| x.is_finite()));
        all
    };
    all(a).iter().zip(all(b)).fold(0.0, |largest, (a, b)| largest.max((a - b).abs()))
}
