//! Puts an engine together.

use super::Bptt;
use super::pass::Pass;
use crate::model::Model;
use crate::optim::{Clip, Optimizer};
use crate::{CrossEntropy, Error, Sgd, Threads};

/// Collects the parts of a [`Bptt`] engine; everything is checked by [`build`](BpttBuilder::build).
#[derive(Clone, Debug)]
pub struct BpttBuilder<M, L, O> {
    model: M,
    loss: L,
    optimizer: O,
    clip: Clip,
    window: Option<usize>,
    threads: usize,
}

impl<M: Model> BpttBuilder<M, CrossEntropy, Sgd> {
    pub(super) fn new(model: M) -> Self {
        let (loss, optimizer) = (CrossEntropy, Sgd::new(1.0));
        BpttBuilder { model, loss, optimizer, clip: Clip::None, window: None, threads: 1 }
    }
}

impl<M: Model, L, O> BpttBuilder<M, L, O> {
    /// The loss: one of the crate's, or a closure `|ys, targets, d_ys| -> loss`.
    pub fn loss<N>(self, loss: N) -> BpttBuilder<M, N, O> {
        let BpttBuilder { model, optimizer, clip, window, threads, .. } = self;
        BpttBuilder { model, loss, optimizer, clip, window, threads }
    }

    /// The optimiser.
    pub fn optimizer<N: Optimizer<M>>(self, optimizer: N) -> BpttBuilder<M, L, N> {
        let BpttBuilder { model, loss, clip, window, threads, .. } = self;
        BpttBuilder { model, loss, optimizer, clip, window, threads }
    }

    /// Scales the gradients down where their norm over all parameters is above `bound`.
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

    /// The engine.
    ///
    /// # Errors
    /// If the learning rate, another setting of the optimiser or the clip is not usable, the window is 0, or there are no
    /// threads to be had.
    pub fn build(self) -> Result<Bptt<M, L, O>, Error>
    where
        O: Optimizer<M>,
    {
        let BpttBuilder { model, loss, optimizer, clip, window, threads } = self;
        optimizer.check()?;
        clip.check()?;
        if window == Some(0) {
            return Err(Error::value("window", "at least 1 step", 0));
        }
        let threads = Threads::new(threads)?;
        let grads = model.zeros_like();
        let pass = Pass::default();
        Ok(Bptt { model, loss, optimizer, clip, window, threads, grads, state: None, next: None, pass })
    }
}
