//! What an epoch has shown.

use crate::LossSum;
use crate::precision::Products;

/// Sums over the windows of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The losses, and what they were counted over.
    pub losses: LossSum,
    /// Steps of all rows, padding not counted.
    pub tokens: usize,
    /// Updates made.
    pub updates: usize,
    /// Updates whose gradients were clipped.
    pub clipped: usize,
    /// Sum of the global gradient norms before the clip; [frozen](crate::optim::Optimizer::is_frozen) arrays are not in them.
    pub norm_sum: f64,
    /// The largest of them.
    pub largest_norm: f64,
    /// How the matrix products of the last window were made.
    pub products: Products,
    /// Wall time: batches, forward, loss, backward, clip, update.
    pub seconds: f64,
    /// The mean norm, for where the sum is too large to be a number.
    pub(super) mean_norm: f64,
}

impl Report {
    /// Of one window that was not trained on.
    pub(super) fn evaluated(losses: LossSum, tokens: usize, products: Products) -> Self {
        Report { losses, tokens, products, ..Report::default() }
    }

    /// With one update.
    pub(super) fn updated(self, norm: f64, clipped: bool) -> Self {
        Report {
            updates: 1,
            clipped: usize::from(clipped),
            norm_sum: norm,
            largest_norm: norm,
            mean_norm: norm,
            ..self
        }
    }

    /// The mean loss of a token, in nats where the loss is a cross-entropy. NaN if there was none.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let LossSum { sum, weight, .. } = self.losses;
        if sum.is_finite() { sum / weight } else { self.losses.mean() }
    }

    /// exp(loss): how many equally likely tokens the model hesitates between. Infinite for a loss above 709.
    #[must_use]
    pub fn perplexity(&self) -> f64 {
        self.loss().exp()
    }

    /// loss / ln 2: bits per character, where tokens are characters.
    #[must_use]
    pub fn bits_per_character(&self) -> f64 {
        self.loss() / std::f64::consts::LN_2
    }

    /// The mean of the global gradient norms before the clip.
    #[must_use]
    pub fn gradient_norm(&self) -> f64 {
        if self.norm_sum.is_finite() { self.norm_sum / self.updates as f64 } else { self.mean_norm }
    }

    /// Tokens per second of wall time.
    #[must_use]
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds
    }

    pub(super) fn add(&mut self, other: &Report) {
        if other.tokens > 0 {
            self.products = other.products;
        }
        self.seconds += other.seconds;
        // Of two means, as shares of the whole, which stay in range where a sum does not.
        let all = (self.updates + other.updates).max(1) as f64;
        let (own, more) = (self.updates as f64 / all, other.updates as f64 / all);
        self.mean_norm = self.mean_norm * own + other.mean_norm * more;
        self.losses = self.losses + other.losses;
        self.tokens += other.tokens;
        self.updates += other.updates;
        self.clipped += other.clipped;
        self.norm_sum += other.norm_sum;
        self.largest_norm = self.largest_norm.max(other.largest_norm);
    }
}

/// The report of two runs, one after the other.
impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.add(&other);
    }
}
