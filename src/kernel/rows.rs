//! The loop over the units of some rows: loads blocks of lanes, calls the gate maths for each unit, stores blocks. States and
//! gradients, which go from step to step, are [flushed](Float::flush) on the way.

use super::dispatch::{Job, dispatch};
use crate::Float;
use crate::pointwise::{BLOCK, Lanes, Pointwise};

/// Copies `width` units that begin at `unit` of each lane of a row (`[lanes, units]`) into a block; zeros fill it up.
#[inline(always)]
fn load<F: Float>(block: &mut [[F; BLOCK]], row: &[F], units: usize, unit: usize, width: usize) {
    for (lane, block) in block.iter_mut().enumerate() {
        let from = &row[lane * units + unit..];
        if width == BLOCK {
            block.copy_from_slice(&from[..BLOCK]);
        } else {
            *block = [F::zero(); BLOCK];
            block[..width].copy_from_slice(&from[..width]);
        }
    }
}

/// The way back.
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

/// The gates of some rows, forward. Each slice holds whole rows of `lanes · units` numbers.
pub(crate) struct Forward<'a, F, P> {
    pub(crate) gates: &'a P,
    pub(crate) units: usize,
    /// x·w_x + b, or the sum with h·w_h where the gates only use the sum.
    pub(crate) x: &'a [F],
    /// h·w_h; not read where the gates only use the sum.
    pub(crate) u: &'a [F],
    /// h before, lane 0 of the state.
    pub(crate) h: &'a [F],
    /// h after.
    pub(crate) y: &'a mut [F],
    /// The other lanes of the state.
    pub(crate) rest: &'a mut [F],
    /// Where the other lanes as they were before, and what backward needs, are kept.
    pub(crate) tape: Option<(&'a mut [F], &'a mut [F])>,
}

#[inline(never)]
pub(crate) fn forward<F: Float, P: Pointwise<F>>(rows: Forward<'_, F, P>) {
    dispatch(rows);
}

impl<F: Float, P: Pointwise<F>> Job for Forward<'_, F, P> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let Forward { gates, units, x, u, h, y, rest, mut tape } = self;
        let more = (P::State::N - 1) * units;
        for r in 0..y.len() / units {
            let x = &x[r * P::X::N * units..][..P::X::N * units];
            let u = if P::SUMMED { u } else { &u[r * P::H::N * units..][..P::H::N * units] };
            let h = &h[r * units..][..units];
            let y = &mut y[r * units..][..units];
            let rest = &mut rest[r * more..][..more];
            for unit in (0..units).step_by(BLOCK) {
                let width = BLOCK.min(units - unit);
                let (mut xs, mut us) = (P::X::block(), P::H::block());
                let (mut state, mut saved) = (P::State::block(), P::Saved::block());
                load(xs.as_mut(), x, units, unit, width);
                if !P::SUMMED {
                    load(us.as_mut(), u, units, unit, width);
                }
                let (first, others) = state.as_mut().split_at_mut(1);
                load(first, h, units, unit, width);
                load(others, rest, units, unit, width);
                if let Some((before, _)) = &mut tape {
                    store(others, &mut before[r * more..][..more], units, unit, width);
                }
                gates.forward_block(&xs, &us, &mut state, &mut saved);
                // Unit by unit, as the gates are computed: lane by lane it would not become vector code here.
                for i in 0..BLOCK {
                    P::State::get(&state, i).flush().put(&mut state, i);
                }
                let (first, others) = state.as_ref().split_at(1);
                store(first, y, units, unit, width);
                store(others, rest, units, unit, width);
                if let Some((_, kept)) = &mut tape {
                    let row = &mut kept[r * P::Saved::N * units..][..P::Saved::N * units];
                    store(saved.as_ref(), row, units, unit, width);
                }
            }
        }
    }
}

/// The gates of some rows, backward.
pub(crate) struct Backward<'a, F, P> {
    pub(crate) gates: &'a P,
    pub(crate) units: usize,
    /// What forward kept.
    pub(crate) saved: &'a [F],
    /// h before.
    pub(crate) h: &'a [F],
    /// The other lanes of the state before.
    pub(crate) before: &'a [F],
    /// ∂L/∂y of this step.
    pub(crate) d_y: &'a [F],
    /// The gradient of h, in after the step, out before it.
    pub(crate) d_h: &'a mut [F],
    /// The gradient of the other lanes, likewise.
    pub(crate) d_rest: &'a mut [F],
    /// Gradient of x·w_x + b.
    pub(crate) d_x: &'a mut [F],
    /// Gradient of h·w_h; not written where the gates only use the sum.
    pub(crate) d_u: &'a mut [F],
}

#[inline(never)]
pub(crate) fn backward<F: Float, P: Pointwise<F>>(rows: Backward<'_, F, P>) {
    dispatch(rows);
}

impl<F: Float, P: Pointwise<F>> Job for Backward<'_, F, P> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let Backward { gates, units, saved, h, before, d_y, d_h, d_rest, d_x, d_u } = self;
        let more = (P::State::N - 1) * units;
        for r in 0..d_h.len() / units {
            let saved = &saved[r * P::Saved::N * units..][..P::Saved::N * units];
            let h = &h[r * units..][..units];
            let before = &before[r * more..][..more];
            let d_y = &d_y[r * units..][..units];
            let d_h = &mut d_h[r * units..][..units];
            let d_rest = &mut d_rest[r * more..][..more];
            let d_x = &mut d_x[r * P::X::N * units..][..P::X::N * units];
            for unit in (0..units).step_by(BLOCK) {
                let width = BLOCK.min(units - unit);
                let (mut kept, mut state) = (P::Saved::block(), P::State::block());
                let (mut d_state, mut d_xs, mut d_us) = (P::State::block(), P::X::block(), P::H::block());
                load(kept.as_mut(), saved, units, unit, width);
                let (first, others) = state.as_mut().split_at_mut(1);
                load(first, h, units, unit, width);
                load(others, before, units, unit, width);
                let (first, others) = d_state.as_mut().split_at_mut(1);
                load(first, d_h, units, unit, width);
                load(others, d_rest, units, unit, width);
                let mut extra = [[F::zero(); BLOCK]; 1];
                load(&mut extra, d_y, units, unit, width);
                for i in 0..BLOCK {
                    first[0][i] += extra[0][i];
                }
                for i in 0..BLOCK {
                    let d = P::State::get(&d_state, i).flush();
                    let (x, u, s) = gates.backward(P::Saved::get(&kept, i), P::State::get(&state, i), d);
                    x.flush().put(&mut d_xs, i);
                    u.flush().put(&mut d_us, i);
                    s.flush().put(&mut d_state, i);
                }
                store(d_xs.as_ref(), d_x, units, unit, width);
                if !P::SUMMED {
                    let row = &mut d_u[r * P::H::N * units..][..P::H::N * units];
                    store(d_us.as_ref(), row, units, unit, width);
                }
                let (first, others) = d_state.as_ref().split_at(1);
                store(first, d_h, units, unit, width);
                store(others, d_rest, units, unit, width);
            }
        }
    }
}
