//! The vanilla recurrent cell (Elman 1990): h' = φ(x·w_x + h·w_h + b).
//!
//! Backward (derived in `docs/derivations/rnn.md`): da = dh' ∘ φ'(a).

use std::fmt;
use std::str::FromStr;

use crate::{Error, Float, Gated, GatedSpec, Pointwise};

/// The vanilla recurrent cell: h' = φ(x·w_x + h·w_h + b), y = h'.
///
/// # Shapes
/// `x [B, D]` → `y [B, H]`; state `[h]`, `[B, H]`.
/// # Parameters
/// `w_x [D, H]`, `w_h [H, H]`, `b [H]` (and `b_h [H]` with [`Bias::Two`](crate::cells::Bias::Two)).
/// # Memory
/// A sequence with tape keeps T·B·H + B·H numbers: φ'(a), and h before the first step.
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::{Array2, array};
///
/// let cell = Rnn::<f64>::spec(2).build(1, &mut Init::seeded(1))?;
/// let (x, mut y, mut state) = (array![[0.5]], Array2::zeros((1, 2)), cell.zero_state(1));
/// state[0].assign(&array![[0.1, -0.2]]);
/// cell.step(Context::default(), x.view(), y.view_mut(), &mut state, None);
/// let a = x.dot(&cell.w_x()) + array![[0.1, -0.2]].dot(&cell.w_h()) + cell.b().unwrap();
/// assert!((y - a.mapv(f64::tanh)).iter().all(|error| error.abs() < 1e-15));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
pub type Rnn<F> = Gated<F, RnnGates<F>>;

impl<F: Float> Rnn<F> {
    /// `units` units with tanh.
    #[must_use]
    pub fn spec(units: usize) -> GatedSpec<F, RnnGates<F>> {
        GatedSpec::new(RnnGates { activation: Activation::Tanh }, units)
    }
}

impl<F: Float> GatedSpec<F, RnnGates<F>> {
    /// φ, which may be another in each layer.
    #[must_use]
    pub fn activation(mut self, activation: Activation<F>) -> Self {
        self.gates_mut().activation = activation;
        self
    }
}

/// The gate maths of [`Rnn`].
#[derive(Clone, Copy, Debug)]
pub struct RnnGates<F: Float> {
    activation: Activation<F>,
}

impl<F: Float> RnnGates<F> {
    /// φ.
    #[must_use]
    pub fn activation(&self) -> Activation<F> {
        self.activation
    }
}

impl<F: Float> Pointwise<F> for RnnGates<F> {
    type X = [F; 1];
    type H = [F; 1];
    type State = [F; 1];
    type Saved = [F; 1];
    const NAME: &'static str = "Rnn";
    const SUMMED: bool = true;

    fn check(&self) -> Result<(), Error> {
        match self.activation {
            Activation::LeakyRelu(k) | Activation::Elu(k) if !(k.is_finite() && (k == F::zero() || k.is_normal())) => {
                let expected = format!("a finite factor in {}, not denormal", F::NAME);
                Err(Error::value("activation", expected, format!("{:?}", self.activation)))
            }
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn forward(&self, [x]: [F; 1], [u]: [F; 1], _: [F; 1]) -> ([F; 1], [F; 1]) {
        let (y, slope) = self.activation.apply(x + u);
        ([y], [slope])
    }

    #[inline(always)]
    fn forward_block(&self, x: &[[F; 16]; 1], u: &[[F; 16]; 1], state: &mut [[F; 16]; 1], saved: &mut [[F; 16]; 1]) {
        // A loop for each φ, so that the choice is made once for the block and the loop becomes vector code.
        macro_rules! one_loop_each {
            ($($activation:pat => $same:expr),*) => { match self.activation {
                $( $activation => for unit in 0..x[0].len() {
                    (state[0][unit], saved[0][unit]) = $same.apply(x[0][unit] + u[0][unit]);
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
            Activation::HardSigmoid => Activation::HardSigmoid,
            Activation::Custom(name, function) => Activation::Custom(name, function)
        );
    }

    #[inline(always)]
    fn backward(&self, [slope]: [F; 1], _: [F; 1], [dh]: [F; 1]) -> ([F; 1], [F; 1], [F; 1]) {
        let da = dh * slope;
        ([da], [da], [F::zero()])
    }
}

/// The function φ of a vanilla cell.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Activation<F: Float> {
    /// tanh a.
    Tanh,
    /// max(a, 0); slope 0 at 0.
    Relu,
    /// 1 / (1 + e⁻ᵃ).
    Sigmoid,
    /// a.
    Identity,
    /// a where a > 0, else this times a.
    LeakyRelu(F),
    /// a where a > 0, else this times (eᵃ - 1) (Clevert et al. 2016).
    Elu(F),
    /// a / (1 + |a|).
    Softsign,
    /// 0, a/5 + 1/2 or 1: whichever is in the middle.
    HardSigmoid,
    /// Any other: its name, and a function from a to φ(a) and φ'(a).
    Custom(&'static str, fn(F) -> (F, F)),
}

impl<F: Float> Activation<F> {
    /// φ(a) and φ'(a).
    #[inline(always)]
    #[must_use]
    pub fn apply(self, a: F) -> (F, F) {
        let (zero, one) = (F::zero(), F::one());
        match self {
            Activation::Tanh => {
                let y = Float::tanh(a);
                (y, y.tanh_slope())
            }
            // NaN is not below 0, and stays.
            Activation::Relu => (if a < zero { zero } else { a }, if a > zero { one } else { zero }),
            Activation::Sigmoid => {
                let y = a.sigmoid();
                (y, y.sigmoid_slope())
            }
            Activation::Identity => (a, one),
            Activation::LeakyRelu(slope) => {
                if a > zero {
                    (a, one)
                } else {
                    (slope * a, slope)
                }
            }
            Activation::Elu(scale) => {
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
            Activation::HardSigmoid => {
                let y = a * F::from_f64(0.2) + F::from_f64(0.5);
                if y <= zero {
                    (zero, zero)
                } else if y >= one {
                    (one, zero)
                } else {
                    (y, F::from_f64(0.2))
                }
            }
            Activation::Custom(_, function) => function(a),
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
            Activation::HardSigmoid => "hard-sigmoid",
            Activation::Custom(name, _) => name,
        }
    }
}

impl<F: Float> fmt::Debug for Activation<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::LeakyRelu(slope) => write!(f, "leaky-relu({slope})"),
            Activation::Elu(scale) => write!(f, "elu({scale})"),
            other => f.write_str(other.name()),
        }
    }
}

impl<F: Float> FromStr for Activation<F> {
    type Err = Error;
    /// By name; leaky-relu with slope 0.01, elu with scale 1.
    fn from_str(name: &str) -> Result<Self, Error> {
        let known = [
            Activation::Tanh,
            Activation::Relu,
            Activation::Sigmoid,
            Activation::Identity,
            Activation::LeakyRelu(F::from_f64(0.01)),
            Activation::Elu(F::one()),
            Activation::Softsign,
            Activation::HardSigmoid,
        ];
        let names = known.map(|a| a.name()).join(", ");
        known.into_iter().find(|a| a.name() == name).ok_or_else(|| Error::value("activation", names, name))
    }
}
