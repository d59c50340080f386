//! What the trainings have in common: Adam with a rate that falls, so many updates, and how long they take.

use std::time::{Duration, Instant};

use deep_rnn::data::AsInput;
use deep_rnn::loss::Loss;
use deep_rnn::optim::Schedule;
use deep_rnn::prelude::*;
use deep_rnn::train::Targets;

use crate::lab::{Outcome, Watch};

pub(crate) type Engine<L> = Bptt<Network<f32>, L, Adam<Network<f32>>>;

/// Of all the rates the first ones are lower: Adam's means are those of few gradients yet.
const WARM_UP: f64 = 0.02;
/// A curve has so many points.
const POINTS: u64 = 50;

/// How the weights follow their gradients: the rate rises, and falls to 0 along half a wave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    pub(crate) lr: f64,
    pub(crate) clip: f64,
    pub(crate) updates: u64,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
}

impl Descent {
    /// All but the threads, which change no result.
    pub(crate) fn name(&self) -> String {
        let Descent { lr, clip, updates, seed, .. } = self;
        format!("Adam {lr}, clip {clip}, {updates} updates, seed {seed}")
    }

    pub(crate) fn engine<L>(&self, net: Network<f32>, loss: L) -> Result<Engine<L>, Error> {
        let warm_up = (self.updates as f64 * WARM_UP) as u64;
        let rate = Schedule::cosine(self.lr, self.updates - warm_up).warm_up(warm_up);
        let builder = Bptt::builder(net).loss(loss).optimizer(Adam::new(self.lr));
        let builder = builder.schedule(move |n, adam| adam.set_lr(rate.at(n))).clip_norm(self.clip);
        builder.seed(self.seed).threads(self.threads).build()
    }

    /// All updates, each by a batch of its own; nothing, if it was stopped.
    pub(crate) fn train<L, X, Y>(
        &self,
        engine: &mut Engine<L>,
        watch: &Watch<'_>,
        mut batch: impl FnMut() -> Batch<X, Y>,
    ) -> Outcome<Option<Trained>>
    where
        X: AsInput<f32>,
        Y: Targets,
        L: Loss<f32, Y::Of>,
    {
        let start = Instant::now();
        let mut curve = Vec::new();
        let mut since = deep_rnn::train::Report::default();
        for update in 1..=self.updates {
            since += engine.train_batch(&batch())?;
            if watch.is_stopped() {
                return Ok(None);
            }
            if update * POINTS / self.updates > (update - 1) * POINTS / self.updates {
                let loss = std::mem::take(&mut since).loss();
                curve.push((update, loss));
                let share = update as f64 / self.updates as f64;
                watch.is_at(share, || format!("update {update} of {}, loss {loss:.5}", self.updates));
            }
        }
        Ok(Some(Trained { curve, seconds: start.elapsed().as_secs_f64() }))
    }

    /// Seconds of all updates, by a trial of a few.
    pub(crate) fn seconds<L, X, Y>(
        &self,
        engine: &mut Engine<L>,
        mut batch: impl FnMut() -> Batch<X, Y>,
    ) -> Outcome<f64>
    where
        X: AsInput<f32>,
        Y: Targets,
        L: Loss<f32, Y::Of>,
    {
        // The first one takes memory.
        engine.train_batch(&batch())?;
        let start = Instant::now();
        let mut updates = 0;
        while updates < 2 || start.elapsed() < Duration::from_millis(200) {
            engine.train_batch(&batch())?;
            updates += 1;
        }
        Ok(start.elapsed().as_secs_f64() / updates as f64 * self.updates as f64)
    }
}

/// What a training has shown.
pub(crate) struct Trained {
    /// `(update, mean loss of the updates since the point before)`.
    pub(crate) curve: Vec<(u64, f64)>,
    pub(crate) seconds: f64,
}
