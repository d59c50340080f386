//! Gate maths from outside the crate.

use deep_rnn::{Float, cells::Pointwise};

/// A gate maths of the tests': a state of three lanes, and a product that is multiplied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes3;

impl Pointwise for Lanes3 {
    type X<F: Float> = [F; 2];
    type H<F: Float> = [F; 1];
    type State<F: Float> = [F; 3];
    type Saved<F: Float> = [F; 4];
    const NAME: &'static str = "Lanes3";
    const RECURRENT_BIAS: bool = true;

    fn forward<F: Float>(&self, x: [F; 2], u: [F; 1], [_, fast, slow]: [F; 3]) -> ([F; 3], [F; 4]) {
        let (gate, value) = (x[0].sigmoid(), Float::tanh(x[1] * u[0]));
        let fast = fast + gate * (value - fast);
        ([Float::tanh(fast) + slow, fast, slow * F::from_f64(0.5) + fast], [gate, value, x[1], u[0]])
    }

    fn backward<F: Float>(
        &self,
        saved: [F; 4],
        [_, fast, _]: [F; 3],
        [d_h, d_fast, d_slow]: [F; 3],
    ) -> ([F; 2], [F; 1], [F; 3]) {
        let [gate, value, x, u] = saved;
        let after = fast + gate * (value - fast);
        let d_after = d_fast + d_slow + d_h * Float::tanh(after).tanh_slope();
        let d_product = d_after * gate * value.tanh_slope();
        let d_gate = d_after * (value - fast) * gate.sigmoid_slope();
        let d_slow = d_h + d_slow * F::from_f64(0.5);
        ([d_gate, d_product * u], [d_product * x], [F::zero(), d_after * (F::one() - gate), d_slow])
    }
}

/// Gates that do not look at h: a product of no columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoProduct;

impl Pointwise for NoProduct {
    type X<F: Float> = [F; 2];
    type H<F: Float> = [F; 0];
    type State<F: Float> = [F; 1];
    type Saved<F: Float> = [F; 2];
    const NAME: &'static str = "NoProduct";

    fn forward<F: Float>(&self, x: [F; 2], _: [F; 0], [h]: [F; 1]) -> ([F; 1], [F; 2]) {
        let z = x[0].sigmoid();
        ([h + z * (x[1] - h)], [z, x[1]])
    }

    fn backward<F: Float>(&self, [z, n]: [F; 2], [h]: [F; 1], [dh]: [F; 1]) -> ([F; 2], [F; 0], [F; 1]) {
        ([dh * (n - h) * z.sigmoid_slope(), dh * z], [], [dh * (F::one() - z)])
    }
}
