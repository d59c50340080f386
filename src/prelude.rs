//! What most programs need: `use deep_rnn::prelude::*;`.

pub use crate::cells::{Activation, Bias, Gru, GruResetBefore, Lstm, Rnn};
pub use crate::custom::{GradIo, Params, SeqGradIo, Spec};
pub use crate::data::{Input, State};
pub use crate::infer::{Causal, Packed, Precision, Prepare};
pub use crate::init::{Init, Scheme};
pub use crate::language::{LanguageModel, Sampler, generate};
pub use crate::layers::{Bidirectional, Linear, Merge};
pub use crate::loss::{CrossEntropy, MeanSquared};
pub use crate::optim::{Adam, Sgd};
pub use crate::train::{Batch, Bptt};
pub use crate::{Context, Error, Float, Network, Recurrent, RnnCell, Run, SeqLayer, Stacked};
