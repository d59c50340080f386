//! A language model: tokens in, one output for each token of the vocabulary out.

mod beam;
mod generate;
mod sample;

pub use beam::{Beam, Continuation, beam_search};
pub use generate::generate;
pub use sample::Sampler;

use std::fmt;

use ndarray::ArrayViewMut3;

use crate::kernel::scratch;
use crate::kernel::views::{view, view_mut};
use crate::memory::bytes;
use crate::{
    Causal, Context, Describe, Error, Init, Input, Linear, Memory, Params, PassSize, Record, Recurrent, Run, SeqGradIo,
    SeqLayer, Spec, Tape,
};

/// A recurrent network over one-hot tokens with a linear head on every step: `[T, B]` tokens → `[T, B, V]` logits, V
/// the width of the network's input. Any network with as many outputs as inputs can [`generate`]; this one puts a head on one that
/// has none.
///
/// # Parameters
/// The network's under `net.`, the head's under `head.`.
#[derive(Clone, Debug)]
pub struct LanguageModel<N: SeqLayer> {
    net: N,
    head: Linear<N::Elem>,
}

crate::params!([N: SeqLayer] LanguageModel<N>, N::Elem => { net, head });

impl<N: SeqLayer> LanguageModel<N> {
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
            return Ok(LanguageModel { net, head });
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

    /// Reads `prefix` from the first state, then writes `count` tokens: [`generate`].
    ///
    /// # Errors
    /// If the prefix is empty or has a token of V or more, or the network looks ahead.
    pub fn generate(&self, prefix: &[usize], count: usize, sampler: &mut Sampler) -> Result<Vec<usize>, Error>
    where
        N: Causal,
    {
        generate(self, prefix, count, sampler)
    }
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

impl<N: SeqLayer> Recurrent for LanguageModel<N> {
    type State = N::State;
    type Tape = LanguageTape<N::Tape, N::Elem>;

    fn input_size(&self) -> usize {
        self.net.input_size()
    }
    fn output_size(&self) -> usize {
        self.head.output_size()
    }
    fn output_steps(&self, steps: usize) -> usize {
        self.net.output_steps(steps)
    }
    fn zero_state(&self, batch: usize) -> N::State {
        self.net.zero_state(batch)
    }
    fn takes_state(&self, state: &N::State, rows: usize) -> bool {
        self.net.takes_state(state, rows)
    }
    fn initial_state(&self, batch: usize) -> N::State {
        self.net.initial_state(batch)
    }
    fn carry(&self, state: &mut N::State, reversed: bool) {
        self.net.carry(state, reversed);
    }
    fn splits_itself(&self) -> bool {
        self.net.splits_itself()
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let above = PassSize::of(self.net.output_steps(size.steps), size.batch);
        let (net, head) = (self.net.memory(size)?, self.head.memory(above)?);
        let hidden = above.numbers(self.net.output_size());
        let own = scratch::bytes::<N::Elem, 1>([hidden]);
        Some(Memory {
            tape: net.tape.saturating_add(bytes::<N::Elem>(hidden)),
            forward: net.forward.or(head.forward).inside(own),
            backward: net.backward.or(head.backward).inside(own),
        })
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        self.net.visit_cells(f);
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("LanguageModel", self.input_size(), self.output_size());
        all.with("net", self.net.describe()).with("head", self.head.describe())
    }
}

impl<N: SeqLayer> Run for LanguageModel<N> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, N::Elem>,
        ys: ArrayViewMut3<'_, N::Elem>,
        state: &mut N::State,
        tape: Option<&mut Self::Tape>,
    ) {
        let ((t, b), h) = (xs.dim(), self.net.output_size());
        let t = self.net.output_steps(t);
        let run = |hidden: &mut [N::Elem], state: &mut N::State, tape: Option<&mut N::Tape>| {
            let mut hidden = view_mut(hidden, (t, b, h));
            self.net.forward(cx.layer(0), xs, hidden.view_mut(), state, tape);
            self.head.forward(cx.layer(1), Input::Rows(hidden.view()), ys, &mut (), None);
        };
        match tape {
            Some(tape) => {
                let (hidden, net) = (tape.hidden.push(t * b * h), &mut tape.net);
                scratch::same_depth(|| run(hidden, state, Some(net)));
            }
            None => scratch::with(t * b * h, |hidden| run(hidden, state, None)),
        }
    }

    fn is_causal(&self) -> bool {
        self.net.is_causal()
    }
}

impl<N: SeqLayer> SeqLayer for LanguageModel<N> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, N::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut N::State,
        grads: &mut Self,
    ) {
        let SeqGradIo { x, y, d_y, mut d_x } = io;
        let ((t, b), h) = (x.dim(), self.net.output_size());
        let t = self.net.output_steps(t);
        let len = t * b * h;
        scratch::with(len, |d_hidden| {
            let mut d_hidden = view_mut(d_hidden, (t, b, h));
            let hidden = view(tape.hidden.top(len), (t, b, h));
            let (y, d_y) = (y.view(), d_y.view());
            let io = SeqGradIo { x: Input::Rows(hidden.view()), y, d_y, d_x: Some(d_hidden.view_mut()) };
            self.head.backward(cx.layer(1), io, &mut (), &mut (), &mut grads.head);
            let d_x = d_x.as_mut().map(|d_x| d_x.view_mut());
            let io = SeqGradIo { x: x.reborrow(), y: hidden.view(), d_y: d_hidden.view(), d_x };
            self.net.backward(cx.layer(0), io, &mut tape.net, d_state, &mut grads.net);
        });
        tape.hidden.pop(len);
    }

    fn initial_state_backward(&self, d_state: &N::State, grads: &mut Self) {
        self.net.initial_state_backward(d_state, &mut grads.net);
    }

    fn carry_backward(&self, d_state: &N::State, reversed: bool, grads: &mut Self) {
        self.net.carry_backward(d_state, reversed, &mut grads.net);
    }
}

impl<N: SeqLayer + Causal> Causal for LanguageModel<N> {
    fn check_causal(&self) -> Result<(), Error> {
        self.net.check_causal()
    }
}

impl<N: SeqLayer> fmt::Display for LanguageModel<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LanguageModel({} tokens, {} params)", self.vocabulary(), self.num_params())
    }
}
