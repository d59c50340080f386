//! Learning rates that change as a training goes on.

use std::f64::consts::PI;

/// A learning rate for each update.
///
/// | | rate at update n, counted from the end of the warm-up |
/// | --- | --- |
/// | [`constant`](Schedule::constant) | lr |
/// | [`linear`](Schedule::linear) | lr + (last - lr) n/N |
/// | [`cosine`](Schedule::cosine) | last + (lr - last) (1 + cos πn/N) / 2 (Loshchilov and Hutter 2017) |
/// | [`decay`](Schedule::decay) | lr · factor^(n/N) |
/// | [`steps`](Schedule::steps) | lr · factor^⌊n/N⌋ |
///
/// In the [warm-up](Schedule::warm_up) of W updates the rate is lr (n + 1) / (W + 1). `linear` and `cosine` stay from update N - 1 on as they are
/// there, so a rate that falls to 0 never is 0.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::optim::Schedule;
///
/// let lr = Schedule::cosine(4e-3, 1000).warm_up(50);
/// let net = Network::<f32>::builder(28).gru(16).linear(28).build()?;
/// let bptt = Bptt::builder(net).optimizer(Adam::new(lr.at(0))).schedule(move |n, adam| adam.set_lr(lr.at(n))).build()?;
/// # Ok::<(), Error>(())
/// ```
///
/// It knows no optimiser, so it serves any, and a rate of an optimiser of one's own. Rates that cannot be one are refused where they are
/// used: by the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    lr: f64,
    shape: Shape,
    warm_up: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Constant,
    Linear { last: f64, updates: u64 },
    Cosine { last: f64, updates: u64 },
    Decay { factor: f64, updates: u64 },
    Steps { factor: f64, updates: u64 },
}

impl Schedule {
    /// The same rate for good.
    #[must_use]
    pub fn constant(lr: f64) -> Self {
        Schedule { lr, shape: Shape::Constant, warm_up: 0 }
    }

    /// In a straight line to 0 in so many updates.
    #[must_use]
    pub fn linear(lr: f64, updates: u64) -> Self {
        Schedule { lr, shape: Shape::Linear { last: 0.0, updates }, warm_up: 0 }
    }

    /// Along half a wave to 0 in so many updates.
    #[must_use]
    pub fn cosine(lr: f64, updates: u64) -> Self {
        Schedule { lr, shape: Shape::Cosine { last: 0.0, updates }, warm_up: 0 }
    }

    /// By `factor` in so many updates, a little with each.
    #[must_use]
    pub fn decay(lr: f64, factor: f64, updates: u64) -> Self {
        Schedule { lr, shape: Shape::Decay { factor, updates }, warm_up: 0 }
    }

    /// By `factor` after each so many updates.
    #[must_use]
    pub fn steps(lr: f64, factor: f64, updates: u64) -> Self {
        Schedule { lr, shape: Shape::Steps { factor, updates }, warm_up: 0 }
    }

    /// Where `linear` and `cosine` end, instead of 0; the others stay as they are.
    #[must_use]
    pub fn down_to(mut self, lr: f64) -> Self {
        if let Shape::Linear { last, .. } | Shape::Cosine { last, .. } = &mut self.shape {
            *last = lr;
        }
        self
    }

    /// Rises in a straight line to its first rate, in so many updates before it.
    #[must_use]
    pub fn warm_up(mut self, updates: u64) -> Self {
        self.warm_up = updates;
        self
    }

    /// The rate of the update before which there were `n`.
    #[must_use]
    pub fn at(&self, n: u64) -> f64 {
        if n < self.warm_up {
            return self.lr * (n + 1) as f64 / (self.warm_up as f64 + 1.0);
        }
        let n = n - self.warm_up;
        // N = 0 counts as 1: the whole way is made at once.
        let share = |updates: u64| n as f64 / updates.max(1) as f64;
        let kept = |updates: u64| n.min(updates.saturating_sub(1)) as f64 / updates.max(1) as f64;
        match self.shape {
            Shape::Constant => self.lr,
            Shape::Linear { last, updates } => self.lr + (last - self.lr) * kept(updates),
            Shape::Cosine { last, updates } => last + (self.lr - last) * 0.5 * (1.0 + (PI * kept(updates)).cos()),
            Shape::Decay { factor, updates } => self.lr * factor.powf(share(updates)),
            Shape::Steps { factor, updates } => self.lr * factor.powf(share(updates).floor()),
        }
    }
}
