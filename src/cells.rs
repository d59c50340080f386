//! The cells the crate brings, their relatives, and the ways in for cells of one's own.
//!
//! | cell | h' | state |
//! | --- | --- | --- |
//! | [`Rnn`] | φ(x·w_x + h·w_h + b), any [`Activation`] φ | h |
//! | [`Gru`] | (1 - z)∘n + z∘h, the reset after the product: PyTorch's | h |
//! | [`GruResetBefore`] | the same, the reset before the product: the book's | h |
//! | [`Lstm`] | o∘tanh(c'), c' = f∘c + i∘g | h, c |
//! | [`LstmVariant`] | with peepholes, coupled gates, other activations, clips: `Lstm::spec(64).peepholes()` and so on | h, c |
//!
//! Each is a [`Gated`] cell of its gates: the methods of a cell are [those of `Gated`](Gated#implementations), how it is built is
//! [`GatedSpec`]'s business. So `Lstm<f32>` is a name for `Gated<f32, LstmGates>`, and there is nothing it can do that a cell of one's own cannot:
//!
//! | way in | for |
//! | --- | --- |
//! | [`Pointwise`] | the maths of one unit |
//! | [`PerUnit`] | that of a unit with weights of its own, or with a product after a gate |
//! | [`RowCell`] | that of a row of units |
//! | [`RnnCell`](crate::RnnCell) | any step |

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
