//! Checks 2 and 3: one sequence taken another way.

use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis, Slice, s};

use super::compare::same;
use super::run::{self, Outcome, Problem};
use super::{Check, Violation, near};
use crate::{Float, GradIo, Input, RnnCell, SeqGradIo, SeqLayer, Tape};

/// Check 2: T steps there, T steps back, by a cell's own methods.
pub(super) fn steps<C: RnnCell>(cell: &C, problem: &Problem<C::Elem, C::State>, case: &str) -> Result<(), Violation> {
    let (t, b, _) = problem.xs.dim();
    let (mut state, mut d_state, mut grads) = (problem.state.clone(), problem.d_state.clone(), cell.zeros_like());
    let mut ys = Array3::from_elem((t, b, cell.output_size()), Float::from_f64(f64::NAN));
    let mut d_xs = Array3::from_elem(problem.xs.dim(), Float::from_f64(f64::NAN));
    let mut tape = C::Tape::default();
    let cx = |t: usize| problem.context().from_step(t);
    for (t, (x, y)) in problem.xs.outer_iter().zip(ys.outer_iter_mut()).enumerate() {
        cell.step(cx(t), x, y, &mut state, Some(&mut tape));
    }
    for t in (0..t).rev() {
        let at = |array: &'_ Array3<C::Elem>| array.index_axis(Axis(0), t).to_owned();
        let (x, y, d_y) = (at(&problem.xs), at(&ys), at(&problem.d_ys));
        let d_x = d_xs.index_axis_mut(Axis(0), t);
        let io = GradIo { x: x.view(), y: y.view(), d_y: d_y.view(), d_x };
        cell.step_backward(cx(t), io, &mut tape, &mut d_state, &mut grads);
    }
    let got = Outcome { ys, state, d_xs, d_state, grads };
    let case = format!("{case}, the sequence (expected) and step by step (got)");
    same(Check::Steps, &case, near::<C::Elem>(), &run::run(cell, problem).arrays(), &got.arrays())?;
    if tape.is_drained() { Ok(()) } else { Err(Violation::of(Check::Drains, &case, "tape", "drained", "not drained")) }
}

/// Check 3, of what may be run in pieces: for every place to cut, and cut everywhere.
pub(super) fn pieces<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
) -> Result<(), Violation> {
    let t = problem.xs.len_of(Axis(0));
    let whole = run::run(layer, problem).arrays();
    for k in 0..=t {
        let got = in_pieces(layer, problem, &[(0, k), (k, t)]);
        let case = format!("{case}, whole (expected) and cut before step {k} (got)");
        same(Check::Pieces, &case, near::<L::Elem>(), &whole, &got.arrays())?;
    }
    let steps: Vec<(usize, usize)> = (0..t).map(|t| (t, t + 1)).collect();
    let case = format!("{case}, whole (expected) and step by step (got)");
    same(Check::Pieces, &case, near::<L::Elem>(), &whole, &in_pieces(layer, problem, &steps).arrays())
}

fn in_pieces<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>, pieces: &[(usize, usize)]) -> Outcome<L> {
    let (t, b, _) = problem.xs.dim();
    let (mut state, mut d_state, mut grads) = (problem.state.clone(), problem.d_state.clone(), layer.zeros_like());
    let mut ys = Array3::zeros((t, b, layer.output_size()));
    let mut d_xs = Array3::zeros(problem.xs.dim());
    let mut tape = L::Tape::default();
    let all = Input::Rows(problem.xs.view());
    for &(from, to) in pieces {
        let (cx, y) = (problem.context().from_step(from), ys.slice_axis_mut(Axis(0), Slice::from(from..to)));
        layer.forward(cx, all.steps(from..to), y, &mut state, Some(&mut tape));
    }
    for &(from, to) in pieces.iter().rev() {
        let piece = Slice::from(from..to);
        let io = SeqGradIo {
            x: all.steps(from..to),
            y: ys.slice_axis(Axis(0), piece),
            d_y: problem.d_ys.slice_axis(Axis(0), piece),
            d_x: Some(d_xs.slice_axis_mut(Axis(0), piece)),
        };
        layer.backward(problem.context().from_step(from), io, &mut tape, &mut d_state, &mut grads);
    }
    Outcome { ys, state, d_xs, d_state, grads }
}

/// What lies around the numbers of a view.
const AROUND: f64 = -7.75e30;

/// An array whose view lies in memory in another way than row after row, with foreign numbers between.
struct Spread<F> {
    memory: Array3<F>,
    layout: usize,
}

impl<F: Float> Spread<F> {
    const LAYOUTS: [&str; 3] =
        ["axes in the order 2 0 1", "every other number, steps and columns from the end", "rows between other rows"];

    fn new(numbers: ArrayView3<'_, F>, layout: usize) -> Self {
        let (t, b, d) = numbers.dim();
        let shape = match layout {
            0 => (d, t, b),
            1 => (t + 1, b, 2 * d + 1),
            _ => (t, 2 * b + 1, d + 2),
        };
        let mut spread = Spread { memory: Array3::from_elem(shape, F::from_f64(AROUND)), layout };
        spread.view_mut().assign(&numbers);
        spread
    }

    fn view_mut(&mut self) -> ArrayViewMut3<'_, F> {
        match self.layout {
            0 => self.memory.view_mut().permuted_axes([1, 2, 0]),
            1 => self.memory.slice_mut(s![1..;-1, .., 1..;-2]),
            _ => self.memory.slice_mut(s![.., 1..;2, 2..]),
        }
    }

    fn view(&self) -> ArrayView3<'_, F> {
        match self.layout {
            0 => self.memory.view().permuted_axes([1, 2, 0]),
            1 => self.memory.slice(s![1..;-1, .., 1..;-2]),
            _ => self.memory.slice(s![.., 1..;2, 2..]),
        }
    }

    /// How many numbers outside the view were written.
    fn spilled(&self) -> usize {
        let mut memory = Spread { memory: self.memory.clone(), layout: self.layout };
        memory.view_mut().fill(F::from_f64(AROUND));
        memory.memory.iter().filter(|x| **x != F::from_f64(AROUND)).count()
    }
}

/// Check 2 for views.
pub(super) fn views<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>, case: &str) -> Result<(), Violation> {
    let nan_value: L::Elem = Float::from_f64(f64::NAN);
    let expected = run::run(layer, problem).arrays();
    for (layout, name) in Spread::<L::Elem>::LAYOUTS.into_iter().enumerate() {
        let nan = Array3::from_elem(problem.d_ys.dim(), nan_value);
        let mut ys = Spread::new(nan.view(), layout);
        let (xs, d_ys) = (Spread::new(problem.xs.view(), layout), Spread::new(problem.d_ys.view(), layout));
        let mut d_xs = Spread::new(Array3::from_elem(problem.xs.dim(), nan_value).view(), layout);
        let (mut state, mut d_state, mut grads) = (problem.state.clone(), problem.d_state.clone(), layer.zeros_like());
        let mut tape = L::Tape::default();
        let (cx, x) = (problem.context(), Input::Rows(xs.view()));
        layer.forward(cx, x, ys.view_mut(), &mut state, Some(&mut tape));
        let io = SeqGradIo { x, y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
        layer.backward(cx, io, &mut tape, &mut d_state, &mut grads);
        let case = format!("{case}, views with {name}");
        for (array, spread) in [("y", &ys), ("d_x", &d_xs)] {
            if spread.spilled() > 0 {
                let got = format!("{} numbers written outside it", spread.spilled());
                return Err(Violation::of(Check::Views, &case, array, "nothing written outside the view", got));
            }
        }
        let got = Outcome { ys: ys.view().to_owned(), state, d_xs: d_xs.view().to_owned(), d_state, grads };
        same(Check::Views, &case, near::<L::Elem>(), &expected, &got.arrays())?;
    }
    Ok(())
}
