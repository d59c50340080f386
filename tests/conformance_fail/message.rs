//! What is said of a broken check.

use deep_rnn::gradcheck::{self, Check};

use crate::broken;
use crate::faulty::{Fault, cell};

#[test]
fn the_message_names_check_array_and_index() {
    let violation = broken(Fault::XGradientWrong);
    let message = violation.to_string();
    assert!(message.starts_with("check 1 (gradients equal central differences) failed: d_x[0, 0, 1] at T = "));
    assert!(message.contains("expected ") && message.contains(", got "), "{message}");
    let _: &dyn std::error::Error = &violation;
    let numbers = [violation.check, Check::Views, Check::Tokens, Check::Lengths, Check::Resets, Check::FirstState]
        .map(Check::number);
    assert_eq!(numbers, [1, 2, 11, 12, 13, 14]);
}

#[test]
#[should_panic(expected = "check 4 (gradients accumulate) failed: grads.w[")]
fn assert_panics_with_it() {
    gradcheck::assert_cell(&cell(Fault::GradientsOverwritten));
}
