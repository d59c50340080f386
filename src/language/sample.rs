//! How the next token is chosen.

use ndarray::ArrayView1;
use ndarray_rand::rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Float};

/// Chooses tokens by their logits: always the likeliest, or by chance.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// None for greedy.
    chance: Option<(f64, ChaCha8Rng)>,
    top_k: usize,
    /// Logits and tokens, likeliest first.
    order: Vec<(f64, usize)>,
}

impl Sampler {
    /// The likeliest token; the first one of equals.
    #[must_use]
    pub fn greedy() -> Self {
        Sampler { chance: None, top_k: usize::MAX, order: Vec::new() }
    }

    /// Token k with probability proportional to exp(logit_k / `temperature`), by the numbers of `seed`.
    ///
    /// # Errors
    /// If the temperature is not a finite number above 0.
    pub fn temperature(temperature: f64, seed: u64) -> Result<Self, Error> {
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(Error::value("temperature", "a finite number above 0", temperature));
        }
        Ok(Sampler { chance: Some((temperature, ChaCha8Rng::seed_from_u64(seed))), ..Sampler::greedy() })
    }

    /// Only the `k` likeliest tokens.
    ///
    /// # Errors
    /// If `k` is 0.
    pub fn top_k(mut self, k: usize) -> Result<Self, Error> {
        if k == 0 {
            return Err(Error::value("top_k", "at least 1", k));
        }
        self.top_k = k;
        Ok(self)
    }

    /// A token.
    ///
    /// # Errors
    /// If there are no logits, or one is NaN or +∞, or all are -∞. (-∞ is a token that cannot come.)
    pub fn choose<F: Float>(&mut self, logits: ArrayView1<'_, F>) -> Result<usize, Error> {
        if logits.is_empty() {
            return Err(Error::shape("logits", "[V], at least 1", logits.shape()));
        }
        if let Some(wrong) = logits.iter().map(|x| x.as_f64()).find(|x| x.is_nan() || *x == f64::INFINITY) {
            return Err(Error::value("logits", "numbers below infinity", wrong));
        }
        let mut best = 0;
        for (k, logit) in logits.iter().enumerate() {
            if *logit > logits[best] {
                best = k;
            }
        }
        let top = logits[best].as_f64();
        if top == f64::NEG_INFINITY {
            return Err(Error::value("logits", "at least one above -∞", "-∞ for every token"));
        }
        let Some((temperature, rng)) = &mut self.chance else { return Ok(best) };
        self.order.clear();
        self.order.extend(logits.iter().enumerate().map(|(k, logit)| (logit.as_f64(), k)));
        // Stable: equals stay in the order of tokens, so the same seed gives the same text everywhere.
        self.order.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.order.truncate(self.top_k);
        for (weight, _) in &mut self.order {
            // The largest is subtracted first: over a small temperature logits themselves would all be infinite.
            let below = *weight - top;
            // Of the largest numbers the difference is none; then halves are taken of both.
            let halves = || (*weight / 2.0 - top / 2.0) / (*temperature / 2.0);
            *weight = libm::exp(if below.is_finite() { below / *temperature } else { halves() });
        }
        let total: f64 = self.order.iter().map(|(weight, _)| weight).sum();
        let mut left = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 * total;
        for (weight, token) in &self.order {
            left -= weight;
            if left < 0.0 {
                return Ok(*token);
            }
        }
        Ok(self.order[0].1)
    }
}
