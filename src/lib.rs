//! Deep recurrent networks on a CPU, with gradients derived by hand.

#[macro_use]
mod tuples;
mod batch;
mod bptt;
mod builder;
mod cell;
mod cells;
mod error;
mod float;
mod gated;
pub mod gradcheck;
mod init;
mod kernel;
mod layer;
mod layers;
mod loss;
mod model;
mod optim;
mod params;
mod pointwise;
pub mod prelude;
mod record;
mod spec;
mod stacked;
mod state;
pub mod text;

pub use ndarray;

pub use batch::Batch;
pub use bptt::{Bptt, BpttBuilder, Report};
pub use builder::{Append, Builder, Repeat, Specs};
pub use cell::{GradIo, Recurrent, RnnCell, Tape, add_outer};
pub use cells::{Activation, Gru, GruGates, GruResetBefore, GruResetBeforeSpec, Lstm, LstmGates, Rnn, RnnGates};
pub use error::Error;
pub use float::Float;
pub use gated::{Bias, Gated, GatedSpec, GatedTape};
pub use init::{Init, Scheme};
pub use kernel::dispatch::simd_level;
pub use kernel::threads::Threads;
pub use layer::{
    Bidirectional, BidirectionalSpec, BidirectionalTape, Chain, Linear, LinearSpec, Merge, OneHot, Reversed, SeqLayer,
    TokenInput, TokenIo,
};
pub use layers::{Cells, Layers, LayersTape, TapeList, TokenLayers};
pub use loss::{CrossEntropy, Loss, MeanSquared};
pub use model::{LanguageModel, LanguageTape, Model, Sampler, Sequence};
pub use optim::{Adam, Clip, Optimizer, Sgd};
pub use params::Params;
#[doc(hidden)]
pub use params::joined as __joined;
pub use pointwise::{Lanes, Pointwise};
pub use record::Record;
pub use spec::Spec;
pub use stacked::Stacked;
pub use state::State;

#[cfg(doctest)]
#[doc = include_str!("../docs/custom-cell.md")]
mod custom_cell_guide {}
