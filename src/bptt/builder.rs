//! Puts an engine together.

use std::sync::Mutex;

use ndarray::{ArrayRef3, ArrayView3, ArrayViewMut3};

use super::{Bptt, Hook, Schedule};
use crate::loss::{Loss, loss_fn};
use crate::optim::{Clip, Optimizer};
use crate::precision::Precision;
use crate::{Backprop, CrossEntropy, Error, SeqLayer, Sgd};

/// Collects the parts of a [`Bptt`] engine; everything is checked by [`build`](BpttBuilder::build).
pub struct BpttBuilder<N, L, O> {
    model: N,
    loss: L,
    optimizer: O,
    clip: Clip,
    window: Option<usize>,
    accumulate: usize,
    seed: u64,
    schedule: Option<Schedule<O>>,
    on_gradients: Option<Hook<N>>,
    threads: usize,
    precision: Precision,
    budget: Option<usize>,
}

impl<N: SeqLayer> BpttBuilder<N, CrossEntropy, Sgd> {
    pub(super) fn new(model: N) -> Self {
        BpttBuilder {
            model,
            loss: CrossEntropy,
            optimizer: Sgd::new(1.0),
            clip: Clip::None,
            window: None,
            accumulate: 1,
            seed: 0,
            schedule: None,
            on_gradients: None,
            threads: 1,
            precision: Precision::Full,
            budget: None,
        }
    }
}

impl<N: SeqLayer, L, O> BpttBuilder<N, L, O> {
    /// The loss: one of the crate's or one's own; of closures over numbers see [`loss_fn`](BpttBuilder::loss_fn).
    pub fn loss<M>(self, loss: M) -> BpttBuilder<N, M, O> {
        let BpttBuilder { model, optimizer, clip, window, accumulate, seed, .. } = self;
        let BpttBuilder { schedule, on_gradients, threads, precision, budget, .. } = self;
        BpttBuilder {
            model,
            loss,
            optimizer,
            clip,
            window,
            accumulate,
            seed,
            schedule,
            on_gradients,
            threads,
            precision,
            budget,
        }
    }

    /// A loss of one's own over numbers: `loss(ys, targets, d_ys)` gives the mean over all rows that count and sets `d_ys` to its
    /// gradient; all three are `[T, B, V]`. Over other targets: [`loss_fn`](crate::loss::loss_fn).
    ///
    /// ```
    /// use deep_rnn::prelude::*;
    ///
    /// let net = Network::<f32>::builder(3).gru(8).linear(2).build()?;
    /// let absolute = Bptt::builder(net).loss_fn(|ys, targets, mut d_ys| {
    ///     let (off, n) = (&ys - &targets, ys.len() as f32);
    ///     d_ys.assign(&off.mapv(|e| e.signum() / n));
    ///     f64::from(off.mapv(f32::abs).sum() / n)
    /// });
    /// let mut bptt = absolute.build()?;
    /// # use ndarray::Array3;
    /// # let (xs, targets) = (Array3::ones((4, 5, 3)), Array3::ones((4, 5, 2)));
    /// let before = bptt.train(&xs, &targets)?.loss();
    /// assert!(bptt.train(&xs, &targets)?.loss() < before);
    /// # Ok::<(), deep_rnn::Error>(())
    /// ```
    pub fn loss_fn<M>(self, loss: M) -> BpttBuilder<N, impl Loss<N::Elem, ArrayRef3<N::Elem>>, O>
    where
        M: Fn(ArrayView3<'_, N::Elem>, ArrayView3<'_, N::Elem>, ArrayViewMut3<'_, N::Elem>) -> f64,
    {
        self.loss(loss_fn(
            move |ys: ArrayView3<'_, N::Elem>, targets: &ArrayRef3<N::Elem>, d_ys: ArrayViewMut3<'_, N::Elem>| {
                loss(ys, targets.view(), d_ys)
            },
        ))
    }

    /// The optimiser. A [schedule](BpttBuilder::schedule) belongs to it and comes after it.
    pub fn optimizer<P: Optimizer<N>>(self, optimizer: P) -> BpttBuilder<N, L, P> {
        let BpttBuilder { model, loss, clip, window, accumulate, seed, .. } = self;
        let BpttBuilder { on_gradients, threads, precision, budget, .. } = self;
        BpttBuilder {
            model,
            loss,
            optimizer,
            clip,
            window,
            accumulate,
            seed,
            schedule: None,
            on_gradients,
            threads,
            precision,
            budget,
        }
    }

    /// Changes the optimiser before each update: `set` gets the number of updates made so far and the optimiser. It comes before the
    /// [hook](BpttBuilder::on_gradients) and the clip, and again with the same number where the update is refused.
    ///
    /// ```
    /// use deep_rnn::prelude::*;
    ///
    /// let net = Network::<f32>::builder(28).gru(16).linear(28).build()?;
    /// let bptt = Bptt::builder(net)
    ///     .optimizer(Sgd::new(1.0))
    ///     .schedule(|updates, sgd| sgd.set_lr(0.5_f64.powi((updates / 1000) as i32)))
    ///     .build()?;
    /// # Ok::<(), deep_rnn::Error>(())
    /// ```
    #[must_use]
    pub fn schedule(mut self, set: impl FnMut(u64, &mut O) + Send + 'static) -> Self {
        self.schedule = Some(Mutex::new(Box::new(set)));
        self
    }

    /// Calls `hook` with the gradients of each update, before the clip; it may change them: a penalty, a sum over machines. Those
    /// of arrays that the optimiser leaves as they are ([`Optimizer::is_frozen`]) are 0, and are set to 0 again after it.
    #[must_use]
    pub fn on_gradients(mut self, hook: impl FnMut(&mut N) + Send + 'static) -> Self {
        self.on_gradients = Some(Mutex::new(Box::new(hook)));
        self
    }

    /// An update after so many windows, by the gradient of their mean loss over all of them together.
    #[must_use]
    pub fn accumulate(mut self, windows: usize) -> Self {
        self.accumulate = windows;
        self
    }

    /// The seed of what layers draw in training; 0 if not said. Each window draws other numbers.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Scales the gradients down where their norm over all parameters is above `bound`; what is
    /// [frozen](Optimizer::is_frozen) is not counted.
    #[must_use]
    pub fn clip_norm(mut self, bound: f64) -> Self {
        self.clip = Clip::Norm(bound);
        self
    }

    /// Brings each number of the gradients into ±`bound`.
    #[must_use]
    pub fn clip_value(mut self, bound: f64) -> Self {
        self.clip = Clip::Value(bound);
        self
    }

    /// Cuts batches of more steps than this into windows: an update after each, gradients within it only. Without it each
    /// batch is one window.
    #[must_use]
    pub fn window(mut self, steps: usize) -> Self {
        self.window = Some(steps);
        self
    }

    /// How many threads to use; the results do not depend on it.
    #[must_use]
    pub fn threads(mut self, number: usize) -> Self {
        self.threads = number;
        self
    }

    /// The precision of the operands of matrix products, of the passes forward and backward and of
    /// [`predict`](Bptt::predict): [`Bf16`](Precision::Bf16) rounds them to the nearest bfloat16 number as they are packed. It is there
    /// for processors that multiply such numbers faster; [`Report::products`](crate::train::Report::products) names the way they were made.
    ///
    /// Weights, states, gates, sums, gradients and what the optimiser keeps stay `f32`, so there is nothing to scale: bfloat16 has the
    /// exponents of `f32`, and gradients that `f32` can hold do not vanish. Operands below 2⁻⁵⁵ (2.8·10⁻¹⁷) count as 0. Rounded are the products
    /// of [`Gated`](crate::cells::Gated) cells, of [`Linear`](crate::layers::Linear) layers of more than four outputs and of
    /// [`Tied`](crate::layers::Tied); a cell of one's own that makes its products itself is left alone.
    ///
    /// The results are the same bits for any number of threads, and the products on every instruction set too, by a plain loop and, with the feature `amx`, by
    /// the matrix unit of an Intel processor that has one. (Its permission is asked for here, once in a process. From then on the system
    /// refuses an alternate signal stack that is too small for the unit's numbers, about 12 KiB.) Under a
    /// [memory budget](BpttBuilder::memory_budget) they are others than without: terms are summed in groups of 32.
    ///
    /// ```
    /// use deep_rnn::prelude::*;
    ///
    /// let net = Network::<f32>::builder(28).lstm(32).linear(28).seed(1).build()?;
    /// let mut bptt = Bptt::builder(net).matmul_precision(Precision::Bf16).build()?;
    /// # let tokens = ndarray::Array2::from_shape_fn((20, 4), |(t, b)| (3 * t + b) % 28);
    /// let report = bptt.train(&tokens, &tokens)?;
    /// assert!(report.products.to_string().starts_with("bf16"));
    /// # Ok::<(), deep_rnn::Error>(())
    /// ```
    #[must_use]
    pub fn matmul_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Keeps what the engine holds ([`memory_estimate`](Bptt::memory_estimate) says what is counted) within so many bytes:
    /// where the tape of a window would not fit, states are stored at some places of the window, and on the way back
    /// the steps between are run again (Chen et al. 2016, Gruslys et al. 2016). What to store is chosen so that the fewest
    /// steps are run again; with room for all nothing is. Weights, losses and gradients are the same bits as without, but for
    /// [bf16 products](BpttBuilder::matmul_precision), whose weight gradients have other last digits.
    ///
    /// A window of more steps or of another number of rows than any before frees what the engine held and is planned anew.
    #[must_use]
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.budget = Some(bytes);
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// If the learning rate, another setting of the optimiser or the clip is not usable; if a group of the optimiser has no array of
    /// the model, or its moments are of other arrays; if the [precision](BpttBuilder::matmul_precision) is not one of products of the model's numbers; if the window is 0, or there are no threads to be had; or there is a memory budget and the model cannot be run in pieces, since outputs depend on later
    /// inputs, or does not tell its memory.
    pub fn build(self) -> Result<Bptt<N, L, O>, Error>
    where
        O: Optimizer<N>,
    {
        let BpttBuilder { model, loss, optimizer, clip, window, accumulate, seed, .. } = self;
        let BpttBuilder { schedule, on_gradients, threads, precision, budget, .. } = self;
        optimizer.check(&model)?;
        clip.check::<N::Elem>()?;
        for (name, steps) in [("window", window), ("accumulate", Some(accumulate))] {
            if steps == Some(0) {
                return Err(Error::value(name, "at least 1", 0));
            }
        }
        let mut backprop = Backprop::new(threads)?.with_matmul_precision(precision)?;
        if let Some(bytes) = budget {
            backprop = backprop.with_memory_budget(&model, bytes)?;
        }
        let (grads, like) = (model.zeros_like(), model.zero_state(1));
        Ok(Bptt {
            model,
            loss,
            optimizer,
            clip,
            window,
            accumulate,
            seed,
            schedule,
            on_gradients,
            backprop,
            grads,
            d_state: None,
            state: None,
            next: None,
            steps: 0,
            windows: 0,
            updates: 0,
            waiting: 0,
            weight: 0.0,
            like,
            touched: false,
        })
    }
}

impl<N, L, O> std::fmt::Debug for BpttBuilder<N, L, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut f = f.debug_struct("BpttBuilder");
        f.field("clip", &self.clip)
            .field("window", &self.window)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
