//! The vanilla recurrent cell (Elman 1990): h' = φ(x·w_x + h·w_h + b).
//!
//! Backward (derived in `docs/derivations/rnn.md`): da = dh' ∘ φ'(a).

use super::Activation;
use super::activation::{check_clip, describe_clip};
use crate::{Describe, Error, Float, Gated, GatedSpec, Pointwise};

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
pub type Rnn<F> = Gated<F, RnnGates>;

impl<F: Float> Rnn<F> {
    /// `units` units with tanh.
    #[must_use]
    pub fn spec(units: usize) -> GatedSpec<F, RnnGates> {
        GatedSpec::new(RnnGates { activation: Activation::Tanh, clip: None }, units)
    }
}

impl<F: Float> GatedSpec<F, RnnGates> {
    /// φ, which may be another in each layer.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.gates_mut().activation = activation;
        self
    }

    /// Clips the argument of φ to ±`clip`: the attribute `clip` of ONNX. No gradient goes back through what is clipped.
    #[must_use]
    pub fn clip_gates(mut self, clip: f64) -> Self {
        self.gates_mut().clip = Some(clip);
        self
    }
}

/// The gate maths of [`Rnn`].
#[derive(Clone, Copy, Debug)]
pub struct RnnGates {
    activation: Activation,
    clip: Option<f64>,
}

impl RnnGates {
    /// φ.
    #[must_use]
    pub fn activation(&self) -> Activation {
        self.activation
    }
}

impl Pointwise for RnnGates {
    type X<F: Float> = [F; 1];
    type H<F: Float> = [F; 1];
    type State<F: Float> = [F; 1];
    type Saved<F: Float> = [F; 1];
    const NAME: &'static str = "Rnn";
    const SUMMED: bool = true;
    const PROJECTABLE: bool = true;

    fn check<F: Float>(&self) -> Result<(), Error> {
        self.activation.check::<F>()?;
        check_clip::<F>("clip_gates", self.clip)
    }

    fn describe(&self, about: Describe) -> Describe {
        let activation = self.activation.to_string();
        let about = if matches!(self.activation, Activation::Tanh) { about } else { about.option(activation.clone()) };
        describe_clip(about.setting("activation", activation), self.clip)
    }

    #[inline(always)]
    fn forward<F: Float>(&self, [x]: [F; 1], [u]: [F; 1], _: [F; 1]) -> ([F; 1], [F; 1]) {
        let (y, slope) = self.activation.apply_clipped::<F, false>(x + u, self.clip);
        ([y], [slope])
    }

    #[inline(always)]
    fn forward_block<F: Float, const UNITS: usize, const FUSED: bool>(
        &self,
        x: &[[F; 16]; 1],
        u: &[[F; 16]; 1],
        state: &mut [[F; 16]; 1],
        saved: &mut [[F; 16]; 1],
    ) {
        let mut a = x[0];
        for unit in 0..a.len() {
            a[unit] += u[0][unit];
        }
        self.activation.apply_block::<F, FUSED>(&a, self.clip, &mut state[0], &mut saved[0]);
    }

    #[inline(always)]
    fn backward<F: Float>(&self, [slope]: [F; 1], _: [F; 1], [dh]: [F; 1]) -> ([F; 1], [F; 1], [F; 1]) {
        let da = dh * slope;
        ([da], [da], [F::zero()])
    }
}
