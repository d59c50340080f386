//! A step of a gated cell, from its operands to its next state.

use super::{Operand, StepInput, Terms, add, array, copy, rows_of};
use crate::Float;
use crate::gates::{BLOCK, Lanes, PerUnit};
use crate::kernel::dispatch::{Job, dispatch};
use crate::kernel::stored::Stored;

/// How many blocks' sums the registers hold beside each other, for so many lanes: 4, 2 or 1.
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

/// The sums of a block: x·w_x + b, or all of it where the gates only use the sum, and h·w_h + b_h.
type Sums<F, P> = (<<P as PerUnit>::X<F> as Lanes<F>>::Block, <<P as PerUnit>::H<F> as Lanes<F>>::Block);

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
        match abreast::<F>(lanes, FUSED, WIDE) {
            4 => self.0.blocks::<4, FUSED>(),
            2 => self.0.blocks::<2, FUSED>(),
            _ => self.0.blocks::<1, FUSED>(),
        }
    }
}

impl<'a, F: Float, P: PerUnit, S: AsMut<[&'a mut [F]]>, W: Stored<F>> At<'_, 'a, F, P, S, W> {
    /// `MOST` rows of a block at a time; of the rows that are left over, up to `MOST` blocks at a time: the sums of one wait for
    /// each other.
    #[inline(always)]
    fn blocks<const MOST: usize, const FUSED: bool>(&mut self) {
        let (blocks, rows) = (self.step.units.div_ceil(BLOCK), rows_of(self.step.y.len(), self.step.units));
        let many = if MOST > 1 { rows / MOST * MOST } else { 0 };
        let single = MOST == 1 || blocks == 1;
        if many > 0 || !single {
            self.groups::<MOST, FUSED>(many, if single { many } else { rows });
        }
        if single {
            for r in many..rows {
                for q in 0..blocks {
                    let [[sums]] = self.sums::<1, 1, FUSED>(r, q);
                    self.gates(&sums, r, q);
                }
            }
        }
    }

    /// The first `many` rows together, all rows of a block while its weights are near, and the others up to `rows`.
    #[inline(always)]
    fn groups<const MOST: usize, const FUSED: bool>(&mut self, many: usize, rows: usize) {
        let blocks = self.step.units.div_ceil(BLOCK);
        let mut sums = [(P::X::<F>::block(), P::H::<F>::block()); MOST];
        let (mut r, mut q) = (0, 0);
        while r < rows {
            let high = r < many;
            let width = if high {
                for (to, [from]) in sums.iter_mut().zip(self.sums::<MOST, 1, FUSED>(r, q)) {
                    *to = from;
                }
                MOST
            } else {
                let width = MOST.min(blocks - q);
                macro_rules! fill {
                    ($($wide:literal)*) => { match width {
                        $( $wide if $wide <= MOST => {
                            let [wide] = self.sums::<1, $wide, FUSED>(r, q);
                            sums[..$wide].copy_from_slice(&wide);
                        } )*
                        _ => unreachable!("a group has 1 to 4 blocks"),
                    } };
                }
                fill!(1 2 3 4);
                width
            };
            // The gates are here once and not in each way: they are most of the code.
            for (i, sums) in sums[..width].iter().enumerate() {
                let (row, block) = if high { (r + i, q) } else { (r, q + i) };
                self.gates(sums, row, block);
            }
            // Counted on: some processors take long for a division.
            if high {
                r += MOST;
                if r == many && q + 1 < blocks {
                    (r, q) = (0, q + 1);
                } else if r == many {
                    q = 0;
                }
            } else {
                q += width;
                if q == blocks {
                    (r, q) = (r + 1, 0);
                }
            }
        }
    }

    /// The sums of `R` rows from `r` on, of `A` blocks from `q` on.
    #[inline(always)]
    fn sums<const R: usize, const A: usize, const FUSED: bool>(&mut self, r: usize, q: usize) -> [[Sums<F, P>; A]; R] {
        let (n_x, n_h) = (<P::X<F> as Lanes<F>>::N * BLOCK, <P::H<F> as Lanes<F>>::N * BLOCK);
        let mut xs = [[P::X::<F>::block(); A]; R];
        let mut us = [[P::H::<F>::block(); A]; R];
        for i in 0..A {
            for row in 0..R {
                xs[row][i].as_mut().as_flattened_mut().copy_from_slice(&self.step.b[(q + i) * n_x..][..n_x]);
                if !P::SUMMED {
                    us[row][i].as_mut().as_flattened_mut().copy_from_slice(&self.step.b_h[(q + i) * n_h..][..n_h]);
                }
            }
        }
        let Step { w_x, w_h, x, h, first, .. } = *self.step;
        add::<F, W, P::X<F>, R, A, FUSED>(&mut xs, x.rows(r, w_x.k), w_x, first + q);
        let h = Terms::All(array(&[], |row| &h[(r + row) * w_h.k..][..w_h.k]));
        if P::SUMMED {
            add::<F, W, P::X<F>, R, A, FUSED>(&mut xs, h, w_h, first + q);
        } else if <P::H<F> as Lanes<F>>::N > 0 {
            add::<F, W, P::H<F>, R, A, FUSED>(&mut us, h, w_h, first + q);
        }
        let mut sums = [[(P::X::<F>::block(), P::H::<F>::block()); A]; R];
        for row in 0..R {
            for i in 0..A {
                sums[row][i] = (xs[row][i], us[row][i]);
            }
        }
        sums
    }

    /// The gates of block `q` of row `r`.
    #[inline(always)]
    fn gates(&mut self, (xs, us): &Sums<F, P>, r: usize, q: usize) {
        let (units, state) = (self.step.units, self.step.state.as_mut());
        let width = BLOCK.min(units - q * BLOCK);
        let at = r * units + q * BLOCK;
        let (mut block, mut saved) = (P::State::<F>::block(), P::Saved::<F>::block());
        let (first, others) = block.as_mut().split_at_mut(1);
        copy(&mut first[0], &self.step.h[r * self.step.w_h.k + (self.step.first + q) * BLOCK..], width);
        for (to, from) in others.iter_mut().zip(&state[1..]) {
            copy(to, &from[at..], width);
        }
        let mut weights = P::Weights::<F>::block();
        let lanes = <P::Weights<F> as Lanes<F>>::N * BLOCK;
        weights.as_mut().as_flattened_mut().copy_from_slice(&self.step.weights[q * lanes..][..lanes]);
        self.gates.forward_block::<F>(&weights, xs, us, &mut block, &mut saved);
        for lane in block.as_mut() {
            for x in lane {
                *x = x.flush();
            }
        }
        copy(&mut self.step.y[at..], &block.as_ref()[0], width);
        for (from, to) in block.as_ref().iter().zip(state).skip(1) {
            copy(&mut to[at..], from, width);
        }
    }
}
