//! Plain gradient descent.

use num_traits::float::FloatCore;

use super::arrays::same_arrays;
use super::groups::Groups;
use super::room::Room;
use super::walk::{Update, harmless, walk};
use super::{Optimizer, check_positive, expect_kind};
use crate::part::Part;
use crate::{Error, Float, Params};

/// Stochastic gradient descent and nothing else: p -= lr·g, the book's optimiser.
///
/// A gradient so small that its product with the rate is no normal number counts as 0, and a weight below
/// [`Float::TINY`] becomes 0. Arrays can have a rate of their own ([`group`](Sgd::group)) or none ([`freeze`](Sgd::freeze)).
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    lr: f64,
    groups: Groups,
}

impl Sgd {
    /// With this learning rate.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        Sgd { lr, groups: Groups::default() }
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

    /// Multiplies the learning rate of some arrays by `factor`, as [`Adam::group`](crate::optim::Adam::group).
    #[must_use]
    pub fn group(mut self, prefix: &str, factor: f64) -> Self {
        self.set_group(prefix, factor);
        self
    }

    /// Leaves some arrays as they are, as [`Adam::freeze`](crate::optim::Adam::freeze).
    #[must_use]
    pub fn freeze(self, prefix: &str) -> Self {
        self.group(prefix, 0.0)
    }

    /// Another factor for a group, or a new group, from the next update on.
    pub fn set_group(&mut self, prefix: &str, factor: f64) {
        self.groups.set(prefix, factor);
    }

    /// What the learning rate of the array of this name is multiplied by: 1 outside all groups, 0 where it is frozen.
    #[must_use]
    pub fn factor(&self, name: &str) -> f64 {
        self.groups.factor(name)
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
    fn check(&self, params: &P) -> Result<(), Error> {
        self.groups.check(params, |name, factor| check_positive::<P::Elem>(name, self.lr * factor))
    }

    fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error> {
        self.check(params)?;
        same_arrays(params, grads)?;
        walk(params, grads, [], &mut Room::new(), &|name| {
            let factor = self.groups.factor(name);
            let rate = P::Elem::from_f64(self.lr * factor);
            let least = (P::Elem::min_positive_value() / rate).max(P::Elem::TINY);
            (factor != 0.0).then_some(Descent { rate, least })
        })
    }

    fn save(&self, part: &mut Part) -> Result<(), Error> {
        part.set("kind", "Sgd");
        part.set("lr", self.lr);
        self.groups.save(part);
        Ok(())
    }

    fn restore(&mut self, params: &P, part: &Part) -> Result<(), Error> {
        expect_kind("Sgd", part)?;
        let sgd = Sgd { lr: part.get("lr")?, groups: Groups::restored(part)? };
        Optimizer::<P>::check(&sgd, params)?;
        *self = sgd;
        Ok(())
    }

    fn is_frozen(&self, name: &str) -> bool {
        self.groups.freezes(name)
    }
}
