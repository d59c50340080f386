//! The cells the crate brings: one file each, equations first.

mod gru;
mod gru_reset_before;
mod lstm;
mod rnn;

pub use crate::gated::{Bias, Gated, GatedSpec, GatedTape};
pub use crate::pointwise::{Lanes, Pointwise};
pub use gru::{Gru, GruGates};
pub use gru_reset_before::{GruResetBefore, GruResetBeforeSpec};
pub use lstm::{Lstm, LstmGates};
pub use rnn::{Activation, Rnn, RnnGates};
