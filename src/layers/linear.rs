//! The same affine map at every step.

mod product;
mod ragged;
mod transposed;

use std::fmt;
use std::marker::PhantomData;

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, ArrayViewMut3, s};

use super::{Causal, Run, SeqLayer};
use crate::blocks::{BLOCK_ROWS, BlockSum, COPIES, block_steps, blocks, in_blocks};
use crate::infer::{Precision, Prepare, PreparedBox};
use crate::kernel::matmul::{matmul_transposed, matmul_transposed_bytes};
use crate::kernel::pack::{pack, packed_len};
use crate::kernel::scratch;
use crate::kernel::sums::add_rows;
use crate::kernel::threads::{self, divide};
use crate::kernel::views::{CleanRows, Rows, flat, flat_mut, kept};
use crate::memory::bytes;
use crate::{
    Context, Describe, Error, Float, Init, Input, Memory, Params, PassSize, Recurrent, Scheme, SeqGradIo, Spec, Work,
};
use product::{Product, Weight};
use ragged::tokens_backward;

pub(super) use product::copied;
pub(super) use ragged::{gather, valid};

/// y = x·w + b at every step, so `[T, B, D]` → `[T, B, V]`: the head of a language model. From tokens it looks rows of w up.
///
/// # Parameters
/// `w [D, V]`, `b [V]`.
/// # Memory
/// The tape keeps nothing: x is in the hands of the caller.
/// # Sums
/// The terms of x·w are added one after the other, with up to four outputs in eight partial sums side by side: the same bits for a step, a sequence, packed, and
/// any number of threads. Gradients are summed row after row, last to first; in a call of more than 2¹⁴ rows (T·B) in blocks of 2¹¹, counted from its end,
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
pub(super) const ROWS: usize = 512;

/// How many parts the product of so many rows and a weight of `len` numbers is worth.
pub(super) fn parts(rows: usize, len: usize) -> usize {
    threads::parts_of_steps(rows, len)
}

/// What the parts pack that add aᵀ·b to a weight of `len` numbers, `a` having so many columns and at most so many rows.
pub(super) fn product_work<F>(columns: usize, rows: usize, len: usize, most: usize) -> Work {
    let work = |rows: usize| {
        let parts = parts(rows, len);
        let share = |k| matmul_transposed_bytes::<F>(threads::part_of(columns, parts, k).min(most), rows);
        Work::of(share(0)).divided(parts, share)
    };
    threads::steps_in_fewer_parts(rows, len).map(work).fold(work(rows), Work::or)
}

impl<F: Float> Linear<F> {
    /// `outputs` columns, with a bias, everything starting uniform on ±1/√D, as in PyTorch.
    #[must_use]
    pub fn spec(outputs: usize) -> LinearSpec<F> {
        LinearSpec { outputs, bias: true, scheme: Scheme::default(), float: PhantomData }
    }

    /// A layer of these arrays. Numbers below [`Float::TINY`] become 0.
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
        Ok(Linear { w: kept(w), b: b.map(kept) })
    }

    /// `w [D, V]`.
    #[must_use]
    pub fn w(&self) -> ArrayView2<'_, F> {
        self.w.view()
    }

    /// The numbers of w.
    pub(super) fn w_mut(&mut self) -> &mut [F] {
        flat_mut(&mut self.w)
    }

    /// `b [V]`, where there is one.
    #[must_use]
    pub fn b(&self) -> Option<&Array1<F>> {
        self.b.as_ref()
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
        if !d.checked_mul(v).is_some_and(|numbers| init.has_room_for(numbers)) {
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
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let PassSize { steps, batch, tokens, d_x } = size;
        let rows = steps.saturating_mul(batch);
        // With the gradients of a block.
        let block = if in_blocks(steps, batch) { COPIES * bytes::<F>(self.num_params()) } else { 0 };
        if tokens {
            return Some(Memory { tape: 0, forward: Work::of(0), backward: Work::of(block) });
        }
        let forward = Work::of(scratch::bytes::<F, 3>(self.forward_lengths(rows)));
        let backward = scratch::bytes::<F, 5>(self.backward_lengths(rows, d_x)).saturating_add(block);
        let products = product_work::<F>(self.w.nrows(), rows.min(ROWS), self.w.len(), usize::MAX);
        let backward = products.inside(backward);
        Some(Memory { tape: 0, forward, backward })
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Linear", self.w.nrows(), self.w.ncols());
        let all = if self.b.is_none() { all.option("no bias") } else { all };
        all.setting("bias", self.b.is_some())
    }
}

impl<F: Float> Linear<F> {
    /// Rows of an array that are copied together where they do not lie side by side.
    fn copied(&self, rows: usize) -> usize {
        copied(rows, self.w.nrows().max(self.w.ncols()))
    }

    /// Lengths of the buffers of a forward call: the packed weight, copies of x and y.
    fn forward_lengths(&self, rows: usize) -> [usize; 3] {
        let ((d, v), copied) = (self.w.dim(), self.copied(rows));
        [Weight::<F>::len(d, v), copied * d, copied * v]
    }

    /// Lengths of the buffers of a backward call: d_y and the weight packed, copies of x, d_y and d_x.
    fn backward_lengths(&self, rows: usize, d_x: bool) -> [usize; 5] {
        let ((d, v), copied) = (self.w.dim(), self.copied(rows));
        let asked = usize::from(d_x);
        [packed_len::<F>(rows.min(ROWS), v), asked * Weight::<F>::len(v, d), copied * d, copied * v, asked * copied * d]
    }
}

impl<F: Float> Run for Linear<F> {
    #[inline(never)]
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
        (): &mut (),
        _: Option<&mut ()>,
    ) {
        let ((t, b), (inputs, v)) = (xs.dim(), self.w.dim());
        xs.expect(inputs);
        assert_eq!(ys.dim(), (t, b, v), "ys: [T, B, V] of this input and layer");
        if t * b == 0 {
            return;
        }
        cx.clear_padding(&mut ys);
        match xs {
            Input::Rows(xs) => scratch::with_each(self.forward_lengths(t * b), |[packed, x_copy, y_copy]| {
                let w = Weight::pack(flat(&self.w), inputs, v, packed);
                Product { start: self.b().map(flat), w }.sequence(&cx, xs, ys, [x_copy, y_copy]);
            }),
            Input::Tokens(tokens) => {
                for [step, row] in valid(&cx, (t, b)) {
                    let (mut y, w) = (ys.slice_mut(s![step, row, ..]), self.w.row(tokens[[step, row]]));
                    match &self.b {
                        Some(b) => y.iter_mut().zip(b).zip(w).for_each(|((y, b), w)| *y = *b + *w),
                        None => y.assign(&w),
                    }
                }
            }
        }
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<F: Float> SeqLayer for Linear<F> {
    #[inline(never)]
    fn backward(&self, cx: Context<'_>, io: SeqGradIo<'_, F>, (): &mut (), (): &mut (), grads: &mut Self) {
        io.expect(self);
        let (t, b) = io.x.dim();
        if t * b == 0 {
            return;
        }
        let SeqGradIo { x, d_y, mut d_x, .. } = io;
        if let Some(d_x) = &mut d_x {
            cx.clear_padding(d_x);
        }
        let (rows, tokens) = match x {
            Input::Rows(xs) => (Some(xs), None),
            Input::Tokens(tokens) => (None, Some(tokens)),
        };
        let mut block = |steps: std::ops::Range<usize>, rows_of: std::ops::Range<usize>, grads: &mut Self| {
            let here = s![steps.clone(), rows_of.clone(), ..];
            let (cx, d_y) = (cx.from_step(steps.start).rows(rows_of.clone()), d_y.slice(here));
            let d_x = d_x.as_mut().map(|d_x| d_x.slice_mut(here));
            match (&rows, &tokens) {
                (Some(xs), _) if cx.is_ragged(steps.len()) => {
                    self.ragged_backward(&cx, xs.slice(here), d_y, d_x, grads);
                }
                (Some(xs), _) => self.block_backward(xs.slice(here), d_y, d_x, grads),
                (None, Some(tokens)) => {
                    tokens_backward(&cx, tokens.slice(s![steps, rows_of]), &d_y, grads);
                }
                (None, None) => {}
            }
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
    }

    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<F>, Error> {
        Ok(PreparedBox::new(self.prepare(precision)?))
    }
}

impl<F: Float> Causal for Linear<F> {}

impl<F: Float> Linear<F> {
    /// The way back of a call whose rows are summed one after the other.
    fn block_backward(
        &self,
        x: ArrayView3<'_, F>,
        d_y: ArrayView3<'_, F>,
        d_x: Option<ArrayViewMut3<'_, F>>,
        grads: &mut Self,
    ) {
        let ((t, b, d), v) = (x.dim(), self.w.ncols());
        let n = t * b;
        if n == 0 {
            return;
        }
        scratch::with_each(
            self.backward_lengths(n, d_x.is_some()),
            |[packed, packed_w, x_copy, d_y_copy, d_x_copy]| {
                // Last piece first, as the rows within it are added last to first.
                let (x, d_y) = (CleanRows::of(x), CleanRows::of(d_y));
                let piece = if x.are_there() && d_y.are_there() { ROWS } else { self.copied(n) };
                for first in (0..n).step_by(piece).rev() {
                    let rows = piece.min(n - first);
                    let (xs, d_ys) = (x.get(first, rows, x_copy), d_y.get(first, rows, d_y_copy));
                    self.weights_backward(xs, d_ys, packed, grads);
                }
                if let Some(d_x) = d_x {
                    let w = Weight::pack_transposed(flat(&self.w), v, d, packed_w);
                    Product { start: None, w }.all(&d_y, n, d_x, [d_y_copy, d_x_copy]);
                }
            },
        );
    }

    /// Adds xᵀ·d_y and the sums of the rows of d_y to the gradients.
    fn weights_backward(&self, xs: &[F], d_ys: &[F], packed: &mut [F], grads: &mut Self) {
        let (d, v) = self.w.dim();
        let n = d_ys.len() / v;
        if let Some(b) = &mut grads.b {
            add_rows(flat_mut(b), d_ys);
        }
        let packed = pack(d_ys, n, v, packed);
        divide(Rows { first: 0, width: v, numbers: flat_mut(&mut grads.w) }, parts(n, self.w.len()), 1, &|rows| {
            let m = rows.numbers.len() / v;
            matmul_transposed(rows.numbers, &xs[rows.first..], d, m, packed);
        });
    }
}
