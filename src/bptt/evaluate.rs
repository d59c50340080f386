//! Losses and outputs without training.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use ndarray::Array3;

use super::{Bptt, Report, continues_another, finite};
use crate::model::{Model, Sequence};
use crate::optim::Optimizer;
use crate::{Batch, Error, Loss, State};

/// The state that goes through an evaluation, and its rows.
type Running<M> = Option<(<M as crate::Recurrent>::State, usize)>;

impl<M: Model, L, O: Optimizer<M>> Bptt<M, L, O> {
    /// The loss over batches, without training: in windows of the engine's length, as [`train`](Bptt::train) walks them, without
    /// a tape and, where the loss has a [`value`](Loss::value) of its own, without its gradient. The engine's own state is left
    /// alone: each batch that does not continue another starts from zeros.
    ///
    /// # Errors
    /// If a batch does not fit the model or the memory budget, or continues one of another size, the model is not of the sizes
    /// that the engine was built for, or the loss is not finite.
    pub fn evaluate<X, Y, T>(&mut self, batches: impl IntoIterator<Item = Batch<X, Y>>) -> Result<Report, Error>
    where
        X: Deref<Target = M::Input>,
        Y: Deref<Target = T>,
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        let mut report = Report::default();
        let start = Instant::now();
        // Memory that is there already; the engine's own state stays where it is.
        let mut running = self.next.take();
        let mut fresh = true;
        for batch in batches {
            fresh |= !batch.continues;
            report.add(&self.evaluate_batch(&batch.x, &*batch.y, &mut running, &mut fresh)?);
        }
        self.next = running;
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    fn evaluate_batch<T>(
        &mut self,
        xs: &M::Input,
        targets: &T,
        running: &mut Running<M>,
        fresh: &mut bool,
    ) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        self.check(xs, targets)?;
        let (t, b) = xs.steps_and_rows();
        let mut report = Report::default();
        if t * b == 0 {
            return Ok(report);
        }
        let window = self.window.unwrap_or(t).max(1);
        for first in (0..t).step_by(window) {
            let steps = first..t.min(first.saturating_add(window));
            let mut result = Ok(Report::default());
            xs.part(steps.clone(), 0..b, &mut |xs| {
                targets.part(steps.clone(), 0..b, &mut |targets| {
                    result = self.evaluate_window(xs, targets, running, *fresh);
                });
            });
            report.add(&result?);
            *fresh = false;
        }
        Ok(report)
    }

    fn evaluate_window<T>(
        &mut self,
        xs: &M::Input,
        targets: &T,
        running: &mut Running<M>,
        fresh: bool,
    ) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<M::Elem, T>,
    {
        let (t, b) = xs.steps_and_rows();
        let plan = self.plan(t, b)?;
        let Bptt { model, loss, threads, pass, .. } = self;
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            let state = match running {
                Some((state, rows)) if *rows == b => {
                    if fresh {
                        state.set_zero();
                    }
                    model.carry(state, false);
                    state
                }
                Some((_, rows)) if !fresh => return Err(continues_another(*rows, b)),
                none => &mut none.insert((model.zero_state(b), b)).0,
            };
            pass.forward(model, xs, state, threads, plan, false);
            let loss = pass.value(loss, targets);
            finite("loss", loss)?;
            Ok(Report::evaluated(loss, t * b))
        }));
        evaluated.unwrap_or_else(|panic| {
            self.forget_window();
            resume_unwind(panic)
        })
    }

    /// The outputs `[T, B, V]` for a batch in one piece, from the given state, which becomes that after the last step, every
    /// direction's at its own. Given back to the next call it goes on from there, but for what reads a sequence from its end, which
    /// starts from zeros in every call ([`carry`](crate::Recurrent::carry)). Nothing is trained or kept.
    ///
    /// # Errors
    /// If the input or the state does not fit the model, or the model is not of the sizes that the engine was built for.
    pub fn predict(&self, xs: &M::Input, state: &mut M::State) -> Result<Array3<M::Elem>, Error> {
        self.check_model()?;
        self.model.check(xs)?;
        let (t, b) = xs.steps_and_rows();
        self.check_state(state, b)?;
        let mut ys = Array3::zeros((t, b, self.model.output_size()));
        if t * b > 0 {
            // Of its own, so that a panic on the way leaves the caller's as it was.
            let mut moving = state.clone();
            let model = &self.model;
            model.carry(&mut moving, false);
            self.threads.install(|| model.run(xs, ys.view_mut(), &mut moving, None));
            *state = moving;
        }
        Ok(ys)
    }
}
