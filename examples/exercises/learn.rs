//! A language model that learns texts one after the other, and is measured on others.

use std::time::{Duration, Instant};

use deep_rnn::checkpoint::{Checkpoints, Part, Resume, Snapshot};
use deep_rnn::ndarray::Array2;
use deep_rnn::optim::{Optimizer, Schedule};
use deep_rnn::prelude::*;
use deep_rnn::text::{Corpus, Place};
use deep_rnn::train::{Average, Best, Report};

use crate::lab::{Outcome, Watch};
use crate::recipe::{Method, Model, Recipe};

/// A text, and how often to go through it.
#[derive(Clone)]
pub(crate) struct Lesson {
    pub(crate) text: Corpus,
    pub(crate) epochs: usize,
}

/// How many characters are read in all.
pub(crate) fn characters(lessons: &[Lesson]) -> usize {
    lessons.iter().map(|lesson| lesson.epochs * lesson.text.len()).sum()
}

/// For the name of a run: `2 x 1000 then 1 x 500`.
pub(crate) fn plan(lessons: &[Lesson]) -> String {
    let each: Vec<String> = lessons.iter().map(|l| format!("{} x {}", l.epochs, l.text.len())).collect();
    each.join(" then ")
}

/// What is measured on the way.
#[derive(Clone, Default)]
pub(crate) struct Measures {
    pub(crate) texts: Vec<Corpus>,
    /// Epochs between measurements; the last one is always followed by one.
    pub(crate) every: usize,
    /// Whether the weights are to be those with the lowest perplexity on the first of the texts, instead of the last ones.
    pub(crate) choose: bool,
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

/// Trains a new network; nothing, if it was stopped.
pub(crate) fn learn(
    recipe: &Recipe,
    lessons: &[Lesson],
    measures: &Measures,
    watch: &Watch<'_>,
) -> Outcome<Option<Learned>> {
    learn_on(recipe.model(lessons[0].text.vocab().len())?, recipe, lessons, measures, watch)
}

/// As [`learn`], from these weights on.
pub(crate) fn learn_on(
    model: Model,
    recipe: &Recipe,
    lessons: &[Lesson],
    measures: &Measures,
    watch: &Watch<'_>,
) -> Outcome<Option<Learned>> {
    let mut updates = 0;
    for lesson in lessons {
        updates +=
            (lesson.epochs * lesson.text.sequential(recipe.rows, recipe.steps, 0)?.batches_per_epoch().end()) as u64;
    }
    let warm_up = 50.min(updates / 10);
    let engine = Bptt::builder(model).clip_norm(1.0).seed(recipe.seed).threads(recipe.threads);
    let adam = |rate: Schedule| (Adam::new(rate.at(0)), move |n, adam: &mut Adam<Model>| adam.set_lr(rate.at(n)));
    let (adam, schedule) = match recipe.method {
        Method::Sgd { lr } => return train(recipe, lessons, measures, watch, engine.optimizer(Sgd::new(lr)).build()?),
        Method::Adam { lr } => adam(Schedule::cosine(lr, updates).warm_up(warm_up)),
        Method::SteadyAdam { lr } => adam(Schedule::constant(lr).warm_up(warm_up)),
    };
    train(recipe, lessons, measures, watch, engine.optimizer(adam).schedule(schedule).build()?)
}

pub(crate) type Engine<O> = Bptt<Model, CrossEntropy, O>;

fn train<O: Optimizer<Model>>(
    recipe: &Recipe,
    lessons: &[Lesson],
    measures: &Measures,
    watch: &Watch<'_>,
    mut engine: Engine<O>,
) -> Outcome<Option<Learned>> {
    let mut so_far = SoFar::new(recipe, measures, &engine)?;
    let mut kept = Checkpoints::open(&watch.folder)?.keep(1);
    if let Some(found) = kept.latest()? {
        found.restore("engine", &mut engine)?;
        so_far.restore(&found)?;
    }
    let all: usize = lessons.iter().map(|lesson| lesson.epochs).sum();
    let in_all = characters(lessons) as f64;
    let mut last_kept = Instant::now();
    let mut before = 0;
    for (i, lesson) in lessons.iter().enumerate() {
        let mut batches = lesson.text.sequential(recipe.rows, recipe.steps, recipe.seed)?;
        let done = so_far.curve.0.len().saturating_sub(before).min(lesson.epochs);
        // Where it was stopped, it was in the middle of an epoch.
        let goes_on = so_far.report.tokens > 0 && done < lesson.epochs;
        let mut in_hand = if goes_on { Some(batches.from(&so_far.place)?) } else { None };
        for epoch in before + done..before + lesson.epochs {
            let read = characters(&lessons[..i]) + (epoch - before) * lesson.text.len();
            let mut windows = in_hand.take().unwrap_or_else(|| batches.epoch());
            while let Some(batch) = windows.next() {
                so_far.report += engine.train_batch(&batch)?;
                if let Some(average) = &mut so_far.average {
                    average.add(engine.model())?;
                }
                watch.is_at((read + so_far.report.tokens) as f64 / in_all, || {
                    format!("epoch {} of {all}, perplexity {:.3}", epoch + 1, so_far.report.perplexity())
                });
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
            let now = epoch + 1;
            so_far.ends_epoch(&mut engine, measures, now == all || now.is_multiple_of(measures.every.max(1)))?;
        }
        before += lesson.epochs;
    }
    // So that the next parts of the run find it.
    so_far.keep(&engine, &mut kept)?;
    let model = match (so_far.best, so_far.average) {
        (Some(best), _) => best.into_params(),
        (None, Some(average)) => average.into_params(),
        (None, None) => engine.into_model(),
    };
    Ok(Some(Learned { model, epochs: so_far.curve.0 }))
}

/// On a text as one sequence, its state carried from the first character to the last.
pub(crate) fn perplexity<O: Optimizer<Model>>(engine: &mut Engine<O>, text: &Corpus) -> Result<f64, Error> {
    Ok(engine.evaluate(windows(text.tokens(), 100))?.perplexity())
}

/// One row, in windows that go on from each other.
pub(crate) fn windows(tokens: &[usize], steps: usize) -> impl Iterator<Item = Batch<Array2<usize>, Array2<usize>>> {
    let column = |tokens: &[usize]| Array2::from_shape_fn((tokens.len(), 1), |(t, _)| tokens[t]);
    let last = tokens.len() - 1;
    (0..last).step_by(steps).map(move |from| {
        let to = last.min(from + steps);
        Batch::new(column(&tokens[from..to]), column(&tokens[from + 1..=to])).continues(from > 0)
    })
}

/// All of a training but the engine.
struct SoFar {
    place: Place,
    /// Of the epoch in hand.
    report: Report,
    curve: Epochs,
    average: Option<Average<Model>>,
    best: Option<Best<Model>>,
}

impl SoFar {
    fn new<O: Optimizer<Model>>(recipe: &Recipe, measures: &Measures, engine: &Engine<O>) -> Result<Self, Error> {
        let model = engine.model();
        let average = if recipe.average > 0.0 { Some(Average::exponential(model, recipe.average)?) } else { None };
        Ok(SoFar {
            place: Place::default(),
            report: Report::default(),
            curve: Epochs::default(),
            average,
            best: measures.choose.then(|| Best::new(model)),
        })
    }

    fn keep(&self, engine: &impl Resume, kept: &mut Checkpoints) -> Result<(), Error> {
        let mut snapshot = Snapshot::new();
        snapshot.add("engine", engine)?;
        snapshot.add("place", &self.place)?;
        snapshot.add("report", &self.report)?;
        snapshot.add("curve", &self.curve)?;
        if let Some(average) = &self.average {
            snapshot.add("average", average)?;
        }
        if let Some(best) = &self.best {
            snapshot.add("best", best)?;
        }
        kept.save(&snapshot)?;
        Ok(())
    }

    fn restore(&mut self, found: &Snapshot) -> Result<(), Error> {
        found.restore("place", &mut self.place)?;
        found.restore("report", &mut self.report)?;
        found.restore("curve", &mut self.curve)?;
        if let Some(average) = &mut self.average {
            found.restore("average", average)?;
        }
        if let Some(best) = &mut self.best {
            found.restore("best", best)?;
        }
        Ok(())
    }

    fn ends_epoch<O: Optimizer<Model>>(
        &mut self,
        engine: &mut Engine<O>,
        measures: &Measures,
        measure: bool,
    ) -> Result<(), Error> {
        let report = std::mem::take(&mut self.report);
        let mut measured = Vec::new();
        if measure {
            // On the mean of the weights, where there is one.
            if let Some(average) = &mut self.average {
                average.swap(engine.model_mut())?;
            }
            measured = measures.texts.iter().map(|text| perplexity(engine, text)).collect::<Result<_, _>>()?;
            if let (Some(best), Some(first)) = (&mut self.best, measured.first()) {
                best.offer(*first, engine.model());
            }
            if let Some(average) = &mut self.average {
                average.swap(engine.model_mut())?;
            }
        }
        self.curve.0.push(Epoch {
            perplexity: report.perplexity(),
            tokens_per_second: report.tokens_per_second(),
            seconds: self.curve.0.last().map_or(0.0, |epoch| epoch.seconds) + report.seconds,
            measured,
        });
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
