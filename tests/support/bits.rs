//! Everything a model or a state holds, bit by bit.

use deep_rnn::{Float, custom::Params, data::State};

/// Of all arrays one after another.
pub(crate) fn weights<P: Params>(params: &P) -> Vec<u64> {
    let mut bits = Vec::new();
    params.visit(&mut |_, array| bits.extend(array.iter().map(|x| x.as_f64().to_bits())));
    bits
}

/// Of all arrays one after another.
#[allow(dead_code)] // not all tests do
pub(crate) fn state_bits<F: Float, S: State<F>>(state: &S) -> Vec<u64> {
    let mut bits = Vec::new();
    state.visit(&mut |array| bits.extend(array.iter().map(|x| x.as_f64().to_bits())));
    bits
}
