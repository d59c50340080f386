//! Each law, and the faults it notices.

use deep_rnn::gradcheck::{self, Law};

use crate::faulty::{D, Fault, cell};
use crate::{breaks, broken};

#[test]
fn the_cell_without_a_fault_keeps_them_all() {
    gradcheck::assert_cell(&cell(Fault::None));
    gradcheck::assert_layer(&cell(Fault::None));
    gradcheck::assert_tokens(&cell(Fault::None));
}

#[test]
fn law_1_differences() {
    assert_eq!(breaks(Fault::BiasGradientForgotten, Law::Differences).array, "grads.b");
    assert_eq!(breaks(Fault::WrongSlope, Law::Differences).array, "grads.w");
    let violation = breaks(Fault::XGradientWrong, Law::Differences);
    assert_eq!((violation.array.as_str(), &violation.index[..]), ("d_x", &[0, 0, 1][..]));
    assert_eq!(breaks(Fault::StateGradientWrong, Law::Differences).array, "d_state.0");
    assert_eq!(breaks(Fault::StateGradientKept, Law::Differences).array, "d_state.0");
}

#[test]
fn law_2_steps() {
    assert_eq!(breaks(Fault::ScanGivesOtherOutputs, Law::Steps).array, "y");
    assert_eq!(breaks(Fault::CountsSteps, Law::Steps).array, "y");
    assert_eq!(breaks(Fault::ScanGivesOtherGradients, Law::Steps).array, "grads.b");
}

#[test]
fn law_2_views() {
    assert_eq!(breaks(Fault::ReadsMemoryAsIfInOrder, Law::Views).array, "y");
}

#[test]
fn law_3_pieces() {
    assert_eq!(breaks(Fault::LosesStateGradientBetweenPieces, Law::Pieces).array, "d_x");
}

#[test]
fn law_4_accumulates() {
    assert_eq!(breaks(Fault::GradientsOverwritten, Law::Accumulates).array, "grads.w");
    assert_eq!(breaks(Fault::GradientsDoubled, Law::Accumulates).array, "grads.w");
}

#[test]
fn law_5_no_tape() {
    assert_eq!(breaks(Fault::OtherOutputsWithoutTape, Law::NoTape).array, "y");
    assert_eq!(breaks(Fault::OtherStateWithoutTape, Law::NoTape).array, "state.0");
}

#[test]
fn law_6_rows() {
    assert_eq!(breaks(Fault::RowsMixed, Law::Rows).array, "y");
    assert_eq!(breaks(Fault::FirstRowInAll, Law::Rows).array, "y");
    assert_eq!(breaks(Fault::GradientOfFirstRowOnly, Law::Rows).array, "d_x");
}

#[test]
fn law_7_drains() {
    breaks(Fault::TapeNotPopped, Law::Drains);
    breaks(Fault::TapeFirstInFirstOut, Law::Drains);
}

#[test]
fn law_8_walks() {
    assert_eq!(breaks(Fault::SameNameTwice, Law::Walks).array, "w");
    assert_eq!(breaks(Fault::OtherOrderMutably, Law::Walks).array, "u");
    assert_eq!(breaks(Fault::ArrayMissingMutably, Law::Walks).array, "b");
    assert_eq!(breaks(Fault::SameArrayTwice, Law::Walks).array, "again");
    assert_eq!(breaks(Fault::ZipsOtherWay, Law::Walks).array, "u");
    assert_eq!(breaks(Fault::StateVisitsOneOnly, Law::Walks).array, "state.0");
}

#[test]
fn law_9_overwrites() {
    assert_eq!(breaks(Fault::XGradientAdded, Law::Overwrites).array, "d_x");
    assert_eq!(breaks(Fault::XGradientOfLastColumnLeft, Law::Overwrites).index, [0, 0, D - 1]);
    assert_eq!(breaks(Fault::OutputsAdded, Law::Overwrites).array, "y");
}

#[test]
fn law_10_sizes() {
    assert_eq!(breaks(Fault::OutputSizeZero, Law::Sizes).array, "output_size");
    assert_eq!(breaks(Fault::ZeroStateWrongRows, Law::Sizes).array, "state.0");
    assert_eq!(breaks(Fault::ZeroStateOnes, Law::Sizes).array, "state.0");
    assert_eq!(breaks(Fault::StateOnNothing, Law::Sizes).array, "state.0");
    assert_eq!(breaks(Fault::GradientsOnNothing, Law::Sizes).array, "grads.b");
}

/// A size that is wrong makes the cell itself refuse the arrays made for it.
#[test]
#[should_panic(expected = "inputs")]
fn law_10_input_size() {
    let _ = broken(Fault::InputSizeWrong);
}

#[test]
fn law_11_tokens() {
    for (fault, array) in
        [(Fault::TokensOffByOne, "y"), (Fault::TokensOtherOrder, "y"), (Fault::TokensGradientForgotten, "grads.w")]
    {
        let violation = gradcheck::check_tokens(&cell(fault)).unwrap_err();
        assert_eq!((violation.law, violation.array.as_str()), (Law::Tokens, array), "{violation}");
    }
}
