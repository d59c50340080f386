//! Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).
//!
//! Backward (derived in `docs/derivations/lstm.md`), with tanh c' made again from what was kept:
//! dc' += dh'∘o∘(1 - tanh²c');  da_i = dc'∘g∘i(1-i);  da_f = dc'∘c∘f(1-f);  da_g = dc'∘i∘(1-g²);
//! da_o = dh'∘tanh c'∘o(1-o);  dc = dc'∘f.

use crate::{Float, Gated, GatedSpec, Pointwise};

/// Long short-term memory, with a = x·w_x + h·w_h + b cut into four gates:
///
/// ```text
/// i = σ(a_i)   f = σ(a_f)   g = tanh(a_g)   o = σ(a_o)      c' = f∘c + i∘g      y = h' = o∘tanh(c')
/// ```
///
/// # Shapes
/// `x [B, D]` → `y [B, H]`; state `[h, c]`, each `[B, H]`.
/// # Parameters
/// `w_x [D, 4H]`, `w_h [H, 4H]`, `b [4H]` (and `b_h [4H]` with [`Bias::Two`](crate::cells::Bias::Two)), gates in the order
/// i f g o, which is PyTorch's.
/// # Memory
/// A sequence with tape keeps 5·T·B·H + B·H numbers: the gates, c before each step, and h before the first.
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::{Array2, array, s};
///
/// let cell = Lstm::<f64>::spec(1).forget_bias(1.0).build(2, &mut Init::seeded(1))?;
/// let (x, mut y, mut state) = (array![[0.5, -1.0]], Array2::zeros((1, 1)), cell.zero_state(1));
/// let (h, c) = (0.1, -0.2);
/// (state[0][[0, 0]], state[1][[0, 0]]) = (h, c);
/// cell.step(Context::default(), x.view(), y.view_mut(), &mut state, None);
///
/// let a = (x.dot(&cell.w_x()) + array![[h]].dot(&cell.w_h()) + cell.b().unwrap()).remove_axis(ndarray::Axis(0));
/// let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
/// let (i, f, g, o) = (sigmoid(a[0]), sigmoid(a[1]), a[2].tanh(), sigmoid(a[3]));
/// let c = f * c + i * g;
/// assert!((state[1][[0, 0]] - c).abs() < 1e-15);
/// assert!((y[[0, 0]] - o * c.tanh()).abs() < 1e-15);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
pub type Lstm<F> = Gated<F, LstmGates>;

impl<F: Float> Lstm<F> {
    /// `units` units.
    #[must_use]
    pub fn spec(units: usize) -> GatedSpec<F, LstmGates> {
        GatedSpec::new(LstmGates, units)
    }
}

impl<F: Float> GatedSpec<F, LstmGates> {
    /// Where the bias of the forget gate starts; 1 helps with long lags (Jozefowicz et al. 2015).
    #[must_use]
    pub fn forget_bias(self, value: f64) -> Self {
        self.lane_bias(1, value)
    }
}

/// The gate maths of [`Lstm`].
#[derive(Clone, Copy, Debug)]
pub struct LstmGates;

impl Pointwise for LstmGates {
    type X<F: Float> = [F; 4];
    type H<F: Float> = [F; 4];
    type State<F: Float> = [F; 2];
    type Saved<F: Float> = [F; 4];
    const NAME: &'static str = "Lstm";
    const SUMMED: bool = true;
    const PROJECTABLE: bool = true;

    #[inline(always)]
    fn forward<F: Float>(&self, x: [F; 4], u: [F; 4], before: [F; 2]) -> ([F; 2], [F; 4]) {
        self.forward_if::<F, false>(x, u, before)
    }

    #[inline(always)]
    fn forward_if<F: Float, const FUSED: bool>(&self, x: [F; 4], u: [F; 4], [_, c]: [F; 2]) -> ([F; 2], [F; 4]) {
        let (i, f) = ((x[0] + u[0]).sigmoid_if::<FUSED>(), (x[1] + u[1]).sigmoid_if::<FUSED>());
        let (g, o) = ((x[2] + u[2]).tanh_if::<FUSED>(), (x[3] + u[3]).sigmoid_if::<FUSED>());
        let c = f * c + i * g;
        ([o * c.tanh_if::<FUSED>(), c], [i, f, g, o])
    }

    #[inline(always)]
    fn backward<F: Float>(&self, saved: [F; 4], before: [F; 2], d: [F; 2]) -> ([F; 4], [F; 4], [F; 2]) {
        self.backward_if::<F, false>(saved, before, d)
    }

    #[inline(always)]
    fn backward_if<F: Float, const FUSED: bool>(
        &self,
        [i, f, g, o]: [F; 4],
        [_, c]: [F; 2],
        [dh, dc]: [F; 2],
    ) -> ([F; 4], [F; 4], [F; 2]) {
        let tanh_c = (f * c + i * g).tanh_if::<FUSED>();
        let dc = dc + dh * o * tanh_c.tanh_slope();
        let da = [
            dc * g * i.sigmoid_slope(),
            dc * c * f.sigmoid_slope(),
            dc * i * g.tanh_slope(),
            dh * tanh_c * o.sigmoid_slope(),
        ];
        (da, da, [F::zero(), dc * f])
    }
}
