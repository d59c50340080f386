//! Each law can fail: cells with one fault each, and the law that names it.

mod fault;
mod faulty;
mod laws;
mod layers;
mod message;

use deep_rnn::gradcheck::{self, Law, Violation};

use faulty::{Fault, cell};

#[track_caller]
fn broken(fault: Fault) -> Violation {
    match gradcheck::check_cell(&cell(fault)) {
        Ok(report) => panic!("{fault:?} was not noticed: {report}"),
        Err(violation) => violation,
    }
}

#[track_caller]
fn breaks(fault: Fault, law: Law) -> Violation {
    let violation = broken(fault);
    assert_eq!(violation.law, law, "{fault:?}: {violation}");
    violation
}
