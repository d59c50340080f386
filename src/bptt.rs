//! The engine: back-propagation through time over windows, the state carried from each to the next and its past cut off.

mod builder;
mod evaluate;
mod report;

pub use builder::BpttBuilder;
pub use report::Report;

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ndarray::ArrayView3;

use crate::backprop::{Shape, Window, check, check_state_like, objects};
use crate::memory::bytes;
use crate::optim::{Clip, Optimizer};
use crate::{
    AsInput, Backprop, Batch, Context, CrossEntropy, Error, Input, Loss, SeqLayer, Sequence, Sgd, State, Targets,
};

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

    /// The gradients of the last update, after the clip (or so far, where they [accumulate](BpttBuilder::accumulate)); zeros before
    /// the first and after a panic.
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
    /// update is refused then: weights, optimiser and state are as after the window before.
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

    /// Trains on one batch, in windows of the engine's length; the state is carried in from the call before.
    ///
    /// # Errors
    /// As [`epoch`](Bptt::epoch). What earlier windows of the batch have changed stays changed.
    pub fn train<X, Y>(&mut self, xs: &X, targets: &Y) -> Result<Report, Error>
    where
        X: AsInput<N::Elem> + ?Sized,
        Y: Targets + ?Sized,
        L: Loss<N::Elem, Y::Of>,
    {
        self.train_windows(Context::default(), xs.as_input(), targets.targets(), false)
    }

    /// As [`train`](Bptt::train), with rows of several lengths and rows that start afresh, and from the first state unless the batch
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

    fn check<T>(&mut self, cx: Context<'_>, xs: Input<'_, N::Elem>, targets: &T) -> Result<(), Error>
    where
        T: Sequence + ?Sized,
        L: Loss<N::Elem, T>,
    {
        self.check_model()?;
        self.touched = false;
        check(&self.model, cx, xs)?;
        let (t, b) = xs.dim();
        let rows = targets.rows();
        let cut = self.window.is_some_and(|window| window < t);
        let whole = self.model.output_steps(t);
        // What gathers its steps has the same targets in every window.
        let steps = if whole == t { t } else { self.model.output_steps(1) };
        if rows != b || (cut && targets.steps().is_some_and(|got| got != steps)) {
            let got: Vec<usize> = targets.steps().into_iter().chain([rows]).collect();
            return Err(Error::shape("targets", format!("[{t}, {b}, ..] as the inputs"), &got));
        }
        self.loss.check((if cut { steps } else { whole }, b, self.model.output_size()), targets)
    }

    /// The steps of the targets that belong to these of the inputs.
    fn target_steps(&self, steps: Range<usize>) -> Range<usize> {
        let whole = self.model.output_steps(steps.len());
        if whole == steps.len() { steps } else { 0..whole }
    }

    /// Refuses a model of other sizes than the one the engine was built for: gradients, states and what the optimiser keeps
    /// are of those.
    fn check_model(&self) -> Result<(), Error> {
        if !self.touched {
            return Ok(());
        }
        let mut expected = Vec::new();
        self.grads.visit(&mut |name, array| expected.push(format!("{name} {:?}", array.shape())));
        let mut got = Vec::new();
        self.model.visit(&mut |name, array| got.push(format!("{name} {:?}", array.shape())));
        let remedy = "as the engine was built for (for a model of other sizes build a new engine)";
        if expected != got {
            let i = expected.iter().zip(&got).take_while(|(expected, got)| expected == got).count();
            let parameter = |list: &[String]| list.get(i).cloned().unwrap_or_else(|| "no such parameter".to_string());
            let (expected, got) = (parameter(&expected), parameter(&got));
            return Err(Error::value("model", format!("{expected}, {remedy}"), got));
        }
        let state = self.model.zero_state(1);
        if !self.like.is_like(&state) {
            let expected = format!("a state of shapes {:?}, {remedy}", self.like.shapes());
            return Err(Error::value("model", expected, format!("{:?}", state.shapes())));
        }
        Ok(())
    }

    /// Makes `next` the state the coming window starts from; whether that is the first one.
    fn prepare_state(&mut self, batch: usize, fresh: bool) -> Result<bool, Error> {
        let fresh = match self.state.as_ref().filter(|_| !fresh) {
            None => {
                self.next = match self.next.take() {
                    // Zeros need no memory anew.
                    Some((mut next, rows)) if rows == batch => {
                        next.clone_from(&self.model.initial_state(batch));
                        Some((next, rows))
                    }
                    _ => Some((self.model.initial_state(batch), batch)),
                };
                true
            }
            Some((state, rows)) if *rows == batch => {
                match &mut self.next {
                    Some((next, rows)) if *rows == batch => next.clone_from(state),
                    next => *next = Some((state.clone(), batch)),
                }
                if let Some((next, _)) = &mut self.next {
                    self.model.carry(next, false);
                }
                false
            }
            Some((_, rows)) => return Err(continues_another(*rows, batch)),
        };
        match &mut self.d_state {
            Some((d_state, rows)) if *rows == batch => d_state.set_zero(),
            d_state => *d_state = Some((self.model.zero_state(batch), batch)),
        }
        Ok(fresh)
    }

    /// One window, checked already.
    fn train_window<T>(
        &mut self,
        cx: Context<'_>,
        xs: Input<'_, N::Elem>,
        targets: &T,
        fresh: bool,
    ) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<N::Elem, T>,
    {
        let (plan, new) = self.backprop.plan(&self.model, self.shape(xs))?;
        if new {
            self.next = None;
            self.d_state = None;
        }
        let steps = if fresh { 0 } else { self.steps };
        let cx = cx.with_mode_of(Context::train(key(self.seed, self.windows))).with_origin(steps, 0);
        let trained = catch_unwind(AssertUnwindSafe(|| {
            let fresh = self.prepare_state(xs.dim().1, fresh)?;
            self.try_window(cx, xs, targets, plan, fresh)
        }));
        let report = trained.unwrap_or_else(|panic| {
            self.forget_window();
            resume_unwind(panic)
        })?;
        self.steps = steps + xs.dim().0;
        self.windows += 1;
        Ok(report)
    }

    fn try_window<T>(
        &mut self,
        cx: Context<'_>,
        xs: Input<'_, N::Elem>,
        targets: &T,
        plan: crate::backprop::Plan,
        fresh: bool,
    ) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<N::Elem, T>,
    {
        let (t, b) = xs.dim();
        let Bptt { model, loss, backprop, grads, next, d_state, .. } = self;
        let (Some((state, _)), Some((d_state, _))) = (next, d_state) else { return Ok(Report::default()) };
        let window = Window { net: &*model, cx, xs: xs.reborrow(), plan };
        backprop.forward_checked(window, state, true);
        let tokens = cx.tokens(t, b);
        let loss = backprop.loss_checked(cx, loss, targets)?;
        if self.waiting == 0 {
            grads.set_zero();
            self.weight = 0.0;
        }
        if self.accumulate > 1 {
            // The mean over all windows together.
            backprop.d_outputs().map_inplace(|d| *d *= crate::Float::from_f64(loss.weight));
        }
        backprop.backward_checked(window, d_state, grads);
        if fresh {
            model.initial_state_backward(d_state, grads);
        } else {
            model.carry_backward(d_state, false, grads);
        }
        self.weight += loss.weight;
        self.waiting += 1;
        let report = Report::evaluated(loss, tokens);
        let report = if self.waiting < self.accumulate { report } else { self.update(report)? };
        std::mem::swap(&mut self.state, &mut self.next);
        Ok(report)
    }

    /// One update by the gradients there are.
    fn update(&mut self, report: Report) -> Result<Report, Error> {
        self.waiting = 0;
        if self.accumulate > 1 && self.weight > 0.0 {
            self.grads.scale(crate::Float::from_f64(1.0 / self.weight));
        }
        if let Some(hook) = &mut self.on_gradients {
            hook.get_mut().unwrap_or_else(PoisonError::into_inner)(&mut self.grads);
        }
        let norm = self.grads.norm();
        finite("gradient norm", norm)?;
        let clipped = self.clip.apply(&mut self.grads, norm);
        if let Some(schedule) = &mut self.schedule {
            schedule.get_mut().unwrap_or_else(PoisonError::into_inner)(self.updates, &mut self.optimizer);
        }
        self.optimizer.step(&mut self.model, &self.grads)?;
        self.updates += 1;
        Ok(report.updated(norm, clipped))
    }

    /// After a panic within a window: frees all that it was in the middle of.
    fn forget_window(&mut self) {
        self.backprop.forget();
        self.next = None;
        self.d_state = None;
        self.waiting = 0;
        // Half a sum is no gradient. The walk over the parameters may be a user's, and the culprit: it must not end the
        // program by a second panic.
        let grads = &mut self.grads;
        _ = catch_unwind(AssertUnwindSafe(|| grads.set_zero()));
    }

    /// The outputs of the last window that was trained on or evaluated, `[T, B, V]`; empty before the first and after a panic.
    pub fn outputs(&self) -> ArrayView3<'_, N::Elem> {
        self.backprop.outputs()
    }

    /// The bytes that the engine holds at the peak of training on `steps` steps of `batch` rows, computed before anything is
    /// run: the model, its gradients, what the optimiser keeps, the state and its gradient, the outputs of a window and
    /// their gradient, the tape (each layer documents its own), and the working memory of passes over all threads. With
    /// [`memory_budget`](crate::BpttBuilder::memory_budget), by the plan that fits the budget. It is that of inputs that are rows of
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
        let objects = objects(self.backprop.threads.number());
        params.saturating_mul(2).saturating_add(self.optimizer.memory(&self.model)).saturating_add(objects)
    }
}

/// The key of a window: SplitMix64 of the seed and the window's number.
fn key(seed: u64, window: u64) -> u64 {
    let mut z = seed.wrapping_add((window.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
    Error::value("batch", format!("{rows} rows, as in the batch it continues"), batch)
}

fn finite(what: &str, got: f64) -> Result<(), Error> {
    if got.is_finite() { Ok(()) } else { Err(Error::not_finite(what.to_string(), got)) }
}
