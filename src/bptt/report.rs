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
}

impl Report {
    /// The mean loss of a token, in nats where the loss is a cross-entropy. NaN if there was none.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.tokens as f64
    }

    /// exp(loss): how many equally likely tokens the model hesitates between.
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
        self.norm_sum / self.updates as f64
    }

    /// Tokens per second of wall time.
    #[must_use]
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds
    }

    pub(super) fn add(&mut self, other: &Report) {
        self.loss_sum += other.loss_sum;
        self.tokens += other.tokens;
        self.updates += other.updates;
        self.clipped += other.clipped;
        self.norm_sum += other.norm_sum;
        self.largest_norm = self.largest_norm.max(other.largest_norm);
    }
}
