//! The mean of weights along a training.

use ndarray::{ArrayViewD, ArrayViewMutD};
use num_traits::float::FloatCore;

use crate::optim::difference;
use crate::part::{Part, Resume};
use crate::{Error, Float, Params};

/// The mean of weights along a training, which is often better on new data than the last of them: of all alike (Polyak and Juditsky
/// 1992; Izmailov et al. 2018), or of the last ones most.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::train::Average;
///
/// let net = Network::<f32>::builder(28).gru(16).linear(28).seed(1).build()?;
/// let mut bptt = Bptt::builder(net).optimizer(Adam::new(1e-3)).build()?;
/// let mut average = Average::new(bptt.model());
/// # let tokens = ndarray::Array2::from_shape_fn((20, 4), |(t, b)| (3 * t + b) % 28);
/// for update in 0..30 {
///     bptt.train(&tokens, &tokens)?;
///     if update >= 20 {
///         average.add(bptt.model())?;
///     }
/// }
/// average.swap(bptt.model_mut())?; // the engine has the mean now, and the average the last weights
/// let mean = bptt.evaluate([Batch::new(&tokens, &tokens)])?;
/// average.swap(bptt.model_mut())?; // as before
/// # assert!(mean.loss().is_finite());
/// # Ok::<(), Error>(())
/// ```
///
/// It is summed with compensation: the mean of a million weights in `f32` is right to the last digit. Numbers below
/// [`Float::TINY`] become 0. It holds two copies of the weights.
#[derive(Clone, Debug)]
pub struct Average<P> {
    mean: P,
    /// What the mean lacks: the digits below its last.
    low: P,
    count: u64,
    decay: Option<f64>,
}

impl<P: Params> Average<P> {
    /// With the same weight for all; for weights like these, which do not count themselves.
    #[must_use]
    pub fn new(like: &P) -> Self {
        Average { mean: like.clone(), low: like.zeros_like(), count: 0, decay: None }
    }

    /// Where each added one counts `decay` times as much as the one after it. Divided by the sum of what all of them count, so that the
    /// first ones are no nearer to 0 than others.
    ///
    /// # Errors
    /// If `decay` is not from 0, below 1.
    pub fn exponential(like: &P, decay: f64) -> Result<Self, Error> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::value("decay", "a number from 0, below 1", decay));
        }
        Ok(Average { decay: Some(decay), ..Average::new(like) })
    }

    /// Adds these.
    ///
    /// # Errors
    /// If they have other arrays than the average, or a number that is not finite; then nothing is changed.
    pub fn add(&mut self, params: &P) -> Result<(), Error> {
        self.expect(params)?;
        if !params.is_finite() {
            return Err(Error::value("params", "finite numbers", "one that is not"));
        }
        self.count += 1;
        if self.count == 1 {
            self.mean.zip_mut(params, &mut |_, mut mean, params| mean.assign(&params));
            self.low.set_zero();
            return Ok(());
        }
        let share = match self.decay {
            None => 1.0 / self.count as f64,
            Some(decay) => (1.0 - decay) / (1.0 - decay.powf(self.count as f64)),
        };
        let (mut low, mut new) = (Vec::new(), Vec::new());
        self.low.visit_mut(&mut |_, view| low.push(view));
        params.visit(&mut |_, view| new.push(view));
        let mut others = low.into_iter().zip(new);
        self.mean.visit_mut(&mut |_, mean| {
            if let Some((low, new)) = others.next() {
                move_mean(mean, low, &new, P::Elem::from_f64(share));
            }
        });
        Ok(())
    }

    /// How many were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean; before the first one what it was made of.
    #[must_use]
    pub fn params(&self) -> &P {
        &self.mean
    }

    /// The mean.
    #[must_use]
    pub fn into_params(self) -> P {
        self.mean
    }

    /// Puts the mean where `params` is and keeps those meanwhile; once more, and both are as before. Between the two nothing is to be added.
    ///
    /// # Errors
    /// If nothing was added yet, or they have other arrays; then nothing is changed.
    pub fn swap(&mut self, params: &mut P) -> Result<(), Error> {
        if self.count == 0 {
            return Err(Error::value("average", "one that something was added to", "one of nothing"));
        }
        self.expect(params)?;
        std::mem::swap(&mut self.mean, params);
        Ok(())
    }
}

impl<P: Params> Average<P> {
    fn expect(&self, params: &P) -> Result<(), Error> {
        match difference(&self.mean, params) {
            None => Ok(()),
            Some([expected, got]) => Err(Error::value("params", format!("arrays as the average's: {expected}"), got)),
        }
    }
}

/// mean += share (new - mean), with the digits that are lost kept in `low`.
#[inline(never)]
fn move_mean<F: Float>(
    mut mean: ArrayViewMutD<'_, F>,
    mut low: ArrayViewMutD<'_, F>,
    new: &ArrayViewD<'_, F>,
    share: F,
) {
    ndarray::Zip::from(&mut mean).and(&mut low).and(new).for_each(|mean, low, new| {
        let apart = *new - *mean;
        let by = if FloatCore::is_finite(apart) { (apart - *low) * share } else { *new * share - *mean * share };
        let step = by + *low;
        let next = *mean + step;
        *low = (step - (next - *mean)).flush();
        *mean = next.flush();
    });
}

/// The mean, and how many there are; whether and how the weight decays is the program's.
impl<P: Params> Resume for Average<P> {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("count", self.count);
        part.set_params("mean", &self.mean);
        part.set_params("low", &self.low);
        Ok(part)
    }

    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        let (mut mean, mut low) = (self.mean.clone(), self.low.clone());
        part.fill_params("mean", &mut mean)?;
        part.fill_params("low", &mut low)?;
        *self = Average { count: part.get("count")?, mean, low, decay: self.decay };
        Ok(())
    }
}
