//! The cells the crate brings: one file each, equations first.

mod activation;
mod gru;
mod gru_reset_before;
mod lstm;
mod lstm_variant;
mod rnn;

pub use crate::gated::{Bias, Gated, GatedArrays, GatedSpec, GatedTape};
pub use crate::gates::{Lanes, PerUnit, PerUnitGrad, Pointwise, RowBackward, RowCell, RowForward, Start, Vector};
pub use activation::Activation;
pub use gru::{Gru, GruGates, GruVariant};
pub use gru_reset_before::{GruResetBefore, GruResetBeforeGates, GruResetBeforeVariant};
pub use lstm::{Lstm, LstmGates};
pub use lstm_variant::{Coupled, CoupledPeepholes, LstmForm, LstmVariant, Peepholes, Plain};
pub use rnn::{Rnn, RnnGates};
