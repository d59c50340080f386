//! Losses and outputs without training.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use ndarray::Array3;

use super::{Bptt, Report, continues_another, finite};
use crate::backprop::Window;
use crate::optim::Optimizer;
use crate::{AsInput, Batch, Context, Error, Input, Loss, SeqLayer, Sequence, Targets};

/// The state that goes through an evaluation, and its rows.
type Running<N> = Option<(<N as crate::Recurrent>::State, usize)>;

impl<N: SeqLayer, L, O: Optimizer<N>> Bptt<N, L, O> {
    /// The loss over batches, without training: in windows of the engine's length, as [`train`](Bptt::train) walks them, without
    /// a tape and, where the loss has a [`value`](Loss::value) of its own, without its gradient. The engine's own state is left
    /// alone: each batch that does not continue another starts afresh.
    ///
    /// # Errors
    /// If a batch does not fit the model or the memory budget, or continues one of another size, the model is not of the sizes
    /// that the engine was built for, or the loss is not finite.
    pub fn evaluate<X, Y>(&mut self, batches: impl IntoIterator<Item = Batch<X, Y>>) -> Result<Report, Error>
    where
        X: AsInput<N::Elem>,
        Y: Targets,
        L: Loss<N::Elem, Y::Of>,
    {
        let mut report = Report::default();
        let start = Instant::now();
        // Memory that is there already; the engine's own state stays where it is.
        let mut running = self.next.take();
        let mut fresh = true;
        for batch in batches {
            fresh |= !batch.continues;
            let cx = batch.context(Context::default())?;
            let (xs, targets) = (batch.x.as_input(), batch.y.targets());
            report.add(&self.evaluate_batch(cx, xs, targets, &mut running, &mut fresh)?);
        }
        self.next = running;
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    fn evaluate_batch<T>(
        &mut self,
        cx: Context<'_>,
        xs: Input<'_, N::Elem>,
        targets: &T,
        running: &mut Running<N>,
        fresh: &mut bool,
    ) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<N::Elem, T>,
    {
        self.check(cx, xs, targets)?;
        let (t, b) = xs.dim();
        let mut report = Report::default();
        if t * b == 0 {
            return Ok(report);
        }
        let window = self.window.unwrap_or(t).max(1);
        if window >= t {
            report.add(&self.evaluate_window(cx, xs, targets, running, *fresh)?);
            *fresh = false;
            return Ok(report);
        }
        for first in (0..t).step_by(window) {
            let steps = first..t.min(first.saturating_add(window));
            let mut result = Ok(Report::default());
            targets.part(self.target_steps(steps.clone()), 0..b, &mut |targets| {
                result = self.evaluate_window(cx.from_step(first), xs.steps(steps.clone()), targets, running, *fresh);
            });
            report.add(&result?);
            *fresh = false;
        }
        Ok(report)
    }

    fn evaluate_window<T>(
        &mut self,
        cx: Context<'_>,
        xs: Input<'_, N::Elem>,
        targets: &T,
        running: &mut Running<N>,
        fresh: bool,
    ) -> Result<Report, Error>
    where
        T: Sequence + ?Sized,
        L: Loss<N::Elem, T>,
    {
        let (t, b) = xs.dim();
        let (plan, _) = self.backprop.plan(&self.model, self.shape(xs))?;
        let Bptt { model, loss, backprop, .. } = self;
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            let state = match running {
                Some((state, rows)) if *rows == b && !fresh => {
                    model.carry(state, false);
                    state
                }
                Some((_, rows)) if !fresh => return Err(continues_another(*rows, b)),
                other => {
                    *other = None; // not two at a time
                    &mut other.insert((model.initial_state(b), b)).0
                }
            };
            backprop.forward_checked(Window { net: &*model, cx, xs: xs.reborrow(), plan }, state, false);
            let loss = backprop.value(cx, loss, targets);
            finite("loss", loss.mean())?;
            Ok(Report::evaluated(loss, cx.tokens(t, b), backprop.products()))
        }));
        evaluated.unwrap_or_else(|panic| {
            self.forget_window();
            resume_unwind(panic)
        })
    }

    /// The outputs `[T, B, V]` for sequences that start here, in one piece, on the engine's threads: as
    /// [`Run::predict`](crate::Run::predict) of the model. Nothing is trained or kept.
    ///
    /// # Errors
    /// If the input does not fit the model, a number in it is NaN or infinite, or the model is not of the sizes that the engine was
    /// built for.
    pub fn predict<X: AsInput<N::Elem> + ?Sized>(&self, xs: &X) -> Result<Array3<N::Elem>, Error> {
        let mut state = self.model.initial_state(xs.as_input().dim().1);
        self.predict_with(Context::default(), xs, &mut state)
    }

    /// As [`predict`](Bptt::predict), from a state, and with rows of several lengths, or rows that start afresh: as
    /// [`Run::predict_with`](crate::Run::predict_with) of the model.
    ///
    /// # Errors
    /// As those of [`predict`](Bptt::predict), or if the context or the state does not fit.
    pub fn predict_with<X: AsInput<N::Elem> + ?Sized>(
        &self,
        cx: Context<'_>,
        xs: &X,
        state: &mut N::State,
    ) -> Result<Array3<N::Elem>, Error> {
        let xs = xs.as_input();
        self.check_model()?;
        let model = &self.model;
        self.backprop.threads.install(|| model.predict_with(cx, &xs, state))
    }
}
