//! Arrays under their names, and whether two lists of them are the same.

use ndarray::{ArrayD, Dimension, IxDyn};

use super::{Check, Violation};
use crate::{Float, Params, State};

/// Arrays and what they are called; an `f32` is an `f64` too.
pub(super) type Named = Vec<(String, ArrayD<f64>)>;

/// `first.rest`, or the one that is not empty.
fn joined(first: &str, rest: &str) -> String {
    if first.is_empty() || rest.is_empty() { format!("{first}{rest}") } else { format!("{first}.{rest}") }
}

/// The arrays of a layer or a gradient.
pub(super) fn params<P: Params>(prefix: &str, params: &P) -> Named {
    let mut named = Named::new();
    params.visit(&mut |name, view| named.push((joined(prefix, name), view.mapv(Float::as_f64))));
    named
}

/// The arrays of a state or of the gradient of one.
pub(super) fn state<F: Float, S: State<F>>(prefix: &str, state: &S) -> Named {
    let mut named = Named::new();
    state.visit(&mut |view| {
        let name = format!("{prefix}.{}", named.len());
        named.push((name, view.mapv(Float::as_f64).into_dyn()));
    });
    named
}

/// Whether the arrays are the same: of the same shapes, and each number within `tolerance` times the largest number
/// of its array (or 1, if that is larger); with tolerance 0, the same bits.
pub(super) fn same(check: Check, case: &str, tolerance: f64, expected: &Named, got: &Named) -> Result<(), Violation> {
    if expected.len() != got.len() {
        return Err(Violation::of(check, case, "arrays", expected.len(), got.len()));
    }
    for ((name, expected), (_, got)) in expected.iter().zip(got) {
        if expected.shape() != got.shape() {
            let (expected, got) = (format!("shape {:?}", expected.shape()), format!("shape {:?}", got.shape()));
            return Err(Violation::of(check, case, name, expected, got));
        }
        let largest = expected.iter().fold(1.0_f64, |largest, x| largest.max(x.abs()));
        let allowed = tolerance * largest;
        for (index, expected) in expected.indexed_iter() {
            let got = got[&index];
            let equal = if tolerance > 0.0 {
                *expected == got || (expected - got).abs() <= allowed
            } else {
                expected.to_bits() == got.to_bits()
            };
            if !equal {
                return Err(at(check, case, name, &index, *expected, got));
            }
        }
    }
    Ok(())
}

/// A violation in one number.
pub(super) fn at(check: Check, case: &str, array: &str, index: &IxDyn, expected: f64, got: f64) -> Violation {
    Violation {
        index: index.slice().to_vec(),
        ..Violation::of(check, case, array, format!("{expected:?}"), format!("{got:?}"))
    }
}
