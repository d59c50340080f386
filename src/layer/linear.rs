//! The same affine map at every step.

use std::fmt;
use std::marker::PhantomData;

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, ArrayViewMut3, Ix3, s};

use super::SeqLayer;
use crate::blocks::{BLOCK_ROWS, BlockSum, COPIES, block_steps, blocks, in_blocks};
use crate::init::memory_for;
use crate::kernel::matmul::{matmul, matmul_from, matmul_transposed};
use crate::kernel::pack::{pack, pack_transposed, packed_len};
use crate::kernel::scratch;
use crate::kernel::sums::add_rows;
use crate::kernel::threads::{self, divide};
use crate::kernel::views::{Rows, contiguous, flat, flat_mut, view};
use crate::memory::bytes;
use crate::{Error, Float, GradIo, Init, Memory, Params, Recurrent, Scheme, Spec, Work};

/// y = x·w + b at every step, so `[T, B, D]` → `[T, B, V]`: the head of a language model.
///
/// # Parameters
/// `w [D, V]`, `b [V]`.
/// # Memory
/// The tape keeps nothing: x is in the hands of the caller.
/// # Sums
/// Gradients are summed row after row, last to first; in a call of more than 2¹⁴ rows (T·B) in blocks of 2¹¹, counted from its end,
/// which loses nothing in `f32` over millions of rows. Pieces of such a call sum to other last digits than the whole.
#[derive(Clone)]
pub struct Linear<F> {
    w: Array2<F>,
    b: Option<Array1<F>>,
}

crate::params!(Linear<F> { w, b });

/// Builds a [`Linear`] layer.
#[derive(Clone, Copy, Debug)]
pub struct LinearSpec<F> {
    outputs: usize,
    bias: bool,
    scheme: Scheme,
    float: PhantomData<F>,
}

/// Rows packed together for the weights' gradient: working memory does not grow with T.
const ROWS: usize = 512;
/// Multiply-adds below which another thread costs more than it brings.
const WORTH_A_THREAD: usize = 1 << 20;

impl<F: Float> Linear<F> {
    /// `outputs` columns, with a bias, everything starting uniform on ±1/√D, as in PyTorch.
    #[must_use]
    pub fn spec(outputs: usize) -> LinearSpec<F> {
        LinearSpec { outputs, bias: true, scheme: Scheme::default(), float: PhantomData }
    }

    /// A layer of these arrays.
    ///
    /// # Errors
    /// If there are no inputs or outputs, or `b` is not of w's width.
    pub fn from_arrays(w: Array2<F>, b: Option<Array1<F>>) -> Result<Self, Error> {
        if w.is_empty() {
            return Err(Error::shape("w", "[D, V], both at least 1", w.shape()));
        }
        if let Some(b) = b.as_ref().filter(|b| b.len() != w.ncols()) {
            return Err(Error::shape("b", format!("[{}]", w.ncols()), b.shape()));
        }
        Ok(Linear { w: w.as_standard_layout().into_owned(), b: b.map(|b| b.as_standard_layout().into_owned()) })
    }

    /// `w [D, V]`.
    #[must_use]
    pub fn w(&self) -> ArrayView2<'_, F> {
        self.w.view()
    }

    /// `b [V]`, where there is one.
    #[must_use]
    pub fn b(&self) -> Option<&Array1<F>> {
        self.b.as_ref()
    }

    fn parts(&self, rows: usize) -> usize {
        threads::at_hand().min(1 + rows.saturating_mul(self.w.len()) / WORTH_A_THREAD)
    }
}

impl<F> LinearSpec<F> {
    /// Whether there is a bias.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// How the arrays start; PyTorch's bound is 1/√D here.
    #[must_use]
    pub fn init(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }
}

impl<F: Float> Spec for LinearSpec<F> {
    type Layer = Linear<F>;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<Linear<F>, Error> {
        let (d, v) = (input_size, self.outputs);
        for (name, value) in [("input_size", d), ("outputs", v)] {
            if value == 0 {
                return Err(Error::value(name, "at least 1", value));
            }
        }
        if !d.checked_mul(v).is_some_and(memory_for) {
            return Err(Error::value("outputs", "a matrix that memory can hold", format!("{d} by {v}")));
        }
        let scheme = self.scheme.check::<F>()?;
        let w = match scheme {
            Scheme::PyTorch => init.uniform((d, v), 1.0 / (d as f64).sqrt()),
            scheme => scheme.weights(init, d, 1, v, false),
        };
        Linear::from_arrays(w, self.bias.then(|| scheme.bias(init, v, d)))
    }
}

impl<F: Float> fmt::Debug for Linear<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linear({} -> {}, {} params)", self.w.nrows(), self.w.ncols(), self.num_params())
    }
}

impl<F: Float> Recurrent for Linear<F> {
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
        let ((d, v), n) = (self.w.dim(), steps.saturating_mul(batch));
        let forward = Work::of(scratch::bytes::<F, 1>([packed_len::<F>(d, v)]));
        let backward = Work::of(scratch::bytes::<F, 2>([packed_len::<F>(n.min(ROWS), v), packed_len::<F>(v, d)]));
        // The gradients of a block.
        let backward = backward.and(if in_blocks(steps, batch) { COPIES * bytes::<F>(self.num_params()) } else { 0 });
        Some(Memory { tape: 0, forward, backward })
    }
}

impl<F: Float> SeqLayer for Linear<F> {
    fn forward(&self, xs: ArrayView3<'_, F>, mut ys: ArrayViewMut3<'_, F>, (): &mut (), _: Option<&mut ()>) {
        let ((t, b, d), (inputs, v)) = (xs.dim(), self.w.dim());
        assert_eq!(d, inputs, "xs: the layer has inputs of D columns");
        assert_eq!(ys.dim(), (t, b, v), "ys: [T, B, V] of this input and layer");
        let n = t * b;
        if n == 0 {
            return;
        }
        let copies = [
            packed_len::<F>(d, v),
            if xs.is_standard_layout() { 0 } else { n * d },
            if ys.is_standard_layout() { 0 } else { n * v },
        ];
        scratch::with_each(copies, |[packed, x_copy, y_copy]| {
            let w = pack(flat(&self.w), d, v, packed);
            let xs = contiguous(&xs, x_copy);
            let direct = ys.is_standard_layout();
            let numbers = if direct { flat_mut(&mut ys) } else { &mut *y_copy };
            divide(Rows { first: 0, width: v, numbers }, self.parts(n), 1, &|rows| {
                let m = rows.numbers.len() / v;
                let a = &xs[rows.first * d..];
                match &self.b {
                    Some(b) => matmul_from(flat(b), rows.numbers, a, d, m, w),
                    None => {
                        rows.numbers.fill(F::zero());
                        matmul(rows.numbers, a, d, m, w);
                    }
                }
            });
            if !direct {
                ys.assign(&view(y_copy, (t, b, v)));
            }
        });
    }

    fn backward(&self, io: GradIo<'_, F, Ix3>, (): &mut (), (): &mut (), grads: &mut Self) {
        let ((t, b, d), v) = (io.x.dim(), self.w.ncols());
        assert_eq!(io.d_y.dim(), (t, b, v), "d_y: [T, B, V] of this input and layer");
        assert_eq!(io.d_x.dim(), (t, b, d), "d_x: the shape of x");
        if !in_blocks(t, b) {
            return self.block_backward(io, grads);
        }
        let GradIo { x, y, d_y, mut d_x } = io;
        let mut sum = BlockSum::new(grads);
        for steps in blocks(t, block_steps(b)) {
            for rows in blocks(b, BLOCK_ROWS) {
                let here = s![steps.clone(), rows, ..];
                let (x, y, d_y) = (x.slice(here), y.slice(here), d_y.slice(here));
                self.block_backward(GradIo { x, y, d_y, d_x: d_x.slice_mut(here) }, sum.block());
                sum.add_to(grads);
            }
        }
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<F: Float> Linear<F> {
    /// The way back of a call whose rows are summed one after the other.
    fn block_backward(&self, io: GradIo<'_, F, Ix3>, grads: &mut Self) {
        let GradIo { x, d_y, mut d_x, .. } = io;
        let ((t, b, d), v) = (x.dim(), self.w.ncols());
        let n = t * b;
        if n == 0 {
            return;
        }
        let copies = [
            packed_len::<F>(n.min(ROWS), v),
            packed_len::<F>(v, d),
            if x.is_standard_layout() { 0 } else { n * d },
            if d_y.is_standard_layout() { 0 } else { n * v },
            if d_x.is_standard_layout() { 0 } else { n * d },
        ];
        scratch::with_each(copies, |[packed, packed_w, x_copy, d_y_copy, d_x_copy]| {
            let (xs, d_ys) = (contiguous(&x, x_copy), contiguous(&d_y, d_y_copy));
            let parts = self.parts(n);
            if let Some(b) = &mut grads.b {
                add_rows(flat_mut(b), d_ys);
            }
            // Last piece first, as the rows within it are added last to first.
            for first in (0..n).step_by(ROWS).rev() {
                let rows = ROWS.min(n - first);
                let (xs, d_y) = (&xs[first * d..], pack(&d_ys[first * v..][..rows * v], rows, v, packed));
                divide(Rows { first: 0, width: v, numbers: flat_mut(&mut grads.w) }, parts, 1, &|rows| {
                    let m = rows.numbers.len() / v;
                    matmul_transposed(rows.numbers, &xs[rows.first..], d, m, d_y);
                });
            }
            let w = pack_transposed(flat(&self.w), v, d, packed_w);
            let direct = d_x.is_standard_layout();
            let numbers = if direct { flat_mut(&mut d_x) } else { &mut *d_x_copy };
            divide(Rows { first: 0, width: d, numbers }, parts, 1, &|rows| {
                rows.numbers.fill(F::zero());
                let m = rows.numbers.len() / d;
                matmul(rows.numbers, &d_ys[rows.first * v..], v, m, w);
            });
            if !direct {
                d_x.assign(&view(d_x_copy, (t, b, d)));
            }
        });
    }
}
