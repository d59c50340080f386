//! Products with few columns: a sum for each that runs along whole rows, sixteen partial sums side by side, where a sum
//! that takes one term after the other would wait for itself.

use bytemuck::{cast_slice, cast_slice_mut};

use super::dispatch::{Job, dispatch};
use super::stream::copy;
use super::sums::total;
use crate::Float;

/// So many columns are few.
const FEW: usize = 4;
/// Partial sums.
const ABREAST: usize = 16;

/// Whether an operand `[k, n]` has few columns: then its products have the order of this module.
pub(crate) fn is_narrow(n: usize) -> bool {
    n <= FEW
}

/// The length of the memory for such an operand.
pub(crate) fn narrow_len(k: usize, n: usize) -> usize {
    k.div_ceil(ABREAST).saturating_mul(ABREAST * n)
}

/// An operand `[k, n]`, column after column, each filled up with zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow<'a, F> {
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) columns: &'a [F],
}

impl<'a, F: Float> Narrow<'a, F> {
    /// Takes the columns from where they are.
    pub(crate) fn pack(k: usize, n: usize, memory: &'a mut [F], at: impl Fn(usize, usize) -> F) -> Self {
        let len = narrow_len(k, 1);
        let memory = &mut memory[..narrow_len(k, n)];
        for (j, column) in memory.chunks_exact_mut(len.max(1)).enumerate() {
            for (p, to) in column.iter_mut().enumerate() {
                *to = if p < k { at(p, j) } else { F::zero() };
            }
        }
        Narrow { k, n, columns: memory }
    }

    /// `y [_, n] = start [n] + x [_, k] · w`, without a start x · w.
    pub(crate) fn times(self, start: Option<&[F]>, x: &[F], y: &mut [F]) {
        if size_of::<F>() == 4 { rows_f32(self.rows(start, x, y)) } else { rows_f64(self.rows(start, x, y)) }
    }

    /// The product; `G` is `F`, under a name the compiler knows.
    fn rows<'b, G: Float>(self, start: Option<&'b [F]>, x: &'b [F], y: &'b mut [F]) -> Rows<'b, G>
    where
        'a: 'b,
    {
        let w = Narrow { k: self.k, n: self.n, columns: cast_slice(self.columns) };
        Rows { w, start: start.map(cast_slice), x: cast_slice(x), y: cast_slice_mut(y) }
    }
}

// Compiled here, once for each type.
#[inline(never)]
fn rows_f32(rows: Rows<'_, f32>) {
    dispatch(rows);
}
#[inline(never)]
fn rows_f64(rows: Rows<'_, f64>) {
    dispatch(rows);
}

struct Rows<'a, F> {
    w: Narrow<'a, F>,
    start: Option<&'a [F]>,
    x: &'a [F],
    y: &'a mut [F],
}

impl<F: Float> Job for Rows<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let Rows { w: Narrow { k, n, columns }, start, x, y } = self;
        let len = k.div_ceil(ABREAST) * ABREAST;
        for (r, y) in y.chunks_exact_mut(n).enumerate() {
            let x = &x[r * k..][..k];
            for (j, y) in y.iter_mut().enumerate() {
                let product = dot::<F, FUSED>(x, &columns[j * len..][..len]);
                *y = match start {
                    Some(start) => start[j] + product,
                    None => product,
                };
            }
        }
    }
}

/// x · w, for a w that is filled up.
#[inline(always)]
fn dot<F: Float, const FUSED: bool>(x: &[F], w: &[F]) -> F {
    let ((xs, rest), (w, _)) = (x.as_chunks::<ABREAST>(), w.as_chunks::<ABREAST>());
    let mut sums = [F::zero(); ABREAST];
    for (x, w) in xs.iter().zip(w) {
        for i in 0..ABREAST {
            sums[i] = x[i].mul_add_if::<FUSED>(w[i], sums[i]);
        }
    }
    if let Some(w) = w.get(xs.len()) {
        let mut x = [F::zero(); ABREAST];
        copy(&mut x, rest, rest.len());
        for i in 0..ABREAST {
            sums[i] = x[i].mul_add_if::<FUSED>(w[i], sums[i]);
        }
    }
    total(sums)
}
