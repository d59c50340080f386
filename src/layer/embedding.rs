//! A row of numbers for each token.

use ndarray::{Array2, ArrayView2, ArrayViewMut3, s};

use super::dropout::check_rate;
use super::{Causal, Run, SeqLayer};
use crate::kernel::views::kept;
use crate::philox::{Draw, Place};
use crate::{Context, Describe, Error, Float, Init, Input, Linear, Memory, Params, Recurrent, SeqGradIo, Spec, Work};

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
    w: Array2<F>,
    rate: f64,
}

crate::params!(Embedding<F> { w });

/// Builds an [`Embedding`].
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingSpec {
    width: usize,
    rate: f64,
}

impl EmbeddingSpec {
    /// Leaves whole words out with this probability, in training.
    #[must_use]
    pub fn word_dropout(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// The layer for `tokens` tokens, its numbers from N(0, 1), as in PyTorch.
    ///
    /// # Errors
    /// If a size is 0, or the rate is no probability below 1.
    pub fn build<F: Float>(&self, tokens: usize, init: &mut Init) -> Result<Embedding<F>, Error> {
        check_rate("word_dropout", self.rate)?;
        for (name, value) in [("tokens", tokens), ("embedding", self.width)] {
            if value == 0 {
                return Err(Error::value(name, "at least 1", value));
            }
        }
        if !tokens.checked_mul(self.width).is_some_and(crate::init::memory_for) {
            let got = format!("{tokens} by {}", self.width);
            return Err(Error::value("embedding", "a matrix that memory can hold", got));
        }
        Ok(Embedding { w: kept(init.normal((tokens, self.width), 1.0)), rate: self.rate })
    }
}

impl<F: Float> Embedding<F> {
    /// Rows of `width` numbers.
    #[must_use]
    pub fn spec(width: usize) -> impl Spec<Layer = Embedding<F>> + Copy + Send + Sync {
        Made { spec: Self::settings(width), float: std::marker::PhantomData }
    }

    /// As [`spec`](Embedding::spec), to be changed before it is built.
    #[must_use]
    pub fn settings(width: usize) -> EmbeddingSpec {
        EmbeddingSpec { width, rate: 0.0 }
    }

    /// A layer of this array, `[V, E]`.
    ///
    /// # Errors
    /// If there is nothing in it.
    pub fn from_array(w: Array2<F>) -> Result<Self, Error> {
        if w.is_empty() {
            return Err(Error::shape("w", "[V, E], both at least 1", w.shape()));
        }
        Ok(Embedding { w: kept(w), rate: 0.0 })
    }

    /// `w [V, E]`.
    #[must_use]
    pub fn w(&self) -> ArrayView2<'_, F> {
        self.w.view()
    }

    /// The weight of this call, as that of a linear layer: words that are left out are rows of zeros.
    fn linear(&self, cx: &Context<'_>) -> Linear<F> {
        let mut w = self.w.clone();
        if let Some(mask) = self.words(cx) {
            for (mut row, m) in w.rows_mut().into_iter().zip(mask) {
                row.iter_mut().for_each(|x| *x *= m);
            }
        }
        Linear::from_arrays(w, None).expect("a weight that is there")
    }

    /// What each word is multiplied by.
    fn words(&self, cx: &Context<'_>) -> Option<Vec<F>> {
        Draw::new(cx, self.rate).map(|draw| {
            let mut mask = vec![F::zero(); self.w.nrows()];
            draw.mask(Place::of_array(0), &mut mask);
            mask
        })
    }
}

/// A spec for one float type.
#[derive(Clone, Copy, Debug)]
struct Made<F> {
    spec: EmbeddingSpec,
    float: std::marker::PhantomData<F>,
}

impl<F: Float> Spec for Made<F> {
    type Layer = Embedding<F>;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<Embedding<F>, Error> {
        self.spec.build(input_size, init)
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
        self.w.nrows()
    }
    fn output_size(&self) -> usize {
        self.w.ncols()
    }
    fn zero_state(&self, _: usize) {}
    fn splits_itself(&self) -> bool {
        true
    }
    fn memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        // A linear layer of the weight, and its gradient.
        let copy = crate::memory::bytes::<F>(self.w.len());
        let linear = Linear::from_arrays(self.w.clone(), None).ok()?.memory(steps, batch)?;
        Some(Memory { forward: linear.forward.inside(copy), backward: linear.backward.inside(2 * copy), ..linear })
    }
    fn memory_for_tokens(&self, _: usize, _: usize) -> Option<Memory> {
        Some(Memory::new(0, Work::of(0), Work::of(0)))
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Embedding", self.w.nrows(), self.w.ncols());
        if self.rate > 0.0 { all.option(format!("word dropout {}", self.rate)) } else { all }
    }
}

impl<F: Float> Run for Embedding<F> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
        (): &mut (),
        _: Option<&mut ()>,
    ) {
        xs.expect(self.w.nrows());
        let tokens = match xs {
            Input::Rows(_) => return self.linear(&cx).forward(cx, xs, ys, &mut (), None),
            Input::Tokens(tokens) => tokens,
        };
        let (t, b) = tokens.dim();
        assert_eq!(ys.dim(), (t, b, self.w.ncols()), "ys: [T, B, E] of this input and layer");
        let words = self.words(&cx);
        for b in 0..b {
            for t in 0..cx.length(b, t) {
                let token = tokens[[t, b]];
                let m = words.as_ref().map_or(F::one(), |words| words[token]);
                let mut y = ys.slice_mut(s![t, b, ..]);
                y.iter_mut().zip(self.w.row(token)).for_each(|(y, w)| *y = *w * m);
            }
        }
        cx.clear_padding(&mut ys);
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<F: Float> SeqLayer for Embedding<F> {
    fn backward(&self, cx: Context<'_>, io: SeqGradIo<'_, F>, (): &mut (), (): &mut (), grads: &mut Self) {
        io.expect(self);
        let words = self.words(&cx);
        let scale = |token: usize| words.as_ref().map_or(F::one(), |words| words[token]);
        let tokens = match io.x {
            Input::Rows(_) => {
                let linear = self.linear(&cx);
                let mut own = linear.zeros_like();
                linear.backward(cx, io, &mut (), &mut (), &mut own);
                for (token, (mut to, from)) in grads.w.rows_mut().into_iter().zip(own.w().rows()).enumerate() {
                    let m = scale(token);
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += *from * m);
                }
                return;
            }
            Input::Tokens(tokens) => tokens,
        };
        let (t, b) = tokens.dim();
        for t in (0..t).rev() {
            for b in (0..b).rev().filter(|b| cx.length(*b, t + 1) > t) {
                let token = tokens[[t, b]];
                let m = scale(token);
                let d = io.d_y.slice(s![t, b, ..]);
                grads.w.row_mut(token).iter_mut().zip(d).for_each(|(to, d)| *to += d.flush() * m);
            }
        }
    }
}

impl<F: Float> Causal for Embedding<F> {}
