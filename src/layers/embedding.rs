//! A row of numbers for each token.

use std::marker::PhantomData;

use ndarray::{Array2, ArrayView2, ArrayViewMut3, Axis};

use super::dropout::check_rate;
use super::{Causal, Run, SeqLayer};
use crate::kernel::scratch;
use crate::kernel::views::view_mut;
use crate::philox::{Draw, Place};
use crate::{
    Context, Describe, Error, Float, Init, Input, Linear, Memory, Numeric, Params, PassSize, Recurrent, Scheme,
    SeqGradIo, Spec, Work, ZipMut,
};

/// Token k becomes row k of `w`: `[T, B]` → `[T, B, E]`. Rows of numbers `[T, B, V]` are multiplied, x·w, so that a token is the same as
/// its row with a one.
///
/// With [`word_dropout`](EmbeddingSpec::word_dropout) whole words are left out in training: each row of `w` is 0 with probability p
/// for the whole batch, the others are multiplied by 1/(1 - p) (Gal and Ghahramani 2016).
///
/// # Parameters
/// `w [V, E]`.
#[derive(Clone)]
pub struct Embedding<F> {
    /// x·w, without a bias.
    linear: Linear<F>,
    rate: f64,
}

impl<F: Float> Numeric for Embedding<F> {
    type Elem = F;
}

impl<F: Float> Params for Embedding<F> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ndarray::ArrayViewD<'a, F>)) {
        self.linear.visit(f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ndarray::ArrayViewMutD<'a, F>)) {
        self.linear.visit_mut(f);
    }
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, F>) {
        self.linear.zip_mut(&other.linear, f);
    }
}

/// Builds an [`Embedding`].
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingSpec<F> {
    width: usize,
    rate: f64,
    scheme: Scheme,
    float: PhantomData<F>,
}

impl<F> EmbeddingSpec<F> {
    /// Leaves whole words out with this probability, in training.
    #[must_use]
    pub fn word_dropout(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// How the numbers start; PyTorch's are from N(0, 1). Where they are a head's too ([`Tied`](crate::layers::Tied)) those make large
    /// logits: start them smaller, say by `Scheme::Normal(0.1)`.
    #[must_use]
    pub fn init(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }
}

impl<F: Float> Spec for EmbeddingSpec<F> {
    type Layer = Embedding<F>;
    fn build(&self, tokens: usize, init: &mut Init) -> Result<Embedding<F>, Error> {
        check_rate("word_dropout", self.rate)?;
        for (name, value) in [("tokens", tokens), ("embedding", self.width)] {
            if value == 0 {
                return Err(Error::value(name, "at least 1", value));
            }
        }
        if !tokens.checked_mul(self.width).is_some_and(|numbers| init.has_room_for(numbers)) {
            let got = format!("{tokens} by {}", self.width);
            return Err(Error::value("embedding", "a matrix that memory can hold", got));
        }
        let w = match self.scheme.check::<F>()? {
            Scheme::PyTorch => init.normal((tokens, self.width), 1.0),
            scheme => scheme.weights(init, tokens, 1, self.width, false),
        };
        Ok(Embedding { linear: Linear::from_arrays(w, None)?, rate: self.rate })
    }
}

impl<F: Float> Embedding<F> {
    /// Rows of `width` numbers.
    #[must_use]
    pub fn spec(width: usize) -> EmbeddingSpec<F> {
        EmbeddingSpec { width, rate: 0.0, scheme: Scheme::default(), float: PhantomData }
    }

    /// A layer of this array, `[V, E]`.
    ///
    /// # Errors
    /// If there is nothing in it.
    pub fn from_array(w: Array2<F>) -> Result<Self, Error> {
        Ok(Embedding { linear: Linear::from_arrays(w, None)?, rate: 0.0 })
    }

    /// `w [V, E]`.
    #[must_use]
    pub fn w(&self) -> ArrayView2<'_, F> {
        self.linear.w()
    }

    /// x·w, every word in its place.
    pub(crate) fn linear(&self) -> &Linear<F> {
        &self.linear
    }

    pub(super) fn linear_mut(&mut self) -> &mut Linear<F> {
        &mut self.linear
    }

    /// What each word is multiplied by in this call.
    fn words(&self, cx: &Context<'_>) -> Option<Vec<F>> {
        Draw::new(cx, self.rate).map(|draw| {
            let mut mask = vec![F::zero(); self.input_size()];
            draw.mask(Place::of_array(0), &mut mask);
            mask
        })
    }

    /// Calls `f` with the input as the product sees it: where words are left out, rows of numbers that are 0 there.
    pub(super) fn with_input<R>(&self, cx: &Context<'_>, xs: Input<'_, F>, f: impl FnOnce(Input<'_, F>) -> R) -> R {
        let Some(words) = self.words(cx) else { return f(xs) };
        let ((t, b), v) = (xs.dim(), self.input_size());
        scratch::with(t * b * v, |rows| {
            let mut rows = view_mut(rows, (t, b, v));
            match xs {
                Input::Rows(xs) => rows.assign(&xs),
                Input::Tokens(tokens) => {
                    rows.fill(F::zero());
                    for (mut row, token) in rows.rows_mut().into_iter().zip(tokens) {
                        row[*token] = F::one();
                    }
                }
            }
            for mut row in rows.rows_mut() {
                row.iter_mut().zip(&words).for_each(|(x, m)| *x *= *m);
            }
            f(Input::Rows(rows.view()))
        })
    }

    /// Working memory of [`with_input`](Embedding::with_input) around what takes this much.
    pub(super) fn around_input(&self, size: PassSize, work: impl FnOnce(PassSize) -> Work) -> Work {
        if self.rate == 0.0 {
            return work(size);
        }
        work(size.of_built_rows()).inside(scratch::bytes::<F, 1>([size.numbers(self.input_size())]))
    }

    /// Makes the gradient of the product's input that of the layer's.
    pub(super) fn drop_words(&self, cx: &Context<'_>, d_x: &mut ArrayViewMut3<'_, F>) {
        let Some(words) = self.words(cx) else { return };
        for (word, mut column) in words.iter().zip(d_x.axis_iter_mut(Axis(2))) {
            column.map_inplace(|d| *d *= *word);
        }
    }
}

impl<F: Float> std::fmt::Debug for Embedding<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.describe())
    }
}

impl<F: Float> Recurrent for Embedding<F> {
    type State = ();
    type Tape = ();

    fn input_size(&self) -> usize {
        self.linear.input_size()
    }
    fn output_size(&self) -> usize {
        self.linear.output_size()
    }
    fn zero_state(&self, _: usize) {}
    fn splits_itself(&self) -> bool {
        true
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let built = if self.rate == 0.0 { size } else { size.of_built_rows() };
        let linear = self.linear.memory(built)?;
        let around = |work| self.around_input(size, |_| work);
        Some(Memory { forward: around(linear.forward), backward: around(linear.backward), ..linear })
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Embedding", self.input_size(), self.output_size());
        match self.rate {
            0.0 => all,
            rate => all.option(format!("word dropout {rate}")).setting("word_dropout", rate),
        }
    }
}

impl<F: Float> Run for Embedding<F> {
    #[inline(never)]
    fn forward(&self, cx: Context<'_>, xs: Input<'_, F>, ys: ArrayViewMut3<'_, F>, (): &mut (), _: Option<&mut ()>) {
        xs.expect(self.input_size());
        self.with_input(&cx, xs, |xs| self.linear.forward(cx, xs, ys, &mut (), None));
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<F: Float> SeqLayer for Embedding<F> {
    #[inline(never)]
    fn backward(&self, cx: Context<'_>, io: SeqGradIo<'_, F>, (): &mut (), (): &mut (), grads: &mut Self) {
        io.expect(self);
        let SeqGradIo { x, y, d_y, mut d_x } = io;
        self.with_input(&cx, x, |x| {
            let d_x = d_x.as_mut().map(|d_x| d_x.view_mut());
            let io = SeqGradIo { x: x.reborrow(), y: y.view(), d_y: d_y.view(), d_x };
            self.linear.backward(cx, io, &mut (), &mut (), &mut grads.linear);
        });
        if let Some(d_x) = &mut d_x {
            self.drop_words(&cx, d_x);
        }
    }
}

impl<F: Float> Causal for Embedding<F> {}
