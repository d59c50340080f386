//! The likeliest continuations, several at a time.

use crate::{Causal, Error, Float};

/// What [`beam_search`] looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beam {
    /// How many continuations are kept at each step; 1 is greedy.
    pub width: usize,
    /// The most tokens of one.
    pub length: usize,
    /// The token that ends one, if any does; it is the last of what it ends.
    pub stop: Option<usize>,
}

/// A continuation and the logarithm of its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// The tokens.
    pub tokens: Vec<usize>,
    /// Σ log p(token | those before it).
    pub log_probability: f64,
}

struct Path<S> {
    found: Continuation,
    state: S,
    last: usize,
    over: bool,
}

/// Reads `prefix` from `state` (of one row), then keeps the `width` likeliest continuations, token by token; the likeliest comes first.
/// The network is any that can be stepped and has an output for each token: a language model, or a decoder that starts from the last
/// state of its encoder.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::language::{Beam, beam_search};
///
/// let net = Network::<f32>::builder(9).gru(16).linear(9).seed(1).build()?;
/// let beam = Beam { width: 3, length: 5, stop: Some(0) };
/// let found = beam_search(&net, net.zero_state(1), &[4], beam)?;
/// assert!(found.len() == 3 && found[0].log_probability >= found[1].log_probability);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// # Errors
/// If the network has not as many outputs as inputs, or looks ahead; the state is not of one row of it; the prefix is empty or has a token of
/// V or more; the width is 0; or an output is NaN.
pub fn beam_search<N: Causal>(
    net: &N,
    mut state: N::State,
    prefix: &[usize],
    beam: Beam,
) -> Result<Vec<Continuation>, Error> {
    let v = net.input_size();
    if net.output_size() != v {
        return Err(Error::value("net", format!("an output for each of {v} tokens"), net.output_size()));
    }
    if beam.width == 0 {
        return Err(Error::value("beam.width", "at least 1", 0));
    }
    let Some((&last, before)) = prefix.split_last() else {
        return Err(Error::value("prefix", "at least one token", "none"));
    };
    if let Some(token) = prefix.iter().find(|token| **token >= v) {
        return Err(Error::value("prefix", format!("tokens below {v}"), token));
    }
    let mut logits = vec![N::Elem::from_f64(0.0); v];
    for token in before {
        net.step_tokens(&[*token], &mut logits, &mut state)?;
    }
    let found = Continuation { tokens: Vec::new(), log_probability: 0.0 };
    let mut paths = vec![Path { found, state, last, over: false }];
    for _ in 0..beam.length {
        if paths.iter().all(|path| path.over) {
            break;
        }
        // Path, token (none for what is over already), log probability.
        let mut next: Vec<(usize, Option<usize>, f64)> = Vec::new();
        for (i, path) in paths.iter_mut().enumerate() {
            if path.over {
                next.push((i, None, path.found.log_probability));
                continue;
            }
            net.step_tokens(&[path.last], &mut logits, &mut path.state)?;
            if let Some(wrong) = logits.iter().find(|x| x.as_f64().is_nan()) {
                return Err(Error::not_finite("an output", wrong.as_f64()));
            }
            let top = logits.iter().fold(f64::NEG_INFINITY, |top, x| top.max(x.as_f64()));
            let sum: f64 = logits.iter().map(|x| (x.as_f64() - top).exp()).sum();
            let log = |token: usize| path.found.log_probability + logits[token].as_f64() - top - sum.ln();
            next.extend((0..v).map(|token| (i, Some(token), log(token))));
        }
        // Stable, so that equals stay in the order of paths and tokens.
        next.sort_by(|a, b| b.2.total_cmp(&a.2));
        next.truncate(beam.width);
        paths = next.into_iter().map(|(i, token, log)| paths[i].longer(token, log, beam.stop)).collect();
    }
    Ok(paths.into_iter().map(|path| path.found).collect())
}

impl<S: Clone> Path<S> {
    fn longer(&self, token: Option<usize>, log_probability: f64, stop: Option<usize>) -> Self {
        let mut found = Continuation { log_probability, ..self.found.clone() };
        found.tokens.extend(token);
        let over = token.is_none() || token == stop;
        Path { found, state: self.state.clone(), last: token.unwrap_or(self.last), over }
    }
}
