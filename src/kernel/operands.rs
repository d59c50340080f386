//! What the operands of products are, said once for a whole pass.

use std::cell::Cell;

#[cfg(feature = "amx")]
use deep_rnn_amx::Amx;

/// What packed operands are, and with them what they are multiplied by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Operands {
    /// Numbers as they are.
    #[default]
    Full,
    /// Numbers rounded to bfloat16, each in the place of the one it was.
    Rounded,
    /// The same, two by two in the words that a matrix unit reads.
    #[cfg(feature = "amx")]
    Paired(Amx),
}

thread_local! {
    static OPERANDS: Cell<Operands> = const { Cell::new(Operands::Full) };
}

impl Operands {
    /// Rounded ones, in the form that this machine is fastest with.
    pub(crate) fn bf16() -> Self {
        #[cfg(feature = "amx")]
        if let Some(amx) = Amx::request().filter(|_| !super::dispatch::is_lowered()) {
            return Operands::Paired(amx);
        }
        Operands::Rounded
    }

    pub(crate) fn is_full(self) -> bool {
        matches!(self, Operands::Full)
    }

    /// Those of the pass that is running on this thread.
    pub(crate) fn of_pass() -> Self {
        OPERANDS.get()
    }

    /// Those of numbers of this type: only `f32` is rounded.
    pub(crate) fn of<F>() -> Self {
        if size_of::<F>() == size_of::<f32>() { Operands::of_pass() } else { Operands::Full }
    }

    /// Calls `f` as a part of a pass with these, also when it panics.
    pub(crate) fn with<R>(self, f: impl FnOnce() -> R) -> R {
        struct Restore(Operands);
        impl Drop for Restore {
            fn drop(&mut self) {
                OPERANDS.set(self.0);
            }
        }
        let _restore = Restore(OPERANDS.replace(self));
        f()
    }
}
