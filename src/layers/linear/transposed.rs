//! The map the other way, by the transpose of the weight.

use ndarray::{ArrayView3, ArrayViewMut3};

use super::Linear;
use super::product::{Product, Weight};
use crate::kernel::scratch;
use crate::kernel::views::flat;
use crate::{Context, Float};

impl<F: Float> Linear<F> {
    /// Sets `ys [T, B, D]` to start + xs·wᵀ for `xs [T, B, V]`; rows that are over become 0.
    pub(in crate::layers) fn transposed(
        &self,
        cx: &Context<'_>,
        start: Option<&[F]>,
        xs: ArrayView3<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
    ) {
        let ((t, b, v), d) = (xs.dim(), self.w.nrows());
        if t * b == 0 {
            return;
        }
        cx.clear_padding(&mut ys);
        scratch::with_each(self.transposed_lengths(t * b), |[packed, x_copy, y_copy]| {
            let w = Weight::pack_transposed(flat(&self.w), v, d, packed);
            Product { start, w }.sequence(cx, xs, ys, [x_copy, y_copy]);
        });
    }

    /// Working memory of [`transposed`](Linear::transposed).
    pub(in crate::layers) fn transposed_bytes(&self, rows: usize) -> usize {
        scratch::bytes::<F, 3>(self.transposed_lengths(rows))
    }

    /// Lengths of its buffers: the packed weight, copies of x and y.
    fn transposed_lengths(&self, rows: usize) -> [usize; 3] {
        let ((d, v), copied) = (self.w.dim(), self.copied(rows));
        [Weight::<F>::len(v, d), copied * v, copied * d]
    }
}
