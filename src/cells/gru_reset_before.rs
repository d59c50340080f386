//! The gated recurrent unit as in the book and its paper (Cho et al. 2014): r is applied to h, before the product.
//!
//! Backward (derived in `docs/derivations/gru.md`), with v = r∘h, dv = da_n·w_nᵀ:
//! da_n = dh'∘(1-z)∘(1-n²);  da_z = dh'∘(h-n)∘z(1-z);  da_r = dv∘h∘r(1-r);  dh = dh'∘z + dv∘r + [da_r da_z]·w_rzᵀ.

use super::Activation;
use super::activation::{check_clip, describe_clip};
use crate::gates::{PerUnit, PerUnitGrad};
use crate::{Describe, Error, Float, Gated, GatedSpec};

/// The gated recurrent unit with the reset before the product, with a = x·w_x + b cut into three gates:
///
/// ```text
/// r = σ(a_r + h·w_r)   z = σ(a_z + h·w_z)   n = tanh(a_n + (r∘h)·w_n)      y = h' = (1 - z)∘n + z∘h
/// ```
///
/// It is the one of the book, and ONNX's with `linear_before_reset = 0`; PyTorch's is [`Gru`](crate::cells::Gru).
///
/// # Shapes
/// `x [B, D]` → `y [B, H]`; state `[h]`, `[B, H]`.
/// # Parameters
/// `w_x [D, 3H]`, `w_h [H, 3H]`, `b [3H]` (and `b_h [3H]` with [`Bias::Two`](crate::cells::Bias::Two)), gates in the order r z n.
/// # Memory
/// A sequence with tape keeps 3·T·B·H + B·H numbers: the gates, and h before the first step.
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::{Array2, array};
///
/// let cell = GruResetBefore::<f64>::spec(1).build(2, &mut Init::seeded(1))?;
/// let (x, mut y, mut state, h) = (array![[0.5, -1.0]], Array2::zeros((1, 1)), cell.zero_state(1), 0.3);
/// state[0][[0, 0]] = h;
/// cell.step(Context::default(), x.view(), y.view_mut(), &mut state, None);
///
/// let a = (x.dot(&cell.w_x()) + cell.b().unwrap()).remove_axis(ndarray::Axis(0));
/// let w = cell.w_h();
/// let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
/// let (r, z) = (sigmoid(a[0] + h * w[[0, 0]]), sigmoid(a[1] + h * w[[0, 1]]));
/// let n = (a[2] + r * h * w[[0, 2]]).tanh();
/// assert!((y[[0, 0]] - ((1.0 - z) * n + z * h)).abs() < 1e-15);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
pub type GruResetBefore<F> = Gated<F, GruResetBeforeGates>;

impl<F: Float> GruResetBefore<F> {
    /// `units` units.
    #[must_use]
    pub fn spec(units: usize) -> GatedSpec<F, GruResetBeforeGates> {
        GatedSpec::new(GruResetBeforeGates, units)
    }
}

/// The gate maths of [`GruResetBefore`].
#[derive(Clone, Copy, Debug)]
pub struct GruResetBeforeGates;

impl PerUnit for GruResetBeforeGates {
    type Weights<F: Float> = [F; 0];
    type X<F: Float> = [F; 3];
    type H<F: Float> = [F; 3];
    type State<F: Float> = [F; 1];
    type Saved<F: Float> = [F; 3];
    const NAME: &'static str = "GruResetBefore";
    const SUMMED: bool = true;
    const AFTER: usize = 1;

    #[inline(always)]
    fn operand<F: Float>(&self, [r, z, n]: [F; 3], [h]: [F; 1]) -> ([F; 3], F) {
        let r = r.sigmoid();
        ([r, z, n], r * h)
    }

    #[inline(always)]
    fn forward<F: Float>(&self, _: [F; 0], [r, z, n]: [F; 3], _: [F; 3], [h]: [F; 1]) -> ([F; 1], [F; 3]) {
        let (z, n) = (z.sigmoid(), Float::tanh(n));
        ([(F::one() - z) * n + z * h], [r, z, n])
    }

    #[inline(always)]
    fn backward<F: Float>(&self, _: [F; 0], [_, z, n]: [F; 3], [h]: [F; 1], [dh]: [F; 1]) -> PerUnitGrad<F, Self> {
        let da_n = dh * (F::one() - z) * n.tanh_slope();
        let da_z = dh * (h - n) * z.sigmoid_slope();
        let x = [F::zero(), da_z, da_n];
        PerUnitGrad { weights: [], x, u: x, before: [dh * z] }
    }

    #[inline(always)]
    fn operand_backward<F: Float>(
        &self,
        [r, _, _]: [F; 3],
        [h]: [F; 1],
        d_v: F,
        [_, da_z, da_n]: [F; 3],
        [dh]: [F; 1],
    ) -> ([F; 3], [F; 1], F) {
        ([d_v * h * r.sigmoid_slope(), da_z, da_n], [dh + d_v * r], r * h)
    }
}

impl<F: Float> GatedSpec<F, GruResetBeforeGates> {
    fn variant(self) -> GatedSpec<F, GruResetBeforeVariant> {
        self.with_gates(GruResetBeforeVariant::default())
    }
    /// As [`activations`](GatedSpec::activations) of a variant.
    #[must_use]
    pub fn activations(self, gate: Activation, candidate: Activation) -> GatedSpec<F, GruResetBeforeVariant> {
        self.variant().activations(gate, candidate)
    }
    /// As [`clip_gates`](GatedSpec::clip_gates) of a variant.
    #[must_use]
    pub fn clip_gates(self, clip: f64) -> GatedSpec<F, GruResetBeforeVariant> {
        self.variant().clip_gates(clip)
    }
}

/// The gate maths of [`GruResetBefore`] with other activations or a clip:
///
/// ```text
/// r = f(a_r + h·w_r)   z = f(a_z + h·w_z)   n = g(a_n + (r∘h)·w_n)      y = h' = (1 - z)∘n + z∘h
/// ```
///
/// A sequence with tape keeps 6·T·B·H + B·H numbers.
#[derive(Clone, Copy, Debug)]
pub struct GruResetBeforeVariant {
    gate: Activation,
    candidate: Activation,
    clip: Option<f64>,
}

impl Default for GruResetBeforeVariant {
    fn default() -> Self {
        GruResetBeforeVariant { gate: Activation::Sigmoid, candidate: Activation::Tanh, clip: None }
    }
}

impl<F: Float> GatedSpec<F, GruResetBeforeVariant> {
    /// f of the gates r and z, and g of the candidate n.
    #[must_use]
    pub fn activations(mut self, gate: Activation, candidate: Activation) -> Self {
        let gates = self.gates_mut();
        (gates.gate, gates.candidate) = (gate, candidate);
        self
    }

    /// Clips the arguments of f and g to ±`clip`: the attribute `clip` of ONNX. No gradient goes back through what is clipped.
    #[must_use]
    pub fn clip_gates(mut self, clip: f64) -> Self {
        self.gates_mut().clip = Some(clip);
        self
    }
}

impl PerUnit for GruResetBeforeVariant {
    type Weights<F: Float> = [F; 0];
    type X<F: Float> = [F; 3];
    type H<F: Float> = [F; 3];
    type State<F: Float> = [F; 1];
    /// r, z, n and their slopes.
    type Saved<F: Float> = [F; 6];
    const NAME: &'static str = "GruResetBefore";
    const SUMMED: bool = true;
    const AFTER: usize = 1;

    fn check<F: Float>(&self) -> Result<(), Error> {
        self.gate.check::<F>()?;
        self.candidate.check::<F>()?;
        check_clip::<F>("clip_gates", self.clip)
    }

    fn describe(&self, about: Describe) -> Describe {
        let names = ["gate_activation", "candidate_activation"];
        let about = names.into_iter().zip([self.gate, self.candidate]).fold(about, |about, (name, activation)| {
            about.option(activation.to_string()).setting(name, activation.to_string())
        });
        describe_clip(about, self.clip)
    }

    #[inline(always)]
    fn operand<F: Float>(&self, x: [F; 3], [h]: [F; 1]) -> ([F; 3], F) {
        (x, self.gate.apply_clipped::<F, false>(x[0], self.clip).0 * h)
    }

    #[inline(always)]
    fn forward<F: Float>(&self, _: [F; 0], x: [F; 3], _: [F; 3], [h]: [F; 1]) -> ([F; 1], [F; 6]) {
        let (r, s_r) = self.gate.apply_clipped::<F, false>(x[0], self.clip);
        let (z, s_z) = self.gate.apply_clipped::<F, false>(x[1], self.clip);
        let (n, s_n) = self.candidate.apply_clipped::<F, false>(x[2], self.clip);
        ([(F::one() - z) * n + z * h], [r, z, n, s_r, s_z, s_n])
    }

    #[inline(always)]
    fn backward<F: Float>(
        &self,
        _: [F; 0],
        [_, z, n, _, s_z, s_n]: [F; 6],
        [h]: [F; 1],
        [dh]: [F; 1],
    ) -> PerUnitGrad<F, Self> {
        let x = [F::zero(), dh * (h - n) * s_z, dh * (F::one() - z) * s_n];
        PerUnitGrad { weights: [], x, u: x, before: [dh * z] }
    }

    #[inline(always)]
    fn operand_backward<F: Float>(
        &self,
        [r, _, _, s_r, _, _]: [F; 6],
        [h]: [F; 1],
        d_v: F,
        [_, da_z, da_n]: [F; 3],
        [dh]: [F; 1],
    ) -> ([F; 3], [F; 1], F) {
        ([d_v * h * s_r, da_z, da_n], [dh + d_v * r], r * h)
    }
}
