//! The engine: back-propagation through time over windows, the state carried from each to the next and its past cut off.

mod budget;
mod builder;
mod evaluate;
mod fits;
mod pass;
mod plan;
mod report;
mod walk;

pub use builder::BpttBuilder;
pub use report::Report;

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use ndarray::ArrayView3;

use crate::model::{Model, Sequence};
use crate::optim::{Clip, Optimizer};
use crate::{Batch, CrossEntropy, Error, Loss, Sgd, State, Threads};
use pass::Pass;
use plan::Plan;

/// Trains a model: forward over a window, loss, backward, clip, update; then the state goes on to the next window and the
/// window's past is forgotten (truncated back-propagation through time, Werbos 1990, Williams and Peng 1990). One window
/// as long as the sequence is full back-propagation.
///
/// The network remembers nothing: the state between windows is the engine's, and can be read, set and reset. It is carried
/// by what reads from the first step to the last. What reads from the end ([`Reversed`](crate::Reversed), the second half of a
/// [`Bidirectional`](crate::Bidirectional) layer) starts from zeros in every window, since the steps that come before in its
/// order are those of the next window ([`Recurrent::carry`](crate::Recurrent::carry)).
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::text::Corpus;
///
/// let corpus = Corpus::builder().text("two lines", "the time traveller for so it will be\nconvenient to speak").build()?;
/// let vocabulary = corpus.vocab().len();
/// let net = Stacked::builder(vocabulary).repeat(2, Lstm::<f32>::spec(16)).seed(1).build()?;
/// let model = LanguageModel::new(net, 1)?;
/// let mut bptt = Bptt::builder(model).optimizer(Sgd::new(2.0)).clip_norm(1.0).build()?;
/// let mut batches = corpus.sequential(2, 5, 1)?;
/// let before = bptt.epoch(batches.epoch())?.perplexity();
/// for _ in 0..50 {
///     bptt.epoch(batches.epoch())?;
/// }
/// assert!(bptt.epoch(batches.epoch())?.perplexity() < before / 2.0);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// # Threads
/// Layers that divide their own work ([`splits_itself`](crate::Recurrent::splits_itself)) do so over the engine's threads.
/// For any other model the rows of the batch are cut into shards of eight, run side by side, and their gradients are added
/// in order. Either way the weights come out the same bits for any number of threads.
///
/// # Memory
/// Back-propagation keeps a tape of the whole window, so memory grows with its length;
/// [`memory_estimate`](Bptt::memory_estimate) tells how much. Under a [`memory_budget`](BpttBuilder::memory_budget) the
/// engine stores a few states instead and runs parts of the window again on the way back, as few as the budget allows. The
/// gradients are the same bits.
///
/// # Long windows
/// A window of more than 2¹⁴ rows (steps times batch, or times the rows of a shard) of a model that
/// [runs in pieces](crate::Model::runs_in_pieces) is run in blocks of 2¹¹ rows, and the gradients of each are summed from
/// zero: a gradient in `f32` is right to six digits over any number of rows.
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::Array2;
///
/// let tokens = Array2::from_shape_fn((400, 4), |(t, b)| (t * t + b) % 10);
/// let engine = |budget: Option<usize>| {
///     let net = Stacked::builder(10).repeat(2, Lstm::<f32>::spec(16)).seed(1).build()?;
///     let builder = Bptt::builder(LanguageModel::new(net, 1)?);
///     match budget {
///         Some(bytes) => builder.memory_budget(bytes).build(),
///         None => builder.build(),
///     }
/// };
/// let mut plain = engine(None)?;
/// let bytes = plain.memory_estimate(400, 4)?;
/// let mut small = engine(Some(bytes / 2))?;
/// assert!(small.memory_estimate(400, 4)? <= bytes / 2);
/// plain.train(&tokens, &tokens)?;
/// small.train(&tokens, &tokens)?;
/// assert_eq!(plain.gradients().net().layers()[0].w_h(), small.gradients().net().layers()[0].w_h());
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// # Panics
/// The engine's calls do not panic on data. A panic of the caller's own code (a loss, a cell, an optimiser, an iterator over
/// batches) comes through to the caller of the engine. Once it is caught, the engine can go on: the state is as after the last
/// window that was finished, what the broken window held is freed, and the next call gives the bits of an engine that has not
/// seen the panic. Weights are those of that window too, unless the optimiser itself was at work on them.
pub struct Bptt<M: Model, L = CrossEntropy, O = Sgd> {
    model: M,
    loss: L,
    optimizer: O,
    clip: Clip,
    window: Option<usize>,
    threads: Threads,
    grads: M,
    /// The state after the last window, with its batch size.
    state: Option<(M::State, usize)>,
    /// Where the state of the window in hand is made: the other one stays good until all is well.
    next: Option<(M::State, usize)>,
    pass: Pass<M>,
    budget: Option<usize>,
    /// With a budget, the plan that what the engine holds was made for, and its rows.
    plan: Option<(Plan, usize)>,
    /// Shapes of a state of one row.
    state_shapes: Vec<[usize; 2]>,
    /// Whether the model has been out of hand since its sizes were last looked at.
    touched: bool,
}

impl<M: Model> Bptt<M> {
    /// Starts with the model; cross-entropy, plain gradient descent at rate 1, no clip, one thread, whole batches.
    pub fn builder(model: M) -> BpttBuilder<M, CrossEntropy, Sgd> {
        BpttBuilder::new(model)
    }
}

impl<M: Model, L, O: Optimizer<M>> Bptt<M, L, O> {
    /// The model as it is now.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The model, to change it between windows. One of other sizes has no place in this engine: the next call says so in an
    /// `Err`, and goes on where it was once the old sizes are back. Build a new engine for it.
    pub fn model_mut(&mut self) -> &mut M {
        self.touched = true;
        &mut self.model
    }

    /// The model, trained.
    pub fn into_model(self) -> M {
        self.model
    }

    /// The gradients of the last window, after the clip; zeros before the first and after a panic.
    pub fn gradients(&self) -> &M {
        &self.grads
    }

    /// The state after the last window, every direction's at its own last step; none before the first and after a reset.
    pub fn state(&self) -> Option<&M::State> {
        self.state.as_ref().map(|(state, _)| state)
    }

    /// The next window starts from zeros.
    pub fn reset_state(&mut self) {
        self.state = None;
    }

    /// The next window starts from this state; but what reads a window from its end starts from zeros in every one.
    ///
    /// # Errors
    /// If it is not a state of the model for `batch` rows.
    pub fn set_state(&mut self, state: M::State, batch: usize) -> Result<(), Error> {
        self.check_state(&state, batch)?;
        self.state = Some((state, batch));
        Ok(())
    }

    /// One epoch: each batch in turn, an update after each window; the report sums up the losses, each taken before its
    /// update.
    ///
    /// The state is carried into a batch that [continues](Batch::continues) the one before it, and starts from zeros in any
    /// other.
    ///
    /// # Errors
    /// If a batch does not fit the model or the memory budget, or continues one of another size; if the model or the optimiser is
    /// not of the sizes that the engine was built for; or if the loss or the gradient of a window is not finite. The window's
    /// update is refused then: weights, optimiser and state are as after the window before.
    pub fn epoch<X, Y, T>(&mut self, batches: impl IntoIterator<Item = Batch<X, Y>>) -> Result<Report, Error>
    where
        X: Deref<Target = M::Input>,
        Y: Deref<Target = T>,
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        let mut report = Report::default();
        let start = Instant::now();
        for batch in batches {
            report.add(&self.train_batch(&batch.x, &*batch.y, !batch.continues)?);
        }
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Trains on one batch, in windows of the engine's length; the state is carried in from the call before.
    ///
    /// # Errors
    /// As [`epoch`](Bptt::epoch). What earlier windows of the batch have changed stays changed.
    pub fn train<Y, T>(&mut self, xs: &M::Input, targets: &Y) -> Result<Report, Error>
    where
        Y: Deref<Target = T>,
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        self.train_batch(xs, targets, false)
    }

    /// With `fresh`, from zeros; the state there is goes once the first window is done.
    fn train_batch<T>(&mut self, xs: &M::Input, targets: &T, mut fresh: bool) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        self.check(xs, targets)?;
        let (t, b) = xs.steps_and_rows();
        let mut report = Report::default();
        let start = Instant::now();
        let window = self.window.unwrap_or(t).max(1);
        if t * b == 0 {
            if fresh {
                self.reset_state();
            }
        } else if window >= t {
            report.add(&self.train_window(xs, targets, fresh)?);
        } else {
            for first in (0..t).step_by(window) {
                let steps = first..t.min(first + window);
                let mut result = Ok(Report::default());
                xs.part(steps.clone(), 0..b, &mut |xs| {
                    targets.part(steps.clone(), 0..b, &mut |targets| result = self.train_window(xs, targets, fresh));
                });
                report.add(&result?);
                fresh = false;
            }
        }
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    fn check<T>(&mut self, xs: &M::Input, targets: &T) -> Result<(), Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        self.check_model()?;
        self.touched = false;
        self.model.check(xs)?;
        let (t, b) = xs.steps_and_rows();
        let got = targets.steps_and_rows();
        if got != (t, b) {
            return Err(Error::shape("targets", format!("[{t}, {b}, ..] as the inputs"), &[got.0, got.1]));
        }
        self.loss.check((t, b, self.model.output_size()), targets)
    }

    /// Makes `next` the state the coming window starts from.
    fn prepare_state(&mut self, batch: usize, fresh: bool) -> Result<(), Error> {
        match self.state.as_ref().filter(|_| !fresh) {
            None => match &mut self.next {
                Some((next, rows)) if *rows == batch => next.set_zero(),
                next => *next = Some((self.model.zero_state(batch), batch)),
            },
            Some((state, rows)) if *rows == batch => match &mut self.next {
                Some((next, rows)) if *rows == batch => next.clone_from(state),
                next => *next = Some((state.clone(), batch)),
            },
            Some((_, rows)) => return Err(continues_another(*rows, batch)),
        }
        if let Some((next, _)) = &mut self.next {
            self.model.carry(next, false);
        }
        Ok(())
    }

    /// One window, checked already.
    fn train_window<T>(&mut self, xs: &M::Input, targets: &T, fresh: bool) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        let (t, b) = xs.steps_and_rows();
        let plan = self.plan(t, b)?;
        let trained = catch_unwind(AssertUnwindSafe(|| self.try_window(xs, targets, plan, fresh)));
        trained.unwrap_or_else(|panic| {
            self.forget_window();
            resume_unwind(panic)
        })
    }

    fn try_window<T>(&mut self, xs: &M::Input, targets: &T, plan: Plan, fresh: bool) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        let (t, b) = xs.steps_and_rows();
        self.prepare_state(b, fresh)?;
        let Bptt { model, loss, clip, optimizer, threads, grads, next, pass, .. } = self;
        let Some((state, _)) = next else { return Ok(Report::default()) };
        pass.forward(model, xs, state, threads, plan, true);
        let loss = pass.loss(loss, targets);
        if let Err(error) = finite("loss", loss) {
            pass.abandon();
            return Err(error);
        }
        pass.backward(model, xs, threads, plan, grads);
        let norm = grads.norm();
        finite("gradient norm", norm)?;
        let clipped = clip.apply(grads, norm);
        optimizer.step(model, grads)?;
        std::mem::swap(&mut self.state, &mut self.next);
        Ok(Report::trained(loss, t * b, norm, clipped))
    }

    /// After a panic within a window: frees all that it was in the middle of.
    fn forget_window(&mut self) {
        self.pass = Pass::default();
        self.next = None;
        // Half a sum is no gradient. The walk over the parameters may be a user's, and the culprit: it must not end the
        // program by a second panic.
        let grads = &mut self.grads;
        _ = catch_unwind(AssertUnwindSafe(|| grads.set_zero()));
    }

    /// The outputs of the last window that was trained on or evaluated, `[T, B, V]`; empty before the first and after a panic.
    pub fn outputs(&self) -> ArrayView3<'_, M::Elem> {
        self.pass.outputs()
    }
}

impl<M: Model + fmt::Debug, L, O: fmt::Debug> fmt::Debug for Bptt<M, L, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Bptt");
        f.field("model", &self.model).field("optimizer", &self.optimizer).field("clip", &self.clip);
        f.field("window", &self.window)
            .field("memory_budget", &self.budget)
            .field("threads", &self.threads.number())
            .finish_non_exhaustive()
    }
}

fn continues_another(rows: usize, batch: usize) -> Error {
    Error::value("batch", format!("{rows} rows, as in the batch it continues"), batch)
}

fn finite(what: &str, got: f64) -> Result<(), Error> {
    if got.is_finite() { Ok(()) } else { Err(Error::not_finite(what.to_string(), got)) }
}
