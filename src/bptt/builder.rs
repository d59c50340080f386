//! Puts an engine together.

use super::Bptt;
use super::budget::untold;
use super::pass::Pass;
use crate::model::Model;
use crate::optim::{Clip, Optimizer};
use crate::{CrossEntropy, Error, Sgd, State, Threads};

/// Collects the parts of a [`Bptt`] engine; everything is checked by [`build`](BpttBuilder::build).
#[derive(Clone, Debug)]
pub struct BpttBuilder<M, L, O> {
    model: M,
    loss: L,
    optimizer: O,
    clip: Clip,
    window: Option<usize>,
    threads: usize,
    budget: Option<usize>,
}

impl<M: Model> BpttBuilder<M, CrossEntropy, Sgd> {
    pub(super) fn new(model: M) -> Self {
        let (loss, optimizer) = (CrossEntropy, Sgd::new(1.0));
        BpttBuilder { model, loss, optimizer, clip: Clip::None, window: None, threads: 1, budget: None }
    }
}

impl<M: Model, L, O> BpttBuilder<M, L, O> {
    /// The loss: one of the crate's, or a closure `|ys, targets, d_ys| -> loss`.
    pub fn loss<N>(self, loss: N) -> BpttBuilder<M, N, O> {
        let BpttBuilder { model, optimizer, clip, window, threads, budget, .. } = self;
        BpttBuilder { model, loss, optimizer, clip, window, threads, budget }
    }

    /// The optimiser.
    pub fn optimizer<N: Optimizer<M>>(self, optimizer: N) -> BpttBuilder<M, L, N> {
        let BpttBuilder { model, loss, clip, window, threads, budget, .. } = self;
        BpttBuilder { model, loss, optimizer, clip, window, threads, budget }
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

    /// Keeps what the engine holds ([`memory_estimate`](Bptt::memory_estimate) says what is counted) within so many bytes:
    /// where the tape of a window would not fit, states are stored at some places of the window, and on the way back
    /// the steps between are run again (Chen et al. 2016, Gruslys et al. 2016). What to store is chosen so that the fewest
    /// steps are run again; with room for all nothing is. Weights, losses and gradients are the same bits as without.
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
    /// If the learning rate, another setting of the optimiser or the clip is not usable, the window is 0, or there are no
    /// threads to be had; or there is a memory budget and the model cannot be run in pieces, since outputs depend on later
    /// inputs, or does not tell its memory.
    pub fn build(self) -> Result<Bptt<M, L, O>, Error>
    where
        O: Optimizer<M>,
    {
        let BpttBuilder { model, loss, optimizer, clip, window, threads, budget } = self;
        optimizer.check()?;
        clip.check::<M::Elem>()?;
        if window == Some(0) {
            return Err(Error::value("window", "at least 1 step", 0));
        }
        if budget.is_some() && !model.runs_in_pieces() {
            let expected = "a model that can be run in pieces (`SeqLayer::is_causal`), for a memory budget";
            return Err(Error::value("model", expected, "one whose outputs may depend on later inputs"));
        }
        if budget.is_some() && model.run_memory(1, 1).is_none() {
            return Err(untold());
        }
        let threads = Threads::new(threads)?;
        let grads = model.zeros_like();
        let state_shapes = model.zero_state(1).shapes();
        let pass = Pass::default();
        Ok(Bptt {
            model,
            loss,
            optimizer,
            clip,
            window,
            threads,
            grads,
            state: None,
            next: None,
            pass,
            budget,
            plan: None,
            state_shapes,
            touched: false,
        })
    }
}
