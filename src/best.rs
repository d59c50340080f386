//! The best weights so far, and when to stop.

use crate::part::{Part, Resume};
use crate::{Error, Params};

/// Keeps the weights with the lowest loss on data that is not trained on, and says when none better came for too long (Prechelt 1998).
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::train::Best;
///
/// let net = Network::<f32>::builder(28).gru(16).linear(28).seed(1).build()?;
/// let mut bptt = Bptt::builder(net).optimizer(Adam::new(1e-2)).build()?;
/// # let (train, held_out) = (ndarray::Array2::from_shape_fn((20, 4), |(t, b)| (3 * t + b) % 28), ndarray::Array2::from_elem((20, 4), 5));
/// let mut best = Best::new(bptt.model()).patience(3);
/// while !best.is_over() {
///     bptt.train(&train, &train)?;
///     let report = bptt.evaluate([Batch::new(&held_out, &held_out)])?;
///     best.offer(report.loss(), bptt.model());
/// }
/// let net = best.into_params();
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Best<P> {
    params: P,
    loss: f64,
    offers: u64,
    at: u64,
    patience: Option<u64>,
}

impl<P: Params> Best<P> {
    /// For weights like these, which are the best as long as there are no others; never over without a [`patience`](Best::patience).
    #[must_use]
    pub fn new(like: &P) -> Self {
        Best { params: like.clone(), loss: f64::INFINITY, offers: 0, at: 0, patience: None }
    }

    /// Over after so many offers that are no better than the best; 0 counts as 1.
    #[must_use]
    pub fn patience(mut self, offers: u64) -> Self {
        self.patience = Some(offers.max(1));
        self
    }

    /// Takes these if their loss is lower than the lowest; whether it was. NaN never is.
    pub fn offer(&mut self, loss: f64, params: &P) -> bool {
        self.offers += 1;
        let better = loss < self.loss;
        if better {
            self.params.clone_from(params);
            (self.loss, self.at) = (loss, self.offers);
        }
        better
    }

    /// Whether the last offers, as many as the patience, were no better than the best.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.patience.is_some_and(|patience| self.since() >= patience)
    }

    /// How many offers came since the best.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.offers - self.at
    }

    /// The number of the best offer, counted from 1; 0 as long as there is none.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The lowest loss; ∞ as long as there is none.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The best weights.
    #[must_use]
    pub fn params(&self) -> &P {
        &self.params
    }

    /// The best weights.
    #[must_use]
    pub fn into_params(self) -> P {
        self.params
    }
}

/// All but the patience, which is the program's.
impl<P: Params> Resume for Best<P> {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("loss", self.loss);
        part.set("offers", self.offers);
        part.set("at", self.at);
        part.set_params("params", &self.params);
        Ok(part)
    }

    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        let (loss, offers, at): (f64, u64, u64) = (part.get("loss")?, part.get("offers")?, part.get("at")?);
        if at > offers {
            return Err(Error::value("at", format!("at most {offers}"), at));
        }
        let mut params = self.params.clone();
        part.fill_params("params", &mut params)?;
        *self = Best { params, loss, offers, at, patience: self.patience };
        Ok(())
    }
}
