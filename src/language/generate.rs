//! Text from a network, token by token.

use super::Sampler;
use crate::{Causal, Error, Float};

/// Reads `prefix` from the first state, then writes `count` tokens, each read before the next is chosen. The prefix is
/// not repeated in the result. The network may be any that can be stepped and has an output for each token, packed ones too.
///
/// ```
/// use deep_rnn::prelude::*;
///
/// let net = Network::<f32>::builder(28).gru(16).linear(28).seed(1).build()?;
/// let text = generate(&net, &[3, 1, 4], 10, &mut Sampler::greedy())?;
/// let packed = net.prepare(Precision::Full)?;
/// assert_eq!(generate(&packed, &[3, 1, 4], 10, &mut Sampler::greedy())?, text);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// # Errors
/// If the network has not as many outputs as inputs, or looks ahead, or the prefix is empty or has a token of V or more.
pub fn generate<N: Causal>(
    net: &N,
    prefix: &[usize],
    count: usize,
    sampler: &mut Sampler,
) -> Result<Vec<usize>, Error> {
    let v = net.input_size();
    if net.output_size() != v {
        return Err(Error::value("net", format!("an output for each of {v} tokens"), net.output_size()));
    }
    let Some((&last, before)) = prefix.split_last() else {
        return Err(Error::value("prefix", "at least one token", "none"));
    };
    if let Some(token) = prefix.iter().find(|token| **token >= v) {
        return Err(Error::value("prefix", format!("tokens below {v}"), token));
    }
    net.check_causal()?;
    let (mut state, mut logits) = (net.initial_state(1), vec![N::Elem::from_f64(0.0); v]);
    for &token in before {
        net.step_tokens(&[token], &mut logits, &mut state)?;
    }
    let mut token = last;
    let mut tokens = Vec::new();
    for _ in 0..count {
        net.step_tokens(&[token], &mut logits, &mut state)?;
        token = sampler.choose(ndarray::ArrayView1::from(&logits[..]))?;
        tokens.push(token);
    }
    Ok(tokens)
}
