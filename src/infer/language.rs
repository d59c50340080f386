//! A language model, packed.

use ndarray::ArrayViewMut3;

use super::steps::{by_steps, numeric};
use super::{Packed, Precision, Prepare, PreparedLinear};
use crate::kernel::scratch;
use crate::kernel::stream::rows_of;
use crate::kernel::views::view_mut;
use crate::{Causal, Context, Describe, Error, Input, LanguageModel, Recurrent, Run, SeqLayer};

/// A [`LanguageModel`] packed for inference: a token in, the V logits of the next one out.
///
/// ```
/// use deep_rnn::prelude::*;
///
/// let net = Network::<f32>::builder(28).lstm(32).lstm(32).seed(1).build()?;
/// let model = LanguageModel::new(net, 1)?;
/// let small = model.prepare(Precision::Int8)?;
/// assert!(small.bytes() < 4 * model.num_params() / 3);
/// let (mut state, mut logits) = (small.zero_state(1), [0.0; 28]);
/// small.step_tokens(&[7], &mut logits, &mut state)?;
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Debug)]
pub struct PreparedLanguageModel<P: Packed> {
    net: P,
    head: PreparedLinear<P::Elem>,
}

impl<N: SeqLayer + Prepare> Prepare for LanguageModel<N> {
    type Prepared = PreparedLanguageModel<N::Prepared>;

    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        let (net, head) = (self.net().prepare(precision), self.head().prepare(precision));
        Ok(PreparedLanguageModel {
            net: net.map_err(|error| error.within("net"))?,
            head: head.map_err(|error| error.within("head"))?,
        })
    }
}

impl<P: Packed> PreparedLanguageModel<P> {
    /// The network.
    pub fn net(&self) -> &P {
        &self.net
    }

    /// The head.
    pub fn head(&self) -> &PreparedLinear<P::Elem> {
        &self.head
    }

    /// V, the number of tokens.
    pub fn vocabulary(&self) -> usize {
        self.net.input_size()
    }
}

numeric!([P: Packed] PreparedLanguageModel<P>, P::Elem);

impl<P: Packed> Recurrent for PreparedLanguageModel<P> {
    type State = P::State;
    type Tape = ();

    fn input_size(&self) -> usize {
        self.net.input_size()
    }
    fn output_size(&self) -> usize {
        self.head.output_size()
    }
    fn output_steps(&self, steps: usize) -> usize {
        self.net.output_steps(steps)
    }
    fn takes_state(&self, state: &P::State, rows: usize) -> bool {
        self.net.takes_state(state, rows)
    }
    fn carry(&self, state: &mut P::State, reversed: bool) {
        self.net.carry(state, reversed);
    }
    fn zero_state(&self, batch: usize) -> P::State {
        self.net.zero_state(batch)
    }
    fn initial_state(&self, batch: usize) -> P::State {
        self.net.initial_state(batch)
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        self.net.visit_cells(f);
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("LanguageModel", self.input_size(), self.output_size());
        all.with("net", self.net.describe()).with("head", self.head.describe())
    }
}

impl<P: Packed> Run for PreparedLanguageModel<P> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, P::Elem>,
        ys: ArrayViewMut3<'_, P::Elem>,
        state: &mut P::State,
        _: Option<&mut ()>,
    ) {
        let (t, b) = xs.dim();
        if t == 1 && self.is_causal() {
            return by_steps(self, cx, xs, ys, state); // on the stack
        }
        let shape = (self.net.output_steps(t), b, self.net.output_size());
        scratch::with(shape.0 * shape.1 * shape.2, |hidden| {
            let mut hidden = view_mut(hidden, shape);
            self.net.forward(cx.layer(0), xs, hidden.view_mut(), state, None);
            self.head.forward(cx.layer(1), Input::Rows(hidden.view()), ys, &mut (), None);
        });
    }
    fn is_causal(&self) -> bool {
        self.net.is_causal()
    }
}

impl<P: Packed> PreparedLanguageModel<P> {
    fn run(&self, y: &mut [P::Elem], net: impl FnOnce(&mut [P::Elem])) {
        let rows = rows_of(y.len(), self.output_size());
        scratch::on_stack([rows * self.net.output_size()], |[hidden]| {
            net(hidden);
            self.head.step_clean(hidden, y, &mut ());
        });
    }
}

impl<P: Packed> Causal for PreparedLanguageModel<P> {
    fn check_causal(&self) -> Result<(), Error> {
        self.net.check_causal()
    }
    fn step_clean(&self, x: &[P::Elem], y: &mut [P::Elem], state: &mut P::State) {
        self.run(y, |hidden| self.net.step_clean(x, hidden, state));
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [P::Elem], state: &mut P::State) {
        self.run(y, |hidden| self.net.step_tokens_clean(tokens, hidden, state));
    }
}

impl<P: Packed> Packed for PreparedLanguageModel<P> {
    fn bytes(&self) -> usize {
        self.net.bytes() + self.head.bytes()
    }
}
