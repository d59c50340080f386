//! What is tied: one weight for the lookup and the head.

use ndarray::{Array1, ArrayView3, ArrayViewMut3};

use super::gradient::{Uses, add, lengths, product_work};
use crate::blocks::{BLOCK_ROWS, BlockSum, COPIES, block_steps, blocks, in_blocks};
use crate::kernel::scratch;
use crate::kernel::views::flat;
use crate::memory::bytes;
use crate::{Context, Embedding, Float, Params, PassSize, Recurrent, Work};

/// The embedding, and the bias of the head.
#[derive(Clone, Debug)]
pub(super) struct Table<F: Float> {
    pub(super) embedding: Embedding<F>,
    pub(super) b: Array1<F>,
}

crate::params!(Table<F> { embedding, b });

impl<F: Float> Table<F> {
    /// y = h·wᵀ + b.
    pub(super) fn head(&self, cx: &Context<'_>, h: ArrayView3<'_, F>, ys: ArrayViewMut3<'_, F>) {
        self.embedding.linear().transposed(cx, Some(flat(&self.b)), h, ys);
    }

    /// Adds the gradients of the weight and the bias, in blocks where there are very many rows.
    pub(super) fn backward(&self, cx: Context<'_>, uses: &Uses<'_, F>, grads: &mut Self) {
        let (t, b) = uses.x.dim();
        if t * b == 0 {
            return;
        }
        if !in_blocks(t, b) {
            return add(cx, uses, grads);
        }
        let mut sum = BlockSum::new(grads);
        for steps in blocks(t, block_steps(b)) {
            for rows in blocks(b, BLOCK_ROWS) {
                let cx = cx.from_step(steps.start).rows(rows.clone());
                add(cx, &uses.part(steps.clone(), rows), sum.block());
                sum.add_to(grads);
            }
        }
    }

    /// Working memory of [`backward`](Table::backward).
    pub(super) fn backward_work(&self, size: PassSize) -> Work {
        let PassSize { steps, batch, tokens, .. } = size;
        let width = (self.embedding.input_size(), self.embedding.output_size());
        if !in_blocks(steps, batch) {
            return product_work::<F>((steps, batch), width).inside(scratch::bytes::<F, 6>(lengths::<F>(
                (steps, batch),
                width,
                !tokens,
            )));
        }
        let block = (steps.min(block_steps(batch)), batch.min(BLOCK_ROWS));
        let buffers = scratch::bytes::<F, 6>(lengths::<F>(block, width, !tokens));
        product_work::<F>(block, width).inside(buffers.saturating_add(COPIES * bytes::<F>(self.num_params())))
    }
}
