//! Each check can fail: cells with one fault each, and the check that finds it.

mod each;
mod fault;
mod faulty;
mod layers;
mod message;

use deep_rnn::gradcheck::{self, Check, Violation};

use faulty::{Fault, cell};

#[track_caller]
fn broken(fault: Fault) -> Violation {
    match gradcheck::check_cell(&cell(fault)) {
        Ok(report) => panic!("{fault:?} was not noticed: {report}"),
        Err(violation) => violation,
    }
}

#[track_caller]
fn breaks(fault: Fault, check: Check) -> Violation {
    let violation = broken(fault);
    assert_eq!(violation.check, check, "{fault:?}: {violation}");
    violation
}
