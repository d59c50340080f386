//! Adam (Kingma and Ba 2015).

use num_traits::float::FloatCore;

use super::walk::{Update, fingerprint, harmless, same_arrays, walk};
use super::{Optimizer, check_positive};
use crate::{Error, Float, Params};

/// Adam: with m ← β₁m + (1-β₁)g and v ← β₂v + (1-β₂)g², p -= lr·m̂ / (√v̂ + ε), m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ).
///
/// Kept are m and r = √v, which is made without squares that leave the range of the numbers: r ← √(β₂r² + (1-β₂)g²) as
/// the long side of a right triangle. So any finite gradient does what the formula says.
///
/// Gradients, m and weights below [`Float::TINY`] count as 0, and r with them where m is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam<F> {
    lr: f64,
    betas: (f64, f64),
    epsilon: f64,
    steps: u64,
    /// m and r of every parameter, in the order of the walk.
    m: Vec<F>,
    r: Vec<F>,
    /// Whose they are.
    owner: u64,
}

impl<F: Float> Adam<F> {
    /// With this learning rate, β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        let betas = (0.9, 0.999);
        Adam { lr, betas, epsilon: 1e-8, steps: 0, m: Vec::new(), r: Vec::new(), owner: 0 }
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

/// x ← keep·x + ..., as `base`·x - `slip`·x: near 1 the second form holds 1 - keep to full precision, which decides
/// where the mean comes to rest.
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

/// The update of one number.
struct Moments<F> {
    mean: Decay<F>,
    root: Decay<F>,
    /// 1 - β₁ and √(1 - β₂).
    take: F,
    take_root: F,
    /// lr·√(1-β₂ᵗ)/(1-β₁ᵗ) and ε·√(1-β₂ᵗ).
    rate: F,
    epsilon: F,
    /// Quotients m/(r + ε) below this are 0.
    least: F,
}

impl<F: Float> Update<F, 2> for Moments<F> {
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
        ((p - self.rate * (top / bottom)).flush(), [m, r])
    }
    fn bound(&self) -> F {
        harmless::<F>() / self.rate * self.epsilon
    }
}

/// 1 - βᵗ, to full precision where β is near 1.
fn one_minus_power(beta: f64, t: f64) -> f64 {
    -f64::exp_m1(t * f64::ln(beta))
}

impl<F: Float> Adam<F> {
    /// Makes room on the first step; refuses other parameters later.
    fn prepare<P: Params<Elem = F>>(&mut self, params: &P) -> Result<(), Error> {
        let owner = fingerprint(params);
        if self.steps == 0 {
            let n = params.num_params();
            (self.m, self.r, self.owner) = (vec![F::zero(); n], vec![F::zero(); n], owner);
        }
        if owner == self.owner {
            return Ok(());
        }
        let expected = format!("the arrays of its moments, {} numbers (for others, a new Adam)", self.m.len());
        Err(Error::value("params", expected, format!("other arrays, of {} numbers", params.num_params())))
    }

    fn update(&self, steps: u64) -> Moments<F> {
        let (number, (beta_1, beta_2)) = (F::from_f64, self.betas);
        let (take_1, take_2) = (1.0 - beta_1, 1.0 - beta_2);
        let root_2 = beta_2.sqrt();
        let t = steps as f64;
        let correction = one_minus_power(beta_2, t).sqrt();
        let rate: F = number(self.lr * correction / one_minus_power(beta_1, t));
        Moments {
            mean: Decay::new(beta_1, take_1),
            root: Decay::new(root_2, take_2 / (1.0 + root_2)),
            take: number(take_1),
            take_root: number(take_2.sqrt()),
            rate,
            least: (F::min_positive_value() / rate).max(F::TINY),
            // Never 0, so that 0 over it is 0.
            epsilon: number(self.epsilon * correction).max(F::min_positive_value()),
        }
    }
}

impl<P: Params> Optimizer<P> for Adam<P::Elem> {
    fn check(&self) -> Result<(), Error> {
        check_positive::<P::Elem>("lr", self.lr)?;
        for beta in [self.betas.0, self.betas.1] {
            let rounded = P::Elem::from_f64(beta).as_f64();
            if !(0.0..1.0).contains(&beta) || !(0.0..1.0).contains(&rounded) {
                let expected = format!("numbers from 0 to below 1 in {}", P::Elem::NAME);
                return Err(Error::value("betas", expected, beta));
            }
        }
        // The first step divides the rate by 1 - β₁.
        if !P::Elem::from_f64(self.lr / (1.0 - self.betas.0)).is_finite() {
            let expected = format!("a rate that over 1 - β₁ is finite in {}", P::Elem::NAME);
            return Err(Error::value("lr", expected, self.lr));
        }
        check_positive::<P::Elem>("epsilon", self.epsilon)
    }

    fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error> {
        <Self as Optimizer<P>>::check(self)?;
        same_arrays(params, grads)?;
        self.prepare(params)?;
        let steps = self.steps.saturating_add(1);
        let update = self.update(steps);
        walk(params, grads, [&mut self.m, &mut self.r], &update)?;
        self.steps = steps;
        Ok(())
    }

    fn memory(&self, params: &P) -> usize {
        params.num_params().saturating_mul(size_of::<[P::Elem; 2]>())
    }
}
