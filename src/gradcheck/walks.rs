//! Checks 8 and 10: names, shapes and sizes; and sequences of nothing.

use std::collections::BTreeSet;

use ndarray::ArrayD;

use super::compare::{self, same};
use super::run::{self, Problem};
use super::{Check, Violation};
use crate::{Float, Init, SeqLayer, State, Tape};

/// Check 8.
pub(super) fn walks<L: SeqLayer>(layer: &L) -> Result<(), Violation> {
    let case = "any size";
    let shape = |shape: &[usize]| format!("shape {shape:?}");
    let mut seen = Vec::new();
    layer.visit(&mut |name, view| seen.push((name.to_string(), shape(view.shape()))));
    let mut names = BTreeSet::new();
    for (name, _) in &seen {
        if !names.insert(name) {
            return Err(Violation::of(Check::Walks, case, name, "a name of its own", "the name of two arrays"));
        }
    }
    // Each array is filled with its own numbers on the way, so that two that share memory are told apart.
    let mut counted = layer.clone();
    let mut next = 0.0;
    let mut seen_mut = Vec::new();
    counted.visit_mut(&mut |name, mut view| {
        seen_mut.push((name.to_string(), shape(view.shape())));
        view.map_inplace(|x| {
            next += 1.0;
            *x = Float::from_f64(next);
        });
    });
    pair(&seen, &seen_mut, "visit_mut")?;
    let mut next = 0.0;
    let mut wrong = None;
    counted.visit(&mut |name, view| {
        for (index, got) in view.indexed_iter() {
            next += 1.0;
            if got.as_f64() != next && wrong.is_none() {
                let case = "the numbers that visit_mut wrote, seen by visit";
                wrong = Some(compare::at(Check::Walks, case, name, &index, next, got.as_f64()));
            }
        }
    });
    wrong.map_or(Ok(()), Err)?;

    let mut zipped = Vec::new();
    let mut first = None;
    layer.zeros_like().zip_mut(&counted, &mut |name, mut own, other| {
        zipped.push((name.to_string(), shape(own.shape())));
        if own.shape() != other.shape() {
            let (expected, got) = (shape(own.shape()), shape(other.shape()));
            first.get_or_insert(Violation::of(Check::Walks, "zip_mut", name, expected, got));
        } else {
            own.assign(&other);
        }
    });
    first.map_or(Ok(()), Err)?;
    pair(&seen, &zipped, "zip_mut")?;
    let mut copy = layer.zeros_like();
    copy.zip_mut(&counted, &mut |_, mut own, other| own.assign(&other));
    let case = "a copy by zip_mut";
    same(Check::Walks, case, 0.0, &compare::params("", &counted), &compare::params("", &copy))?;

    let mut state = layer.zero_state(2);
    let (mut written, mut read) = (Vec::new(), Vec::new());
    state.visit_mut(&mut |mut view| {
        view.fill(Float::from_f64(written.len() as f64 + 1.0));
        written.push((format!("state.{}", written.len()), shape(view.shape())));
    });
    let mut wrong = None;
    state.visit(&mut |view| {
        let expected = read.len() as f64 + 1.0;
        let name = format!("state.{}", read.len());
        if let Some(got) = view.iter().find(|got| got.as_f64() != expected) {
            let case = "the numbers that visit_mut wrote, seen by visit";
            wrong.get_or_insert(Violation::of(Check::Walks, case, &name, expected, got));
        }
        read.push((name, shape(view.shape())));
    });
    wrong.map_or(Ok(()), Err)?;
    pair(&read, &written, "the state's visit_mut")
}

/// That a walk met the same arrays as `visit`.
fn pair(seen: &[(String, String)], other: &[(String, String)], walk: &str) -> Result<(), Violation> {
    let told = |array: Option<&(String, String)>| match array {
        Some((name, shape)) => format!("{name} of {shape}"),
        None => "no more arrays".to_string(),
    };
    for i in 0..seen.len().max(other.len()) {
        let (expected, got) = (seen.get(i), other.get(i));
        if expected != got {
            let case = format!("array {i} of {walk}, against visit");
            let name = expected.or(got).map_or("", |(name, _)| name);
            return Err(Violation::of(Check::Walks, &case, name, told(expected), told(got)));
        }
    }
    Ok(())
}

/// Check 10, of what can be seen without running.
pub(super) fn sizes<L: SeqLayer>(layer: &L) -> Result<(), Violation> {
    let wrong = |case: &str, array: &str, expected: String, got: String| {
        Err(Violation::of(Check::Sizes, case, array, expected, got))
    };
    for (name, size) in [("input_size", layer.input_size()), ("output_size", layer.output_size())] {
        if size == 0 {
            return wrong("any size", name, "at least 1".to_string(), "0".to_string());
        }
    }
    let mut widths: Option<Vec<usize>> = None;
    for batch in [3, 1, 0] {
        let case = format!("zero_state({batch})");
        let state = layer.zero_state(batch);
        for (name, array) in compare::state("state", &state) {
            if array.shape()[0] != batch {
                return wrong(&case, &name, format!("{batch} rows"), format!("shape {:?}", array.shape()));
            }
            if let Some(number) = array.iter().find(|x| **x != 0.0) {
                return wrong(&case, &name, "zeros".to_string(), number.to_string());
            }
        }
        let here: Vec<usize> = state.shapes().iter().map(|shape| shape[1]).collect();
        let widths = widths.get_or_insert_with(|| here.clone());
        if *widths != here {
            return wrong(&case, "state", format!("arrays of {widths:?} columns"), format!("{here:?}"));
        }
    }
    let named = compare::params("grads", layer);
    let numbers: usize = named.iter().map(|(_, array)| array.len()).sum();
    if layer.num_params() != numbers {
        return wrong("any size", "num_params", numbers.to_string(), layer.num_params().to_string());
    }
    let zeros = named.into_iter().map(|(name, array)| (name, ArrayD::zeros(array.raw_dim()))).collect();
    same(Check::Sizes, "zeros_like", f64::MIN_POSITIVE, &zeros, &compare::params("grads", &layer.zeros_like()))
}

/// Check 10, of a pass: a state keeps its shapes; and where there are no steps or no rows, nothing changes.
pub(super) fn sizes_of_pass<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
    init: &mut Init,
) -> Result<(), Violation> {
    let (t, b, _) = problem.xs.dim();
    // What gathers its steps gives an output for no steps too.
    let empty = b == 0 || t == 0 && layer.output_steps(0) == 0;
    let before = run::random_grads(layer, init);
    let (mut tape, mut state) = (L::Tape::default(), problem.state.clone());
    let ys = run::forward(layer, problem.context(), (&problem.xs).into(), &mut state, Some(&mut tape), 0.0);
    let after = run::backward(layer, problem, (ys, state), &mut tape, before.clone(), 0.0);
    for (name, state) in [("state", &after.state), ("d_state", &after.d_state)] {
        if state.shapes() != problem.state.shapes() {
            let (expected, got) = (format!("shapes {:?}", problem.state.shapes()), format!("{:?}", state.shapes()));
            return Err(Violation::of(Check::Sizes, case, name, expected, got));
        }
    }
    if !empty {
        return Ok(());
    }
    let case = format!("{case}, where nothing should change");
    let exact = |name: &str, before: &L::State, after: &L::State| {
        same(Check::Sizes, &case, 0.0, &compare::state(name, before), &compare::state(name, after))
    };
    exact("state", &problem.state, &after.state)?;
    exact("d_state", &problem.d_state, &after.d_state)?;
    let (expected, got) = (compare::params("grads", &before), compare::params("grads", &after.grads));
    same(Check::Sizes, &case, 0.0, &expected, &got)?;
    if !tape.is_drained() {
        return Err(Violation::of(Check::Drains, &case, "tape", "drained", "not drained"));
    }
    Ok(())
}
