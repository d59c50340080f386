//! The loop over some rows whose maths sees a whole row at a time.

use super::dispatch::{Job, dispatch};
use super::rows::{Backward, Forward, row, row_mut};
use super::scratch;
use crate::Float;
use crate::gates::{Lanes, MOST_VECTORS, RowBackward, RowCell, RowForward};

/// Numbers of the lanes of a state beyond h.
fn more<F: Float, R: RowCell>(units: usize) -> usize {
    (<R::State<F> as Lanes<F>>::N - 1) * units
}

#[inline(never)]
pub(crate) fn forward<F: Float, R: RowCell>(cell: &R, rows: Forward<'_, F>) {
    let saved = cell.saved(rows.units);
    // Rows write what backward needs, whether it is kept or not.
    let spare = if rows.saved.is_some() { 0 } else { saved };
    scratch::on_stack([spare], |[spare]| dispatch(ForwardRows { cell, rows, saved, spare }));
}

struct ForwardRows<'c, 'a, F, R> {
    cell: &'c R,
    rows: Forward<'a, F>,
    saved: usize,
    spare: &'c mut [F],
}

impl<F: Float, R: RowCell> Job for ForwardRows<'_, '_, F, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let ForwardRows { cell, rows, saved: kept, spare } = self;
        let Forward { weights, units, x, u, h, y, rest, before, mut saved } = rows;
        let more = more::<F, R>(units);
        for r in 0..y.len() / units {
            let state = &mut rest[r * more..][..more];
            let y = &mut y[r * units..][..units];
            if !before.is_empty() {
                row_mut(before, r, more).copy_from_slice(state);
            }
            cell.forward(
                weights,
                RowForward {
                    units,
                    x: &x[r * R::X * units..][..R::X * units],
                    u: if R::SUMMED { &[] } else { &u[r * R::H * units..][..R::H * units] },
                    h: row(h, r, units),
                    y: &mut *y,
                    state: &mut *state,
                    saved: match &mut saved {
                        Some(saved) => &mut saved[r * kept..][..kept],
                        None => &mut *spare,
                    },
                },
            );
            flush(y);
            flush(state);
        }
    }
}

#[inline(never)]
pub(crate) fn backward<F: Float, R: RowCell>(cell: &R, rows: Backward<'_, F>) {
    let saved = cell.saved(rows.units);
    dispatch(BackwardRows { cell, rows, saved });
}

struct BackwardRows<'c, 'a, F, R> {
    cell: &'c R,
    rows: Backward<'a, F>,
    saved: usize,
}

impl<F: Float, R: RowCell> Job for BackwardRows<'_, '_, F, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let BackwardRows { cell, rows, saved: kept } = self;
        let Backward { weights, units, saved, h, before, d_y, d_h, d_rest, d_x, d_u, d_weights } = rows;
        let (more, vectors) = (more::<F, R>(units), weights.iter().map(|vector| vector.len()).sum::<usize>());
        for r in 0..d_h.len() / units {
            let d_h = &mut d_h[r * units..][..units];
            let d_state = &mut d_rest[r * more..][..more];
            let d_x = &mut d_x[r * R::X * units..][..R::X * units];
            let d_u = if R::SUMMED { &mut [] } else { &mut d_u[r * R::H * units..][..R::H * units] };
            let shares = &mut d_weights[r * vectors..][..vectors];
            if !d_y.is_empty() {
                d_h.iter_mut().zip(row(d_y, r, units)).for_each(|(d_h, d_y)| *d_h += *d_y);
            }
            flush(d_h);
            flush(d_state);
            let mut list: [&mut [F]; MOST_VECTORS] = std::array::from_fn(|_| Default::default());
            let mut left = &mut *shares;
            for (share, vector) in list.iter_mut().zip(weights) {
                (*share, left) = std::mem::take(&mut left).split_at_mut(vector.len());
            }
            cell.backward(
                weights,
                RowBackward {
                    units,
                    saved: &saved[r * kept..][..kept],
                    h: row(h, r, units),
                    before: row(before, r, more),
                    d_h: &mut *d_h,
                    d_state: &mut *d_state,
                    d_x: &mut *d_x,
                    d_u: &mut *d_u,
                    d_weights: &mut list[..weights.len()],
                },
            );
            for numbers in [d_h, d_state, d_x, d_u, shares] {
                flush(numbers);
            }
        }
    }
}

#[inline(always)]
fn flush<F: Float>(numbers: &mut [F]) {
    numbers.iter_mut().for_each(|x| *x = x.flush());
}
