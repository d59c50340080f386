//! What most programs need: `use deep_rnn::prelude::*;`.

pub use crate::{
    Activation, Adam, Batch, Bptt, CrossEntropy, Error, Float, GradIo, Gru, GruResetBefore, Init, LanguageModel, Lstm,
    Params, Recurrent, Rnn, RnnCell, Sampler, SeqLayer, Sgd, Stacked, State,
};
