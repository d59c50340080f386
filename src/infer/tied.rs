//! An embedding and a head of one weight, packed.

use ndarray::ArrayViewMut3;

use super::steps::{by_steps, numeric};
use super::{Packed, Precision, Prepare, PreparedLinear};
use crate::kernel::scratch;
use crate::kernel::stream::rows_of;
use crate::kernel::views::view_mut;
use crate::{Causal, Context, Describe, Error, Input, Linear, Recurrent, Run, SeqLayer, Tied};

/// A [`Tied`] layer packed for inference. A step reads rows of the weight in the lookup and columns in the head, so it is there in
/// both forms; as int8, whose scales are those of columns, the two are rounded each for itself.
#[derive(Debug)]
pub struct PreparedTied<P: Packed> {
    embedding: PreparedLinear<P::Elem>,
    inner: P,
    head: PreparedLinear<P::Elem>,
}

impl<L: SeqLayer + Prepare> Prepare for Tied<L> {
    type Prepared = PreparedTied<L::Prepared>;

    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        let table = self.embedding().linear();
        let embedding = table.prepare(precision).map_err(|error| error.within("embedding"))?;
        let inner = self.inner().prepare(precision).map_err(|error| error.within("inner"))?;
        let head = Linear::from_arrays(table.w().t().to_owned(), Some(self.b().clone()))?;
        Ok(PreparedTied { embedding, inner, head: head.prepare(precision)? })
    }
}

impl<P: Packed> PreparedTied<P> {
    /// The layer between.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn run(&self, y: &mut [P::Elem], state: &mut P::State, look_up: impl FnOnce(&mut [P::Elem])) {
        let numbers = rows_of(y.len(), self.output_size()) * self.embedding.output_size();
        scratch::on_stack([numbers; 2], |[embedded, hidden]| {
            look_up(embedded);
            self.inner.step_clean(embedded, hidden, state);
            self.head.step_clean(hidden, y, &mut ());
        });
    }
}

numeric!([P: Packed] PreparedTied<P>, P::Elem);

impl<P: Packed> Recurrent for PreparedTied<P> {
    type State = P::State;
    type Tape = ();

    fn input_size(&self) -> usize {
        self.embedding.input_size()
    }
    fn output_size(&self) -> usize {
        self.head.output_size()
    }
    fn zero_state(&self, batch: usize) -> P::State {
        self.inner.zero_state(batch)
    }
    fn takes_state(&self, state: &P::State, rows: usize) -> bool {
        self.inner.takes_state(state, rows)
    }
    fn initial_state(&self, batch: usize) -> P::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut P::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        self.inner.visit_cells(f);
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Tied", self.input_size(), self.output_size());
        all.with("embedding", self.embedding.describe()).with("inner", self.inner.describe())
    }
}

impl<P: Packed> Run for PreparedTied<P> {
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
        let shape = (t, b, self.embedding.output_size());
        scratch::with_each([t * b * shape.2; 2], |[embedded, hidden]| {
            let (mut embedded, mut hidden) = (view_mut(embedded, shape), view_mut(hidden, shape));
            self.embedding.forward(cx, xs, embedded.view_mut(), &mut (), None);
            self.inner.forward(cx.layer(1), Input::Rows(embedded.view()), hidden.view_mut(), state, None);
            self.head.forward(cx, Input::Rows(hidden.view()), ys, &mut (), None);
        });
    }
    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }
}

impl<P: Packed> Causal for PreparedTied<P> {
    fn check_causal(&self) -> Result<(), Error> {
        self.inner.check_causal()
    }
    fn step_clean(&self, x: &[P::Elem], y: &mut [P::Elem], state: &mut P::State) {
        self.run(y, state, |embedded| self.embedding.step_clean(x, embedded, &mut ()));
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [P::Elem], state: &mut P::State) {
        self.run(y, state, |embedded| self.embedding.step_tokens_clean(tokens, embedded, &mut ()));
    }
}

impl<P: Packed> Packed for PreparedTied<P> {
    fn bytes(&self) -> usize {
        self.embedding.bytes() + self.inner.bytes() + self.head.bytes()
    }
}
