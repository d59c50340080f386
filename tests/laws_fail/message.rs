//! What is said of a broken law.

use deep_rnn::gradcheck::{self, Law};

use crate::broken;
use crate::faulty::{Fault, cell};

#[test]
fn the_message_names_law_array_and_index() {
    let violation = broken(Fault::XGradientWrong);
    let message = violation.to_string();
    assert!(message.starts_with("law 1 (gradients equal central differences) does not hold: d_x[0, 0, 1] at T = "));
    assert!(message.contains("expected ") && message.contains(", got "), "{message}");
    let _: &dyn std::error::Error = &violation;
    let numbers = [violation.law, Law::Views, Law::Tokens, Law::Lengths, Law::Resets, Law::FirstState].map(Law::number);
    assert_eq!(numbers, [1, 2, 11, 12, 13, 14]);
}

#[test]
#[should_panic(expected = "law 4 (gradients accumulate) does not hold: grads.w[")]
fn assert_panics_with_it() {
    gradcheck::assert_cell(&cell(Fault::GradientsOverwritten));
}
