//! What most programs need: `use deep_rnn::prelude::*;`.

pub use crate::infer::{Infer, InferTokens, Precision, Prepare};
pub use crate::{
    Activation, Adam, Batch, Bias, Bidirectional, Bptt, Chain, CrossEntropy, Error, Float, GradIo, Gru, GruResetBefore,
    Init, LanguageModel, Linear, Lstm, MeanSquared, Merge, Params, Recurrent, Rnn, RnnCell, Sampler, Scheme, SeqLayer,
    Sgd, Spec, Stacked, State, TokenInput,
};
