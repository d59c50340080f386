//! A language model, packed.

use ndarray::ArrayViewMut1;

use super::{Infer, InferTokens, Precision, Prepare, PreparedLinear};
use crate::kernel::scratch;
use crate::{Error, LanguageModel, State, TokenInput};

/// A [`LanguageModel`] packed for inference: a token in, the V logits of the next one out.
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::Array1;
///
/// let net = Stacked::builder(28).repeat(2, Lstm::<f32>::spec(32)).seed(1).build()?;
/// let model = LanguageModel::new(net, 1)?;
/// let small = model.prepare(Precision::Int8)?;
/// assert!(small.bytes() < 4 * model.num_params() / 3);
/// let (mut state, mut logits) = (small.zero_state(1), Array1::zeros(28));
/// small.step(7, &mut state, logits.view_mut())?;
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Debug)]
pub struct PreparedLanguageModel<I: Infer> {
    net: I,
    head: PreparedLinear<I::Elem>,
    /// Of a state of one row, for checks that allocate nothing.
    state_shapes: Vec<[usize; 2]>,
}

impl<N: TokenInput + Prepare> LanguageModel<N>
where
    N::Prepared: InferTokens,
{
    /// Packs the network and the head, as [`Prepare::prepare`].
    ///
    /// # Errors
    /// If a weight or a bias is not finite, or is not in the given precision.
    pub fn prepare(&self, precision: Precision) -> Result<PreparedLanguageModel<N::Prepared>, Error> {
        let (net, head) = (self.net().prepare(precision)?, self.head().prepare(precision)?);
        let state_shapes = net.zero_state(1).shapes();
        Ok(PreparedLanguageModel { net, head, state_shapes })
    }
}

impl<I: InferTokens> PreparedLanguageModel<I> {
    /// The network.
    pub fn net(&self) -> &I {
        &self.net
    }

    /// The head.
    pub fn head(&self) -> &PreparedLinear<I::Elem> {
        &self.head
    }

    /// V, the number of tokens.
    pub fn vocabulary(&self) -> usize {
        self.net.input_size()
    }

    /// The state before the first token, for `batch` rows: all zeros.
    pub fn zero_state(&self, batch: usize) -> I::State {
        self.net.zero_state(batch)
    }

    /// Bytes of the packed weights and biases.
    pub fn bytes(&self) -> usize {
        self.net.bytes() + self.head.bytes()
    }

    /// One step of one sequence, as [`LanguageModel::step`]: reads `token`, moves `state` (of batch 1) on, writes the V logits of
    /// the next token. A copy of the state is a branch.
    ///
    /// # Errors
    /// If the token is V or more, or `logits` or the state has another size.
    pub fn step(
        &self,
        token: usize,
        state: &mut I::State,
        mut logits: ArrayViewMut1<'_, I::Elem>,
    ) -> Result<(), Error> {
        let (v, h) = (self.vocabulary(), self.net.output_size());
        if token >= v {
            return Err(Error::value("token", format!("below {v}"), token));
        }
        if logits.len() != v {
            return Err(Error::shape("logits", format!("[{v}]"), logits.shape()));
        }
        if !crate::model::fits(state, &self.state_shapes) {
            let expected = format!("arrays of shapes {:?}", self.state_shapes);
            return Err(Error::value("state", expected, format!("{:?}", state.shapes())));
        }
        scratch::on_stack([h], |[hidden]| {
            self.net.step_tokens(&[token], hidden, state);
            match logits.as_slice_mut() {
                Some(logits) => self.head.step_clean(hidden, logits, &mut ()),
                None => scratch::on_stack([v], |[copy]| {
                    self.head.step_clean(hidden, copy, &mut ());
                    logits.iter_mut().zip(copy).for_each(|(to, from)| *to = *from);
                }),
            }
        });
        Ok(())
    }
}
