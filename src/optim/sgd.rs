//! Plain gradient descent.

use num_traits::float::FloatCore;

use super::walk::{Update, harmless, same_arrays, walk};
use super::{Optimizer, check_positive};
use crate::{Error, Float, Params};

/// Stochastic gradient descent and nothing else: p -= lr·g, the book's optimiser.
///
/// A gradient so small that its product with the rate is no normal number counts as 0, and a weight below
/// [`Float::TINY`] becomes 0.
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

    /// The learning rate.
    #[must_use]
    pub fn lr(&self) -> f64 {
        self.lr
    }

    /// Another learning rate, from the next update on.
    pub fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }
}

/// The update of one number.
struct Descent<F> {
    rate: F,
    /// Gradients below this are 0.
    least: F,
}

impl<F: Float> Update<F, 0> for Descent<F> {
    #[inline(always)]
    fn number(&self, p: F, g: F, kept: [F; 0]) -> (F, [F; 0]) {
        let g = if g.abs() < self.least { F::zero() } else { g };
        ((p - self.rate * g).flush(), kept)
    }
    fn bound(&self) -> F {
        harmless::<F>() / self.rate
    }
}

impl<P: Params> Optimizer<P> for Sgd {
    fn check(&self) -> Result<(), Error> {
        check_positive::<P::Elem>("lr", self.lr)
    }

    fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error> {
        <Self as Optimizer<P>>::check(self)?;
        same_arrays(params, grads)?;
        let rate = P::Elem::from_f64(self.lr);
        let least = (P::Elem::min_positive_value() / rate).max(P::Elem::TINY);
        walk(params, grads, [], &Descent { rate, least })
    }
}
