//! What a check says.

use std::fmt;

use super::Check;

/// What was checked, of something that passes the checks.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The checks that were checked, in order.
    pub checks: Vec<Check>,
    /// How many numbers were moved to take a central difference.
    pub coordinates: usize,
    /// The greatest error of a gradient against its central difference, relative to the gradient, or to a thousandth of
    /// the largest of its array where it is smaller than that.
    pub worst_error: f64,
    /// Where that was.
    pub worst_at: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { checks, coordinates, worst_error, worst_at } = self;
        let mut numbers: Vec<u8> = checks.iter().map(|check| check.number()).collect();
        numbers.dedup();
        let numbers: Vec<String> = numbers.iter().map(u8::to_string).collect();
        let noun = if numbers.len() == 1 { "check" } else { "checks" };
        write!(f, "{noun} {} passed", numbers.join(", "))?;
        if *coordinates > 0 {
            write!(f, "; {coordinates} differences, worst relative error {worst_error:.1e}")?;
        }
        if *worst_error > 0.0 {
            write!(f, " in {worst_at}")?;
        }
        Ok(())
    }
}

/// A check that failed, and where.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{check} failed: {array}{index:?} at {case}: expected {expected}, got {got}")]
pub struct Violation {
    /// Which.
    pub check: Check,
    /// The sizes, and what was being done.
    pub case: Box<str>,
    /// The array: `y`, `d_x`, `state.0`, `d_state.1`, `grads.w_x` and so on.
    pub array: String,
    /// Which number of it; empty where the whole is meant.
    pub index: Vec<usize>,
    /// What should be there.
    pub expected: String,
    /// What is.
    pub got: String,
}

impl Violation {
    /// One of a whole array.
    pub(super) fn of(
        check: Check,
        case: &str,
        array: &str,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        let (expected, got) = (expected.to_string(), got.to_string());
        Violation { check, case: case.into(), array: array.to_string(), index: Vec::new(), expected, got }
    }
}
