//! The laws by number and name.

use std::fmt;

/// One of the rules that the traits of this crate ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Law {
    /// 1: every gradient equals the central difference.
    Differences,
    /// 2: a sequence equals its steps.
    Steps,
    /// 2 too: nothing depends on how the arrays lie in memory, and nothing outside a view is read or written.
    Views,
    /// 3: a sequence equals its pieces, the state carried forward and its gradient back.
    Pieces,
    /// 4: a backward pass adds to the gradients that are there.
    Accumulates,
    /// 5: outputs and state are the same without a tape.
    NoTape,
    /// 6: a row of the batch knows nothing of the others.
    Rows,
    /// 7: backward takes off the tape exactly what forward put there, the last pass first.
    Drains,
    /// 8: `visit`, `visit_mut` and `zip_mut` go over the same arrays in the same order, under unique names.
    Walks,
    /// 9: outputs and ∂L/∂x are overwritten in full.
    Overwrites,
    /// 10: sizes and states say what the arrays are; a sequence of no steps or no rows changes nothing.
    Sizes,
    /// 11: tokens give the same bits as rows with a one.
    Tokens,
    /// 12: a row in a padded batch is the row alone, and what is in the padding counts for nothing.
    Lengths,
    /// 13: a row that starts afresh on the way is a new sequence.
    Resets,
    /// 14: gradients of first states that are learned.
    FirstState,
}

impl Law {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Law::Differences => 1,
            Law::Steps | Law::Views => 2,
            Law::Pieces => 3,
            Law::Accumulates => 4,
            Law::NoTape => 5,
            Law::Rows => 6,
            Law::Drains => 7,
            Law::Walks => 8,
            Law::Overwrites => 9,
            Law::Sizes => 10,
            Law::Tokens => 11,
            Law::Lengths => 12,
            Law::Resets => 13,
            Law::FirstState => 14,
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Law::Differences => "gradients equal central differences",
            Law::Steps => "a sequence equals its steps",
            Law::Views => "views of any strides give the same",
            Law::Pieces => "a sequence equals its pieces",
            Law::Accumulates => "gradients accumulate",
            Law::NoTape => "no tape, same outputs",
            Law::Rows => "rows of a batch are independent",
            Law::Drains => "backward drains what forward pushed",
            Law::Walks => "walks over the arrays agree",
            Law::Overwrites => "outputs are overwritten in full",
            Law::Sizes => "sizes match the arrays",
            Law::Tokens => "tokens equal one-hot rows",
            Law::Lengths => "padding counts for nothing",
            Law::Resets => "a reset starts afresh",
            Law::FirstState => "gradients of first states",
        }
    }
}

/// `law 4 (gradients accumulate)`.
impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {} ({})", self.number(), self.name())
    }
}
