//! The rows that count alone, and rows of the weight by token.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, s};

use super::Linear;
use super::product::{Product, Weight};
use crate::kernel::scratch;
use crate::kernel::views::{copy_clean, flat, put_row};
use crate::{Context, Float};

/// The rows that count, step after step.
pub(in crate::layers) fn valid<'a>(
    cx: &'a Context<'_>,
    (t, b): (usize, usize),
) -> impl DoubleEndedIterator<Item = [usize; 2]> + 'a {
    (0..t)
        .flat_map(move |step| (0..b).map(move |row| [step, row]))
        .filter(move |[step, row]| cx.length(*row, t) > *step)
}

/// The way back of a lookup.
pub(super) fn tokens_backward<F: Float>(
    cx: &Context<'_>,
    tokens: ArrayView2<'_, usize>,
    d_y: &ArrayView3<'_, F>,
    grads: &mut Linear<F>,
) {
    for [step, row] in valid(cx, tokens.dim()).rev() {
        let d = d_y.slice(s![step, row, ..]);
        let mut w = grads.w.row_mut(tokens[[step, row]]);
        w.iter_mut().zip(d).for_each(|(w, d)| *w += d.flush());
        if let Some(b) = &mut grads.b {
            b.iter_mut().zip(d).for_each(|(b, d)| *b += d.flush());
        }
    }
}

impl<F: Float> Linear<F> {
    pub(super) fn ragged_backward(
        &self,
        cx: &Context<'_>,
        x: ArrayView3<'_, F>,
        d_y: ArrayView3<'_, F>,
        mut d_x: Option<ArrayViewMut3<'_, F>>,
        grads: &mut Self,
    ) {
        let ((t, b, d), v) = (x.dim(), self.w.ncols());
        let rows: Vec<[usize; 2]> = valid(cx, (t, b)).collect();
        scratch::with_each(
            self.backward_lengths(t * b, d_x.is_some()),
            |[packed, packed_w, x_copy, d_y_copy, d_x_copy]| {
                let w = d_x.is_some().then(|| Weight::pack_transposed(flat(&self.w), v, d, packed_w));
                let back = w.map(|w| Product { start: None, w });
                for rows in rows.rchunks(self.copied(t * b)) {
                    gather(&x, rows, x_copy);
                    gather(&d_y, rows, d_y_copy);
                    let d_ys = &d_y_copy[..rows.len() * v];
                    self.weights_backward(x_copy, d_ys, packed, grads);
                    if let (Some(back), Some(d_x)) = (&back, &mut d_x) {
                        let to = &mut d_x_copy[..rows.len() * d];
                        back.times(d_ys, to);
                        put(to, rows, d_x);
                    }
                }
            },
        );
    }
}

/// Copies these rows one after the other, without numbers that are too near 0.
pub(in crate::layers) fn gather<F: Float>(from: &ArrayView3<'_, F>, rows: &[[usize; 2]], to: &mut [F]) {
    let width = from.len_of(ndarray::Axis(2));
    for ([step, row], to) in rows.iter().zip(to.chunks_exact_mut(width)) {
        copy_clean(to, from.slice(s![*step, *row, ..]));
    }
}

/// The way back.
pub(super) fn put<F: Float>(from: &[F], rows: &[[usize; 2]], to: &mut ArrayViewMut3<'_, F>) {
    let width = to.len_of(ndarray::Axis(2));
    for ([step, row], from) in rows.iter().zip(from.chunks_exact(width)) {
        put_row(to.slice_mut(s![*step, *row, ..]), from);
    }
}
