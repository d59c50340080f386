//! Plain gradient descent.

use super::{Optimizer, check_positive};
use crate::{Error, Float, Params};

/// Stochastic gradient descent and nothing else: p -= lr·g, the book's optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    lr: f64,
}

impl Sgd {
    /// With this learning rate.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        Sgd { lr }
    }
}

impl<P: Params> Optimizer<P> for Sgd {
    fn check(&self) -> Result<(), Error> {
        check_positive::<P::Elem>("lr", self.lr)
    }

    fn step(&mut self, params: &mut P, grads: &P) {
        params.add_scaled(grads, P::Elem::from_f64(-self.lr));
    }
}
