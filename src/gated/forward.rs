//! A gated sequence forward: one product for the inputs of a piece, then step by step the recurrent product and the gates.

use ndarray::{ArrayViewMut3, Axis};

use super::ragged::Rows as Ragged;
use super::sequence::{ForwardBuffers, Widths, cut_rows, is_rows, piece};
use super::step::{Forward, Weights};
use super::tape::TapeMut;
use super::{Gated, GatedTape};
use crate::gates::{Lanes, RowCell};
use crate::kernel::pace::PACE;
use crate::kernel::scratch;
use crate::kernel::sums::look_up;
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{at_mut, clean, flat, steps_lie_together, view};
use crate::{Context, Float, Input};

/// Some rows of the batch over all steps.
struct Part<'a, F> {
    input: Input<'a, F>,
    ys: ArrayViewMut3<'a, F>,
    h0: &'a [F],
    /// The state lanes beyond h.
    rest: &'a mut [F],
    tape: Option<TapeMut<'a, F>>,
}

impl<F: Float> Divisible for Part<'_, F> {
    fn len(&self) -> usize {
        self.ys.len_of(Axis(1))
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let rows = self.len();
        let (input_a, input_b) = cut_rows(self.input, at);
        let (ys_a, ys_b) = self.ys.split_at(Axis(1), at);
        let (h0_a, h0_b) = self.h0.split_at(self.h0.len() / rows * at);
        let middle = self.rest.len() / rows * at;
        let (rest_a, rest_b) = self.rest.split_at_mut(middle);
        let (tape_a, tape_b) = self.tape.map(|tape| tape.cut(at)).unzip();
        (
            Part { input: input_a, ys: ys_a, h0: h0_a, rest: rest_a, tape: tape_a },
            Part { input: input_b, ys: ys_b, h0: h0_b, rest: rest_b, tape: tape_b },
        )
    }
}

impl<F: Float, P: RowCell> Gated<F, P> {
    #[inline(never)]
    pub(super) fn sequence(
        &self,
        cx: Context<'_>,
        input: Input<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
        state: &mut <P::State<F> as Lanes<F>>::Arrays,
        tape: Option<&mut GatedTape<F>>,
    ) {
        let ((t, b), widths) = (input.dim(), self.widths());
        let Widths { units, out, more, .. } = widths;
        input.expect(widths.input);
        assert_eq!(ys.dim(), (t, b, out), "ys: [T, B, H] of this input and cell");
        self.expect_state(state, b, "state");
        if t == 0 || b == 0 {
            return;
        }
        let rows = Ragged::new(cx, t, b);
        let (h, others) = state.as_mut().split_first_mut().expect("a state has lane 0");
        scratch::with(b * (out + more), |memory| {
            let (h0, rest) = memory.split_at_mut(b * out);
            rows.take(h, h0, [0, out]);
            for (lane, array) in others.iter().enumerate() {
                rows.take(array, rest, [lane * units, more]);
            }
            let tape = tape.map(|tape| tape.push((t, b), h0, &widths));
            let columns = if tape.is_none() && rows.is_plain() { self.column_parts(t, b) } else { 1 };
            if !rows.is_plain() {
                self.ragged(&rows, &input, ys.view_mut(), (&mut *h0, &mut *rest), tape);
            } else if columns > 1 {
                self.by_columns(&input, ys.view_mut(), h0, rest, columns, &PACE);
            } else {
                self.with_weights(&input, |weights| {
                    let part = Part { input: input.reborrow(), ys: ys.view_mut(), h0, rest: &mut *rest, tape };
                    divide(part, self.parts(t * b), 1, &|part| self.part(part, weights));
                });
            }
            for (lane, array) in others.iter_mut().enumerate() {
                rows.put(rest, [lane * units, more], array);
            }
            if rows.is_plain() {
                h.assign(&ys.index_axis(Axis(0), t - 1));
            } else {
                rows.put(h0, [0, out], h);
            }
        });
    }

    fn part(&self, part: Part<'_, F>, weights: Weights<'_, F>) {
        let Part { input, mut ys, h0, rest, mut tape } = part;
        let (t, b, out) = ys.dim();
        let Widths { units, x, .. } = self.widths();
        let piece = piece(t, b);
        // A step whose rows do not lie side by side is made elsewhere and copied.
        let direct = steps_lie_together(&ys);
        self.forward_lengths(t, b, is_rows(&input)).with(|buffers: ForwardBuffers<'_, F>| {
            let ForwardBuffers { bias, own_bias, xs, copy, us, outputs, side } = buffers;
            self.fill_biases(bias, own_bias, 0, units);
            let (mut before, mut after) = outputs.split_at_mut(b * out);
            for first in (0..t).step_by(piece) {
                let steps = piece.min(t - first);
                let xs = &mut xs[..steps * b * x];
                match &input {
                    Input::Rows(all) => {
                        let all = all.slice_axis(Axis(0), (first..first + steps).into());
                        weights.x.times_from(bias, xs, clean(&all, copy), steps * b);
                    }
                    Input::Tokens(all) => {
                        let all = all.slice_axis(Axis(0), (first..first + steps).into());
                        look_up(xs, bias, flat(&self.w_x), self.columns(P::X, 0, units), all);
                    }
                }
                for (step, xs) in (first..).zip(xs.chunks_exact_mut(b * x)) {
                    let (mut past, mut now) = ys.view_mut().split_at(Axis(0), step);
                    let h = match step {
                        0 => h0,
                        _ if direct => &*at_mut(&mut past, step - 1),
                        _ => &*before,
                    };
                    let forward = Forward {
                        xs,
                        us: &mut *us,
                        own_bias: &*own_bias,
                        h,
                        y: if direct { at_mut(&mut now, 0) } else { &mut *after },
                        rest: &mut *rest,
                        tape: tape.as_mut().map(|tape| tape.step(step)),
                        side: &mut *side,
                    };
                    self.forward_step(weights, forward, b);
                    if !direct {
                        now.slice_axis_mut(Axis(0), (0..1).into()).assign(&view(after, (1, b, out)));
                        std::mem::swap(&mut before, &mut after);
                    }
                }
            }
        });
    }
}
