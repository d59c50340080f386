//! A step of a gated cell, from its operands to its next state.

use super::{HALF, Operand, StepInput, Terms, add, array, copy, padded, rows_of, width, width_of};
use crate::Float;
use crate::gates::{BLOCK, Lanes, PerUnit};
use crate::kernel::dispatch::{Job, dispatch};
use crate::kernel::stored::Stored;

/// How many rows' sums of a block the registers hold beside each other, for so many lanes: 4, 2 or 1.
const fn abreast<F>(lanes: usize, fused: bool, wide: bool) -> usize {
    let register = if wide {
        64
    } else if fused {
        32
    } else {
        16
    };
    let (there, block) = (if wide { 24 } else { 12 }, lanes * BLOCK * size_of::<F>() / register);
    if 4 * block <= there {
        4
    } else if 2 * block <= there {
        2
    } else {
        1
    }
}

/// The sums of `A` blocks of `R` rows: x·w_x + b, or all of it where the gates only use the sum, and h·w_h + b_h.
type Sums<F, P, const R: usize, const A: usize> = ([[XBlock<F, P>; A]; R], [[HBlock<F, P>; A]; R]);
type XBlock<F, P> = <<P as PerUnit>::X<F> as Lanes<F>>::Block;
type HBlock<F, P> = <<P as PerUnit>::H<F> as Lanes<F>>::Block;

/// A step of a gated cell: both products, and the gates; `S` is the lanes of its state. Or of one row a part of it, some blocks of
/// units.
pub(crate) struct Step<'a, F: Float, S, W> {
    /// How many units it makes, and the first block of them.
    pub(crate) units: usize,
    pub(crate) first: usize,
    pub(crate) w_x: &'a Operand<F, W>,
    pub(crate) w_h: &'a Operand<F, W>,
    /// As [`columns`](super::columns), of the units it makes: where the sums start, and the units' own weights.
    pub(crate) b: &'a [F],
    pub(crate) b_h: &'a [F],
    pub(crate) weights: &'a [F],
    pub(crate) x: StepInput<'a, F>,
    /// h before, `[B, H]`.
    pub(crate) h: &'a [F],
    /// h after, of the units it makes.
    pub(crate) y: &'a mut [F],
    /// The lanes of the state of these units, but for lane 0, which is h.
    pub(crate) state: S,
}

impl<'a, F: Float, S: AsMut<[&'a mut [F]]>, W: Stored<F>> Step<'a, F, S, W> {
    #[inline(always)]
    pub(crate) fn start<P: PerUnit>(mut self, gates: &P) {
        dispatch(Run(&mut At { gates, step: &mut self, float: std::marker::PhantomData }));
    }
}

/// The step of these gates.
struct At<'s, 'a, F: Float, P, S, W> {
    gates: &'s P,
    step: &'s mut Step<'a, F, S, W>,
    float: std::marker::PhantomData<F>,
}

/// By reference: a value of this size is copied on its way through the dispatch, which a small step would notice.
struct Run<'r, 's, 'a, F: Float, P, S, W>(&'r mut At<'s, 'a, F, P, S, W>);

impl<'a, F: Float, P: PerUnit, S: AsMut<[&'a mut [F]]>, W: Stored<F>> Job for Run<'_, '_, 'a, F, P, S, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let lanes = const {
            let (x, h) = (<P::X<F> as Lanes<F>>::N, <P::H<F> as Lanes<F>>::N);
            if x > h { x } else { h }
        };
        match (abreast::<F>(lanes, FUSED, WIDE), At::<F, P, S, W>::halves(FUSED, WIDE)) {
            (4, true) => self.0.blocks::<4, HALF, FUSED>(),
            (2, true) => self.0.blocks::<2, HALF, FUSED>(),
            (_, true) => self.0.blocks::<1, HALF, FUSED>(),
            (4, false) => self.0.blocks::<4, BLOCK, FUSED>(),
            (2, false) => self.0.blocks::<2, BLOCK, FUSED>(),
            (_, false) => self.0.blocks::<1, BLOCK, FUSED>(),
        }
    }
}

impl<'a, F: Float, P: PerUnit, S: AsMut<[&'a mut [F]]>, W: Stored<F>> At<'_, 'a, F, P, S, W> {
    /// Full precision, which small cells stay with: what is there for their speed is not compiled for the others.
    const WORDS_ARE_NUMBERS: bool = W::ROWS == 1 && !W::SCALED;

    /// Whether the gates of half a block are compiled apart: where they take half of the time.
    const fn halves(fused: bool, wide: bool) -> bool {
        let register = if wide { 64 } else { 32 };
        Self::WORDS_ARE_NUMBERS && fused && BLOCK * size_of::<F>() > register
    }

    /// `MOST` rows of a block at a time; of the rows that are left over, some blocks at a time: the sums of one wait for each other.
    /// `LAST` units of a last block that is half a one are computed.
    #[inline(always)]
    fn blocks<const MOST: usize, const LAST: usize, const FUSED: bool>(&mut self) {
        let rows = rows_of(self.step.y.len(), self.step.units);
        let many = if MOST > 1 { rows / MOST * MOST } else { 0 };
        if many > 0 {
            self.together::<MOST, LAST, FUSED>(many);
        }
        for r in many..rows {
            match self.step.units {
                ..=BLOCK if Self::WORDS_ARE_NUMBERS => self.block::<LAST, FUSED>(r),
                _ => self.row::<MOST, LAST, FUSED>(r),
            }
        }
    }

    /// Row `r`, where there is one block: its sums never leave the registers.
    #[inline(always)]
    fn block<const LAST: usize, const FUSED: bool>(&mut self, r: usize) {
        let ([[x]], [[u]]) = match self.step.units {
            ..=HALF => self.sums::<1, 1, true, FUSED>(r, 0),
            _ => self.sums::<1, 1, false, FUSED>(r, 0),
        };
        self.gates::<LAST, FUSED>(&x, &u, r, 0);
    }

    /// The first `many` rows, all of them for a block while its weights are near.
    #[inline(always)]
    fn together<const R: usize, const LAST: usize, const FUSED: bool>(&mut self, many: usize) {
        let (blocks, whole) = (self.step.units.div_ceil(BLOCK), padded(self.step.units) / BLOCK);
        for q in 0..blocks {
            for r in (0..many).step_by(R) {
                let (xs, us) = match q < whole {
                    true => self.sums::<R, 1, false, FUSED>(r, q),
                    false => self.sums::<R, 1, true, FUSED>(r, q),
                };
                for i in 0..R {
                    self.gates::<LAST, FUSED>(&xs[i][0], &us[i][0], r + i, q);
                }
            }
        }
    }

    /// Row `r`, up to `MOST` or 3 blocks at a time.
    #[inline(always)]
    fn row<const MOST: usize, const LAST: usize, const FUSED: bool>(&mut self, r: usize) {
        let (blocks, whole) = (self.step.units.div_ceil(BLOCK), padded(self.step.units) / BLOCK);
        let (mut xs, mut us) = ([P::X::<F>::block(); 3], [P::H::<F>::block(); 3]);
        let mut q = 0;
        while q < blocks {
            macro_rules! sums {
                ($count:literal, $halved:literal) => {{
                    let ([x], [u]) = self.sums::<1, $count, $halved, FUSED>(r, q);
                    xs[..$count].copy_from_slice(&x);
                    if !P::SUMMED {
                        us[..$count].copy_from_slice(&u);
                    }
                    $count
                }};
            }
            let count = match (whole.saturating_sub(q), blocks > whole) {
                (0, _) => sums!(1, true),
                (1, true) if MOST > 1 && Self::WORDS_ARE_NUMBERS => sums!(2, true),
                (2, true) if MOST > 1 && Self::WORDS_ARE_NUMBERS && <P::X<F> as Lanes<F>>::N < 4 => sums!(3, true),
                (2.., _) if MOST > 1 => sums!(2, false),
                _ => sums!(1, false),
            };
            for i in 0..count {
                self.gates::<LAST, FUSED>(&xs[i], &us[i], r, q + i);
            }
            q += count;
        }
    }

    /// The sums of `R` rows from `r` on, of `A` blocks from `q` on.
    #[inline(always)]
    fn sums<const R: usize, const A: usize, const HALVED: bool, const FUSED: bool>(
        &mut self,
        r: usize,
        q: usize,
    ) -> Sums<F, P, R, A> {
        let mut xs = [[P::X::<F>::block(); A]; R];
        let mut us = [[P::H::<F>::block(); A]; R];
        for i in 0..A {
            let width = width::<A, HALVED>(i);
            for row in 0..R {
                start(xs[row][i].as_mut(), self.step.b, q + i, width);
                if !P::SUMMED {
                    start(us[row][i].as_mut(), self.step.b_h, q + i, width);
                }
            }
        }
        let Step { w_x, w_h, x, h, first, .. } = *self.step;
        add::<F, W, P::X<F>, R, A, HALVED, FUSED>(&mut xs, x.rows(r, w_x.k), w_x, first + q);
        let h = Terms::All(array![&[][..]; R; row => &h[(r + row) * w_h.k..][..w_h.k]]);
        if P::SUMMED {
            add::<F, W, P::X<F>, R, A, HALVED, FUSED>(&mut xs, h, w_h, first + q);
        } else if <P::H<F> as Lanes<F>>::N > 0 {
            add::<F, W, P::H<F>, R, A, HALVED, FUSED>(&mut us, h, w_h, first + q);
        }
        (xs, us)
    }

    /// The gates of block `q` of row `r`.
    #[inline(always)]
    fn gates<const LAST: usize, const FUSED: bool>(
        &mut self,
        xs: &XBlock<F, P>,
        us: &HBlock<F, P>,
        r: usize,
        q: usize,
    ) {
        let zeros = P::H::<F>::block();
        let us = if P::SUMMED { &zeros } else { us };
        let (units, state) = (self.step.units, self.step.state.as_mut());
        let width = BLOCK.min(units - q * BLOCK);
        let at = r * units + q * BLOCK;
        let (mut block, mut saved) = (P::State::<F>::block(), P::Saved::<F>::block());
        let (first, others) = block.as_mut().split_at_mut(1);
        if !P::PROJECTABLE {
            copy(&mut first[0], &self.step.h[r * self.step.w_h.k + (self.step.first + q) * BLOCK..], width);
        }
        for lane in 0..others.len() {
            copy(&mut others[lane], &state[lane + 1][at..], width);
        }
        let mut weights = P::Weights::<F>::block();
        if <P::Weights<F> as Lanes<F>>::N > 0 {
            start(weights.as_mut(), self.step.weights, q, width_of(units, q));
        }
        if LAST < BLOCK && width <= LAST {
            self.gates.forward_block::<F, LAST, FUSED>(&weights, xs, us, &mut block, &mut saved);
        } else {
            self.gates.forward_block::<F, BLOCK, FUSED>(&weights, xs, us, &mut block, &mut saved);
        }
        for lane in block.as_mut() {
            for x in lane {
                *x = x.flush();
            }
        }
        copy(&mut self.step.y[at..], &block.as_ref()[0], width);
        let block = block.as_ref();
        for lane in 1..block.len() {
            copy(&mut state[lane][at..], &block[lane], width);
        }
    }
}

/// Block `q` of [`columns`](super::columns).
#[inline(always)]
fn start<F: Float>(block: &mut [[F; BLOCK]], columns: &[F], q: usize, width: usize) {
    let columns = &columns[q * block.len() * BLOCK..][..block.len() * width];
    for lane in 0..block.len() {
        block[lane][..width].copy_from_slice(&columns[lane * width..][..width]);
    }
}
