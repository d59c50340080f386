//! Whether what comes in fits what the engine holds: a state, and a model that was changed from outside.

use super::Bptt;
use crate::model::{Model, fits};
use crate::{Error, State};

impl<M: Model, L, O> Bptt<M, L, O> {
    /// Refuses what is not a state of the model for `batch` rows, without making one of so many.
    pub(super) fn check_state(&self, state: &M::State, batch: usize) -> Result<(), Error> {
        let (expected, got) = (self.state_shapes.iter().map(|[_, width]| [batch, *width]).collect(), state.shapes());
        let expected: Vec<[usize; 2]> = expected;
        if expected == got {
            return Ok(());
        }
        Err(Error::value("state", format!("arrays of shapes {expected:?}"), format!("{got:?}")))
    }

    /// Refuses a model of other sizes than the one the engine was built for: gradients, states and what the optimiser keeps
    /// are of those.
    pub(super) fn check_model(&self) -> Result<(), Error> {
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
        if !fits(&state, &self.state_shapes) {
            let expected = format!("a state of shapes {:?}, {remedy}", self.state_shapes);
            return Err(Error::value("model", expected, format!("{:?}", state.shapes())));
        }
        Ok(())
    }
}
