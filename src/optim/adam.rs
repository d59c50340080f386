//! Adam (Kingma and Ba 2015).

use ndarray::Zip;

use super::{Optimizer, check_positive};
use crate::{Error, Float, Params};

/// Adam: with m ← β₁m + (1-β₁)g and v ← β₂v + (1-β₂)g², p -= lr·m̂ / (√v̂ + ε), m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ).
#[derive(Clone, Debug, PartialEq)]
pub struct Adam<F> {
    lr: f64,
    betas: (f64, f64),
    epsilon: f64,
    steps: i32,
    /// m and v of every parameter, in the order of the walk.
    moments: Vec<(F, F)>,
}

impl<F: Float> Adam<F> {
    /// With this learning rate, β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        Adam { lr, betas: (0.9, 0.999), epsilon: 1e-8, steps: 0, moments: Vec::new() }
    }

    /// β₁ and β₂, each from 0 to below 1.
    #[must_use]
    pub fn betas(mut self, beta_1: f64, beta_2: f64) -> Self {
        self.betas = (beta_1, beta_2);
        self
    }

    /// ε, above 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl<P: Params> Optimizer<P> for Adam<P::Elem> {
    fn check(&self) -> Result<(), Error> {
        check_positive::<P::Elem>("lr", self.lr)?;
        for beta in [self.betas.0, self.betas.1] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::value("betas", "numbers from 0 to below 1", beta));
            }
        }
        check_positive::<P::Elem>("epsilon", self.epsilon)
    }

    fn step(&mut self, params: &mut P, grads: &P) {
        self.steps = self.steps.saturating_add(1);
        let number = P::Elem::from_f64;
        let (beta_1, beta_2) = self.betas;
        let (keep_1, keep_2) = (number(beta_1), number(beta_2));
        let (take_1, take_2) = (number(1.0 - beta_1), number(1.0 - beta_2));
        let rate = number(self.lr / (1.0 - beta_1.powi(self.steps)));
        let root = number((1.0 - beta_2.powi(self.steps)).sqrt());
        let epsilon = number(self.epsilon);
        if self.moments.is_empty() {
            self.moments.resize(params.num_params(), (number(0.0), number(0.0)));
        }
        let mut moments = self.moments.iter_mut();
        params.zip_mut(grads, &mut |mut p, g| {
            Zip::from(&mut p).and(&g).for_each(|p, &g| {
                // As many moments as numbers, always: made from the same walk.
                if let Some((m, v)) = moments.next() {
                    *m = keep_1 * *m + take_1 * g;
                    *v = keep_2 * *v + take_2 * g * g;
                    *p -= rate * *m / (Float::sqrt(*v) / root + epsilon);
                }
            });
        });
    }

    fn memory(&self, params: &P) -> usize {
        params.num_params().saturating_mul(size_of::<(P::Elem, P::Elem)>())
    }
}
