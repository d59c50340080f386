//! The engine: back-propagation through time over windows, the state carried from each to the next and its past cut off.

mod builder;
mod evaluate;
mod fits;
mod report;
mod resume;
mod window;

pub use builder::BpttBuilder;
pub use report::Report;

use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

use ndarray::ArrayView3;

use crate::backprop::{Shape, check_state_like, objects};
use crate::memory::bytes;
use crate::optim::{Clip, Optimizer};
use crate::{AsInput, Backprop, Batch, Context, CrossEntropy, Error, Input, Loss, SeqLayer, Sequence, Sgd, Targets};

/// Trains a model: forward over a window, loss, backward, clip, update; then the state goes on to the next window and the
/// window's past is forgotten (truncated back-propagation through time, Werbos 1990, Williams and Peng 1990). One window
/// as long as the sequence is full back-propagation.
///
/// The network remembers nothing: the state between windows is the engine's, and can be read, set and reset. It is carried
/// by what reads from the first step to the last. What reads from the end ([`Reversed`](crate::layers::Reversed), the second half of a
/// [`Bidirectional`](crate::layers::Bidirectional) layer) starts from zeros in every window, since the steps that come before in its
/// order are those of the next window ([`Recurrent::carry`](crate::Recurrent::carry)).
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::text::Corpus;
///
/// let corpus = Corpus::builder().text("two lines", "the time traveller for so it will be\nconvenient to speak").build()?;
/// let vocabulary = corpus.vocab().len();
/// let net = Network::<f32>::builder(vocabulary).lstm(16).lstm(16).seed(1).build()?;
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
/// [runs in pieces](crate::Run::is_causal) is run in blocks of 2¹¹ rows, and the gradients of each are summed from
/// zero: a gradient in `f32` is right to six digits over any number of rows.
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::Array2;
///
/// let tokens = Array2::from_shape_fn((400, 4), |(t, b)| (t * t + b) % 10);
/// let engine = |budget: Option<usize>| {
///     let net = Stacked::repeat(10, 2, &Lstm::<f32>::spec(16), 1)?;
///     let builder = Bptt::builder(LanguageModel::new(net, 1)?);
///     match budget {
///         Some(bytes) => builder.memory_budget(bytes).build(),
///         None => builder.build(),
///     }
/// };
/// let mut plain = engine(None)?;
/// let bytes = plain.memory_estimate_for_tokens(400, 4)?;
/// let mut small = engine(Some(bytes / 2))?;
/// assert!(small.memory_estimate_for_tokens(400, 4)? <= bytes / 2);
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
pub struct Bptt<N: SeqLayer, L = CrossEntropy, O = Sgd> {
    model: N,
    loss: L,
    optimizer: O,
    clip: Clip,
    window: Option<usize>,
    accumulate: usize,
    seed: u64,
    schedule: Option<Schedule<O>>,
    on_gradients: Option<Hook<N>>,
    backprop: Backprop<N>,
    grads: N,
    d_state: Option<(N::State, usize)>,
    /// The state after the last window, with its batch size.
    state: Option<(N::State, usize)>,
    /// Where the state of the window in hand is made: the other one stays good until all is well.
    next: Option<(N::State, usize)>,
    /// Steps of the sequence in hand that went before.
    steps: usize,
    /// Windows and updates so far.
    windows: u64,
    updates: u64,
    /// Windows whose gradients wait for an update, and what they were counted over.
    waiting: usize,
    weight: f64,
    /// A state of one row.
    like: N::State,
    /// Whether the model has been out of hand since its sizes were last looked at.
    touched: bool,
}

/// What changes an optimiser before each update, by the updates made so far. (In a lock that is never taken, so that an engine can be
/// shared.)
type Schedule<O> = Mutex<Box<dyn FnMut(u64, &mut O) + Send>>;
/// What looks at gradients, or changes them.
type Hook<N> = Mutex<Box<dyn FnMut(&mut N) + Send>>;

impl<N: SeqLayer> Bptt<N> {
    /// Starts with the model; cross-entropy, plain gradient descent at rate 1, no clip, one thread, whole batches.
    pub fn builder(model: N) -> BpttBuilder<N, CrossEntropy, Sgd> {
        BpttBuilder::new(model)
    }
}

impl<N: SeqLayer, L, O: Optimizer<N>> Bptt<N, L, O> {
    /// The model as it is now.
    pub fn model(&self) -> &N {
        &self.model
    }

    /// The model, to change it between windows. One of other sizes has no place in this engine: the next call says so in an
    /// `Err`, and goes on where it was once the old sizes are back. Build a new engine for it.
    pub fn model_mut(&mut self) -> &mut N {
        self.touched = true;
        &mut self.model
    }

    /// The model, trained.
    pub fn into_model(self) -> N {
        self.model
    }

    /// The optimiser.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The optimiser, to change its settings between updates.
    pub fn optimizer_mut(&mut self) -> &mut O {
        &mut self.optimizer
    }

    /// How many updates there have been.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The gradients of the last update, after the clip, 0 where an array is [frozen](Optimizer::is_frozen) (or so far, where
    /// they [accumulate](BpttBuilder::accumulate)); zeros before the first and after a panic.
    pub fn gradients(&self) -> &N {
        &self.grads
    }

    /// The state after the last window, every direction's at its own last step; none before the first and after a reset.
    pub fn state(&self) -> Option<&N::State> {
        self.state.as_ref().map(|(state, _)| state)
    }

    /// The next window starts afresh.
    pub fn reset_state(&mut self) {
        self.state = None;
        self.steps = 0;
    }

    /// The next window starts from this state; but what reads a window from its end starts afresh in every one.
    ///
    /// # Errors
    /// If it is not a state of the model for `batch` rows.
    pub fn set_state(&mut self, state: N::State, batch: usize) -> Result<(), Error> {
        check_state_like("state", &self.like, &state, batch)?;
        self.state = Some((state, batch));
        Ok(())
    }

    /// One epoch: each batch in turn, an update after each window; the report sums up the losses, each taken before its
    /// update.
    ///
    /// The state is carried into a batch that [continues](Batch::continues) the one before it, and starts afresh in any
    /// other.
    ///
    /// # Errors
    /// If a batch does not fit the model or the memory budget, or continues one of another size; if the model or the optimiser is
    /// not of the sizes that the engine was built for; or if the loss or the gradient of a window is not finite. The window's
    /// update is refused then: weights, state and what the optimiser keeps are as after the window before.
    pub fn epoch<X, Y>(&mut self, batches: impl IntoIterator<Item = Batch<X, Y>>) -> Result<Report, Error>
    where
        X: AsInput<N::Elem>,
        Y: Targets,
        L: Loss<N::Elem, Y::Of>,
    {
        let mut report = Report::default();
        let start = Instant::now();
        for batch in batches {
            report.add(&self.train_batch(&batch)?);
        }
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Trains on sequences that start here, in windows of the engine's length: from the first state, which is carried from window
    /// to window.
    ///
    /// # Errors
    /// As [`epoch`](Bptt::epoch). What earlier windows of the batch have changed stays changed.
    pub fn train<X, Y>(&mut self, xs: &X, targets: &Y) -> Result<Report, Error>
    where
        X: AsInput<N::Elem> + ?Sized,
        Y: Targets + ?Sized,
        L: Loss<N::Elem, Y::Of>,
    {
        self.train_windows(Context::default(), xs.as_input(), targets.targets(), true)
    }

    /// As [`train`](Bptt::train), for the next steps of the sequences of the call before: its last state is carried in.
    /// The first call, and one after [`reset_state`](Bptt::reset_state), starts from the first state.
    ///
    /// # Errors
    /// As [`epoch`](Bptt::epoch), and if there are more or fewer rows than before.
    pub fn train_next<X, Y>(&mut self, xs: &X, targets: &Y) -> Result<Report, Error>
    where
        X: AsInput<N::Elem> + ?Sized,
        Y: Targets + ?Sized,
        L: Loss<N::Elem, Y::Of>,
    {
        self.train_windows(Context::default(), xs.as_input(), targets.targets(), false)
    }

    /// As [`train`](Bptt::train), with rows of several lengths and rows that start afresh; and from the last state where the batch
    /// [continues](Batch::continues) the one before.
    ///
    /// # Errors
    /// As [`epoch`](Bptt::epoch). What earlier windows of the batch have changed stays changed.
    pub fn train_batch<X, Y>(&mut self, batch: &Batch<X, Y>) -> Result<Report, Error>
    where
        X: AsInput<N::Elem>,
        Y: Targets,
        L: Loss<N::Elem, Y::Of>,
    {
        let cx = batch.context(Context::default())?;
        self.train_windows(cx, batch.x.as_input(), batch.y.targets(), !batch.continues)
    }

    /// With `fresh`, from the first state; the state there is goes once the first window is done.
    fn train_windows<T>(
        &mut self,
        cx: Context<'_>,
        xs: Input<'_, N::Elem>,
        targets: &T,
        mut fresh: bool,
    ) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<N::Elem, T>,
    {
        self.check(cx, xs, targets)?;
        let (t, b) = xs.dim();
        let mut report = Report::default();
        let start = Instant::now();
        let window = self.window.unwrap_or(t).max(1);
        if t * b == 0 {
            if fresh {
                self.reset_state();
            }
        } else if window >= t {
            report.add(&self.train_window(cx, xs, targets, fresh)?);
        } else {
            for first in (0..t).step_by(window) {
                let steps = first..t.min(first + window);
                let mut result = Ok(Report::default());
                targets.part(self.target_steps(steps.clone()), 0..b, &mut |targets| {
                    result = self.train_window(cx.from_step(first), xs.steps(steps.clone()), targets, fresh);
                });
                report.add(&result?);
                fresh = false;
            }
        }
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The outputs of the last window that was trained on or evaluated, `[T, B, V]`; empty before the first and after a panic.
    pub fn outputs(&self) -> ArrayView3<'_, N::Elem> {
        self.backprop.outputs()
    }

    /// The bytes that the engine holds at the peak of training on `steps` steps of `batch` rows, computed before anything is
    /// run: the model, its gradients, what the optimiser keeps, the state and its gradient, the outputs of a window and
    /// their gradient, the tape (each layer documents its own), and the working memory of passes over all threads. With
    /// [`memory_budget`](crate::train::BpttBuilder::memory_budget), by the plan that fits the budget. It is that of inputs that are rows of
    /// numbers; those that are tokens take [less](Bptt::memory_estimate_for_tokens).
    ///
    /// Not counted are the caller's own: inputs, targets, what a closure loss or [`predict`](Bptt::predict) makes. It is the
    /// figure of an engine that has seen no larger batch: buffers are kept from window to window. Small objects are
    /// in it as a round sum; stacks of threads and the allocator's own overhead are not.
    ///
    /// # Errors
    /// If a layer of the model does not tell its memory, the budget is too small, or there are more steps and rows than
    /// could be counted.
    pub fn memory_estimate(&self, steps: usize, batch: usize) -> Result<usize, Error> {
        let steps = steps.min(self.window.unwrap_or(steps));
        self.backprop.estimate(&self.model, Shape { steps, batch, rows_in: true, standing: self.standing() })
    }

    /// As [`memory_estimate`](Bptt::memory_estimate) for inputs that are tokens.
    ///
    /// # Errors
    /// As those of [`memory_estimate`](Bptt::memory_estimate).
    pub fn memory_estimate_for_tokens(&self, steps: usize, batch: usize) -> Result<usize, Error> {
        let steps = steps.min(self.window.unwrap_or(steps));
        self.backprop.estimate(&self.model, Shape { steps, batch, rows_in: false, standing: self.standing() })
    }

    fn shape(&self, xs: Input<'_, N::Elem>) -> Shape {
        let (steps, batch) = xs.dim();
        Shape { steps, batch, rows_in: matches!(xs, Input::Rows(_)), standing: self.standing() }
    }

    /// The model, its gradients, what the optimiser keeps, small objects.
    fn standing(&self) -> usize {
        let params = bytes::<N::Elem>(self.model.num_params());
        let objects = objects(&self.model, self.backprop.threads.number());
        params.saturating_mul(2).saturating_add(self.optimizer.memory(&self.model)).saturating_add(objects)
    }
}

impl<N: SeqLayer + fmt::Debug, L, O: fmt::Debug> fmt::Debug for Bptt<N, L, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Bptt");
        f.field("model", &self.model).field("optimizer", &self.optimizer).field("clip", &self.clip);
        f.field("window", &self.window)
            .field("memory_budget", &self.backprop.budget())
            .field("threads", &self.backprop.threads.number())
            .finish_non_exhaustive()
    }
}

fn continues_another(rows: usize, batch: usize) -> Error {
    let remedy = "its state is carried in; sequences that start here: train, or a Batch that does not continue";
    Error::value("batch", format!("{rows} rows, as in the batch it continues ({remedy})"), batch)
}

fn finite(what: &str, got: f64) -> Result<(), Error> {
    if got.is_finite() { Ok(()) } else { Err(Error::not_finite(what.to_string(), got)) }
}
