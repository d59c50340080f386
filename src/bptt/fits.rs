//! Whether what comes in fits: inputs and targets, and a model that was changed from outside.

use std::ops::Range;

use super::Bptt;
use crate::backprop::check;
use crate::optim::{Optimizer, difference};
use crate::{Context, Error, Input, Loss, SeqLayer, Sequence, State};

impl<N: SeqLayer, L, O: Optimizer<N>> Bptt<N, L, O> {
    pub(super) fn check<T>(&mut self, cx: Context<'_>, xs: Input<'_, N::Elem>, targets: &T) -> Result<(), Error>
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
            let batch_first = got == [b, t] && t != b;
            let remedy = if batch_first { " (inputs whose batch comes first: batch_major(&x))" } else { "" };
            return Err(Error::shape("targets", format!("[{t}, {b}, ..] as the inputs{remedy}"), &got));
        }
        self.loss.check((if cut { steps } else { whole }, b, self.model.output_size()), targets)
    }

    /// The steps of the targets that belong to these of the inputs.
    pub(super) fn target_steps(&self, steps: Range<usize>) -> Range<usize> {
        let whole = self.model.output_steps(steps.len());
        if whole == steps.len() { steps } else { 0..whole }
    }

    /// Refuses a model of other sizes than the one the engine was built for: gradients, states and what the optimiser keeps
    /// are of those.
    pub(super) fn check_model(&self) -> Result<(), Error> {
        if !self.touched {
            return Ok(());
        }
        let remedy = "as the engine was built for (for a model of other sizes build a new engine)";
        if let Some([expected, got]) = difference(&self.grads, &self.model) {
            return Err(Error::value("model", format!("{expected}, {remedy}"), got));
        }
        let state = self.model.zero_state(1);
        if !self.like.is_like(&state) {
            let expected = format!("a state of shapes {:?}, {remedy}", self.like.shapes());
            return Err(Error::value("model", expected, format!("{:?}", state.shapes())));
        }
        Ok(())
    }
}
