//! The book's training loop, on any of the three cells.

use std::error::Error;
use std::time::Instant;

use deep_rnn::prelude::*;
use deep_rnn::text::{Batches, Corpus};

use crate::args::{Args, Cell};
use crate::checkpoints::{Keeper, SoFar};
use crate::progress::Progress;

/// Characters of a continuation.
const CONTINUATION: usize = 50;
/// Into how many parts the held-out perplexities cut the training.
const MEASURED: usize = 50;

/// One epoch of the curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    pub(crate) perplexity: f64,
    pub(crate) tokens_per_second: f64,
    /// On the held-out part after this epoch, where it was measured.
    pub(crate) held_out: Option<f64>,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) parameters: usize,
    /// At least one.
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) seconds: f64,
    /// Prefix and continuation.
    pub(crate) continuations: Vec<(String, String)>,
}

impl Outcome {
    /// The last epoch, whose figures the book prints.
    pub(crate) fn last(&self) -> Epoch {
        self.epochs[self.epochs.len() - 1]
    }
}

/// The layers that were asked for; two biases each, as in PyTorch: with one, each step of the descent is another.
fn network(args: &Args, vocabulary: usize) -> Result<Network<f32>, deep_rnn::Error> {
    let mut builder = Network::builder(vocabulary).seed(args.seed);
    for _ in 0..args.layers {
        builder = match args.cell {
            Cell::Rnn => builder.layer(Rnn::spec(args.hidden).bias(Bias::Two)),
            Cell::Gru => builder.layer(Gru::spec(args.hidden).bias(Bias::Two)),
            Cell::Lstm => builder.layer(Lstm::spec(args.hidden).bias(Bias::Two)),
        };
        if args.dropout > 0.0 {
            builder = builder.dropout(args.dropout);
        }
    }
    builder.build()
}

/// What came out; nothing, if it was stopped before the end.
pub(crate) fn run(args: &Args, corpus: &Corpus) -> Result<Option<Outcome>, Box<dyn Error>> {
    let (training, held_out) = match args.validation {
        Some(fraction) => {
            let (training, held_out) = corpus.split(fraction)?;
            (training, Some(held_out_batches(args, &held_out)?))
        }
        None => (corpus.clone(), None),
    };
    let mut batches = match args.random {
        true => training.random(args.batch_size, args.num_steps, args.seed)?,
        false => training.sequential(args.batch_size, args.num_steps, args.seed)?,
    };

    let vocab = corpus.vocab();
    let model = LanguageModel::new(network(args, vocab.len())?, args.seed)?;
    let parameters = model.num_params();
    let mut engine = Bptt::builder(model).optimizer(Sgd::new(args.lr)).seed(args.seed);
    engine = engine.threads(args.threads).matmul_precision(args.precision);
    if args.clip > 0.0 {
        engine = engine.clip_norm(args.clip);
    }
    let mut engine = engine.build()?;

    let mut keeper = Keeper::open(args)?;
    let mut so_far = SoFar::new(args);
    keeper.restore(&mut engine, &mut so_far)?;
    let mut epoch_in_hand = Some(batches.from(&so_far.place)?);
    let before = so_far.curve.seconds;
    let start = Instant::now();
    let progress = Progress::new(args.epochs, so_far.curve.epochs.len());
    for epoch in so_far.curve.epochs.len() + 1..=args.epochs {
        let mut windows = epoch_in_hand.take().unwrap_or_else(|| batches.epoch());
        while let Some(batch) = windows.next() {
            let report = engine.train_batch(&batch).map_err(|error| format!("epoch {epoch}: {error}"))?;
            so_far.report += report;
            let stopped = keeper.is_stopped();
            if stopped || keeper.is_due() {
                so_far.place = windows.place();
                so_far.curve.seconds = before + start.elapsed().as_secs_f64();
                keeper.save(&engine, &so_far)?;
            }
            if stopped {
                drop(progress);
                keeper.say_how_to_go_on();
                return Ok(None);
            }
        }
        let report = std::mem::take(&mut so_far.report);
        let measured = epoch == args.epochs || epoch.is_multiple_of(args.epochs.div_ceil(MEASURED));
        let held_out = match held_out.as_ref().filter(|_| measured) {
            Some(held_out) => Some(engine.evaluate(held_out.epoch_at(0)?)?.perplexity()),
            None => None,
        };
        let (perplexity, tokens_per_second) = (report.perplexity(), report.tokens_per_second());
        progress.epoch(epoch, perplexity, tokens_per_second);
        so_far.curve.epochs.push(Epoch { perplexity, tokens_per_second, held_out });
    }
    let seconds = before + start.elapsed().as_secs_f64();
    drop(progress);
    so_far.curve.seconds = seconds;
    so_far.place = epoch_in_hand.unwrap_or_else(|| batches.epoch()).place();
    keeper.save(&engine, &so_far)?;
    let epochs = so_far.curve.epochs;

    let mut sampler = match args.temperature {
        Some(temperature) => Sampler::temperature(temperature, args.seed)?,
        None => Sampler::greedy(),
    };
    let mut continuations = Vec::new();
    for prefix in &args.prefix {
        // Characters that the text does not have become <unk>.
        let tokens = vocab.indices(prefix.chars().map(String::from));
        let tokens = engine.model().generate(&tokens, CONTINUATION, &mut sampler)?;
        continuations.push((prefix.clone(), corpus.decode(&tokens)?));
    }
    Ok(Some(Outcome { parameters, epochs, seconds, continuations }))
}

/// The held-out part in as many rows as it fills, up to those of the training.
fn held_out_batches(args: &Args, corpus: &Corpus) -> Result<Batches, String> {
    let rows = corpus.len().saturating_sub(args.num_steps + 1) / args.num_steps;
    let batches = corpus.sequential(rows.clamp(1, args.batch_size), args.num_steps, args.seed);
    batches.map_err(|error| format!("held-out part: {error}"))
}
