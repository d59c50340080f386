//! The checks by number and name.

use std::fmt;

/// One of the rules that the traits of this crate ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
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

impl Check {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Check::Differences => 1,
            Check::Steps | Check::Views => 2,
            Check::Pieces => 3,
            Check::Accumulates => 4,
            Check::NoTape => 5,
            Check::Rows => 6,
            Check::Drains => 7,
            Check::Walks => 8,
            Check::Overwrites => 9,
            Check::Sizes => 10,
            Check::Tokens => 11,
            Check::Lengths => 12,
            Check::Resets => 13,
            Check::FirstState => 14,
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Check::Differences => "gradients equal central differences",
            Check::Steps => "a sequence equals its steps",
            Check::Views => "views of any strides give the same",
            Check::Pieces => "a sequence equals its pieces",
            Check::Accumulates => "gradients accumulate",
            Check::NoTape => "no tape, same outputs",
            Check::Rows => "rows of a batch are independent",
            Check::Drains => "backward drains what forward pushed",
            Check::Walks => "walks over the arrays agree",
            Check::Overwrites => "outputs are overwritten in full",
            Check::Sizes => "sizes match the arrays",
            Check::Tokens => "tokens equal one-hot rows",
            Check::Lengths => "padding counts for nothing",
            Check::Resets => "a reset starts afresh",
            Check::FirstState => "gradients of first states",
        }
    }
}

/// `check 4 (gradients accumulate)`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check {} ({})", self.number(), self.name())
    }
}
