//! Conformance checks of the traits, to hold a cell or a layer of one's own against.
//!
//! A backward pass written by hand is right or it is wrong, and a look will not tell. These functions do: they run the
//! thing on random numbers over several lengths and batch sizes, through nothing but its traits. The crate's own cells
//! pass through the same functions, in `f64` and in `f32`. Write and check a cell in `f64`, where differences leave little
//! room for a mistake; in `f32` they are coarse ([`Options::of`]), and the check is one of its kernels and their precision.
//!
//! | check | says |
//! | --- | --- |
//! | 1 | every gradient (parameters, x, first state) equals the central difference of outputs and last state |
//! | 2 | a sequence equals its steps; and views of any strides give the same as arrays |
//! | 3 | a sequence equals its pieces, the state carried forward and its gradient back |
//! | 4 | a backward pass adds to the gradients that are there |
//! | 5 | outputs and state are the same without a tape |
//! | 6 | a row of the batch knows nothing of the others |
//! | 7 | backward takes off the tape exactly what forward put there, the last pass first |
//! | 8 | `visit`, `visit_mut` and `zip_mut` go over the same arrays in the same order, under unique names |
//! | 9 | y and ∂L/∂x are overwritten in full, whatever was there |
//! | 10 | sizes match the arrays; the first state is zeros; no steps or no rows change nothing |
//! | 11 | tokens give the same bits as rows with a one |
//! | 12 | a row in a padded batch is the row alone; what is in the padding, NaN too, counts for nothing |
//! | 13 | a row that starts afresh on the way is a new sequence; gradients stop there |
//! | 14 | gradients of first states that are learned equal the differences |
//!
//! ```
//! use deep_rnn::{cells::Lstm, gradcheck, init::Init};
//!
//! let cell = Lstm::<f64>::spec(4).build(3, &mut Init::seeded(0))?;
//! gradcheck::assert_cell(&cell);
//!
//! let report = gradcheck::check_cell(&cell).unwrap();
//! assert!(report.worst_error < 1e-7, "{report}");
//! println!("{report}"); // checks 1, 2, 3, ... passed; 984 differences, worst relative error ...
//! # Ok::<(), deep_rnn::Error>(())
//! ```

mod check;
mod compare;
mod differences;
mod passes;
mod ragged;
mod report;
mod run;
mod sequence;
mod tokens;
mod walks;

pub use check::Check;
pub use report::{Report, Violation};

use crate::{Float, Init, RnnCell, SeqLayer};
use run::Problem;

/// Numbers of steps and rows that everything is run over.
const STEPS: [usize; 3] = [1, 2, 7];
const BATCHES: [usize; 2] = [1, 3];
/// Steps of the batches whose rows are of several lengths.
const RAGGED: [usize; 2] = [2, 7];
/// How near two ways to the same number must come, relative to the largest of the array (or 1).
fn near<F: Float>() -> f64 {
    if F::NAME == "f32" { 2e-5 } else { 1e-11 }
}

/// How to check.
///
/// ```
/// use deep_rnn::gradcheck::Options;
/// let options = Options { seed: 7, ..Options::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How far a number is moved for the central difference; twice as far too, the difference being the five-point one.
    pub epsilon: f64,
    /// A gradient may differ from its difference by this...
    pub atol: f64,
    /// ...plus this times the gradient.
    pub rtol: f64,
    /// Of an array of more numbers than this, so many are moved, picked at random.
    pub coordinates: usize,
    /// The random numbers for inputs, states and gradients of the outputs.
    pub seed: u64,
    /// The key of the calls: none evaluates; with one the layer trains, and what it draws by it is held fixed.
    pub key: Option<u64>,
}

impl Options {
    /// What the functions without options take: the default for `f64`; for `f32`, whose outputs have seven digits, larger steps and
    /// tolerances (`epsilon` 0.03, `atol` 2·10⁻⁴, `rtol` 10⁻³).
    #[must_use]
    pub fn of<F: Float>() -> Self {
        let double = Options::default();
        if F::NAME == "f32" { Options { epsilon: 0.03, atol: 2e-4, rtol: 1e-3, ..double } } else { double }
    }
}

/// For `f64`: `epsilon` 10⁻³, `atol` 10⁻¹⁰, `rtol` 10⁻⁷, 64 coordinates, seed 0, no key.
impl Default for Options {
    fn default() -> Self {
        Options { epsilon: 1e-3, atol: 1e-10, rtol: 1e-7, coordinates: 64, seed: 0, key: None }
    }
}

/// Holds a cell against all checks.
///
/// # Panics
/// If a check fails, with a message that names the check, the array and the index.
#[track_caller]
pub fn assert_cell<C: RnnCell>(cell: &C) {
    if let Err(violation) = check_cell(cell) {
        panic!("{violation}");
    }
}

/// As [`assert_cell`], without the panic.
///
/// # Errors
/// The first check that failed.
pub fn check_cell<C: RnnCell>(cell: &C) -> Result<Report, Violation> {
    check_cell_with(cell, &Options::of::<C::Elem>())
}

/// As [`check_cell`], with options.
///
/// # Errors
/// The first check that failed.
pub fn check_cell_with<C: RnnCell>(cell: &C, options: &Options) -> Result<Report, Violation> {
    let mut report = checked(cell, options, |problem, case| sequence::steps(cell, problem, case))?;
    report.checks.push(Check::Steps);
    report.checks.sort_unstable();
    Ok(report)
}

/// Holds a layer against the checks that need no step of its own: all but the first half of 2; and 3 only if it is
/// [causal](crate::Run::is_causal).
///
/// # Panics
/// If a check fails, with a message that names the check, the array and the index.
#[track_caller]
pub fn assert_layer<L: SeqLayer>(layer: &L) {
    if let Err(violation) = check_layer(layer) {
        panic!("{violation}");
    }
}

/// As [`assert_layer`], without the panic.
///
/// # Errors
/// The first check that failed.
pub fn check_layer<L: SeqLayer>(layer: &L) -> Result<Report, Violation> {
    check_layer_with(layer, &Options::of::<L::Elem>())
}

/// As [`check_layer`], with options.
///
/// # Errors
/// The first check that failed.
pub fn check_layer_with<L: SeqLayer>(layer: &L, options: &Options) -> Result<Report, Violation> {
    checked(layer, options, |_, _| Ok(()))
}

/// Sequences of nothing: no steps, no rows, neither.
const EMPTY: [(usize, usize); 3] = [(0, 3), (2, 0), (0, 0)];

/// What [`checked`] checks of anything.
const OF_ANY_LAYER: [Check; 13] = [
    Check::Differences,
    Check::Views,
    Check::Accumulates,
    Check::NoTape,
    Check::Rows,
    Check::Drains,
    Check::Walks,
    Check::Overwrites,
    Check::Sizes,
    Check::Tokens,
    Check::Lengths,
    Check::Resets,
    Check::FirstState,
];

fn dims() -> impl Iterator<Item = (usize, usize)> {
    STEPS.into_iter().flat_map(|t| BATCHES.into_iter().map(move |b| (t, b)))
}

fn case((t, b): (usize, usize)) -> String {
    format!("T = {t}, B = {b}")
}

/// The checks of any layer, and `more`. What the others build on comes first, so that the check that is named is the one
/// that does not hold.
fn checked<L: SeqLayer>(
    layer: &L,
    options: &Options,
    more: impl Fn(&Problem<L::Elem, L::State>, &str) -> Result<(), Violation>,
) -> Result<Report, Violation> {
    let mut init = Init::seeded(options.seed);
    let mut report = Report::default();
    walks::walks(layer)?;
    walks::sizes(layer)?;
    let problems: Vec<_> =
        dims().map(|dim| (case(dim), Problem { key: options.key, ..Problem::random(layer, dim, &mut init) })).collect();
    for (case, problem) in &problems {
        walks::sizes_of_pass(layer, problem, case, &mut init)?;
        passes::overwrites(layer, problem, case)?;
        passes::no_tape(layer, problem, case)?;
        passes::drains(layer, problem, case, &mut init)?;
        passes::accumulates(layer, problem, case, &mut init)?;
        passes::rows(layer, problem, case)?;
    }
    for dim in EMPTY {
        let problem = Problem::random(layer, dim, &mut init);
        walks::sizes_of_pass(layer, &problem, &case(dim), &mut init)?;
    }
    let gathers = layer.output_steps(2) != 2;
    for (case, problem) in &problems {
        more(problem, case)?;
        if layer.is_causal() {
            sequence::pieces(layer, problem, case)?;
        }
        sequence::views(layer, problem, case)?;
    }
    for (case, problem) in &problems {
        differences::differences(layer, problem, case, options, &mut init, &mut report)?;
    }
    for dim in dims().chain(EMPTY) {
        for alike in [false, true] {
            let problem = Problem::random(layer, dim, &mut init);
            let tokens = tokens::some(layer, dim, alike, &mut init);
            let start = run::random_grads(layer, &mut init);
            tokens::tokens(layer, &problem, &tokens, &case(dim), &start)?;
        }
    }
    for t in RAGGED {
        let problem = Problem { key: options.key, ..Problem::random(layer, (t, 3), &mut init) };
        let case = case((t, 3));
        ragged::lengths_check(layer, &problem, &case)?;
        if !gathers {
            ragged::resets_check(layer, &problem, &case)?;
        }
        let ragged = Problem {
            lengths: Some(ragged::lengths(t)[1].clone()),
            resets: (!gathers).then(|| ragged::flags(t)),
            ..problem
        };
        let case = format!("{case}, rows that are short or start afresh");
        if layer.is_causal() {
            sequence::pieces(layer, &ragged, &case)?;
        }
        sequence::views(layer, &ragged, &case)?;
        differences::differences(layer, &ragged, &case, options, &mut init, &mut report)?;
        differences::first_state(layer, &ragged, &case, options, &mut init, &mut report)?;
    }
    let mut checks = OF_ANY_LAYER.to_vec();
    if layer.is_causal() {
        checks.push(Check::Pieces);
    }
    checks.sort_unstable();
    Ok(Report { checks, ..report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_not_said_are_the_documented_ones() {
        let double = Options { epsilon: 1e-3, atol: 1e-10, rtol: 1e-7, coordinates: 64, seed: 0, key: None };
        assert_eq!((Options::default(), Options::of::<f64>()), (double, double));
        assert_eq!(Options::of::<f32>(), Options { epsilon: 0.03, atol: 2e-4, rtol: 1e-3, ..double });
    }
}
