//! Each check, and the faults it notices.

use deep_rnn::gradcheck::{self, Check};

use crate::faulty::{D, Fault, cell};
use crate::{breaks, broken};

/// All there are, but the one that needs steps.
const OF_LAYERS: [Check; 14] = [
    Check::Differences,
    Check::Views,
    Check::Pieces,
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

#[test]
fn the_cell_without_a_fault_keeps_them_all() {
    for cell in [cell(Fault::None), cell(Fault::FirstStateLearned)] {
        gradcheck::assert_cell(&cell);
        gradcheck::assert_layer(&cell);
        assert_eq!(gradcheck::check_layer(&cell).unwrap().checks, OF_LAYERS);
        let mut all = OF_LAYERS.to_vec();
        all.insert(1, Check::Steps);
        assert_eq!(gradcheck::check_cell(&cell).unwrap().checks, all);
    }
}

#[test]
fn check_1_differences() {
    assert_eq!(breaks(Fault::BiasGradientForgotten, Check::Differences).array, "grads.b");
    assert_eq!(breaks(Fault::WrongSlope, Check::Differences).array, "grads.w");
    let violation = breaks(Fault::XGradientWrong, Check::Differences);
    assert_eq!((violation.array.as_str(), &violation.index[..]), ("d_x", &[0, 0, 1][..]));
    assert_eq!(breaks(Fault::StateGradientWrong, Check::Differences).array, "d_state.0");
    assert_eq!(breaks(Fault::StateGradientKept, Check::Differences).array, "d_state.0");
}

#[test]
fn check_2_steps() {
    assert_eq!(breaks(Fault::ScanGivesOtherOutputs, Check::Steps).array, "y");
    assert_eq!(breaks(Fault::CountsSteps, Check::Steps).array, "y");
    assert_eq!(breaks(Fault::ScanGivesOtherGradients, Check::Steps).array, "grads.b");
}

#[test]
fn check_2_views() {
    assert_eq!(breaks(Fault::ReadsMemoryAsIfInOrder, Check::Views).array, "y");
}

#[test]
fn check_3_pieces() {
    assert_eq!(breaks(Fault::LosesStateGradientBetweenPieces, Check::Pieces).array, "d_x");
}

#[test]
fn check_4_accumulates() {
    assert_eq!(breaks(Fault::GradientsOverwritten, Check::Accumulates).array, "grads.w");
    assert_eq!(breaks(Fault::GradientsDoubled, Check::Accumulates).array, "grads.w");
}

#[test]
fn check_5_no_tape() {
    assert_eq!(breaks(Fault::OtherOutputsWithoutTape, Check::NoTape).array, "y");
    assert_eq!(breaks(Fault::OtherStateWithoutTape, Check::NoTape).array, "state.0");
}

#[test]
fn check_6_rows() {
    assert_eq!(breaks(Fault::RowsMixed, Check::Rows).array, "y");
    assert_eq!(breaks(Fault::FirstRowInAll, Check::Rows).array, "y");
    assert_eq!(breaks(Fault::GradientOfFirstRowOnly, Check::Rows).array, "d_x");
}

#[test]
fn check_7_drains() {
    breaks(Fault::TapeNotPopped, Check::Drains);
    breaks(Fault::TapeFirstInFirstOut, Check::Drains);
}

#[test]
fn check_8_walks() {
    assert_eq!(breaks(Fault::SameNameTwice, Check::Walks).array, "w");
    assert_eq!(breaks(Fault::OtherOrderMutably, Check::Walks).array, "u");
    assert_eq!(breaks(Fault::ArrayMissingMutably, Check::Walks).array, "b");
    assert_eq!(breaks(Fault::SameArrayTwice, Check::Walks).array, "again");
    assert_eq!(breaks(Fault::ZipsOtherWay, Check::Walks).array, "u");
    assert_eq!(breaks(Fault::ZipsOtherNames, Check::Walks).array, "u");
    assert_eq!(breaks(Fault::StateVisitsOneOnly, Check::Walks).array, "state.0");
}

#[test]
fn check_9_overwrites() {
    assert_eq!(breaks(Fault::XGradientAdded, Check::Overwrites).array, "d_x");
    assert_eq!(breaks(Fault::XGradientOfLastColumnLeft, Check::Overwrites).index, [0, 0, D - 1]);
    assert_eq!(breaks(Fault::OutputsAdded, Check::Overwrites).array, "y");
}

#[test]
fn check_10_sizes() {
    assert_eq!(breaks(Fault::OutputSizeZero, Check::Sizes).array, "output_size");
    assert_eq!(breaks(Fault::ZeroStateWrongRows, Check::Sizes).array, "state.0");
    assert_eq!(breaks(Fault::ZeroStateOnes, Check::Sizes).array, "state.0");
    assert_eq!(breaks(Fault::StateOnNothing, Check::Sizes).array, "state.0");
    assert_eq!(breaks(Fault::GradientsOnNothing, Check::Sizes).array, "grads.b");
}

/// A size that is wrong makes the cell itself refuse the arrays made for it.
#[test]
#[should_panic(expected = "inputs")]
fn check_10_input_size() {
    let _ = broken(Fault::InputSizeWrong);
}

#[test]
fn check_11_tokens() {
    assert_eq!(breaks(Fault::TokensOffByOne, Check::Tokens).array, "y");
    assert_eq!(breaks(Fault::TokensOtherOrder, Check::Tokens).array, "y");
    assert_eq!(breaks(Fault::TokensGradientForgotten, Check::Tokens).array, "grads.w");
}

#[test]
fn check_12_lengths() {
    assert_eq!(breaks(Fault::OutputsLeftInPadding, Check::Lengths).array, "y");
    assert_eq!(breaks(Fault::StateRunsOnInPadding, Check::Lengths).array, "state.0");
    assert_eq!(breaks(Fault::PaddingRead, Check::Lengths).array, "grads.w");
    assert_eq!(breaks(Fault::StateGradientLostInPadding, Check::Lengths).array, "d_x");
}

#[test]
fn check_13_resets() {
    assert_eq!(breaks(Fault::ResetsIgnored, Check::Resets).array, "y");
    assert_eq!(breaks(Fault::ResetsLetGradientsPass, Check::Resets).array, "d_x");
}

/// Check 14 is broken by a layer that does not hand the call on; of a cell a row that starts afresh tells before.
#[test]
fn first_states() {
    assert_eq!(breaks(Fault::FirstStateGradientForgotten, Check::Lengths).array, "grads.b");
}
