//! The engine: back-propagation through time over windows, the state carried from each to the next and its past cut off.

mod budget;
mod builder;
mod pass;
mod plan;
mod report;
mod walk;

pub use builder::BpttBuilder;
pub use report::Report;

use std::fmt;
use std::ops::Deref;
use std::time::Instant;

use ndarray::{Array3, ArrayView3};

use crate::model::{Model, Sequence};
use crate::optim::{Clip, Optimizer};
use crate::{Batch, CrossEntropy, Error, Loss, Sgd, State, Threads};
use pass::Pass;
use plan::Plan;

/// Trains a model: forward over a window, loss, backward, clip, update; then the state goes on to the next window and the
/// window's past is forgotten (truncated back-propagation through time, Werbos 1990, Williams and Peng 1990). One window
/// as long as the sequence is full back-propagation.
///
/// The network remembers nothing: the state between windows is the engine's, and can be read, set and reset.
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

    /// The model, to change it between windows.
    pub fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }

    /// The model, trained.
    pub fn into_model(self) -> M {
        self.model
    }

    /// The gradients of the last window, after the clip.
    pub fn gradients(&self) -> &M {
        &self.grads
    }

    /// The state after the last window; none before the first and after a reset.
    pub fn state(&self) -> Option<&M::State> {
        self.state.as_ref().map(|(state, _)| state)
    }

    /// The next window starts from zeros.
    pub fn reset_state(&mut self) {
        self.state = None;
    }

    /// The next window starts from this state.
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
    /// If a batch does not fit the model or the memory budget, or continues one of another size; or if the loss or the
    /// gradient of a window is not finite; or if the optimiser refuses, since the model was exchanged for one of other sizes.
    /// The window's update is refused then: weights, optimiser and state are as after the window before.
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
            if !batch.continues {
                self.reset_state();
            }
            report.add(&self.train_batch(&batch.x, &batch.y)?);
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
        self.train_batch(xs, targets)
    }

    fn train_batch<T>(&mut self, xs: &M::Input, targets: &T) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        self.check(xs, targets)?;
        let (t, b) = xs.steps_and_rows();
        let mut report = Report::default();
        let start = Instant::now();
        let window = self.window.unwrap_or(t).max(1);
        if window >= t {
            report.add(&self.train_window(xs, targets)?);
        } else {
            for first in (0..t).step_by(window) {
                let steps = first..t.min(first + window);
                let mut result = Ok(Report::default());
                xs.part(steps.clone(), 0..b, &mut |xs| {
                    targets.part(steps.clone(), 0..b, &mut |targets| result = self.train_window(xs, targets));
                });
                report.add(&result?);
            }
        }
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The loss over batches, without training. The engine's own state is left alone: each batch that does not continue
    /// another starts from zeros.
    ///
    /// # Errors
    /// If a batch does not fit the model or the memory budget, or continues one of another size, or the loss is not finite.
    pub fn evaluate<X, Y, T>(&mut self, batches: impl IntoIterator<Item = Batch<X, Y>>) -> Result<Report, Error>
    where
        X: Deref<Target = M::Input>,
        Y: Deref<Target = T>,
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        let own = self.state.take();
        let mut report = Report::default();
        let start = Instant::now();
        let mut result = Ok(());
        for batch in batches {
            if !batch.continues {
                self.reset_state();
            }
            match self.evaluate_batch(&batch.x, &batch.y) {
                Ok(one) => report.add(&one),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.state = own;
        report.seconds = start.elapsed().as_secs_f64();
        result.map(|()| report)
    }

    fn evaluate_batch<T>(&mut self, xs: &M::Input, targets: &T) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        self.check(xs, targets)?;
        let (t, b) = xs.steps_and_rows();
        if t * b == 0 {
            return Ok(Report::default());
        }
        let plan = self.plan(t, b)?;
        self.prepare_state(b)?;
        let Bptt { model, loss, threads, next, pass, .. } = self;
        let Some((state, _)) = next else { return Ok(Report::default()) };
        pass.forward(model, xs, state, threads, plan, false);
        let loss = pass.loss(loss, targets);
        finite("loss", loss)?;
        std::mem::swap(&mut self.state, &mut self.next);
        Ok(Report::evaluated(loss, t * b))
    }

    /// The outputs `[T, B, V]` for a batch, from the given state, which moves on. Nothing is trained or kept.
    ///
    /// # Errors
    /// If the input or the state does not fit the model.
    pub fn predict(&self, xs: &M::Input, state: &mut M::State) -> Result<Array3<M::Elem>, Error> {
        self.model.check(xs)?;
        let (t, b) = xs.steps_and_rows();
        self.check_state(state, b)?;
        let mut ys = Array3::zeros((t, b, self.model.output_size()));
        let model = &self.model;
        self.threads.install(|| model.run(xs, ys.view_mut(), state, None));
        Ok(ys)
    }

    /// Refuses what is not a state of the model for `batch` rows, without making one of so many.
    fn check_state(&self, state: &M::State, batch: usize) -> Result<(), Error> {
        let one_row = self.model.zero_state(1).shapes();
        let (expected, got) =
            (one_row.into_iter().map(|[_, width]| [batch, width]).collect::<Vec<_>>(), state.shapes());
        if expected == got {
            return Ok(());
        }
        Err(Error::value("state", format!("arrays of shapes {expected:?}"), format!("{got:?}")))
    }

    fn check<T>(&self, xs: &M::Input, targets: &T) -> Result<(), Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        self.model.check(xs)?;
        let (t, b) = xs.steps_and_rows();
        let got = targets.steps_and_rows();
        if got != (t, b) {
            return Err(Error::shape("targets", format!("[{t}, {b}, ..] as the inputs"), &[got.0, got.1]));
        }
        self.loss.check((t, b, self.model.output_size()), targets)
    }

    /// Makes `next` the state the coming window starts from.
    fn prepare_state(&mut self, batch: usize) -> Result<(), Error> {
        match &self.state {
            None => match &mut self.next {
                Some((next, rows)) if *rows == batch => next.set_zero(),
                next => *next = Some((self.model.zero_state(batch), batch)),
            },
            Some((state, rows)) if *rows == batch => match &mut self.next {
                Some((next, rows)) if *rows == batch => next.clone_from(state),
                next => *next = Some((state.clone(), batch)),
            },
            Some((_, rows)) => {
                return Err(Error::value("batch", format!("{rows} rows, as in the batch it continues"), batch));
            }
        }
        Ok(())
    }

    /// One window, checked already.
    fn train_window<T>(&mut self, xs: &M::Input, targets: &T) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        let (t, b) = xs.steps_and_rows();
        if t * b == 0 {
            return Ok(Report::default());
        }
        let plan = self.plan(t, b)?;
        self.prepare_state(b)?;
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

    /// The outputs of the last window, `[T, B, V]`.
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

fn finite(what: &str, got: f64) -> Result<(), Error> {
    if got.is_finite() { Ok(()) } else { Err(Error::NotFinite { what: what.to_string(), got }) }
}
