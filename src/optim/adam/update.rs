//! The numbers of an update: what is chosen, what follows from it for one step, and what it does to one parameter.

use crate::optim::check_positive;
use crate::optim::walk::{Update, harmless};
use crate::{Error, Float};

/// What is chosen.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) lr: f64,
    pub(super) betas: (f64, f64),
    pub(super) epsilon: f64,
    pub(super) weight_decay: f64,
}

impl Settings {
    /// The update with number `steps` at so many times the rate.
    pub(super) fn update<F: Float>(&self, steps: u64, factor: f64) -> Numbers<F> {
        let (number, (beta_1, beta_2)) = (F::from_f64, self.betas);
        let (take_1, take_2) = (1.0 - beta_1, 1.0 - beta_2);
        let root_2 = beta_2.sqrt();
        let t = steps as f64;
        let correction = one_minus_power(beta_2, t).sqrt();
        let rate: F = number(self.lr * factor * correction / one_minus_power(beta_1, t));
        Numbers {
            mean: Decay::new(beta_1, take_1),
            root: Decay::new(root_2, take_2 / (1.0 + root_2)),
            take: number(take_1),
            take_root: number(take_2.sqrt()),
            rate,
            shrink: number(self.lr * factor * self.weight_decay),
            least: (F::min_positive_value() / rate).max(F::TINY),
            // Never 0, so that 0 over it is 0.
            epsilon: number(self.epsilon * correction).max(F::min_positive_value()),
        }
    }

    /// Refuses a rate of so many times the learning rate that is no rate in `F`.
    pub(super) fn check_rate<F: Float>(&self, name: &str, factor: f64) -> Result<(), Error> {
        let rate = self.lr * factor;
        check_positive::<F>(name, rate)?;
        if !(0.0..=1.0).contains(&(rate * self.weight_decay)) {
            let expected = format!("a rate whose product with the weight decay {} is at most 1", self.weight_decay);
            return Err(Error::value(name, expected, rate));
        }
        // The first step divides the rate by 1 - β₁.
        if !F::from_f64(rate / (1.0 - self.betas.0)).is_finite() {
            return Err(Error::value(name, format!("a rate that over 1 - β₁ is finite in {}", F::NAME), rate));
        }
        Ok(())
    }
}

/// x ← keep·x + ..., as `base`·x - `slip`·x: near 1 the second form holds 1 - keep to full precision, which decides
/// where the mean comes to rest.
#[derive(Clone, Copy)]
struct Decay<F> {
    base: F,
    slip: F,
}

impl<F: Float> Decay<F> {
    /// For a factor that is 1 - `slip`.
    fn new(keep: f64, slip: f64) -> Self {
        if keep < 0.5 {
            Decay { base: F::from_f64(keep), slip: F::zero() }
        } else {
            Decay { base: F::one(), slip: F::from_f64(slip) }
        }
    }
}

/// The update of one number of m, r and the parameters.
#[derive(Clone, Copy)]
pub(super) struct Numbers<F> {
    mean: Decay<F>,
    root: Decay<F>,
    /// 1 - β₁ and √(1 - β₂).
    take: F,
    take_root: F,
    /// lr·√(1-β₂ᵗ)/(1-β₁ᵗ) and ε·√(1-β₂ᵗ).
    rate: F,
    epsilon: F,
    /// lr·λ.
    shrink: F,
    /// Quotients m/(r + ε) below this are 0.
    least: F,
}

impl<F: Float> Update<F, 2> for Numbers<F> {
    #[inline(always)]
    fn number(&self, p: F, g: F, [m, r]: [F; 2]) -> (F, [F; 2]) {
        let least = F::min_positive_value();
        let g = g.flush();
        // Neither sum leaves the range: each part is a share of a number that is in it.
        let m = (self.mean.base * m + (self.take * g - self.mean.slip * m)).flush();
        let (a, b) = (self.root.base * r - self.root.slip * r, self.take_root * g.abs());
        let (long, short) = if a > b { (a, b) } else { (b, a) };
        let q = (short / if long < least { least } else { long }).flush();
        let r = long * Float::sqrt(F::one() + q * q);
        let r = if r > F::max_value() { F::max_value() } else { r };
        // Where m is not 0 it stands over r, so r stays as long as it is a normal number.
        let floor = if m == F::zero() { F::TINY } else { least };
        let r = if r < floor { F::zero() } else { r };
        let bottom = r + self.epsilon;
        let top = if m.abs() < self.least * bottom { F::zero() } else { m };
        ((p - self.shrink * p - self.rate * (top / bottom)).flush(), [m, r])
    }
    fn bound(&self) -> F {
        harmless::<F>() / self.rate * self.epsilon
    }
}

/// 1 - βᵗ, to full precision where β is near 1.
fn one_minus_power(beta: f64, t: f64) -> f64 {
    -f64::exp_m1(t * f64::ln(beta))
}
