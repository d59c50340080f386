//! Rows of mean 0 and variance 1.

use std::ops::Range;

use ndarray::{Array1, ArrayView3, ArrayViewMut3, s};

use super::{Causal, Run, SeqLayer};
use crate::blocks::{BLOCK_ROWS, BlockSum, COPIES, block_steps, blocks, in_blocks};
use crate::kernel::scratch;
use crate::memory::bytes;
use crate::{Context, Describe, Error, Float, Init, Input, Memory, PassSize, Recurrent, SeqGradIo, Spec, Work};

/// Layer normalisation (Ba, Kiros and Hinton 2016): with m and v the mean and the variance (÷ H) of a row,
/// y = g∘(x - m)/√(v + ε) + b, ε = 10⁻⁵ as in PyTorch.
///
/// # Shapes
/// `[T, B, H]` → `[T, B, H]`; no state, no tape.
/// # Parameters
/// `g [H]`, from 1; `b [H]`, from 0.
#[derive(Clone)]
pub struct LayerNorm<F> {
    g: Array1<F>,
    b: Array1<F>,
    epsilon: f64,
}

crate::params!(LayerNorm<F> { g, b });

impl<F: Float> LayerNorm<F> {
    /// The width is that of the layer below.
    #[must_use]
    pub fn spec() -> impl Spec<Layer = LayerNorm<F>> + Clone + Send + Sync {
        |width: usize, _: &mut Init| -> Result<LayerNorm<F>, Error> { LayerNorm::new(width) }
    }

    /// For rows of so many columns.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(width: usize) -> Result<Self, Error> {
        if width == 0 {
            return Err(Error::value("width", "at least 1", 0));
        }
        Ok(LayerNorm { g: Array1::ones(width), b: Array1::zeros(width), epsilon: 1e-5 })
    }

    /// Another ε, above 0.
    ///
    /// # Errors
    /// If it is not a number above 0 in `F`.
    pub fn epsilon(mut self, epsilon: f64) -> Result<Self, Error> {
        if !(epsilon.is_finite() && F::from_f64(epsilon) >= F::TINY) {
            return Err(Error::value("epsilon", format!("a finite number, from {:e} on", F::TINY.as_f64()), epsilon));
        }
        self.epsilon = epsilon;
        Ok(self)
    }

    /// x̂ = (x - m)/√(v + ε) of a row, and 1/√(v + ε).
    fn normal(&self, x: &mut dyn Iterator<Item = F>, to: &mut [F]) -> F {
        let n = F::from_f64(to.len() as f64);
        to.iter_mut().zip(x).for_each(|(to, x)| *to = x.flush());
        let mean = to.iter().fold(F::zero(), |sum, x| sum + *x) / n;
        to.iter_mut().for_each(|x| *x -= mean);
        let variance = to.iter().fold(F::zero(), |sum, x| sum + *x * *x) / n;
        let k = F::one() / Float::sqrt(variance + F::from_f64(self.epsilon));
        to.iter_mut().for_each(|x| *x = (*x * k).flush());
        k
    }

    fn block_backward(
        &self,
        cx: &Context<'_>,
        (x, d_y): (ArrayView3<'_, F>, ArrayView3<'_, F>),
        mut d_x: Option<ArrayViewMut3<'_, F>>,
        grads: &mut Self,
    ) {
        let (t, b, width) = x.dim();
        let n = F::from_f64(width as f64);
        scratch::with_each([width, width], |[normal, d]| {
            for t in (0..t).rev() {
                for b in (0..b).rev().filter(|b| cx.length(*b, t + 1) > t) {
                    let k = self.normal(&mut x.slice(s![t, b, ..]).iter().copied(), normal);
                    let d_y = d_y.slice(s![t, b, ..]);
                    for (i, d_y) in d_y.iter().enumerate() {
                        let d_y = d_y.flush();
                        grads.g[i] += d_y * normal[i];
                        grads.b[i] += d_y;
                        d[i] = d_y * self.g[i];
                    }
                    let Some(d_x) = &mut d_x else { continue };
                    // Of what the mean and the deviation gave, each number has its share.
                    let mean = d.iter().fold(F::zero(), |sum, d| sum + *d) / n;
                    let slope = d.iter().zip(&*normal).fold(F::zero(), |sum, (d, x)| sum + *d * *x) / n;
                    let to = d_x.slice_mut(s![t, b, ..]);
                    for (to, (d, x)) in to.into_iter().zip(d.iter().zip(&*normal)) {
                        *to = (k * (*d - mean - *x * slope)).flush();
                    }
                }
            }
        });
    }
}

impl<F: Float> std::fmt::Debug for LayerNorm<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.describe())
    }
}

impl<F: Float> Recurrent for LayerNorm<F> {
    type State = ();
    type Tape = ();

    fn input_size(&self) -> usize {
        self.g.len()
    }
    fn output_size(&self) -> usize {
        self.g.len()
    }
    fn zero_state(&self, _: usize) {}
    fn splits_itself(&self) -> bool {
        true
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let row = self.g.len();
        let block = if in_blocks(size.steps, size.batch) { COPIES * bytes::<F>(2 * row) } else { 0 };
        let forward = Work::of(scratch::bytes::<F, 1>([row]));
        let backward = Work::of(scratch::bytes::<F, 2>([row, row]) + block);
        let rows = scratch::bytes::<F, 1>([size.numbers(row)]);
        let built = |work: Work| if size.tokens { work.inside(rows) } else { work };
        Some(Memory::new(0, built(forward), built(backward)))
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("LayerNorm", self.g.len(), self.g.len()).without_sizes();
        all.setting("epsilon", self.epsilon)
    }
}

impl<F: Float> Run for LayerNorm<F> {
    #[inline(never)]
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
        (): &mut (),
        _: Option<&mut ()>,
    ) {
        xs.expect(self.g.len());
        xs.with_rows(self.g.len(), |xs| {
            assert_eq!(ys.dim(), xs.dim(), "ys: the shape of x");
            let (t, b, width) = xs.dim();
            scratch::with(width, |normal| {
                for b in 0..b {
                    for t in 0..cx.length(b, t) {
                        self.normal(&mut xs.slice(s![t, b, ..]).iter().copied(), normal);
                        let to = ys.slice_mut(s![t, b, ..]);
                        for (i, to) in to.into_iter().enumerate() {
                            *to = (self.g[i] * normal[i] + self.b[i]).flush();
                        }
                    }
                }
            });
        });
        cx.clear_padding(&mut ys);
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<F: Float> SeqLayer for LayerNorm<F> {
    #[inline(never)]
    fn backward(&self, cx: Context<'_>, io: SeqGradIo<'_, F>, (): &mut (), (): &mut (), grads: &mut Self) {
        io.expect(self);
        let SeqGradIo { x, d_y, mut d_x, .. } = io;
        if let Some(d_x) = &mut d_x {
            cx.clear_padding(d_x);
        }
        x.with_rows(self.g.len(), |x| {
            let (t, b, _) = x.dim();
            let mut block = |steps: Range<usize>, rows: Range<usize>, grads: &mut Self| {
                let here = s![steps.clone(), rows.clone(), ..];
                let cx = cx.from_step(steps.start).rows(rows.clone());
                let d_x = d_x.as_mut().map(|d_x| d_x.slice_mut(here));
                self.block_backward(&cx, (x.slice(here), d_y.slice(here)), d_x, grads);
            };
            if !in_blocks(t, b) {
                return block(0..t, 0..b, grads);
            }
            let mut sum = BlockSum::new(grads);
            for steps in blocks(t, block_steps(b)) {
                for rows in blocks(b, BLOCK_ROWS) {
                    block(steps.clone(), rows, sum.block());
                    sum.add_to(grads);
                }
            }
        });
    }
}

impl<F: Float> Causal for LayerNorm<F> {}
