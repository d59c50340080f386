//! Sums, copies and checks of whole rows.

use ndarray::ArrayView2;

use super::dispatch::{Job, dispatch};
use super::pack::Columns;
use crate::Float;

/// Adds the rows of `a [_, n]`, last to first, to `sum [n]`.
#[inline(never)]
pub(crate) fn add_rows<F: Float>(sum: &mut [F], a: &[F]) {
    struct AddRows<'a, F>(&'a mut [F], &'a [F]);
    impl<F: Float> Job for AddRows<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) {
            for row in self.1.chunks_exact(self.0.len()).rev() {
                self.0.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
            }
        }
    }
    if !sum.is_empty() {
        dispatch(AddRows(sum, a));
    }
}

/// Row i of `rows [_, n]` becomes `start [n]` plus these columns of row `tokens[i]` of `w`.
#[inline(never)]
pub(crate) fn look_up<F: Float>(rows: &mut [F], start: &[F], w: &[F], columns: Columns, tokens: ArrayView2<'_, usize>) {
    struct LookUp<'a, F>(&'a mut [F], &'a [F], &'a [F], Columns, ArrayView2<'a, usize>);
    impl<F: Float> Job for LookUp<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) {
            let LookUp(rows, start, w, columns, tokens) = self;
            let all = columns.blocks * columns.stride;
            for (row, token) in rows.chunks_exact_mut(start.len()).zip(tokens) {
                let w = &w[token * all..][..all];
                for (from, to) in columns.ranges() {
                    let (row, start) = (&mut row[to.clone()], &start[to]);
                    row.iter_mut().zip(start).zip(&w[from]).for_each(|((x, start), w)| *x = *start + *w);
                }
            }
        }
    }
    dispatch(LookUp(rows, start, w, columns, tokens));
}

/// The way back, for rows `first` and on of w: adds row i of `rows [_, n]`, last to first, to row `tokens[i]` of w where
/// `w` has it.
#[inline(never)]
pub(crate) fn scatter<F: Float>(w: &mut [F], first: usize, n: usize, rows: &[F], tokens: ArrayView2<'_, usize>) {
    struct Scatter<'a, F>(&'a mut [F], usize, usize, &'a [F], ArrayView2<'a, usize>);
    impl<F: Float> Job for Scatter<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) {
            let Scatter(w, first, n, rows, tokens) = self;
            let b = tokens.ncols();
            for (i, row) in rows.chunks_exact(n).enumerate().rev() {
                let at = tokens[[i / b, i % b]].wrapping_sub(first);
                if at < w.len() / n {
                    w[at * n..][..n].iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
                }
            }
        }
    }
    dispatch(Scatter(w, first, n, rows, tokens));
}

/// Calls `step` with `x`, [flushed](Float::flush). Inputs fade too, and would be slow with every weight.
#[cold]
#[inline(never)]
pub(crate) fn with_flushed<F: Float>(x: &[F], step: &mut dyn FnMut(&[F])) {
    const SMALL: usize = 64;
    let flush = |to: &mut [F]| to.iter_mut().zip(x).for_each(|(to, x)| *to = x.flush());
    if x.len() <= SMALL {
        let mut copy = [F::zero(); SMALL];
        flush(&mut copy);
        step(&copy[..x.len()]);
    } else {
        super::scratch::with(x.len(), |copy| {
            flush(copy);
            step(copy);
        });
    }
}

/// Whether a number is nearer to 0 than [`Float::TINY`], and not 0.
#[inline]
pub(crate) fn has_tiny<F: Float>(numbers: &[F]) -> bool {
    const FEW: usize = 16;
    match numbers {
        [x] => x.is_tiny(), // a sample of sound: the shortest step there is
        few if few.len() <= FEW => few.iter().any(|x| x.is_tiny()),
        many => has_tiny_among(many),
    }
}

#[inline(never)]
fn has_tiny_among<F: Float>(numbers: &[F]) -> bool {
    struct HasTiny<'a, F>(&'a [F]);
    impl<F: Float> Job for HasTiny<'_, F> {
        type Output = bool;
        #[inline(always)]
        fn run<const FUSED: bool, const WIDE: bool>(self) -> bool {
            // Looked at by the piece: a loop that may end at each number does not become vector code.
            for piece in self.0.chunks(512) {
                let mut tiny = false;
                for x in piece {
                    tiny |= x.is_tiny();
                }
                if tiny {
                    return true;
                }
            }
            false
        }
    }
    dispatch(HasTiny(numbers))
}

/// Sums that run side by side.
const ABREAST: usize = 16;

/// The sum of a row, in an order that depends on its length alone: sixteen sums side by side, of every sixteenth number each. In
/// the methods of a [`RowCell`](crate::cells::RowCell) it becomes vector code, which a plain loop over a row, each sum waiting for the
/// one before, does not.
#[inline(always)]
#[must_use]
pub fn sum<F: Float>(x: &[F]) -> F {
    let (chunks, rest) = x.as_chunks::<ABREAST>();
    let mut sums = [F::zero(); ABREAST];
    for chunk in chunks {
        for i in 0..ABREAST {
            sums[i] += chunk[i];
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += *x;
    }
    total(sums)
}

/// The sum of products, in the order of [`sum`].
///
/// # Panics
/// If the rows are of different lengths.
#[inline(always)]
#[must_use]
pub fn dot<F: Float>(x: &[F], y: &[F]) -> F {
    assert_eq!(x.len(), y.len(), "rows of one length");
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<ABREAST>(), y.as_chunks::<ABREAST>());
    let mut sums = [F::zero(); ABREAST];
    for (x, y) in xs.iter().zip(ys) {
        for i in 0..ABREAST {
            sums[i] += x[i] * y[i];
        }
    }
    for ((sum, x), y) in sums.iter_mut().zip(x_rest).zip(y_rest) {
        *sum += *x * *y;
    }
    total(sums)
}

/// By halves.
#[inline(always)]
fn total<F: Float>(mut sums: [F; ABREAST]) -> F {
    let mut width = ABREAST / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}
