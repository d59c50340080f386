//! The LSTM whose input gate is what the forget gate leaves over (Greff et al. 2017), by `Pointwise`.
//!
//! f = σ(a_f)   g = tanh(a_g)   o = σ(a_o)      c' = f∘c + (1 - f)∘g      y = h' = o∘tanh(c')

use deep_rnn::{Float, cells::Pointwise};

#[derive(Clone, Copy, Debug)]
pub struct Cifg;

impl Pointwise for Cifg {
    type X<F: Float> = [F; 3];
    type H<F: Float> = [F; 3];
    type State<F: Float> = [F; 2];
    type Saved<F: Float> = [F; 3];
    const NAME: &'static str = "Cifg";
    const SUMMED: bool = true;

    #[inline(always)]
    fn forward<F: Float>(&self, a: [F; 3], u: [F; 3], [_, c]: [F; 2]) -> ([F; 2], [F; 3]) {
        let [f, g, o] = [(a[0] + u[0]).sigmoid(), (a[1] + u[1]).tanh(), (a[2] + u[2]).sigmoid()];
        let c = g + f * (c - g);
        ([o * c.tanh(), c], [f, g, o])
    }

    #[inline(always)]
    fn backward<F: Float>(&self, [f, g, o]: [F; 3], [_, c]: [F; 2], [d_h, d_c]: [F; 2]) -> ([F; 3], [F; 3], [F; 2]) {
        let y = (g + f * (c - g)).tanh();
        let d_c = d_c + d_h * o * y.tanh_slope();
        let da_g = d_c * (F::one() - f) * g.tanh_slope();
        let da = [d_c * (c - g) * f.sigmoid_slope(), da_g, d_h * y * o.sigmoid_slope()];
        (da, da, [F::zero(), d_c * f])
    }
}
