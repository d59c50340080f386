//! A language model that learns texts one after the other, and is measured on others.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deep_rnn::checkpoint::{Checkpoints, Part, Resume, Snapshot};
use deep_rnn::ndarray::Array2;
use deep_rnn::optim::{Optimizer, Schedule};
use deep_rnn::prelude::*;
use deep_rnn::text::{Corpus, Place};
use deep_rnn::train::Report;

use crate::lab::{Outcome, Watch};

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
}

/// A network and the way it is trained.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) kind: Kind,
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) dropout: f64,
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
            dropout: 0.0,
            method: Method::Sgd { lr },
            rows: 32,
            steps: 35,
            seed,
            threads,
        }
    }

    /// The network in a few words.
    pub(crate) fn network_name(&self) -> String {
        format!("{} {} x {}", self.kind.name(), self.layers, self.hidden)
    }

    /// Threads change no result.
    pub(crate) fn name(&self) -> String {
        let Recipe { dropout, method, rows, steps, seed, .. } = self;
        format!("{}, dropout {dropout}, {method:?}, {rows} x {steps}, seed {seed}", self.network_name())
    }

    fn model(&self, vocabulary: usize) -> Result<Model, Error> {
        let mut builder = Network::builder(vocabulary).seed(self.seed);
        for _ in 0..self.layers {
            builder = match self.kind {
                Kind::Rnn => builder.layer(Rnn::spec(self.hidden).bias(Bias::Two)),
                Kind::Gru => builder.layer(Gru::spec(self.hidden).bias(Bias::Two)),
                Kind::Lstm => builder.layer(Lstm::spec(self.hidden).bias(Bias::Two)),
            };
            if self.dropout > 0.0 {
                builder = builder.dropout(self.dropout);
            }
        }
        LanguageModel::new(builder.build()?, self.seed)
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

/// A text, and how often to go through it.
#[derive(Clone)]
pub(crate) struct Lesson {
    pub(crate) text: Corpus,
    pub(crate) epochs: usize,
}

/// What is measured on the way.
#[derive(Clone, Default)]
pub(crate) struct Measures {
    pub(crate) texts: Vec<Corpus>,
    /// Epochs between measurements; the last one is always followed by one.
    pub(crate) every: usize,
}

/// After an epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epoch {
    /// Of the epoch's windows, each before its update.
    pub(crate) perplexity: f64,
    pub(crate) tokens_per_second: f64,
    /// Seconds of training until here.
    pub(crate) seconds: f64,
    /// Perplexities on the texts that are measured on, where it was time for it.
    pub(crate) measured: Vec<f64>,
}

/// What came out.
pub(crate) struct Learned {
    pub(crate) model: Model,
    pub(crate) epochs: Vec<Epoch>,
}

/// Trains; nothing, if it was stopped.
pub(crate) fn learn(
    recipe: &Recipe,
    lessons: &[Lesson],
    measures: &Measures,
    watch: &Watch<'_>,
) -> Outcome<Option<Learned>> {
    let model = recipe.model(lessons[0].text.vocab().len())?;
    match recipe.method {
        Method::Sgd { lr } => {
            let engine = Bptt::builder(model).optimizer(Sgd::new(lr));
            train(
                recipe,
                lessons,
                measures,
                watch,
                engine.clip_norm(1.0).seed(recipe.seed).threads(recipe.threads).build()?,
            )
        }
        Method::Adam { lr } => {
            let mut updates = 0;
            for lesson in lessons {
                updates +=
                    lesson.epochs * lesson.text.sequential(recipe.rows, recipe.steps, 0)?.batches_per_epoch().end();
            }
            let rate = Schedule::cosine(lr, updates as u64).warm_up(50.min(updates as u64 / 10));
            let engine = Bptt::builder(model).optimizer(Adam::new(lr)).schedule(move |n, adam| adam.set_lr(rate.at(n)));
            train(
                recipe,
                lessons,
                measures,
                watch,
                engine.clip_norm(1.0).seed(recipe.seed).threads(recipe.threads).build()?,
            )
        }
    }
}

pub(crate) type Engine<O> = Bptt<Model, CrossEntropy, O>;

fn train<O: Optimizer<Model>>(
    recipe: &Recipe,
    lessons: &[Lesson],
    measures: &Measures,
    watch: &Watch<'_>,
    mut engine: Engine<O>,
) -> Outcome<Option<Learned>> {
    let mut so_far = SoFar::default();
    let mut kept = Checkpoints::open(&watch.folder)?.keep(1);
    if let Some(found) = kept.latest()? {
        found.restore("engine", &mut engine)?;
        found.restore("place", &mut so_far.place)?;
        found.restore("report", &mut so_far.report)?;
        found.restore("curve", &mut so_far.curve)?;
    }
    let all: usize = lessons.iter().map(|lesson| lesson.epochs).sum();
    let mut last_kept = Instant::now();
    let mut before = 0;
    for lesson in lessons {
        let mut batches = lesson.text.sequential(recipe.rows, recipe.steps, recipe.seed)?;
        let done = so_far.curve.0.len().saturating_sub(before).min(lesson.epochs);
        // Where it was stopped, it was in the middle of an epoch.
        let goes_on = so_far.report.tokens > 0 && done < lesson.epochs;
        let mut in_hand = if goes_on { Some(batches.from(&so_far.place)?) } else { None };
        for epoch in before + done..before + lesson.epochs {
            let mut windows = in_hand.take().unwrap_or_else(|| batches.epoch());
            while let Some(batch) = windows.next() {
                so_far.report += engine.train_batch(&batch)?;
                let stopped = watch.is_stopped();
                if stopped || last_kept.elapsed() >= Duration::from_secs(60) {
                    so_far.place = windows.place();
                    so_far.keep(&engine, &mut kept)?;
                    last_kept = Instant::now();
                }
                if stopped {
                    return Ok(None);
                }
            }
            let report = std::mem::take(&mut so_far.report);
            let now = epoch + 1;
            let measured = match now == all || now.is_multiple_of(measures.every.max(1)) {
                true => measures.texts.iter().map(|text| perplexity(&mut engine, text)).collect::<Result<_, _>>()?,
                false => Vec::new(),
            };
            let perplexity = report.perplexity();
            let seconds = so_far.curve.0.last().map_or(0.0, |epoch| epoch.seconds) + report.seconds;
            let tokens_per_second = report.tokens_per_second();
            watch.is_at(now as f64 / all as f64, || format!("epoch {now} of {all}, perplexity {perplexity:.3}"));
            so_far.curve.0.push(Epoch { perplexity, tokens_per_second, seconds, measured });
        }
        before += lesson.epochs;
    }
    // So that the next parts of the run find it.
    so_far.keep(&engine, &mut kept)?;
    Ok(Some(Learned { model: engine.into_model(), epochs: so_far.curve.0 }))
}

/// On a text as one sequence, its state carried from the first character to the last.
pub(crate) fn perplexity<O: Optimizer<Model>>(engine: &mut Engine<O>, text: &Corpus) -> Result<f64, Error> {
    Ok(engine.evaluate(windows(text.tokens()))?.perplexity())
}

/// One row, in windows that go on from each other.
fn windows(tokens: &[usize]) -> impl Iterator<Item = Batch<Array2<usize>, Array2<usize>>> {
    let column = |tokens: &[usize]| Array2::from_shape_fn((tokens.len(), 1), |(t, _)| tokens[t]);
    let last = tokens.len() - 1;
    (0..last).step_by(100).map(move |from| {
        let to = last.min(from + 100);
        Batch::new(column(&tokens[from..to]), column(&tokens[from + 1..=to])).continues(from > 0)
    })
}

/// All of a training but the engine.
#[derive(Default)]
struct SoFar {
    place: Place,
    report: Report,
    curve: Epochs,
}

impl SoFar {
    fn keep(&self, engine: &impl Resume, kept: &mut Checkpoints) -> Result<(), Error> {
        let mut snapshot = Snapshot::new();
        snapshot.add("engine", engine)?;
        snapshot.add("place", &self.place)?;
        snapshot.add("report", &self.report)?;
        snapshot.add("curve", &self.curve)?;
        kept.save(&snapshot)?;
        Ok(())
    }
}

#[derive(Default)]
struct Epochs(Vec<Epoch>);

impl Resume for Epochs {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("epochs", self.0.len());
        for (i, epoch) in self.0.iter().enumerate() {
            part.set(&format!("perplexity {i}"), epoch.perplexity);
            part.set(&format!("tokens per second {i}"), epoch.tokens_per_second);
            part.set(&format!("seconds {i}"), epoch.seconds);
            part.set(&format!("measured {i}"), epoch.measured.len());
            for (j, perplexity) in epoch.measured.iter().enumerate() {
                part.set(&format!("measured {i} {j}"), perplexity);
            }
        }
        Ok(part)
    }

    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        let epoch = |i: usize| {
            let measured = 0..part.get(&format!("measured {i}"))?;
            Ok(Epoch {
                perplexity: part.get(&format!("perplexity {i}"))?,
                tokens_per_second: part.get(&format!("tokens per second {i}"))?,
                seconds: part.get(&format!("seconds {i}"))?,
                measured: measured.map(|j| part.get(&format!("measured {i} {j}"))).collect::<Result<_, Error>>()?,
            })
        };
        self.0 = (0..part.get("epochs")?).map(epoch).collect::<Result<_, Error>>()?;
        Ok(())
    }
}
