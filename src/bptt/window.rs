//! One window: the state it starts from, forward, loss, backward, update.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

use super::{Bptt, Report, continues_another, finite};
use crate::backprop::{Plan, Window};
use crate::optim::Optimizer;
use crate::{Context, Error, Float, Input, Loss, SeqLayer, Sequence, State};

impl<N: SeqLayer, L, O: Optimizer<N>> Bptt<N, L, O> {
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
    pub(super) fn train_window<T>(
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
        plan: Plan,
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
        if tokens == 0 {
            // All rows are over: there is nothing to learn from, and the state is the last one.
            backprop.abandon();
            std::mem::swap(&mut self.state, &mut self.next);
            return Ok(Report::default());
        }
        if self.waiting == 0 {
            grads.set_zero();
            self.weight = 0.0;
        }
        if self.accumulate > 1 {
            // The mean over all windows together.
            backprop.d_outputs().map_inplace(|d| *d *= Float::from_f64(loss.weight));
        }
        backprop.backward_checked(window, d_state, grads);
        if fresh {
            model.initial_state_backward(d_state, grads);
        } else {
            model.carry_backward(d_state, false, grads);
        }
        self.weight += loss.weight;
        self.waiting += 1;
        let report = Report::evaluated(loss, tokens, backprop.products());
        let report = if self.waiting < self.accumulate { report } else { self.update(report)? };
        std::mem::swap(&mut self.state, &mut self.next);
        Ok(report)
    }

    /// One update by the gradients there are.
    fn update(&mut self, report: Report) -> Result<Report, Error> {
        self.waiting = 0;
        if self.accumulate > 1 && self.weight > 0.0 {
            self.grads.scale(Float::from_f64(1.0 / self.weight));
        }
        // First, since it may freeze arrays, or let them move again.
        if let Some(schedule) = &mut self.schedule {
            schedule.get_mut().unwrap_or_else(PoisonError::into_inner)(self.updates, &mut self.optimizer);
        }
        self.silence_frozen();
        if let Some(hook) = &mut self.on_gradients {
            hook.get_mut().unwrap_or_else(PoisonError::into_inner)(&mut self.grads);
            self.silence_frozen();
        }
        let norm = self.grads.norm();
        finite("gradient norm", norm)?;
        let clipped = self.clip.apply(&mut self.grads, norm);
        self.optimizer.step(&mut self.model, &self.grads)?;
        self.updates += 1;
        Ok(report.updated(norm, clipped))
    }

    /// Sets the gradients of what the optimiser leaves as it is to 0: neither norm nor clip is to count them.
    fn silence_frozen(&mut self) {
        let Bptt { optimizer, grads, .. } = self;
        grads.visit_mut(&mut |name, mut array| {
            if optimizer.is_frozen(name) {
                array.fill(num_traits::zero());
            }
        });
    }

    /// After a panic within a window: frees all that it was in the middle of.
    pub(super) fn forget_window(&mut self) {
        self.backprop.forget();
        self.next = None;
        self.d_state = None;
        self.waiting = 0;
        // Half a sum is no gradient. The walk over the parameters may be a user's, and the culprit: it must not end the
        // program by a second panic.
        let grads = &mut self.grads;
        _ = catch_unwind(AssertUnwindSafe(|| grads.set_zero()));
    }
}

/// The key of a window: SplitMix64 of the seed and the window's number.
fn key(seed: u64, window: u64) -> u64 {
    let mut z = seed.wrapping_add((window.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
