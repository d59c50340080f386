//! One lot of rows through a window and back, by a plan.

use std::ops::Range;

use ndarray::{ArrayView3, ArrayViewMut3, Axis, Slice};

use super::plan::{Plan, split};
use crate::blocks::{BlockSum, block_steps, blocks, in_blocks};
use crate::{Context, Input, SeqGradIo, SeqLayer};

/// The tape and the states of one lot of rows; they last from one window to the next.
pub(super) struct Walk<L: SeqLayer> {
    rows: usize,
    tape: L::Tape,
    /// States stored, each with the segment it stands before. Those from `stored` on are spare.
    kept: Vec<(usize, L::State)>,
    stored: usize,
    /// Where segments are run again.
    now: Option<L::State>,
    /// In a window of several blocks.
    sum: Option<BlockSum<L>>,
}

impl<L: SeqLayer> Default for Walk<L> {
    fn default() -> Self {
        Walk { rows: 0, tape: L::Tape::default(), kept: Vec::new(), stored: 0, now: None, sum: None }
    }
}

/// A network, and the input and the outputs of all steps of the lot.
pub(super) struct Pass<'a, L: SeqLayer> {
    pub(super) net: &'a L,
    pub(super) cx: Context<'a>,
    pub(super) xs: Input<'a, L::Elem>,
    pub(super) ys: ArrayViewMut3<'a, L::Elem>,
}

impl<L: SeqLayer> Walk<L> {
    /// Runs the window from `state`, which moves on. With `taped`, ready for the way back.
    pub(super) fn forward(&mut self, mut run: Pass<'_, L>, state: &mut L::State, plan: Plan, taped: bool) {
        let rows = run.xs.dim().1;
        if self.rows != rows {
            *self = Walk { rows, tape: std::mem::take(&mut self.tape), ..Walk::default() };
        }
        self.stored = 0;
        if !taped {
            return (0..plan.segments()).for_each(|segment| run.segment(plan, segment, state, None));
        }
        if plan.segments() > 1 {
            self.keep(0, state, plan);
        }
        self.down(&mut run, state, plan, plan.segments());
    }

    /// The way back: adds the gradients of the window to `grads`; `d_state` goes from that of the last state to that of the first.
    pub(super) fn backward(
        &mut self,
        mut run: Pass<'_, L>,
        d_ys: ArrayView3<'_, L::Elem>,
        plan: Plan,
        d_state: &mut L::State,
        grads: &mut L,
    ) {
        if block(run.net, self.rows, plan) == usize::MAX {
            self.sum = None;
        } else {
            self.sum.get_or_insert_with(|| BlockSum::new(run.net)).clear();
        }
        run.segment_backward(plan, plan.segments() - 1, d_ys.view(), (&mut self.tape, &mut self.sum), d_state, grads);
        for end in (1..plan.segments()).rev() {
            // States from here on have done their work.
            while self.stored > 1 && self.kept[self.stored - 1].0 >= end {
                self.stored -= 1;
            }
            let from = &self.kept[self.stored - 1].1;
            let mut now = match self.now.take() {
                Some(mut now) => {
                    now.clone_from(from);
                    now
                }
                None => from.clone(),
            };
            self.down(&mut run, &mut now, plan, end);
            self.now = Some(now);
            run.segment_backward(plan, end - 1, d_ys.view(), (&mut self.tape, &mut self.sum), d_state, grads);
        }
    }

    /// From the state stored last, which is `now`, to the end of the segment before `end`, that one with tape.
    fn down(&mut self, run: &mut Pass<'_, L>, now: &mut L::State, plan: Plan, end: usize) {
        let mut at = self.stored.checked_sub(1).map_or(0, |last| self.kept[last].0);
        while at < end - 1 {
            let free = plan.slots() + 1 - self.stored;
            let to = if free == 0 { end - 1 } else { at + split(end - at, free) };
            (at..to).for_each(|segment| run.segment(plan, segment, now, None));
            at = to;
            // Nothing starts from the state before the last segment but that segment itself, at once.
            if at < end - 1 {
                self.keep(at, now, plan);
            }
        }
        run.segment(plan, end - 1, now, Some(&mut self.tape));
    }

    fn keep(&mut self, segment: usize, state: &L::State, plan: Plan) {
        match self.kept.get_mut(self.stored) {
            Some((place, kept)) => {
                *place = segment;
                kept.clone_from(state);
            }
            None => {
                if self.kept.is_empty() {
                    self.kept.reserve_exact(plan.slots() + 1);
                }
                self.kept.push((segment, state.clone()));
            }
        }
        self.stored += 1;
    }

    /// Forgets a forward pass that will not be undone.
    pub(super) fn abandon(&mut self) {
        self.tape = L::Tape::default();
    }
}

/// Steps of a block, whose gradients are made from zero: a long window has several, so that small terms are not lost in
/// a long sum. One without end where there is one only.
fn block<L: SeqLayer>(net: &L, rows: usize, plan: Plan) -> usize {
    if in_blocks(plan.steps(), rows) && net.is_causal() { block_steps(rows) } else { usize::MAX }
}

impl<L: SeqLayer> Pass<'_, L> {
    fn block(&self, plan: Plan) -> usize {
        block(self.net, self.xs.dim().1, plan)
    }

    /// Calls `f` with the network, the context, the input and the outputs of some steps.
    fn at(
        &mut self,
        steps: Range<usize>,
        mut f: impl FnMut(&L, Context<'_>, Input<'_, L::Elem>, ArrayViewMut3<'_, L::Elem>),
    ) {
        let Pass { net, cx, xs, ys } = self;
        if steps == (0..xs.dim().0) {
            return f(net, *cx, xs.reborrow(), ys.view_mut());
        }
        let slice = Slice::from(steps.clone());
        f(net, cx.from_step(steps.start), xs.steps(steps), ys.slice_axis_mut(Axis(0), slice));
    }

    fn segment(&mut self, plan: Plan, segment: usize, state: &mut L::State, mut tape: Option<&mut L::Tape>) {
        let Range { start, end } = plan.range(segment);
        for steps in blocks(end - start, self.block(plan)).rev() {
            self.at(start + steps.start..start + steps.end, |net, cx, xs, ys| {
                net.forward(cx, xs, ys, state, tape.as_deref_mut());
            });
        }
    }

    fn segment_backward(
        &mut self,
        plan: Plan,
        segment: usize,
        d_ys: ArrayView3<'_, L::Elem>,
        (tape, sum): (&mut L::Tape, &mut Option<BlockSum<L>>),
        d_state: &mut L::State,
        grads: &mut L,
    ) {
        let Range { start, end } = plan.range(segment);
        let block = self.block(plan);
        for steps in blocks(end - start, block) {
            let steps = start + steps.start..start + steps.end;
            let whole = steps == (0..plan.steps());
            let gathered = sum.as_mut().map_or(&mut *grads, BlockSum::block);
            self.at(steps.clone(), |net, cx, xs, ys| {
                let d_y = if whole { d_ys.view() } else { d_ys.slice_axis(Axis(0), Slice::from(steps.clone())) };
                net.backward(
                    cx,
                    SeqGradIo { x: xs.reborrow(), y: ys.view(), d_y: d_y.view(), d_x: None },
                    tape,
                    d_state,
                    gathered,
                );
            });
            let at_edge = steps.start == 0 || (plan.steps() - steps.start).is_multiple_of(block);
            if let Some(sum) = sum.as_mut().filter(|_| at_edge) {
                sum.add_to(grads);
            }
        }
    }
}
