//! Each law, and the faults it notices.

use deep_rnn::gradcheck::{self, Law};

use crate::faulty::{D, Fault, cell};
use crate::{breaks, broken};

/// All there are, but the one that needs steps.
const OF_LAYERS: [Law; 14] = [
    Law::Differences,
    Law::Views,
    Law::Pieces,
    Law::Accumulates,
    Law::NoTape,
    Law::Rows,
    Law::Drains,
    Law::Walks,
    Law::Overwrites,
    Law::Sizes,
    Law::Tokens,
    Law::Lengths,
    Law::Resets,
    Law::FirstState,
];

#[test]
fn the_cell_without_a_fault_keeps_them_all() {
    for cell in [cell(Fault::None), cell(Fault::FirstStateLearned)] {
        gradcheck::assert_cell(&cell);
        gradcheck::assert_layer(&cell);
        assert_eq!(gradcheck::check_layer(&cell).unwrap().laws, OF_LAYERS);
        let mut all = OF_LAYERS.to_vec();
        all.insert(1, Law::Steps);
        assert_eq!(gradcheck::check_cell(&cell).unwrap().laws, all);
    }
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
    assert_eq!(breaks(Fault::ZipsOtherNames, Law::Walks).array, "u");
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
    assert_eq!(breaks(Fault::TokensOffByOne, Law::Tokens).array, "y");
    assert_eq!(breaks(Fault::TokensOtherOrder, Law::Tokens).array, "y");
    assert_eq!(breaks(Fault::TokensGradientForgotten, Law::Tokens).array, "grads.w");
}

#[test]
fn law_12_lengths() {
    assert_eq!(breaks(Fault::OutputsLeftInPadding, Law::Lengths).array, "y");
    assert_eq!(breaks(Fault::StateRunsOnInPadding, Law::Lengths).array, "state.0");
    assert_eq!(breaks(Fault::PaddingRead, Law::Lengths).array, "grads.w");
    assert_eq!(breaks(Fault::StateGradientLostInPadding, Law::Lengths).array, "d_x");
}

#[test]
fn law_13_resets() {
    assert_eq!(breaks(Fault::ResetsIgnored, Law::Resets).array, "y");
    assert_eq!(breaks(Fault::ResetsLetGradientsPass, Law::Resets).array, "d_x");
}

/// Law 14 is broken by a layer that does not hand the call on; of a cell a row that starts afresh tells before.
#[test]
fn first_states() {
    assert_eq!(breaks(Fault::FirstStateGradientForgotten, Law::Lengths).array, "grads.b");
}
