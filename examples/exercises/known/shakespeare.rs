//! Three minutes of Shakespeare: how low the loss on what was held out gets.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use deep_rnn::custom::Params;
use deep_rnn::optim::Schedule;
use deep_rnn::prelude::*;
use deep_rnn::text::{Cleaning, Corpus};
use deep_rnn::train::{Average, Report};
use serde_json::{Value, json};

use crate::args::Common;
use crate::lab::{Lab, Outcome, Run, Watch, duration};
use crate::learn::{Engine, perplexity};
use crate::picture::{Curve, Titles, curves};
use crate::recipe::Model;
use crate::table::{Table, spread};
use crate::texts::VARIABLE;

const FILE: &str = "tinyshakespeare.txt";
const SECONDS: f64 = 180.0;
/// Of the text, as nanoGPT holds it out.
const HELD_OUT: f64 = 0.1;
/// Of a trial.
const TRIAL_CHARACTERS: usize = 20_000;
/// nanoGPT's README: a Transformer of 0.8 million parameters, about three minutes on a laptop's processor.
const PUBLISHED: f64 = 1.88;

const UNITS: usize = 384;
const DROPOUT: f64 = 0.1;
const ROWS: usize = 32;
const STEPS: usize = 64;
const CLIP: f64 = 1.0;
const RATE: f64 = 4e-3;
/// The rate falls along half a wave, cut into so many parts, of which the first ones are the warm-up.
const PARTS: u64 = 100_000;
const WARM_UP: u64 = 2_000;
/// From here on the weights are averaged.
const AVERAGED: f64 = 0.9;
/// A curve has so many points.
const POINTS: f64 = 60.0;

/// When it is over.
#[derive(Clone, Copy)]
enum End {
    /// Then, whatever was learnt by then.
    Seconds(f64),
    /// After so many.
    Epochs(usize),
}

struct One {
    training: Corpus,
    held_out: Corpus,
    units: usize,
    end: End,
    seed: u64,
    threads: usize,
}

impl One {
    fn model(&self) -> Result<Model, Error> {
        let builder = Network::builder(self.training.vocab().len()).seed(self.seed);
        LanguageModel::new(builder.layer(Gru::spec(self.units)).dropout(DROPOUT).build()?, self.seed)
    }

    fn engine(&self) -> Result<Engine<Adam<Model>>, Error> {
        let builder = Bptt::builder(self.model()?).optimizer(Adam::new(RATE)).clip_norm(CLIP);
        builder.seed(self.seed).threads(self.threads).build()
    }
}

impl Run for One {
    fn name(&self) -> String {
        // A result that depends on time depends on the threads too.
        let end = match self.end {
            End::Seconds(seconds) => format!("{seconds} s on {} threads", self.threads),
            End::Epochs(epochs) => format!("{epochs} epochs"),
        };
        let (characters, units, seed) = (self.training.len(), self.units, self.seed);
        format!(
            "{end}, {characters} characters, GRU {units}, dropout {DROPOUT}, {ROWS} x {STEPS}, Adam {RATE}, clip {CLIP}, mean from {AVERAGED}, seed {seed}"
        )
    }
    fn seconds(&self) -> Outcome<f64> {
        let mut engine = self.engine()?;
        let mut batches = self.training.sequential(ROWS, STEPS, self.seed)?;
        let start = Instant::now();
        let mut windows = 0;
        for batch in batches.epoch() {
            engine.train_batch(&batch)?;
            windows += 1;
            if windows > 2 && start.elapsed() >= Duration::from_millis(200) {
                break;
            }
        }
        let window = start.elapsed().as_secs_f64() / f64::from(windows);
        let start = Instant::now();
        perplexity(&mut engine, &self.held_out.first(STEPS * STEPS))?;
        let held_out = start.elapsed().as_secs_f64() * self.held_out.len() as f64 / (STEPS * STEPS) as f64;
        Ok(held_out
            + match self.end {
                End::Seconds(seconds) => seconds,
                End::Epochs(epochs) => window * (epochs * batches.batches_per_epoch().end()) as f64,
            })
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let start = Instant::now();
        let mut engine = self.engine()?;
        let mut average = Average::new(engine.model());
        let mut batches = self.training.sequential(ROWS, STEPS, self.seed)?;
        let in_all = |epochs: usize| (epochs * batches.batches_per_epoch().end()) as f64;
        let all = if let End::Epochs(epochs) = self.end { in_all(epochs) } else { 0.0 };
        let rate = Schedule::cosine(RATE, PARTS - WARM_UP).warm_up(WARM_UP);
        let mut epoch = batches.epoch();
        let (mut curve, mut since, mut characters) = (Vec::new(), Report::default(), 0);
        loop {
            // The rate knows the end by the clock: a machine that is slower for a while comes to 0 in time too.
            let share = match self.end {
                End::Seconds(seconds) => start.elapsed().as_secs_f64() / seconds,
                End::Epochs(_) => engine.updates() as f64 / all,
            };
            if share >= 1.0 {
                break;
            }
            let Some(batch) = epoch.next() else {
                epoch = batches.epoch();
                continue;
            };
            engine.optimizer_mut().set_lr(rate.at((share * PARTS as f64) as u64));
            let report = engine.train_batch(&batch)?;
            characters += report.tokens;
            since += report;
            if share >= AVERAGED {
                average.add(engine.model())?;
            }
            if watch.is_stopped() {
                return Ok(None);
            }
            if share * POINTS >= (curve.len() + 1) as f64 {
                let loss = std::mem::take(&mut since).loss();
                curve.push((start.elapsed().as_secs_f64(), loss));
                watch.is_at(share, || format!("{characters} characters, loss {loss:.3}"));
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let last = perplexity(&mut engine, &self.held_out)?.ln();
        // A trial of a few updates may have none to average.
        if average.count() > 0 {
            average.swap(engine.model_mut())?;
        }
        let mean = perplexity(&mut engine, &self.held_out)?.ln();
        Ok(Some(json!({
            "last": last,
            "mean": mean,
            "training": curve.last().map(|(_, loss)| *loss),
            "characters": characters,
            "parameters": engine.model().num_params(),
            "curve": curve,
            "seconds": seconds,
        })))
    }
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let folder = common.texts.clone().or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    let folder = folder.ok_or_else(|| format!("{FILE}: its folder is wanted, by --texts or {VARIABLE}"))?;
    let corpus = Corpus::builder().file(folder.join(FILE)).cleaning(Cleaning::Keep).build()?;
    let (corpus, end) = match common.epochs {
        Some(epochs) => (corpus.first(TRIAL_CHARACTERS), End::Epochs(epochs)),
        None => (corpus, End::Seconds(SECONDS)),
    };
    let (training, held_out) = corpus.split(HELD_OUT)?;
    let mut lab = Lab::open(&common.folder("shakespeare"))?;
    let units = common.hidden.unwrap_or(UNITS);
    let one = |seed| One {
        training: training.clone(),
        held_out: held_out.clone(),
        units,
        end,
        seed,
        threads: common.threads,
    };
    let runs: Vec<One> = common.seeds(3).map(one).collect();
    let Some(results) = lab.all(&runs)? else { return Ok(()) };

    println!(
        "Shakespeare, {} characters, {} held out, as one sequence; {}\n",
        corpus.len(),
        held_out.len(),
        common.machine(results.len())
    );
    let all = |name: &str| -> Vec<f64> { results.iter().filter_map(|result| result[name].as_f64()).collect() };
    let mut table =
        Table::new(["", "parameters", "held-out nats", "last weights", "in training", "characters", "seconds"]);
    let rest = ["-", "-", "-"].map(String::from);
    let known = ["nanoGPT, a laptop's processor".to_owned(), "0.8 M".to_owned(), format!("{PUBLISHED}")];
    table.row(known.into_iter().chain(rest).chain(["about 180".to_owned()]));
    table.row([
        format!("GRU {units}, mean of the last weights"),
        format!("{}", results[0]["parameters"]),
        spread(&all("mean"), 3),
        spread(&all("last"), 3),
        spread(&all("training"), 3),
        spread(&all("characters"), 0),
        spread(&all("seconds"), 0),
    ]);
    println!("{table}");
    let longest = all("seconds").into_iter().fold(0.0, f64::max);
    let mut learning: Vec<Curve> = runs.iter().zip(&results).map(|(run, result)| curve_of(run, result)).collect();
    learning.push(Curve { name: "nanoGPT, held out".to_owned(), points: vec![(0.0, PUBLISHED), (longest, PUBLISHED)] });
    let picture = lab.file("shakespeare.svg");
    let title = format!("Shakespeare in {}", duration(longest));
    curves(
        &picture,
        &Titles { title: &title, x: "seconds", y: "nats a character, in training", log: false },
        &learning,
    )?;
    println!("picture: {}", picture.display());
    Ok(())
}

fn curve_of(run: &One, result: &Value) -> Curve {
    let points = result["curve"].as_array().into_iter().flatten();
    let points = points.filter_map(|point| Some((point[0].as_f64()?, point[1].as_f64()?))).collect();
    Curve { name: format!("seed {}", run.seed), points }
}
