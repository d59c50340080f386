//! What an epoch has shown.

/// Sums over the windows of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Sum over windows of loss times tokens.
    pub loss_sum: f64,
    /// Steps times rows.
    pub tokens: usize,
    /// Updates made.
    pub updates: usize,
    /// Updates whose gradients were clipped.
    pub clipped: usize,
    /// Sum of the global gradient norms before the clip.
    pub norm_sum: f64,
    /// The largest of them.
    pub largest_norm: f64,
    /// Wall time: batches, forward, loss, backward, clip, update.
    pub seconds: f64,
    /// Means, for where the sums are too large to be numbers.
    mean_loss: f64,
    mean_norm: f64,
}

impl Report {
    /// Of one window that was not trained on.
    pub(super) fn evaluated(loss: f64, tokens: usize) -> Self {
        Report { loss_sum: loss * tokens as f64, tokens, mean_loss: loss, ..Report::default() }
    }

    /// Of one window and its update.
    pub(super) fn trained(loss: f64, tokens: usize, norm: f64, clipped: bool) -> Self {
        Report {
            updates: 1,
            clipped: usize::from(clipped),
            norm_sum: norm,
            largest_norm: norm,
            mean_norm: norm,
            ..Report::evaluated(loss, tokens)
        }
    }

    /// The mean loss of a token, in nats where the loss is a cross-entropy. NaN if there was none.
    #[must_use]
    pub fn loss(&self) -> f64 {
        if self.loss_sum.is_finite() { self.loss_sum / self.tokens as f64 } else { self.mean_loss }
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
        // Of two means, as shares of the whole, which stay in range where a sum does not.
        let mean = |[a, b]: [f64; 2], [n, m]: [usize; 2]| {
            let all = (n + m).max(1) as f64;
            a * (n as f64 / all) + b * (m as f64 / all)
        };
        self.mean_loss = mean([self.mean_loss, other.mean_loss], [self.tokens, other.tokens]);
        self.mean_norm = mean([self.mean_norm, other.mean_norm], [self.updates, other.updates]);
        self.loss_sum += other.loss_sum;
        self.tokens += other.tokens;
        self.updates += other.updates;
        self.clipped += other.clipped;
        self.norm_sum += other.norm_sum;
        self.largest_norm = self.largest_norm.max(other.largest_norm);
    }
}
