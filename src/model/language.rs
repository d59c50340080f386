//! A language model: tokens in, one output for each token of the vocabulary out.

use std::fmt;

use ndarray::{ArrayRef2, ArrayView3, ArrayViewMut1, ArrayViewMut3, Axis, aview2};

use super::{Model, Sampler};
use crate::kernel::scratch;
use crate::kernel::views::{view, view_mut};
use crate::layer::{SeqLayer, TokenInput, TokenIo};
use crate::memory::bytes;
use crate::{Error, Float, GradIo, Init, Linear, Memory, Params, Record, Recurrent, Spec, State, Tape};

/// A recurrent network over one-hot tokens with a linear head on every step: `[T, B]` tokens → `[T, B, V]` logits, V
/// the width of the network's input.
///
/// # Parameters
/// The network's under `net.`, the head's under `head.`.
#[derive(Clone, Debug)]
pub struct LanguageModel<N: SeqLayer> {
    net: N,
    head: Linear<N::Elem>,
    /// Of a state of one row, for checks that allocate nothing.
    state_shapes: Vec<[usize; 2]>,
}

crate::params!([N: SeqLayer] LanguageModel<N>, N::Elem => { net, head });

impl<N: TokenInput> LanguageModel<N> {
    /// `net` with a new head, whose starting values come from a stream of `seed` of its own: they have nothing to do with
    /// those of a stack built with the same seed.
    ///
    /// # Errors
    /// If the sizes are too large for memory to be counted.
    pub fn new(net: N, seed: u64) -> Result<Self, Error> {
        let spec = Linear::spec(net.input_size());
        Self::with_head(net, &spec, seed)
    }

    /// As [`new`](LanguageModel::new), with the head that `spec` makes.
    ///
    /// # Errors
    /// If the spec refuses, or its outputs are not as many as the network's inputs.
    pub fn with_head(net: N, spec: &impl Spec<Layer = Linear<N::Elem>>, seed: u64) -> Result<Self, Error> {
        const HEAD_STREAM: u64 = 1;
        let head = spec.build(net.output_size(), &mut Init::stream(seed, HEAD_STREAM))?;
        Self::from_parts(net, head)
    }

    /// These two.
    ///
    /// # Errors
    /// If the head does not take the network's outputs, or does not give one output for each token.
    pub fn from_parts(net: N, head: Linear<N::Elem>) -> Result<Self, Error> {
        let expected = [net.output_size(), net.input_size()];
        if [head.input_size(), head.output_size()] == expected {
            let state_shapes = net.zero_state(1).shapes();
            return Ok(LanguageModel { net, head, state_shapes });
        }
        Err(Error::shape("head.w", format!("{expected:?}"), &[head.input_size(), head.output_size()]))
    }

    /// The network.
    pub fn net(&self) -> &N {
        &self.net
    }

    /// The head.
    pub fn head(&self) -> &Linear<N::Elem> {
        &self.head
    }

    /// V, the number of tokens.
    pub fn vocabulary(&self) -> usize {
        self.net.input_size()
    }

    /// One step of one sequence: reads `token`, moves `state` (of batch 1) on, writes the V logits of the next token. Keeps
    /// nothing; a copy of the state is a branch. The first step on a thread makes the thread's working memory, later ones allocate
    /// nothing; of a [prepared](LanguageModel::prepare) model no step does.
    ///
    /// # Errors
    /// If the token is V or more, or `logits` or the state has another size.
    pub fn step(
        &self,
        token: usize,
        state: &mut N::State,
        mut logits: ArrayViewMut1<'_, N::Elem>,
    ) -> Result<(), Error> {
        let v = self.vocabulary();
        if token >= v {
            return Err(Error::value("token", format!("below {v}"), token));
        }
        if logits.len() != v {
            return Err(Error::shape("logits", format!("[{v}]"), logits.shape()));
        }
        self.check_state(state)?;
        let ys = logits.view_mut().insert_axis(Axis(0)).insert_axis(Axis(0));
        self.run(&aview2(&[[token]]), ys, state, None);
        Ok(())
    }

    /// Refuses what is not a state of one row.
    fn check_state(&self, state: &N::State) -> Result<(), Error> {
        if fits(state, &self.state_shapes) {
            return Ok(());
        }
        let expected = format!("arrays of shapes {:?}", self.state_shapes);
        Err(Error::value("state", expected, format!("{:?}", state.shapes())))
    }

    /// Reads `prefix` from the zero state, then writes `count` tokens, each read before the next is chosen. The prefix is
    /// not repeated in the result.
    ///
    /// # Errors
    /// If the prefix is empty or has a token of V or more.
    pub fn generate(&self, prefix: &[usize], count: usize, sampler: &mut Sampler) -> Result<Vec<usize>, Error> {
        let Some((&last, before)) = prefix.split_last() else {
            return Err(Error::value("prefix", "at least one token", "none"));
        };
        let mut state = self.net.zero_state(1);
        let mut logits = ndarray::Array1::from_elem(self.vocabulary(), num_traits::zero());
        for &token in before {
            self.step(token, &mut state, logits.view_mut())?;
        }
        let mut token = last;
        let mut tokens = Vec::new();
        for _ in 0..count {
            self.step(token, &mut state, logits.view_mut())?;
            token = sampler.choose(logits.view())?;
            tokens.push(token);
        }
        // The last token of a prefix is checked also where nothing follows it.
        if count == 0 && last >= self.vocabulary() {
            return Err(Error::value("prefix", format!("tokens below {}", self.vocabulary()), last));
        }
        Ok(tokens)
    }
}

/// Whether the arrays of `state` have these shapes; allocates nothing.
pub(crate) fn fits<F: Float>(state: &impl State<F>, shapes: &[[usize; 2]]) -> bool {
    let mut expected = shapes.iter();
    let mut fits = true;
    state.visit(&mut |array| fits &= expected.next() == Some(&[array.nrows(), array.ncols()]));
    fits && expected.next().is_none()
}

/// The network's tape, and its outputs, which the head reads.
#[derive(Clone, Debug, Default)]
pub struct LanguageTape<T, F> {
    net: T,
    hidden: Record<F>,
}

impl<T: Tape, F: Copy + Default> Tape for LanguageTape<T, F> {
    fn is_drained(&self) -> bool {
        self.net.is_drained() && self.hidden.is_empty()
    }
}

impl<N: TokenInput> Recurrent for LanguageModel<N> {
    type State = N::State;
    type Tape = LanguageTape<N::Tape, N::Elem>;

    fn input_size(&self) -> usize {
        self.net.input_size()
    }
    fn output_size(&self) -> usize {
        self.head.output_size()
    }
    fn zero_state(&self, batch: usize) -> N::State {
        self.net.zero_state(batch)
    }
    fn carry(&self, state: &mut N::State, reversed: bool) {
        self.net.carry(state, reversed);
    }
    fn splits_itself(&self) -> bool {
        self.net.splits_itself()
    }
    fn memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        let (net, head) = (self.net.memory_for_tokens(steps, batch)?, self.head.memory(steps, batch)?);
        let hidden = steps.saturating_mul(batch).saturating_mul(self.net.output_size());
        let own = scratch::bytes::<N::Elem, 1>([hidden]);
        Some(Memory {
            tape: net.tape.saturating_add(bytes::<N::Elem>(hidden)),
            forward: net.forward.or(head.forward).inside(own),
            backward: net.backward.or(head.backward).inside(own),
        })
    }
}

impl<N: TokenInput> Model for LanguageModel<N> {
    type Input = ArrayRef2<usize>;

    fn check(&self, tokens: &ArrayRef2<usize>) -> Result<(), Error> {
        let v = self.vocabulary();
        match tokens.iter().find(|token| **token >= v) {
            Some(token) => Err(Error::value("tokens", format!("below {v}"), token)),
            None => Ok(()),
        }
    }

    fn run(
        &self,
        tokens: &ArrayRef2<usize>,
        ys: ArrayViewMut3<'_, N::Elem>,
        state: &mut N::State,
        tape: Option<&mut Self::Tape>,
    ) {
        let ((t, b), h) = (tokens.dim(), self.net.output_size());
        let run = |hidden: &mut [N::Elem], state: &mut N::State, tape: Option<&mut N::Tape>| {
            let mut hidden = view_mut(hidden, (t, b, h));
            self.net.forward_tokens(tokens.view(), hidden.view_mut(), state, tape);
            self.head.forward(hidden.view(), ys, &mut (), None);
        };
        match tape {
            Some(tape) => {
                let (hidden, net) = (tape.hidden.push(t * b * h), &mut tape.net);
                scratch::same_depth(|| run(hidden, state, Some(net)));
            }
            None => scratch::with(t * b * h, |hidden| run(hidden, state, None)),
        }
    }

    fn run_backward(
        &self,
        tokens: &ArrayRef2<usize>,
        ys: ArrayView3<'_, N::Elem>,
        d_ys: ArrayView3<'_, N::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut N::State,
        grads: &mut Self,
    ) {
        let ((t, b), h) = (tokens.dim(), self.net.output_size());
        let len = t * b * h;
        scratch::with(len, |d_hidden| {
            let mut d_hidden = view_mut(d_hidden, (t, b, h));
            let hidden = view(tape.hidden.top(len), (t, b, h));
            let io = GradIo { x: hidden.view(), y: ys, d_y: d_ys, d_x: d_hidden.view_mut() };
            self.head.backward(io, &mut (), &mut (), &mut grads.head);
            let io = TokenIo { tokens: tokens.view(), y: hidden, d_y: d_hidden.view() };
            self.net.backward_tokens(io, &mut tape.net, d_state, &mut grads.net);
        });
        tape.hidden.pop(len);
    }

    fn runs_in_pieces(&self) -> bool {
        self.net.is_causal()
    }
}

impl<N: TokenInput> fmt::Display for LanguageModel<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LanguageModel({} tokens, {} params)", self.vocabulary(), self.num_params())
    }
}
