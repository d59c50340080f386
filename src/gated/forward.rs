//! A gated sequence forward: one product for the inputs of a piece, then step by step the recurrent product and the gates.

use ndarray::{ArrayViewMut3, Axis};

use super::ragged::Rows as Ragged;
use super::sequence::{WORTH_PACKING, Weight, Widths, cut_rows, is_rows, piece};
use super::{Gated, GatedTape};
use crate::kernel::pace::PACE;
use crate::kernel::pack::{pack, packed_len};
use crate::kernel::sums::look_up;
use crate::kernel::threads::{Divisible, divide};
use crate::kernel::views::{at_mut, clean, flat, steps_lie_together, view, view_mut};
use crate::kernel::{rows, scratch};
use crate::pointwise::{Lanes, Pointwise};
use crate::{Context, Float, Input};

/// Some rows of the batch over all steps.
struct Part<'a, F> {
    input: Input<'a, F>,
    ys: ArrayViewMut3<'a, F>,
    h0: &'a [F],
    /// The state lanes beyond h.
    rest: &'a mut [F],
    /// Those lanes before each step, and what the gates saved.
    tape: Option<(ArrayViewMut3<'a, F>, ArrayViewMut3<'a, F>)>,
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
        let (tape_a, tape_b) = match self.tape {
            None => (None, None),
            Some((before, saved)) => {
                let ((before_a, before_b), (saved_a, saved_b)) =
                    (before.split_at(Axis(1), at), saved.split_at(Axis(1), at));
                (Some((before_a, saved_a)), Some((before_b, saved_b)))
            }
        };
        (
            Part { input: input_a, ys: ys_a, h0: h0_a, rest: rest_a, tape: tape_a },
            Part { input: input_b, ys: ys_b, h0: h0_b, rest: rest_b, tape: tape_b },
        )
    }
}

impl<F: Float, P: Pointwise<F>> Gated<F, P> {
    #[inline(never)]
    pub(super) fn sequence(
        &self,
        cx: Context<'_>,
        input: Input<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
        state: &mut <P::State as Lanes<F>>::Arrays,
        tape: Option<&mut GatedTape<F>>,
    ) {
        let ((t, b), units) = (input.dim(), self.units());
        input.expect(self.w_x.nrows());
        assert_eq!(ys.dim(), (t, b, units), "ys: [T, B, H] of this input and cell");
        for array in state.as_ref() {
            assert_eq!(array.dim(), (b, units), "state: every array is [B, H]");
        }
        if t == 0 || b == 0 {
            return;
        }
        let rows = Ragged::new(cx, t, b);
        let Widths { more, saved: kept, .. } = self.widths();
        let (h, others) = state.as_mut().split_first_mut().expect("a state has lane 0");
        scratch::with(b * (units + more), |memory| {
            let (h0, rest) = memory.split_at_mut(b * units);
            rows.take(h, h0, [0, units]);
            for (lane, array) in others.iter().enumerate() {
                rows.take(array, rest, [lane * units, more]);
            }
            let tape = tape.map(|tape| {
                tape.push_frame(t, b);
                tape.h.push(b * units).copy_from_slice(h0);
                (
                    view_mut(tape.before.push(t * b * more), (t, b, more)),
                    view_mut(tape.saved.push(t * b * kept), (t, b, kept)),
                )
            });
            let columns = if tape.is_none() && rows.is_plain() { self.column_parts(t, b) } else { 1 };
            if !rows.is_plain() {
                self.ragged(&rows, &input, ys.view_mut(), (&mut *h0, &mut *rest), tape);
            } else if columns > 1 {
                self.by_columns(&input, ys.view_mut(), h0, rest, columns, &PACE);
            } else {
                self.with_weights(&input, |w_x, w_h| {
                    let part = Part { input: input.reborrow(), ys: ys.view_mut(), h0, rest: &mut *rest, tape };
                    divide(part, self.parts(t * b), 1, &|part| self.part(part, w_x, w_h));
                });
            }
            for (lane, array) in others.iter_mut().enumerate() {
                rows.put(rest, [lane * units, more], array);
            }
            if rows.is_plain() {
                h.assign(&ys.index_axis(Axis(0), t - 1));
            } else {
                rows.put(h0, [0, units], h);
            }
        });
    }

    /// Calls `f` with both weights, packed if they will be used often enough. Tokens look rows of the plain one up.
    pub(super) fn with_weights(&self, input: &Input<'_, F>, f: impl FnOnce(Weight<'_, F>, Weight<'_, F>)) {
        let Widths { x, u, .. } = self.widths();
        let (d, units) = (self.w_x.nrows(), self.units());
        let (w_x, w_h) = (flat(&self.w_x), flat(&self.w_h));
        let plain = Weight::Plain { w: w_x, k: d, n: x };
        let (steps, batch) = input.dim();
        if steps * batch < WORTH_PACKING {
            return f(plain, Weight::Plain { w: w_h, k: units, n: u });
        }
        let tokens = matches!(input, Input::Tokens(_));
        scratch::with(if tokens { 0 } else { packed_len::<F>(d, x) }, |memory_x| {
            let w_x = if tokens { plain } else { Weight::Packed(pack(w_x, d, x, memory_x)) };
            scratch::with(packed_len::<F>(units, u), |memory_h| {
                f(w_x, Weight::Packed(pack(w_h, units, u, memory_h)));
            });
        });
    }

    fn part(&self, part: Part<'_, F>, w_x: Weight<'_, F>, w_h: Weight<'_, F>) {
        let Part { input, mut ys, h0, rest, mut tape } = part;
        let (t, b, units) = ys.dim();
        let Widths { x, u, .. } = self.widths();
        let piece = piece(t, b);
        // A step whose rows do not lie side by side is made elsewhere and copied.
        let direct = steps_lie_together(&ys);
        scratch::with_each(self.part_lengths(t, b, is_rows(&input)), |[bias, own_bias, xs, copy, us, outputs]| {
            self.fill_biases(bias, own_bias, 0, units);
            let (mut before, mut after) = outputs.split_at_mut(b * units);
            for first in (0..t).step_by(piece) {
                let steps = piece.min(t - first);
                let xs = &mut xs[..steps * b * x];
                match &input {
                    Input::Rows(all) => {
                        let all = all.slice_axis(Axis(0), (first..first + steps).into());
                        w_x.times_from(bias, xs, clean(&all, copy), steps * b);
                    }
                    Input::Tokens(all) => {
                        let all = all.slice_axis(Axis(0), (first..first + steps).into());
                        look_up(xs, bias, flat(&self.w_x), self.columns(P::X::N, 0, units), all);
                    }
                }
                for (step, xs) in (first..).zip(xs.chunks_exact_mut(b * x)) {
                    let (mut past, mut now) = ys.view_mut().split_at(Axis(0), step);
                    let h = match step {
                        0 => h0,
                        _ if direct => &*at_mut(&mut past, step - 1),
                        _ => &*before,
                    };
                    if P::SUMMED {
                        w_h.times(xs, h, b);
                    } else if u > 0 {
                        w_h.times_from(own_bias, us, h, b);
                    }
                    rows::forward(rows::Forward {
                        gates: &self.gates,
                        units,
                        x: xs,
                        u: us,
                        h,
                        y: if direct { at_mut(&mut now, 0) } else { &mut *after },
                        rest: &mut *rest,
                        tape: tape.as_mut().map(|(before, saved)| (at_mut(before, step), at_mut(saved, step))),
                    });
                    if !direct {
                        now.slice_axis_mut(Axis(0), (0..1).into()).assign(&view(after, (1, b, units)));
                        std::mem::swap(&mut before, &mut after);
                    }
                }
            }
        });
    }
}
