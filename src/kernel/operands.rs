//! What the operands of products are, said once for a whole pass.

use std::cell::Cell;

#[cfg(feature = "amx")]
use deep_rnn_amx::Amx;

use crate::precision::Products;

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
        if !super::dispatch::is_lowered()
            && let Some(amx) = Amx::request()
        {
            return Operands::Paired(amx);
        }
        Operands::Rounded
    }

    pub(crate) fn is_full(self) -> bool {
        matches!(self, Operands::Full)
    }

    /// The name of the products that are made of these.
    pub(crate) fn products(self) -> Products {
        match self {
            Operands::Full => Products::Full,
            Operands::Rounded => Products::Bf16Plain,
            #[cfg(feature = "amx")]
            Operands::Paired(_) => Products::Bf16Amx,
        }
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
