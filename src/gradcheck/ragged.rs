//! Checks 12 and 13: rows of several lengths, rows that start afresh.

use ndarray::{Array2, Array3, Axis, Slice, s};

use super::compare::{self, same};
use super::run::{self, Outcome, Problem};
use super::{Check, Violation, near};
use crate::{Float, SeqLayer, State};

/// Lengths of the rows of a batch of three, of `t` steps.
pub(super) fn lengths(t: usize) -> [Vec<usize>; 3] {
    [vec![t, t.div_ceil(2), 0], vec![t / 3 + 1, t, t - 1], vec![1, 0, t / 2]]
}

/// Flags for a batch of three rows.
pub(super) fn flags(t: usize) -> Array2<bool> {
    Array2::from_shape_fn((t, 3), |(t, b)| match b {
        0 => t == 2 || t == 5,
        1 => t == 0,
        _ => t % 3 == 1,
    })
}

/// Check 12: each row alone and in the batch, with NaN in the padding.
pub(super) fn lengths_check<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
) -> Result<(), Violation> {
    let (t, b, _) = problem.xs.dim();
    for lengths in lengths(t) {
        let case = format!("{case}, lengths {lengths:?}");
        let mut ragged = Problem { lengths: Some(lengths.clone()), ..problem.clone() };
        let clean = run::run_from(layer, &padded(layer, &ragged, 0.0), layer.zeros_like(), f64::NAN);
        ragged = padded(layer, &ragged, f64::NAN);
        let whole = run::run_from(layer, &ragged, layer.zeros_like(), f64::NAN);
        let with_nan = format!("{case}, zeros (expected) and NaN (got) in the padding");
        same(Check::Lengths, &with_nan, 0.0, &clean.arrays(), &whole.arrays())?;
        let mut sum = layer.zeros_like();
        for (row, length) in lengths.iter().copied().enumerate().take(b) {
            let mut alone = problem.rows(layer, &[row]);
            alone.xs = alone.xs.slice(s![..length, .., ..]).to_owned();
            let steps = layer.output_steps(length);
            if steps <= length {
                alone.d_ys = alone.d_ys.slice(s![..steps, .., ..]).to_owned();
            }
            let mut expected = run::run(layer, &alone);
            sum.add_scaled(&expected.grads, Float::from_f64(1.0));
            // As it stands in the batch, with zeros past the end.
            expected.ys = longer(&expected.ys, problem.d_ys.len_of(Axis(0)));
            expected.d_xs = longer(&expected.d_xs, t);
            let case = format!("{case}, row {row} alone (expected) and in the batch (got)");
            let got = whole.rows(layer, &[row]);
            same(Check::Lengths, &case, near::<L::Elem>(), &expected.by_row(), &got.by_row())?;
        }
        let case = format!("{case}, summed over the rows alone (expected) and of the batch (got)");
        let (expected, got) = (compare::params("grads", &sum), compare::params("grads", &whole.grads));
        same(Check::Lengths, &case, near::<L::Elem>(), &expected, &got)?;
    }
    Ok(())
}

/// With this number wherever a row is over.
fn padded<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>, number: f64) -> Problem<L::Elem, L::State> {
    let mut problem = problem.clone();
    let number = Float::from_f64(number);
    let t = problem.xs.len_of(Axis(0));
    let out = layer.output_steps(t);
    for (row, length) in problem.lengths.clone().unwrap_or_default().into_iter().enumerate() {
        problem.xs.slice_mut(s![length.., row, ..]).fill(number);
        problem.d_ys.slice_mut(s![length.min(out).., row, ..]).fill(number);
    }
    problem
}

fn longer<F: Float>(array: &Array3<F>, steps: usize) -> Array3<F> {
    let (t, b, width) = array.dim();
    let mut longer = Array3::zeros((steps, b, width));
    let t = t.min(steps);
    longer.slice_mut(s![..t, .., ..]).assign(&array.slice(s![..t, .., ..]));
    longer
}

/// Checks 1 and 3 for rows of several lengths that start afresh on the way; and that a row that does is cut there.
pub(super) fn resets_check<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
) -> Result<(), Violation> {
    let (t, b, _) = problem.xs.dim();
    let reset = Problem { resets: Some(flags(t)), ..problem.clone() };
    let whole = run::run(layer, &reset);
    let mut sum = layer.zeros_like();
    for row in 0..b {
        let alone = problem.rows(layer, &[row]);
        let cuts: Vec<usize> = (0..t).filter(|step| flags(t)[[*step, row]]).collect();
        // A reset before the first step leaves nothing of the state there was.
        let mut bounds: Vec<usize> = std::iter::once(0).chain(cuts.iter().copied().filter(|cut| *cut > 0)).collect();
        bounds.push(t);
        let case = format!("{case}, row {row} cut at {cuts:?} (expected) and starting afresh there (got)");
        let pieces: Vec<Outcome<L>> =
            bounds.windows(2).map(|ends| piece(layer, &alone, (ends[0], ends[1]), &cuts, t)).collect();
        let got = whole.rows(layer, &[row]);
        for (ends, expected) in bounds.windows(2).zip(&pieces) {
            let here = Slice::from(ends[0]..ends[1]);
            let ys = vec![("y".to_string(), expected.ys.mapv(Float::as_f64).into_dyn())];
            let own = got.ys.slice_axis(Axis(0), here).mapv(Float::as_f64).into_dyn();
            same(Check::Resets, &case, near::<L::Elem>(), &ys, &vec![("y".to_string(), own)])?;
            let d_xs = vec![("d_x".to_string(), expected.d_xs.mapv(Float::as_f64).into_dyn())];
            let own = got.d_xs.slice_axis(Axis(0), here).mapv(Float::as_f64).into_dyn();
            same(Check::Resets, &case, near::<L::Elem>(), &d_xs, &vec![("d_x".to_string(), own)])?;
        }
        for (i, outcome) in pieces.iter().enumerate() {
            sum.add_scaled(&outcome.grads, Float::from_f64(1.0));
            if i > 0 || cuts.first() == Some(&0) {
                layer.initial_state_backward(&outcome.d_state, &mut sum);
            }
        }
    }
    if !layer.is_causal() {
        return Ok(()); // what reads from the end starts from the given state at another place
    }
    let case = format!("{case}, summed over the pieces (expected) and of rows that start afresh (got)");
    let (expected, got) = (compare::params("grads", &sum), compare::params("grads", &whole.grads));
    same(Check::Resets, &case, near::<L::Elem>(), &expected, &got)
}

/// Steps `from` to `to` of a row, from the first state but where the row's own comes in.
fn piece<L: SeqLayer>(
    layer: &L,
    row: &Problem<L::Elem, L::State>,
    (from, to): (usize, usize),
    cuts: &[usize],
    t: usize,
) -> Outcome<L> {
    let here = Slice::from(from..to);
    let (first, zero) = (layer.initial_state(1), layer.zero_state(1));
    // Of a layer that looks ahead, what reads from the end starts at the other end.
    let mut state = first.clone();
    if from == 0 && !cuts.contains(&0) {
        state = merge(layer, &row.state, &state, false);
    }
    if to == t {
        state = merge(layer, &row.state, &state, true);
    }
    let mut d_state = zero.clone();
    if to == t {
        d_state = merge(layer, &row.d_state, &d_state, false);
    }
    if from == 0 {
        d_state = merge(layer, &row.d_state, &d_state, true);
    }
    let problem = Problem {
        xs: row.xs.slice_axis(Axis(0), here).to_owned(),
        d_ys: row.d_ys.slice_axis(Axis(0), here).to_owned(),
        state,
        d_state,
        lengths: None,
        resets: None,
        key: row.key,
        origin: (row.origin.0 + from, row.origin.1),
    };
    run::run(layer, &problem)
}

/// `other`, with those arrays of `state` that are carried from window to window ([`carry`](crate::Recurrent::carry)), or the others.
fn merge<L: SeqLayer>(layer: &L, state: &L::State, other: &L::State, carried: bool) -> L::State {
    // Which arrays are carried shows on a state of ones.
    let mut ones = layer.zero_state(1);
    ones.visit_mut(&mut |mut array| array.fill(Float::from_f64(7.5)));
    layer.carry(&mut ones, false);
    let mut kept = Vec::new();
    ones.visit(&mut |array| kept.push(array.iter().all(|x| x.as_f64() == 7.5)));
    let mut from = Vec::new();
    state.visit(&mut |array| from.push(array.to_owned()));
    let mut merged = other.clone();
    let mut i = 0;
    merged.visit_mut(&mut |mut array| {
        if kept[i] != carried {
            array.assign(&from[i]);
        }
        i += 1;
    });
    merged
}
