//! One weight for the lookup of tokens and for the head.

mod gradient;
mod table;

use ndarray::{Array1, ArrayViewD, ArrayViewMut3, ArrayViewMutD};

use super::{Causal, Run, SeqLayer};
use crate::infer::{Precision, Prepare, PreparedBox};
use crate::kernel::scratch;
use crate::kernel::views::{kept, view, view_mut};
use crate::memory::bytes;
use crate::params::joined;
use crate::{
    Context, Describe, Embedding, EmbeddingSpec, Error, Init, Input, Memory, Network, Numeric, Params, PassSize,
    Record, Recurrent, SeqGradIo, Spec, Tape, Work, ZipMut,
};
use gradient::Uses;
use table::Table;

/// A layer E → E between an embedding and a head of the same weight (Press and Wolf 2017; Inan, Khosravi and Socher 2017): tokens
/// `[T, B]`, or rows of numbers `[T, B, V]`, give `[T, B, V]`, one output for each token,
///
/// ```text
/// e = x·w      h = inner(e)      y = h·wᵀ + b
/// ```
///
/// so a language model has V·E weights less. Words that the embedding [leaves out](EmbeddingSpec::word_dropout) are left out of
/// the lookup; the head has the whole weight.
///
/// # Parameters
/// `embedding.w [V, E]`, the inner layer's under `inner.`, and `b [V]`, which starts as zeros.
/// # Memory
/// The tape keeps the inner layer's, e and h (2·T·B·E numbers).
/// # Sums
/// Gradients of w and b are summed step after step, last to first, and at each step the head's before the lookup's; in a call of
/// more than 2¹⁴ rows (T·B) in blocks of 2¹¹, as those of a [`Linear`](crate::layers::Linear) layer.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::layers::{Embedding, Tied};
///
/// let net = Network::<f32>::builder(28).embedding(16).lstm(32).lstm(16).tied().seed(1).build()?;
/// assert_eq!((net.input_size(), net.output_size()), (28, 28));
/// // With numbers that start smaller, which makes smaller logits.
/// let words = Embedding::<f32>::spec(16).init(Scheme::Normal(0.1));
/// let net = Network::<f32>::builder(28).layer(Tied::spec(words, Network::part().lstm(32).lstm(16))).build()?;
/// assert_eq!(generate(&net, &[1, 2], 5, &mut Sampler::greedy())?.len(), 5);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tied<L: SeqLayer> {
    table: Table<L::Elem>,
    inner: L,
}

impl<L: SeqLayer> Tied<L> {
    /// `inner` with this embedding and a bias of zeros.
    ///
    /// # Errors
    /// As those of [`from_parts`](Tied::from_parts).
    pub fn new(embedding: Embedding<L::Elem>, inner: L) -> Result<Self, Error> {
        let b = Array1::zeros(embedding.input_size());
        Self::from_parts(embedding, inner, b)
    }

    /// These three.
    ///
    /// # Errors
    /// If `inner` does not take rows of the embedding's width or does not give such rows, one for each step, or there is not a number
    /// of `b` for each token.
    pub fn from_parts(embedding: Embedding<L::Elem>, inner: L, b: Array1<L::Elem>) -> Result<Self, Error> {
        let (v, e) = embedding.w().dim();
        let named = || format!("tied: {}", inner.describe());
        for (what, got) in [("inputs", inner.input_size()), ("outputs", inner.output_size())] {
            if got != e {
                return Err(Error::value(named(), format!("{what} of {e} columns, the width of the embedding"), got));
            }
        }
        if inner.output_steps(2) != 2 {
            return Err(Error::value(named(), "an output for each step", format!("{} for 2", inner.output_steps(2))));
        }
        if b.len() != v {
            return Err(Error::shape("b", format!("[{v}]"), b.shape()));
        }
        Ok(Tied { table: Table { embedding, b: kept(b) }, inner })
    }

    /// Around the layer that `inner` makes.
    pub fn spec<S: Spec<Layer = L>>(embedding: EmbeddingSpec<L::Elem>, inner: S) -> impl Spec<Layer = Tied<L>> {
        move |width: usize, init: &mut Init| -> Result<Tied<L>, Error> {
            let embedding: Embedding<L::Elem> = embedding.build(width, init)?;
            let inner = inner.build(embedding.output_size(), init)?;
            Tied::new(embedding, inner)
        }
    }

    /// The embedding, whose weight is the head's too.
    pub fn embedding(&self) -> &Embedding<L::Elem> {
        &self.table.embedding
    }

    /// The layer between.
    pub fn inner(&self) -> &L {
        &self.inner
    }

    /// `b [V]`.
    pub fn b(&self) -> &Array1<L::Elem> {
        &self.table.b
    }

    /// E.
    fn width(&self) -> usize {
        self.inner.input_size()
    }
}

impl<L: SeqLayer> Numeric for Tied<L> {
    type Elem = L::Elem;
}

impl<L: SeqLayer> Params for Tied<L> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, L::Elem>)) {
        self.table.visit(f);
        self.inner.visit(&mut |name, array| joined(&"inner", name, |name| f(name, array)));
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, L::Elem>)) {
        self.table.visit_mut(f);
        self.inner.visit_mut(&mut |name, array| joined(&"inner", name, |name| f(name, array)));
    }
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, L::Elem>) {
        self.table.zip_mut(&other.table, f);
        self.inner.zip_mut(&other.inner, &mut |name, a, b| joined(&"inner", name, |name| f(name, a, b)));
    }
}

/// The inner tape, what went into it, and what came out.
#[derive(Clone, Debug, Default)]
pub struct TiedTape<T, F> {
    inner: T,
    embedded: Record<F>,
    hidden: Record<F>,
}

impl<T: Tape, F: Copy + Default> Tape for TiedTape<T, F> {
    fn is_drained(&self) -> bool {
        self.inner.is_drained() && self.embedded.is_empty() && self.hidden.is_empty()
    }
}

impl<L: SeqLayer> Recurrent for Tied<L> {
    type State = L::State;
    type Tape = TiedTape<L::Tape, L::Elem>;

    fn input_size(&self) -> usize {
        self.table.embedding.input_size()
    }
    fn output_size(&self) -> usize {
        self.table.embedding.input_size()
    }
    fn zero_state(&self, batch: usize) -> L::State {
        self.inner.zero_state(batch)
    }
    fn takes_state(&self, state: &L::State, rows: usize) -> bool {
        self.inner.takes_state(state, rows)
    }
    fn initial_state(&self, batch: usize) -> L::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut L::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn splits_itself(&self) -> bool {
        self.inner.splits_itself()
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let PassSize { steps, batch, d_x, .. } = size;
        let (embedding, between) = (&self.table.embedding, PassSize::of(steps, batch));
        let (inner, linear) = (self.inner.memory(between)?, embedding.linear());
        let transposed = Work::of(linear.transposed_bytes(steps.saturating_mul(batch)));
        let forward = embedding.memory(size)?.forward.or(inner.forward).or(transposed);
        let gradient = embedding.around_input(size, |size| self.table.backward_work(size));
        let backward = linear.memory(between)?.forward.or(inner.backward).or(gradient);
        let backward = if d_x { backward.or(transposed) } else { backward };
        let numbers = size.numbers(self.width());
        let own = scratch::bytes::<L::Elem, 2>([numbers; 2]);
        let tape = inner.tape.saturating_add(bytes::<L::Elem>(numbers.saturating_mul(2)));
        Some(Memory { tape, forward: forward.inside(own), backward: backward.inside(own) })
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        self.inner.visit_cells(f);
    }
    fn describe(&self) -> Describe {
        let inner = self.inner.describe();
        let all = Describe::new("Tied", self.input_size(), self.output_size());
        // A table of layers has one line for all of it.
        let all = match inner.kind.as_str() {
            "Stacked" => inner.inner.iter().fold(all, |all, (_, layer)| all.option(layer.to_string())),
            _ => all.option(inner.to_string()),
        };
        all.with("embedding", self.table.embedding.describe()).with("inner", inner)
    }
}

impl<L: SeqLayer> Run for Tied<L> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut L::State,
        tape: Option<&mut Self::Tape>,
    ) {
        let ((t, b), e) = (xs.dim(), self.width());
        xs.expect(self.input_size());
        assert_eq!(ys.dim(), (t, b, self.output_size()), "ys: [T, B, V] of this input and layer");
        let shape = (t, b, e);
        let run = |embedded: &mut [L::Elem], hidden: &mut [L::Elem], inner: Option<&mut L::Tape>| {
            let (mut embedded, mut hidden) = (view_mut(embedded, shape), view_mut(hidden, shape));
            self.table.embedding.forward(cx.layer(0), xs, embedded.view_mut(), &mut (), None);
            self.inner.forward(cx.layer(1), Input::Rows(embedded.view()), hidden.view_mut(), state, inner);
            cx.clear_padding(&mut hidden);
            self.table.head(&cx, hidden.view(), ys);
        };
        match tape {
            Some(TiedTape { inner, embedded, hidden }) => {
                scratch::same_depth(|| run(embedded.push(t * b * e), hidden.push(t * b * e), Some(inner)));
            }
            None => scratch::with_each([t * b * e; 2], |[embedded, hidden]| run(embedded, hidden, None)),
        }
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}

impl<L: SeqLayer> SeqLayer for Tied<L> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, L::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut L::State,
        grads: &mut Self,
    ) {
        io.expect(self);
        let SeqGradIo { x, d_y, d_x, .. } = io;
        let ((t, b), e) = (x.dim(), self.width());
        let (shape, len) = ((t, b, e), t * b * e);
        let (embedding, words) = (&self.table.embedding, cx.layer(0));
        scratch::with_each([len; 2], |[d_h, d_e]| {
            let (mut d_h, mut d_e) = (view_mut(d_h, shape), view_mut(d_e, shape));
            let (e, h) = (view(tape.embedded.top(len), shape), view(tape.hidden.top(len), shape));
            // y = h·wᵀ, so ∂L/∂h is ∂L/∂y·w: a lookup of rows of numbers.
            embedding.linear().forward(cx, Input::Rows(d_y.view()), d_h.view_mut(), &mut (), None);
            let io = SeqGradIo { x: Input::Rows(e.view()), y: h.view(), d_y: d_h.view(), d_x: Some(d_e.view_mut()) };
            self.inner.backward(cx.layer(1), io, &mut tape.inner, d_state, &mut grads.inner);
            cx.clear_padding(&mut d_e);
            embedding.with_input(&words, x, |x| {
                let uses = Uses { x: x.reborrow(), d_e: d_e.view(), h: h.view(), d_y: d_y.view() };
                self.table.backward(cx, &uses, &mut grads.table);
            });
            if let Some(mut d_x) = d_x {
                embedding.linear().transposed(&cx, None, d_e.view(), d_x.view_mut());
                embedding.drop_words(&words, &mut d_x);
            }
        });
        tape.embedded.pop(len);
        tape.hidden.pop(len);
    }

    fn initial_state_backward(&self, d_state: &L::State, grads: &mut Self) {
        self.inner.initial_state_backward(d_state, &mut grads.inner);
    }

    fn carry_backward(&self, d_state: &L::State, reversed: bool, grads: &mut Self) {
        self.inner.carry_backward(d_state, reversed, &mut grads.inner);
    }

    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<L::Elem>, Error>
    where
        L: 'static,
    {
        // As in a stack: only that of boxes is known to have a packed form.
        let network = (self as &dyn std::any::Any).downcast_ref::<Tied<Network<L::Elem>>>();
        match network {
            Some(tied) => Ok(PreparedBox::new(tied.prepare(precision)?)),
            None => Ok(PreparedBox::unprepared(self)),
        }
    }
}

impl<L: SeqLayer + Causal> Causal for Tied<L> {
    fn check_causal(&self) -> Result<(), Error> {
        self.inner.check_causal()
    }
}
