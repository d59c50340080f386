//! The loop over the units of some rows: loads blocks of lanes, calls the gate maths for each unit, stores blocks. States and
//! gradients, which go from step to step, are [flushed](Float::flush) on the way.

use super::dispatch::{Job, dispatch};
use super::scratch;
use crate::Float;
use crate::gates::{BLOCK, Lanes, PerUnit, PerUnitGrad, RowBackward, RowForward};

/// Copies `width` units that begin at `unit` of each lane of a row (`[lanes, units]`) into a block; zeros fill it up.
#[inline(always)]
fn load<F: Float>(block: &mut [[F; BLOCK]], row: &[F], units: usize, unit: usize, width: usize) {
    for (lane, block) in block.iter_mut().enumerate() {
        load_lane(block, &row[lane * units + unit..], width);
    }
}

#[inline(always)]
fn load_lane<F: Float>(block: &mut [F; BLOCK], from: &[F], width: usize) {
    if width == BLOCK {
        block.copy_from_slice(&from[..BLOCK]);
    } else {
        *block = [F::zero(); BLOCK];
        block[..width].copy_from_slice(&from[..width]);
    }
}

/// The units' own weights.
#[inline(always)]
fn load_weights<F: Float>(block: &mut [[F; BLOCK]], weights: &[&[F]], unit: usize, width: usize) {
    for (block, weights) in block.iter_mut().zip(weights) {
        load_lane(block, &weights[unit..], width);
    }
}

/// The way back of [`load`].
#[inline(always)]
fn store<F: Float>(block: &[[F; BLOCK]], row: &mut [F], units: usize, unit: usize, width: usize) {
    for (lane, block) in block.iter().enumerate() {
        let to = &mut row[lane * units + unit..];
        if width == BLOCK {
            to[..BLOCK].copy_from_slice(block);
        } else {
            to[..width].copy_from_slice(&block[..width]);
        }
    }
}

/// Row `r` of rows of `width` numbers; none where there are none.
#[inline(always)]
pub(super) fn row<F>(rows: &[F], r: usize, width: usize) -> &[F] {
    if rows.is_empty() { rows } else { &rows[r * width..][..width] }
}

#[inline(always)]
pub(super) fn row_mut<F>(rows: &mut [F], r: usize, width: usize) -> &mut [F] {
    if rows.is_empty() { rows } else { &mut rows[r * width..][..width] }
}

/// The gates of some rows, forward. Each slice holds whole rows of `lanes · units` numbers.
#[derive(Debug)]
pub(crate) struct Forward<'a, F> {
    /// The vectors of weights.
    pub(crate) weights: &'a [&'a [F]],
    pub(crate) units: usize,
    /// x·w_x + b, or the sum with h·w_h where the gates only use the sum.
    pub(crate) x: &'a [F],
    /// h·w_h; not read where the gates only use the sum.
    pub(crate) u: &'a [F],
    /// h before, lane 0 of the state; empty where that is of another width.
    pub(crate) h: &'a [F],
    /// h after.
    pub(crate) y: &'a mut [F],
    /// The other lanes of the state.
    pub(crate) rest: &'a mut [F],
    /// Where the other lanes as they were before are kept; empty where they are not.
    pub(crate) before: &'a mut [F],
    /// Where what backward needs is kept, if it is.
    pub(crate) saved: Option<&'a mut [F]>,
}

#[inline(never)]
pub(crate) fn forward<F: Float, P: PerUnit>(gates: &P, rows: Forward<'_, F>) {
    dispatch(At(gates, rows));
}

/// The gate maths and what it is run on.
struct At<'g, P, R>(&'g P, R);

impl<F: Float, P: PerUnit> Job for At<'_, P, Forward<'_, F>> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let At(gates, Forward { weights, units, x, u, h, y, rest, before, mut saved }) = self;
        let (g, k) = (<P::X<F> as Lanes<F>>::N * units, <P::H<F> as Lanes<F>>::N * units);
        let (more, kept) = ((<P::State<F> as Lanes<F>>::N - 1) * units, <P::Saved<F> as Lanes<F>>::N * units);
        for r in 0..y.len() / units {
            let x = &x[r * g..][..g];
            let u = if P::SUMMED { u } else { &u[r * k..][..k] };
            let h = row(h, r, units);
            let y = &mut y[r * units..][..units];
            let rest = &mut rest[r * more..][..more];
            let before = row_mut(before, r, more);
            for unit in (0..units).step_by(BLOCK) {
                let width = BLOCK.min(units - unit);
                let (mut w, mut xs, mut us) = (P::Weights::block(), P::X::block(), P::H::block());
                let (mut state, mut keep) = (P::State::block(), P::Saved::block());
                load_weights(w.as_mut(), weights, unit, width);
                load(xs.as_mut(), x, units, unit, width);
                if !P::SUMMED {
                    load(us.as_mut(), u, units, unit, width);
                }
                let (first, others) = state.as_mut().split_at_mut(1);
                if !h.is_empty() {
                    load(first, h, units, unit, width);
                }
                load(others, rest, units, unit, width);
                if !before.is_empty() {
                    store(others, before, units, unit, width);
                }
                gates.forward_block::<F, BLOCK, FUSED>(&w, &xs, &us, &mut state, &mut keep);
                // Unit by unit, as the gates are computed: lane by lane it would not become vector code here.
                for i in 0..BLOCK {
                    P::State::get(&state, i).flush().put(&mut state, i);
                }
                let (first, others) = state.as_ref().split_at(1);
                store(first, y, units, unit, width);
                store(others, rest, units, unit, width);
                if let Some(saved) = &mut saved {
                    store(keep.as_ref(), &mut saved[r * kept..][..kept], units, unit, width);
                }
            }
        }
    }
}

/// The gates of some rows, backward.
#[derive(Debug)]
pub(crate) struct Backward<'a, F> {
    /// The vectors of weights.
    pub(crate) weights: &'a [&'a [F]],
    pub(crate) units: usize,
    /// What forward kept.
    pub(crate) saved: &'a [F],
    /// h before; empty where that is of another width.
    pub(crate) h: &'a [F],
    /// The other lanes of the state before.
    pub(crate) before: &'a [F],
    /// ∂L/∂y of this step; empty where `d_h` has it in it.
    pub(crate) d_y: &'a [F],
    /// The gradient of h, in after the step, out before it.
    pub(crate) d_h: &'a mut [F],
    /// The gradient of the other lanes, likewise.
    pub(crate) d_rest: &'a mut [F],
    /// Gradient of x·w_x + b.
    pub(crate) d_x: &'a mut [F],
    /// Gradient of h·w_h; not written where the gates only use the sum.
    pub(crate) d_u: &'a mut [F],
    /// Each row's share of the gradients of the vectors of weights, one after the other.
    pub(crate) d_weights: &'a mut [F],
}

#[inline(never)]
pub(crate) fn backward<F: Float, P: PerUnit>(gates: &P, rows: Backward<'_, F>) {
    dispatch(At(gates, rows));
}

impl<F: Float, P: PerUnit> Job for At<'_, P, Backward<'_, F>> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let At(gates, rows) = self;
        let Backward { weights, units, saved, h, before, d_y, d_h, d_rest, d_x, d_u, d_weights } = rows;
        let (g, k) = (<P::X<F> as Lanes<F>>::N * units, <P::H<F> as Lanes<F>>::N * units);
        let (more, kept) = ((<P::State<F> as Lanes<F>>::N - 1) * units, <P::Saved<F> as Lanes<F>>::N * units);
        for r in 0..d_h.len() / units {
            let saved = &saved[r * kept..][..kept];
            let h = row(h, r, units);
            let before = &before[r * more..][..more];
            let d_y = row(d_y, r, units);
            let d_h = &mut d_h[r * units..][..units];
            let d_rest = &mut d_rest[r * more..][..more];
            let d_x = &mut d_x[r * g..][..g];
            for unit in (0..units).step_by(BLOCK) {
                let width = BLOCK.min(units - unit);
                let (mut w, mut kept, mut state) = (P::Weights::block(), P::Saved::block(), P::State::block());
                let (mut d_state, mut d_xs, mut d_us) = (P::State::block(), P::X::block(), P::H::block());
                let mut d_ws = P::Weights::block();
                load_weights(w.as_mut(), weights, unit, width);
                load(kept.as_mut(), saved, units, unit, width);
                let (first, others) = state.as_mut().split_at_mut(1);
                if !h.is_empty() {
                    load(first, h, units, unit, width);
                }
                load(others, before, units, unit, width);
                let (first, others) = d_state.as_mut().split_at_mut(1);
                load(first, d_h, units, unit, width);
                load(others, d_rest, units, unit, width);
                if !d_y.is_empty() {
                    let mut extra = [[F::zero(); BLOCK]; 1];
                    load(&mut extra, d_y, units, unit, width);
                    for i in 0..BLOCK {
                        first[0][i] += extra[0][i];
                    }
                }
                for i in 0..BLOCK {
                    let d = P::State::get(&d_state, i).flush();
                    let (w, kept, state) = (P::Weights::get(&w, i), P::Saved::get(&kept, i), P::State::get(&state, i));
                    let PerUnitGrad { weights, x, u, before } = gates.backward_if::<F, FUSED>(w, kept, state, d);
                    weights.flush().put(&mut d_ws, i);
                    x.flush().put(&mut d_xs, i);
                    u.flush().put(&mut d_us, i);
                    before.flush().put(&mut d_state, i);
                }
                store(d_xs.as_ref(), d_x, units, unit, width);
                if !P::SUMMED {
                    store(d_us.as_ref(), &mut d_u[r * k..][..k], units, unit, width);
                }
                if <P::Weights<F> as Lanes<F>>::N > 0 {
                    let len = <P::Weights<F> as Lanes<F>>::N * units;
                    store(d_ws.as_ref(), &mut d_weights[r * len..][..len], units, unit, width);
                }
                let (first, others) = d_state.as_ref().split_at(1);
                store(first, d_h, units, unit, width);
                store(others, d_rest, units, unit, width);
            }
        }
    }
}

/// What is multiplied after a gate, for some rows.
#[derive(Debug)]
pub(crate) struct Operand<'a, F> {
    pub(crate) units: usize,
    /// The sums; changed as the gates want them.
    pub(crate) x: &'a mut [F],
    pub(crate) h: &'a [F],
    pub(crate) rest: &'a [F],
    /// What is multiplied.
    pub(crate) v: &'a mut [F],
}

#[inline(never)]
pub(crate) fn operand<F: Float, P: PerUnit>(gates: &P, rows: Operand<'_, F>) {
    dispatch(At(gates, rows));
}

impl<F: Float, P: PerUnit> Job for At<'_, P, Operand<'_, F>> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let At(gates, Operand { units, x, h, rest, v }) = self;
        let (g, more) = (<P::X<F> as Lanes<F>>::N * units, (<P::State<F> as Lanes<F>>::N - 1) * units);
        for r in 0..v.len() / units {
            let x = &mut x[r * g..][..g];
            let (h, rest, v) = (row(h, r, units), row(rest, r, more), &mut v[r * units..][..units]);
            for unit in (0..units).step_by(BLOCK) {
                let width = BLOCK.min(units - unit);
                let (mut xs, mut state, mut vs) = (P::X::block(), P::State::block(), [[F::zero(); BLOCK]; 1]);
                load(xs.as_mut(), x, units, unit, width);
                let (first, others) = state.as_mut().split_at_mut(1);
                load(first, h, units, unit, width);
                load(others, rest, units, unit, width);
                for (i, to) in vs[0].iter_mut().enumerate() {
                    let (x, v) = gates.operand::<F>(P::X::get(&xs, i), P::State::get(&state, i));
                    x.put(&mut xs, i);
                    *to = v.flush();
                }
                let lanes = <P::X<F> as Lanes<F>>::N - P::AFTER;
                store(&xs.as_ref()[..lanes], x, units, unit, width);
                store(&vs, v, units, unit, width);
            }
        }
    }
}

/// Its way back.
#[derive(Debug)]
pub(crate) struct OperandBackward<'a, F> {
    pub(crate) units: usize,
    pub(crate) saved: &'a [F],
    pub(crate) h: &'a [F],
    pub(crate) before: &'a [F],
    /// Gradients of the sums and of the state before, in and out.
    pub(crate) d_x: &'a mut [F],
    pub(crate) d_h: &'a mut [F],
    pub(crate) d_rest: &'a mut [F],
    /// In: the gradient of what was multiplied; out: what was multiplied.
    pub(crate) v: &'a mut [F],
}

#[inline(never)]
pub(crate) fn operand_backward<F: Float, P: PerUnit>(gates: &P, rows: OperandBackward<'_, F>) {
    dispatch(At(gates, rows));
}

impl<F: Float, P: PerUnit> Job for At<'_, P, OperandBackward<'_, F>> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let At(gates, OperandBackward { units, saved, h, before, d_x, d_h, d_rest, v }) = self;
        let (g, kept) = (<P::X<F> as Lanes<F>>::N * units, <P::Saved<F> as Lanes<F>>::N * units);
        let more = (<P::State<F> as Lanes<F>>::N - 1) * units;
        for r in 0..v.len() / units {
            let (saved, h, before) = (row(saved, r, kept), row(h, r, units), row(before, r, more));
            let (d_x, d_h) = (&mut d_x[r * g..][..g], &mut d_h[r * units..][..units]);
            let (d_rest, v) = (row_mut(d_rest, r, more), &mut v[r * units..][..units]);
            for unit in (0..units).step_by(BLOCK) {
                let width = BLOCK.min(units - unit);
                let (mut keep, mut state, mut d_state) = (P::Saved::block(), P::State::block(), P::State::block());
                let (mut d_xs, mut vs) = (P::X::block(), [[F::zero(); BLOCK]; 1]);
                load(keep.as_mut(), saved, units, unit, width);
                for (block, first, others) in [(&mut state, h, before), (&mut d_state, &*d_h, &*d_rest)] {
                    let (lane, lanes) = block.as_mut().split_at_mut(1);
                    load(lane, first, units, unit, width);
                    load(lanes, others, units, unit, width);
                }
                load(d_xs.as_mut(), d_x, units, unit, width);
                load(&mut vs, v, units, unit, width);
                for (i, v) in vs[0].iter_mut().enumerate() {
                    let (keep, state) = (P::Saved::get(&keep, i), P::State::get(&state, i));
                    let (d_x, d) = (P::X::get(&d_xs, i), P::State::get(&d_state, i));
                    let (d_x, d, again) = gates.operand_backward::<F>(keep, state, v.flush(), d_x, d);
                    d_x.flush().put(&mut d_xs, i);
                    d.flush().put(&mut d_state, i);
                    *v = again.flush();
                }
                store(d_xs.as_ref(), d_x, units, unit, width);
                let (first, others) = d_state.as_ref().split_at(1);
                store(first, d_h, units, unit, width);
                store(others, d_rest, units, unit, width);
                store(&vs, v, units, unit, width);
            }
        }
    }
}

/// [`forward`] for what sees one row.
pub(crate) fn one_row_forward<F: Float, P: PerUnit>(gates: &P, weights: &[&[F]], row: RowForward<'_, F>) {
    let RowForward { units, x, u, h, y, state, saved } = row;
    forward(gates, Forward { weights, units, x, u, h, y, rest: state, before: &mut [], saved: Some(saved) });
}

/// [`backward`] for what sees one row.
pub(crate) fn one_row_backward<F: Float, P: PerUnit>(gates: &P, weights: &[&[F]], row: RowBackward<'_, F>) {
    let RowBackward { units, saved, h, before, d_h, d_state, d_x, d_u, d_weights } = row;
    scratch::on_stack([d_weights.len() * units], |[shares]| {
        let d_weights_flat = &mut *shares;
        let rows = Backward {
            weights,
            units,
            saved,
            h,
            before,
            d_y: &[],
            d_h,
            d_rest: d_state,
            d_x,
            d_u,
            d_weights: d_weights_flat,
        };
        backward(gates, rows);
        for (to, from) in d_weights.iter_mut().zip(shares.chunks_exact(units)) {
            to.copy_from_slice(from);
        }
    });
}
