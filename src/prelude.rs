//! What most programs need: `use deep_rnn::prelude::*;`.

pub use crate::infer::{Packed, Precision, Prepare};
pub use crate::{
    Activation, Adam, Batch, Bias, Bidirectional, Bptt, Causal, Context, CrossEntropy, Error, Float, GradIo, Gru,
    GruResetBefore, Init, Input, LanguageModel, Linear, Lstm, MeanSquared, Merge, Network, Params, Recurrent, Rnn,
    RnnCell, Run, Sampler, Scheme, SeqGradIo, SeqLayer, Sgd, Spec, Stacked, State, generate,
};
