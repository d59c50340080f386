//! A network and the way it is trained.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deep_rnn::layers::{Builder, Embedding, WeightDrop};
use deep_rnn::ndarray::Array2;
use deep_rnn::prelude::*;

use crate::lab::Outcome;

pub(crate) type Model = LanguageModel<Network<f32>>;

/// The kinds of cell, as PyTorch has them: two biases each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Rnn,
    Gru,
    Lstm,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Rnn => "RNN",
            Kind::Gru => "GRU",
            Kind::Lstm => "LSTM",
        }
    }
}

/// How the weights follow their gradients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    /// The book's.
    Sgd { lr: f64 },
    /// With a rate that falls to 0 along half a wave.
    Adam { lr: f64 },
    /// With the same rate to the end.
    SteadyAdam { lr: f64 },
}

/// A network and the way it is trained.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) kind: Kind,
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    /// Of a character; 0: one of as many units as there are characters is 1.
    pub(crate) embedding: usize,
    pub(crate) dropout: f64,
    /// Of the weights of the state.
    pub(crate) weight_drop: f64,
    /// How much a weight counts beside the one after it in the mean that is taken of them; 0: the last ones are.
    pub(crate) average: f64,
    pub(crate) method: Method,
    pub(crate) rows: usize,
    pub(crate) steps: usize,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
}

impl Recipe {
    /// As the book's, by SGD with this rate.
    pub(crate) fn of_the_book(kind: Kind, layers: usize, lr: f64, seed: u64, threads: usize) -> Self {
        Recipe {
            kind,
            layers,
            hidden: 256,
            embedding: 0,
            dropout: 0.0,
            weight_drop: 0.0,
            average: 0.0,
            method: Method::Sgd { lr },
            rows: 32,
            steps: 35,
            seed,
            threads,
        }
    }

    /// Two layers that are to be good on text they have not seen; in small batches, as there is not much to read.
    pub(crate) fn for_new_text(hidden: usize, seed: u64, threads: usize) -> Self {
        Recipe {
            hidden,
            embedding: 64,
            dropout: 0.2,
            method: Method::Adam { lr: 2e-3 },
            rows: 16,
            steps: 50,
            ..Recipe::of_the_book(Kind::Gru, 2, 0.0, seed, threads)
        }
    }

    /// The network in a few words.
    pub(crate) fn network_name(&self) -> String {
        format!("{} {} x {}", self.kind.name(), self.layers, self.hidden)
    }

    /// Threads change no result.
    pub(crate) fn name(&self) -> String {
        let Recipe { embedding, dropout, weight_drop, average, method, rows, steps, seed, .. } = self;
        let mut name = self.network_name();
        if *embedding > 0 {
            name += &format!(", embedding {embedding}");
        }
        if *weight_drop > 0.0 {
            name += &format!(", weight drop {weight_drop}");
        }
        if *average > 0.0 {
            name += &format!(", average {average}");
        }
        format!("{name}, dropout {dropout}, {method:?}, {rows} x {steps}, seed {seed}")
    }

    pub(crate) fn model(&self, vocabulary: usize) -> Result<Model, Error> {
        let mut builder = Network::builder(vocabulary).seed(self.seed);
        if self.embedding > 0 {
            builder = builder.layer(Embedding::spec(self.embedding));
        }
        for _ in 0..self.layers {
            builder = match self.kind {
                Kind::Rnn => self.layer(builder, Rnn::spec(self.hidden).bias(Bias::Two)),
                Kind::Gru => self.layer(builder, Gru::spec(self.hidden).bias(Bias::Two)),
                Kind::Lstm => self.layer(builder, Lstm::spec(self.hidden).bias(Bias::Two)),
            };
            if self.dropout > 0.0 {
                builder = builder.dropout(self.dropout);
            }
        }
        LanguageModel::new(builder.build()?, self.seed)
    }

    fn layer<S>(&self, builder: Builder<f32>, cell: S) -> Builder<f32>
    where
        S: Spec<Layer: SeqLayer<Elem = f32> + 'static> + Send + Sync + 'static,
    {
        if self.weight_drop > 0.0 {
            return builder.layer(WeightDrop::spec(cell, self.weight_drop));
        }
        builder.layer(cell)
    }

    /// Seconds of a character in training, by a trial: one for all seeds.
    pub(crate) fn seconds_a_token(&self, vocabulary: usize) -> Outcome<f64> {
        static TRIED: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());
        let name = Recipe { seed: 0, ..self.clone() }.name();
        if let Some(seconds) = TRIED.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(*seconds);
        }
        let model = self.model(vocabulary)?;
        let mut engine = Bptt::builder(model).optimizer(Sgd::new(0.01)).clip_norm(1.0).threads(self.threads).build()?;
        let tokens = Array2::from_shape_fn((self.steps, self.rows), |(t, b)| (7 * t + 3 * b) % vocabulary);
        engine.train(&tokens, &tokens)?;
        let start = Instant::now();
        let mut windows = 0;
        while windows < 2 || start.elapsed() < Duration::from_millis(200) {
            engine.train_next(&tokens, &tokens)?;
            windows += 1;
        }
        let seconds = start.elapsed().as_secs_f64() / (windows * self.steps * self.rows) as f64;
        TRIED.lock().unwrap_or_else(PoisonError::into_inner).insert(name, seconds);
        Ok(seconds)
    }
}
