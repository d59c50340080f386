//! The functions a gate may have.

use std::fmt;
use std::str::FromStr;

use crate::gates::BLOCK;
use crate::kernel::dispatch::{Job, dispatch};
use crate::{Describe, Error, Float};

/// A function φ of a cell: a state's, or a gate's.
///
/// It is displayed as it is read: `tanh`, `leaky-relu(0.01)`, `hard-sigmoid(0.2, 0.5)`.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Activation {
    /// tanh a.
    Tanh,
    /// max(a, 0); slope 0 at 0.
    Relu,
    /// 1 / (1 + e⁻ᵃ).
    Sigmoid,
    /// a.
    Identity,
    /// a where a > 0, else this times a.
    LeakyRelu(f64),
    /// a where a > 0, else this times (eᵃ - 1) (Clevert et al. 2016).
    Elu(f64),
    /// a / (1 + |a|).
    Softsign,
    /// 0, s·a + b or 1, whichever is in the middle: slope s and offset b. There are two in use,
    /// [`HARD_SIGMOID`](Activation::HARD_SIGMOID) and [`HARD_SIGMOID_6`](Activation::HARD_SIGMOID_6).
    HardSigmoid(f64, f64),
    /// s·a + b.
    Affine(f64, f64),
    /// s·tanh(k·a), of s and k.
    ScaledTanh(f64, f64),
    /// a where it is larger than this, else 0.
    ThresholdedRelu(f64),
    /// ln(1 + eᵃ).
    Softplus,
    /// Any other: its name, and a function from a to φ(a) and φ'(a).
    Custom(&'static str, fn(f64) -> (f64, f64)),
}

impl Activation {
    /// a/5 + 1/2 between 0 and 1: that of ONNX, and of Keras before version 3.
    pub const HARD_SIGMOID: Activation = Activation::HardSigmoid(0.2, 0.5);
    /// a/6 + 1/2 between 0 and 1: that of PyTorch, and of Keras from version 3 on.
    pub const HARD_SIGMOID_6: Activation = Activation::HardSigmoid(1.0 / 6.0, 0.5);

    /// Those that have a name, with the parameters that go without saying.
    const KNOWN: [Activation; 12] = [
        Activation::Tanh,
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Identity,
        Activation::LeakyRelu(0.01),
        Activation::Elu(1.0),
        Activation::Softsign,
        Activation::HARD_SIGMOID,
        Activation::Affine(1.0, 0.0),
        Activation::ScaledTanh(1.0, 1.0),
        Activation::ThresholdedRelu(1.0),
        Activation::Softplus,
    ];

    /// φ(a) and φ'(a).
    #[inline(always)]
    #[must_use]
    pub fn apply<F: Float>(self, a: F) -> (F, F) {
        self.apply_if::<F, false>(a)
    }

    /// [`apply`](Activation::apply), by fused operations where `FUSED`.
    #[inline(always)]
    fn apply_if<F: Float, const FUSED: bool>(self, a: F) -> (F, F) {
        let (zero, one) = (F::zero(), F::one());
        match self {
            Activation::Tanh => {
                let y = a.tanh_if::<FUSED>();
                (y, y.tanh_slope())
            }
            // NaN is not below 0, and stays.
            Activation::Relu => (if a < zero { zero } else { a }, if a > zero { one } else { zero }),
            Activation::Sigmoid => {
                let y = a.sigmoid_if::<FUSED>();
                (y, y.sigmoid_slope())
            }
            Activation::Identity => (a, one),
            Activation::LeakyRelu(slope) => {
                let slope = F::from_f64(slope);
                if a > zero { (a, one) } else { (slope * a, slope) }
            }
            Activation::Elu(scale) => {
                let scale = F::from_f64(scale);
                let below = (scale * Float::exp_m1(a), scale * Float::exp(a).flush());
                if a > zero { (a, one) } else { below }
            }
            Activation::Softsign => {
                // Beyond this φ is ±1, and 1/|a| would leave the normal numbers.
                let most = one / F::TINY;
                let a = if a > most { most } else { a };
                let a = if a < -most { -most } else { a };
                let d = one / (one + a.abs());
                (a * d, (d * d).flush())
            }
            Activation::HardSigmoid(slope, offset) => {
                let slope = F::from_f64(slope);
                let y = a * slope + F::from_f64(offset);
                if y <= zero {
                    (zero, zero)
                } else if y >= one {
                    (one, zero)
                } else {
                    (y, slope)
                }
            }
            Activation::Affine(slope, offset) => (a * F::from_f64(slope) + F::from_f64(offset), F::from_f64(slope)),
            Activation::ScaledTanh(scale, slope) => {
                let (scale, slope) = (F::from_f64(scale), F::from_f64(slope));
                let y = (slope * a).tanh_if::<FUSED>();
                (scale * y, scale * slope * y.tanh_slope())
            }
            Activation::ThresholdedRelu(threshold) => {
                // NaN stays.
                let (below, above) = (a <= F::from_f64(threshold), a > F::from_f64(threshold));
                (if below { zero } else { a }, if above { one } else { zero })
            }
            Activation::Softplus => {
                let e = Float::exp(-a.abs()).as_f64();
                let above = if a < zero { zero } else { a };
                (above + F::from_f64(libm::log1p(e)), a.sigmoid_if::<FUSED>())
            }
            Activation::Custom(_, function) => {
                let (y, slope) = function(a.as_f64());
                (F::from_f64(y), F::from_f64(slope))
            }
        }
    }

    /// [`apply`](Activation::apply) to a clipped to ±`clip`; the slope is 0 where a is clipped.
    #[inline(always)]
    pub(super) fn apply_clipped<F: Float, const FUSED: bool>(self, a: F, clip: Option<f64>) -> (F, F) {
        let Some(clip) = clip else { return self.apply_if::<F, FUSED>(a) };
        let clip = F::from_f64(clip);
        let (y, slope) = self.apply_if::<F, FUSED>(clipped(a, -clip, clip));
        (y, if a.abs() >= clip { F::zero() } else { slope })
    }

    /// The same for a block of units; of the functions that are given, and without a clip, in the caller's loop.
    #[inline(always)]
    pub(super) fn apply_block<F: Float, const FUSED: bool>(
        self,
        a: &[F; BLOCK],
        clip: Option<f64>,
        ys: &mut [F; BLOCK],
        slopes: &mut [F; BLOCK],
    ) {
        // A loop for each φ, so that the choice is made once for the block and the loop becomes vector code.
        match (self, clip) {
            (Activation::Tanh, None) => Activation::Tanh.loop_over::<F, FUSED>(a, ys, slopes),
            (Activation::Relu, None) => Activation::Relu.loop_over::<F, FUSED>(a, ys, slopes),
            (Activation::Sigmoid, None) => Activation::Sigmoid.loop_over::<F, FUSED>(a, ys, slopes),
            _ => rarer(Rarer { activation: self, clip, a, ys, slopes }),
        }
    }

    /// The same where σ is the usual one.
    #[inline(always)]
    pub(super) fn apply_gate_block<F: Float, const FUSED: bool>(
        self,
        a: &[F; BLOCK],
        clip: Option<f64>,
        ys: &mut [F; BLOCK],
        slopes: &mut [F; BLOCK],
    ) {
        match (self, clip) {
            (Activation::Sigmoid, None) => Activation::Sigmoid.loop_over::<F, FUSED>(a, ys, slopes),
            _ => rarer(Rarer { activation: self, clip, a, ys, slopes }),
        }
    }

    /// The same where tanh is the usual one.
    #[inline(always)]
    pub(super) fn apply_value_block<F: Float, const FUSED: bool>(
        self,
        a: &[F; BLOCK],
        clip: Option<f64>,
        ys: &mut [F; BLOCK],
        slopes: &mut [F; BLOCK],
    ) {
        match (self, clip) {
            (Activation::Tanh, None) => Activation::Tanh.loop_over::<F, FUSED>(a, ys, slopes),
            _ => rarer(Rarer { activation: self, clip, a, ys, slopes }),
        }
    }

    #[inline(always)]
    fn loop_over<F: Float, const FUSED: bool>(self, a: &[F; BLOCK], ys: &mut [F; BLOCK], slopes: &mut [F; BLOCK]) {
        for unit in 0..BLOCK {
            (ys[unit], slopes[unit]) = self.apply_if::<F, FUSED>(a[unit]);
        }
    }

    /// Refuses parameters that are out of their range in `F`.
    pub(crate) fn check<F: Float>(self) -> Result<(), Error> {
        let parameters = self.parameters();
        let in_range = |k: f64| k == 0.0 || F::from_f64(k).is_normal();
        if !parameters.iter().copied().all(in_range) {
            let expected = format!("finite parameters in {}, not denormal", F::NAME);
            return Err(Error::value("activation", expected, self));
        }
        match self {
            Activation::HardSigmoid(slope, _) if slope <= 0.0 => {
                Err(Error::value("activation", "a hard sigmoid with a positive slope", self))
            }
            _ => Ok(()),
        }
    }

    /// Its parameters, in order.
    fn parameters(&self) -> Vec<f64> {
        match *self {
            Activation::LeakyRelu(a) | Activation::Elu(a) | Activation::ThresholdedRelu(a) => vec![a],
            Activation::HardSigmoid(a, b) | Activation::Affine(a, b) | Activation::ScaledTanh(a, b) => vec![a, b],
            _ => Vec::new(),
        }
    }

    /// The same with these parameters, of which there are as many as it has.
    fn with_parameters(self, parameters: &[f64]) -> Activation {
        match (self, parameters) {
            (Activation::LeakyRelu(_), [a]) => Activation::LeakyRelu(*a),
            (Activation::Elu(_), [a]) => Activation::Elu(*a),
            (Activation::ThresholdedRelu(_), [a]) => Activation::ThresholdedRelu(*a),
            (Activation::HardSigmoid(..), [a, b]) => Activation::HardSigmoid(*a, *b),
            (Activation::Affine(..), [a, b]) => Activation::Affine(*a, *b),
            (Activation::ScaledTanh(..), [a, b]) => Activation::ScaledTanh(*a, *b),
            _ => self,
        }
    }

    /// The name that [`FromStr`] knows it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Tanh => "tanh",
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Identity => "identity",
            Activation::LeakyRelu(_) => "leaky-relu",
            Activation::Elu(_) => "elu",
            Activation::Softsign => "softsign",
            Activation::HardSigmoid(..) => "hard-sigmoid",
            Activation::Affine(..) => "affine",
            Activation::ScaledTanh(..) => "scaled-tanh",
            Activation::ThresholdedRelu(_) => "thresholded-relu",
            Activation::Softplus => "softplus",
            Activation::Custom(name, _) => name,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters: Vec<String> = self.parameters().iter().map(f64::to_string).collect();
        f.write_str(self.name())?;
        if parameters.is_empty() { Ok(()) } else { write!(f, "({})", parameters.join(", ")) }
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Activation {
    type Err = Error;
    /// By name, with parameters in brackets or without; then leaky-relu has slope 0.01, elu scale 1, hard-sigmoid slope 0.2 and offset
    /// 0.5, affine and scaled-tanh do nothing of their own, thresholded-relu has threshold 1.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, rest) = text.split_once('(').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let names = || Activation::KNOWN.map(|a| a.name()).join(", ");
        let known = Activation::KNOWN.into_iter().find(|a| a.name() == name);
        let known = known.ok_or_else(|| Error::value("activation", names(), text))?;
        let Some(rest) = rest else { return Ok(known) };
        let numbers = rest.strip_suffix(')').map(|rest| rest.split(',').map(|number| number.trim().parse::<f64>()));
        let numbers: Option<Vec<f64>> = numbers.and_then(|numbers| numbers.collect::<Result<_, _>>().ok());
        match numbers.filter(|numbers| !numbers.is_empty() && numbers.len() == known.parameters().len()) {
            Some(numbers) => Ok(known.with_parameters(&numbers)),
            None => Err(Error::value("activation", format!("parameters as in {known}"), text)),
        }
    }
}

/// Compiled once, and not in each loop over units.
#[inline(never)]
fn rarer<F: Float>(rarer: Rarer<'_, F>) {
    dispatch(rarer);
}

/// A block of any function, clipped or not.
struct Rarer<'a, F> {
    activation: Activation,
    clip: Option<f64>,
    a: &'a [F; BLOCK],
    ys: &'a mut [F; BLOCK],
    slopes: &'a mut [F; BLOCK],
}

impl<F: Float> Job for Rarer<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let Rarer { activation, clip, a, ys, slopes } = self;
        let mut inside = *a;
        if let Some(clip) = clip {
            let clip = F::from_f64(clip);
            for unit in 0..BLOCK {
                inside[unit] = clipped(a[unit], -clip, clip);
            }
        }
        macro_rules! one_loop_each {
            ($($activation:pat => $same:expr),* $(,)?) => { match activation {
                $( $activation => for unit in 0..BLOCK {
                    (ys[unit], slopes[unit]) = $same.apply_if::<F, FUSED>(inside[unit]);
                }, )*
            } };
        }
        one_loop_each!(
            Activation::Tanh => Activation::Tanh,
            Activation::Relu => Activation::Relu,
            Activation::Sigmoid => Activation::Sigmoid,
            Activation::Identity => Activation::Identity,
            Activation::LeakyRelu(slope) => Activation::LeakyRelu(slope),
            Activation::Elu(scale) => Activation::Elu(scale),
            Activation::Softsign => Activation::Softsign,
            Activation::HardSigmoid(slope, offset) => Activation::HardSigmoid(slope, offset),
            Activation::Affine(slope, offset) => Activation::Affine(slope, offset),
            Activation::ScaledTanh(scale, slope) => Activation::ScaledTanh(scale, slope),
            Activation::ThresholdedRelu(threshold) => Activation::ThresholdedRelu(threshold),
            Activation::Softplus => Activation::Softplus,
            Activation::Custom(name, function) => Activation::Custom(name, function),
        );
        if let Some(clip) = clip {
            let clip = F::from_f64(clip);
            for unit in 0..BLOCK {
                slopes[unit] = if a[unit].abs() >= clip { F::zero() } else { slopes[unit] };
            }
        }
    }
}

/// `x` from `low` to `high`; NaN stays.
#[inline(always)]
pub(super) fn clipped<F: Float>(x: F, low: F, high: F) -> F {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}

/// Refuses a bound that is not positive in `F`.
pub(super) fn check_clip<F: Float>(name: &str, clip: Option<f64>) -> Result<(), Error> {
    match clip {
        Some(clip) if !(clip > 0.0 && F::from_f64(clip).is_normal()) => {
            Err(Error::value(name, format!("a positive number in {}", F::NAME), clip))
        }
        _ => Ok(()),
    }
}

/// Adds the bound of the arguments of gates to what describes a cell.
pub(super) fn describe_clip(about: Describe, clip: Option<f64>) -> Describe {
    match clip {
        Some(clip) => about.option(format!("gates clipped at {clip}")).setting("clip_gates", clip),
        None => about,
    }
}
