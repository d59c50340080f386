//! A step of one row whose units are divided over threads: each reads its part of the weights, step after step from a cache of its own.

use std::time::{Duration, Instant};

use super::PreparedGated;
use crate::Float;
use crate::gates::{BLOCK, Lanes, RowCell};
use crate::kernel::pace::Pace;
use crate::kernel::stored::Stored;
use crate::kernel::stream::{Step, padded};
use crate::kernel::threads;

/// Bytes of weights below which another thread costs more than it brings.
const WORTH_A_THREAD: usize = 1 << 19;
/// A thread that comes so much later than its time says that its core is taken.
const LATE: Duration = Duration::from_micros(20);

/// For the whole process. Its rounds are steps.
static STEPS: Pace = Pace::new(true);

/// A step of `P`'s gates.
type StepOf<'a, F, P, W> = Step<'a, F, <<P as RowCell>::State<F> as Lanes<F>>::Slices<'a>, W>;

impl<F: Float, P: RowCell> PreparedGated<F, P> {
    /// Divides the step if that pays.
    #[inline(never)]
    pub(super) fn on_threads<'a, W: Stored<F>>(&'a self, step: StepOf<'a, F, P, W>) {
        let worth = (step.w_x.bytes() + step.w_h.bytes()) / WORTH_A_THREAD;
        let one_row = step.y.len() == step.units;
        let parts = if one_row { threads::available().min(threads::cores()).min(worth) } else { 1 };
        if parts > 1 && STEPS.together(parts) {
            STEPS.went(self.parts(step, parts));
        } else {
            self.part(step);
        }
    }

    /// The step in so many parts; whether they went together.
    fn parts<'a, W: Stored<F>>(&'a self, step: StepOf<'a, F, P, W>, parts: usize) -> bool {
        let all = step.units.div_ceil(BLOCK);
        let parts = parts.min(all);
        if parts < 2 {
            self.part(step);
            return true;
        }
        let left = parts / 2;
        let blocks = all * left / parts;
        let (step, others) = self.cut(step, blocks);
        let start = Instant::now();
        let ((here, well), well_there) = rayon::join(
            || {
                let well = self.parts(step, left);
                (start.elapsed(), well)
            },
            || self.parts(others, parts - left),
        );
        well && well_there && start.elapsed() <= here * 2 + LATE
    }

    /// Its first blocks of units, and the others.
    fn cut<'a, W: Stored<F>>(
        &self,
        step: StepOf<'a, F, P, W>,
        blocks: usize,
    ) -> (StepOf<'a, F, P, W>, StepOf<'a, F, P, W>) {
        let Step { units, first, w_x, w_h, b, b_h, weights, x, h, y, state } = step;
        let at = blocks * BLOCK;
        // Columns of these blocks, of those that are there.
        let columns = |numbers: &'a [F]| numbers.split_at(numbers.len() / padded(units) * at);
        let ((b, b_more), (b_h, b_h_more), (weights, weights_more)) = (columns(b), columns(b_h), columns(weights));
        let (y, y_more) = y.split_at_mut(at);
        let (state, state_more) = P::State::cut(state, at);
        (
            Step { units: at, first, w_x, w_h, b, b_h, weights, x, h, y, state },
            Step {
                units: units - at,
                first: first + blocks,
                w_x,
                w_h,
                b: b_more,
                b_h: b_h_more,
                weights: weights_more,
                x,
                h,
                y: y_more,
                state: state_more,
            },
        )
    }

    #[inline(never)]
    fn part<'a, W: Stored<F>>(&'a self, step: StepOf<'a, F, P, W>) {
        self.gates.step(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::{GatedSpec, Gru, Lstm, Rnn};
    use crate::gates::Pointwise;
    use crate::infer::gated::Form;
    use crate::infer::operands::Operands;
    use crate::infer::{Precision, Prepare};
    use crate::kernel::stream::StepInput;
    use crate::kernel::threads::Threads;
    use crate::kernel::views::flat_mut;
    use crate::{Causal, Init, Recurrent};

    fn numbers<F: Float>(n: usize) -> Vec<F> {
        (0..n).map(|i| F::from_f64(((i * 7919 + 13) % 1000) as f64 / 500.0 - 1.0)).collect()
    }

    /// A step in so many parts, whether it pays or not.
    fn in_parts<F: Float, P: Pointwise>(
        packed: &PreparedGated<F, P>,
        x: &[F],
        y: &mut [F],
        state: &mut <PreparedGated<F, P> as Recurrent>::State,
        parts: usize,
    ) {
        let Form::ByUnit { operands: Operands::Full([w_x, w_h]), b, b_h, weights } = &packed.form else {
            unreachable!("a plain cell in full precision")
        };
        let mut lanes = <P::State<F> as Lanes<F>>::slices(state);
        let h = std::mem::take(&mut lanes.as_mut()[0]);
        let (b, b_h, weights, x) = (b.get(), b_h.get(), weights.get(), StepInput::Rows(x));
        packed.parts(Step { units: y.len(), first: 0, w_x, w_h, b, b_h, weights, x, h, y, state: lanes }, parts);
        flat_mut(&mut state.as_mut()[0]).copy_from_slice(y);
    }

    /// Some steps on a pool of threads and without one.
    fn same_bits<F: Float, P: Pointwise>(spec: impl Fn(usize) -> GatedSpec<F, P>) {
        for units in [1, 16, 17, 40, 100] {
            let cell = spec(units).build(3, &mut Init::seeded(units as u64)).unwrap();
            let packed = cell.prepare(Precision::Full).unwrap();
            let x = numbers::<F>(3);
            let (mut state, mut expected) = (packed.zero_state(1), vec![F::zero(); units]);
            (0..5).for_each(|_| packed.step_clean(&x, &mut expected, &mut state));
            for parts in 1..5 {
                let steps = || {
                    let (mut state, mut y) = (packed.zero_state(1), vec![F::zero(); units]);
                    (0..5).for_each(|_| in_parts(&packed, &x, &mut y, &mut state, parts));
                    (y, state.as_ref().to_vec())
                };
                for (y, lanes) in [steps(), Threads::new(2).unwrap().install(steps)] {
                    assert!(y == expected && lanes == state.as_ref(), "{units} units in {parts} parts");
                }
            }
        }
    }

    #[test]
    fn parts_of_a_step_have_the_bits_of_the_whole() {
        same_bits::<f32, _>(Lstm::spec);
        same_bits::<f64, _>(Lstm::spec);
        same_bits::<f32, _>(Gru::spec);
        same_bits::<f32, _>(Rnn::spec);
    }
}
