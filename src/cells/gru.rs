//! The gated recurrent unit (Cho et al. 2014), reset after the product, as PyTorch and cuDNN have it.
//!
//! Backward (derived in `docs/derivations/gru.md`): dn = dh'∘(1-z);  dz = dh'∘(h - n);  da_n = dn∘(1-n²);
//! da_r = da_n∘u_n∘r(1-r);  da_z = dz∘z(1-z);  du_r = da_r;  du_z = da_z;  du_n = da_n∘r;  dh = dh'∘z.

use super::activation::{Activation, check_clip, describe_clip};
use crate::{Describe, Error, Float, Gated, GatedSpec, Pointwise};

/// The gated recurrent unit with the reset gate after the product. With a = x·w_x + b and u = h·w_h + b_h, each cut
/// into three:
///
/// ```text
/// r = σ(a_r + u_r)   z = σ(a_z + u_z)   n = tanh(a_n + r∘u_n)      y = h' = (1 - z)∘n + z∘h
/// ```
///
/// With one bias `b_h` is there too, since r multiplies its third part and the two cannot be merged. For the other
/// form, the book's, see [`GruResetBefore`](crate::cells::GruResetBefore); weights of the one are wrong in the other.
///
/// # Shapes
/// `x [B, D]` → `y [B, H]`; state `[h]`, `[B, H]`.
/// # Parameters
/// `w_x [D, 3H]`, `w_h [H, 3H]`, `b [3H]`, `b_h [3H]`, gates in the order r z n, which is PyTorch's.
/// # Memory
/// A sequence with tape keeps 4·T·B·H + B·H numbers: r, z, n, u_n, and h before the first step.
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::{Array2, array};
///
/// let cell = Gru::<f64>::spec(1).build(2, &mut Init::seeded(1))?;
/// let (x, mut y, mut state, h) = (array![[0.5, -1.0]], Array2::zeros((1, 1)), cell.zero_state(1), 0.3);
/// state[0][[0, 0]] = h;
/// cell.step(Context::default(), x.view(), y.view_mut(), &mut state, None);
///
/// let a = (x.dot(&cell.w_x()) + cell.b().unwrap()).remove_axis(ndarray::Axis(0));
/// let u = (array![[h]].dot(&cell.w_h()) + cell.b_h().unwrap()).remove_axis(ndarray::Axis(0));
/// let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
/// let (r, z) = (sigmoid(a[0] + u[0]), sigmoid(a[1] + u[1]));
/// let n = (a[2] + r * u[2]).tanh();
/// assert!((y[[0, 0]] - ((1.0 - z) * n + z * h)).abs() < 1e-15);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
pub type Gru<F> = Gated<F, GruGates>;

impl<F: Float> Gru<F> {
    /// `units` units.
    #[must_use]
    pub fn spec(units: usize) -> GatedSpec<F, GruGates> {
        GatedSpec::new(GruGates, units)
    }
}

/// The gate maths of [`Gru`].
#[derive(Clone, Copy, Debug)]
pub struct GruGates;

impl Pointwise for GruGates {
    type X<F: Float> = [F; 3];
    type H<F: Float> = [F; 3];
    type State<F: Float> = [F; 1];
    type Saved<F: Float> = [F; 4];
    const NAME: &'static str = "Gru";
    const RECURRENT_BIAS: bool = true;

    #[inline(always)]
    fn forward<F: Float>(&self, x: [F; 3], u: [F; 3], before: [F; 1]) -> ([F; 1], [F; 4]) {
        self.forward_if::<F, false>(x, u, before)
    }

    #[inline(always)]
    fn forward_if<F: Float, const FUSED: bool>(&self, x: [F; 3], u: [F; 3], [h]: [F; 1]) -> ([F; 1], [F; 4]) {
        let (r, z) = ((x[0] + u[0]).sigmoid_if::<FUSED>(), (x[1] + u[1]).sigmoid_if::<FUSED>());
        let n = (x[2] + r * u[2]).tanh_if::<FUSED>();
        ([(F::one() - z) * n + z * h], [r, z, n, u[2]])
    }

    #[inline(always)]
    fn backward<F: Float>(&self, [r, z, n, u]: [F; 4], [h]: [F; 1], [dh]: [F; 1]) -> ([F; 3], [F; 3], [F; 1]) {
        let da_n = dh * (F::one() - z) * n.tanh_slope();
        let da_r = da_n * u * r.sigmoid_slope();
        let da_z = dh * (h - n) * z.sigmoid_slope();
        ([da_r, da_z, da_n], [da_r, da_z, da_n * r], [dh * z])
    }
}

impl<F: Float> GatedSpec<F, GruGates> {
    fn variant(self) -> GatedSpec<F, GruVariant> {
        self.with_gates(GruVariant { gate: Activation::Sigmoid, candidate: Activation::Tanh, clip: None })
    }
    /// With other activations: see [`GruVariant`].
    #[must_use]
    pub fn activations(self, gate: Activation, candidate: Activation) -> GatedSpec<F, GruVariant> {
        self.variant().activations(gate, candidate)
    }
    /// With clipped arguments of the gates: see [`GruVariant`].
    #[must_use]
    pub fn clip_gates(self, clip: f64) -> GatedSpec<F, GruVariant> {
        self.variant().clip_gates(clip)
    }
}

/// The gate maths of [`Gru`] with other activations or a clip, with u = h·w_h + b_h:
///
/// ```text
/// r = f(a_r + u_r)   z = f(a_z + u_z)   n = g(a_n + r∘u_n)      y = h' = (1 - z)∘n + z∘h
/// ```
///
/// A sequence with tape keeps 7·T·B·H + B·H numbers.
#[derive(Clone, Copy, Debug)]
pub struct GruVariant {
    gate: Activation,
    candidate: Activation,
    clip: Option<f64>,
}

impl<F: Float> GatedSpec<F, GruVariant> {
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

impl Pointwise for GruVariant {
    type X<F: Float> = [F; 3];
    type H<F: Float> = [F; 3];
    type State<F: Float> = [F; 1];
    /// r, z, n, their slopes and u_n.
    type Saved<F: Float> = [F; 7];
    const NAME: &'static str = "Gru";
    const RECURRENT_BIAS: bool = true;
    const STEP_AT_ONCE: bool = false;

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
    fn forward<F: Float>(&self, x: [F; 3], u: [F; 3], before: [F; 1]) -> ([F; 1], [F; 7]) {
        self.forward_if::<F, false>(x, u, before)
    }

    #[inline(always)]
    fn forward_if<F: Float, const FUSED: bool>(&self, x: [F; 3], u: [F; 3], [h]: [F; 1]) -> ([F; 1], [F; 7]) {
        let (r, s_r) = self.gate.apply_clipped::<F, FUSED>(x[0] + u[0], self.clip);
        let (z, s_z) = self.gate.apply_clipped::<F, FUSED>(x[1] + u[1], self.clip);
        let (n, s_n) = self.candidate.apply_clipped::<F, FUSED>(x[2] + r * u[2], self.clip);
        ([(F::one() - z) * n + z * h], [r, z, n, s_r, s_z, s_n, u[2]])
    }

    #[inline(always)]
    fn backward<F: Float>(
        &self,
        [r, z, n, s_r, s_z, s_n, u]: [F; 7],
        [h]: [F; 1],
        [dh]: [F; 1],
    ) -> ([F; 3], [F; 3], [F; 1]) {
        let da_n = dh * (F::one() - z) * s_n;
        let (da_r, da_z) = (da_n * u * s_r, dh * (h - n) * s_z);
        ([da_r, da_z, da_n], [da_r, da_z, da_n * r], [dh * z])
    }
}
