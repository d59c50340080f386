//! Checks 4 to 7 and 9: what can be seen of any layer by running it there and back.

use ndarray::Axis;

use super::compare::{self, same};
use super::run::{self, Outcome, Problem};
use super::{Check, Violation, near};
use crate::{Float, Init, SeqLayer, Tape};

/// Check 9: the outputs do not depend on what the arrays held before.
pub(super) fn overwrites<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
) -> Result<(), Violation> {
    let zeros = run::run(layer, problem);
    for start in [1.0, f64::NAN] {
        let other = run::run_from(layer, problem, layer.zeros_like(), start);
        let case = format!("{case}, output arrays full of {start} before");
        same(Check::Overwrites, &case, near::<L::Elem>(), &zeros.arrays(), &other.arrays())?;
    }
    let mut unasked = run::run_unasked(layer, problem);
    unasked.d_xs.assign(&zeros.d_xs);
    let case = format!("{case}, the gradient of x not asked for");
    same(Check::Overwrites, &case, near::<L::Elem>(), &zeros.arrays(), &unasked.arrays())
}

/// Check 5.
pub(super) fn no_tape<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
) -> Result<(), Violation> {
    let values = |tape: Option<&mut L::Tape>| {
        let mut state = problem.state.clone();
        let ys = run::forward(layer, problem.context(), (&problem.xs).into(), &mut state, tape, 0.0);
        let mut named = vec![("y".to_string(), ys.mapv(Float::as_f64).into_dyn())];
        named.extend(compare::state("state", &state));
        named
    };
    let with = values(Some(&mut L::Tape::default()));
    same(Check::NoTape, &format!("{case}, without a tape"), near::<L::Elem>(), &with, &values(None))
}

/// Check 7: two passes on one tape, taken back in reverse order.
pub(super) fn drains<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
    init: &mut Init,
) -> Result<(), Violation> {
    let (t, b, _) = problem.xs.dim();
    let mut tape = L::Tape::default();
    let drained = |tape: &L::Tape, case: &str| {
        if tape.is_drained() {
            Ok(())
        } else {
            Err(Violation::of(Check::Drains, case, "tape", "drained", "not drained"))
        }
    };
    drained(&tape, &format!("{case}, before the first pass"))?;
    let later = Problem { key: problem.key, ..Problem::random(layer, (t, b), init) };
    let forward = |problem: &Problem<L::Elem, L::State>, tape: &mut L::Tape| {
        let mut state = problem.state.clone();
        let ys = run::forward(layer, problem.context(), (&problem.xs).into(), &mut state, Some(tape), 0.0);
        (ys, state)
    };
    // Twice, for a tape keeps its memory.
    for round in 1..=2 {
        let first = forward(problem, &mut tape);
        let second = forward(&later, &mut tape);
        for (name, problem, values) in [("second", &later, second), ("first", problem, first)] {
            let nested = run::backward(layer, problem, values, &mut tape, layer.zeros_like(), 0.0);
            let case = format!("{case}, two passes on one tape, the {name} taken back, round {round}");
            same(Check::Drains, &case, near::<L::Elem>(), &run::run(layer, problem).arrays(), &nested.arrays())?;
        }
        drained(&tape, &format!("{case}, after two passes there and back, round {round}"))?;
    }
    Ok(())
}

/// Check 4.
pub(super) fn accumulates<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
    init: &mut Init,
) -> Result<(), Violation> {
    let start = run::random_grads(layer, init);
    let alone = run::run(layer, problem);
    let mut expected = Outcome { grads: start.clone(), ..alone };
    let once = run::run(layer, problem).grads;
    let mut grads = start;
    for pass in ["first", "second"] {
        let got = run::run_from(layer, problem, grads, 0.0);
        expected.grads.add_scaled(&once, Float::from_f64(1.0));
        let case = format!("{case}, gradients random before the {pass} pass");
        same(Check::Accumulates, &case, near::<L::Elem>(), &expected.arrays(), &got.arrays())?;
        grads = got.grads;
    }
    Ok(())
}

/// Check 6.
pub(super) fn rows<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>, case: &str) -> Result<(), Violation> {
    let batch = problem.xs.len_of(Axis(1));
    let whole = run::run(layer, problem);
    let mut sum = layer.zeros_like();
    for row in 0..batch {
        let alone = run::run(layer, &problem.rows(layer, &[row]));
        let case = format!("{case}, row {row} alone (expected) and in the batch (got)");
        same(Check::Rows, &case, near::<L::Elem>(), &alone.by_row(), &whole.rows(layer, &[row]).by_row())?;
        sum.add_scaled(&alone.grads, Float::from_f64(1.0));
    }
    let case_sum = format!("{case}, summed over the rows alone (expected) and of the batch (got)");
    same(
        Check::Rows,
        &case_sum,
        near::<L::Elem>(),
        &compare::params("grads", &sum),
        &compare::params("grads", &whole.grads),
    )?;
    if problem.key.is_some() {
        return Ok(()); // in another order a row draws other numbers
    }
    let order: Vec<usize> = (0..batch).map(|row| (row + 1) % batch).rev().collect();
    let moved = run::run(layer, &problem.rows(layer, &order));
    let case = format!("{case}, rows in the order {order:?}");
    same(Check::Rows, &case, near::<L::Elem>(), &whole.rows(layer, &order).arrays(), &moved.arrays())
}
