//! One lot of rows through a window and back, by a plan.

use std::ops::Range;

use ndarray::{ArrayView3, ArrayViewMut3, Axis, Slice};

use super::plan::{Plan, split};
use crate::State;
use crate::blocks::{BlockSum, block_steps, blocks, in_blocks};
use crate::model::{Model, Sequence};

/// The tape and the states of one lot of rows; they last from one window to the next.
pub(super) struct Walk<M: Model> {
    rows: usize,
    tape: M::Tape,
    /// States stored, each with the leaf it stands before. Those from `stored` on are spare.
    kept: Vec<(usize, M::State)>,
    stored: usize,
    /// Where leaves are run again.
    now: Option<M::State>,
    d_state: Option<M::State>,
    /// In a window of several blocks.
    sum: Option<BlockSum<M>>,
}

impl<M: Model> Default for Walk<M> {
    fn default() -> Self {
        Walk { rows: 0, tape: M::Tape::default(), kept: Vec::new(), stored: 0, now: None, d_state: None, sum: None }
    }
}

/// A model, and the input and the outputs of all steps of the lot.
pub(super) struct Run<'a, M: Model> {
    pub(super) model: &'a M,
    pub(super) xs: &'a M::Input,
    pub(super) ys: ArrayViewMut3<'a, M::Elem>,
}

impl<M: Model> Walk<M> {
    /// Runs the window from `state`, which moves on. With `taped`, ready for the way back.
    pub(super) fn forward(&mut self, mut run: Run<'_, M>, state: &mut M::State, plan: Plan, taped: bool) {
        let rows = run.xs.steps_and_rows().1;
        if self.rows != rows {
            *self = Walk { rows, tape: std::mem::take(&mut self.tape), ..Walk::default() };
        }
        self.stored = 0;
        if !taped {
            return (0..plan.leaves()).for_each(|leaf| run.leaf(plan, leaf, state, None));
        }
        if plan.leaves() > 1 {
            self.keep(0, state, plan);
        }
        self.down(&mut run, state, plan, plan.leaves());
    }

    /// The way back: adds the gradients of the window to `grads`.
    pub(super) fn backward(&mut self, mut run: Run<'_, M>, d_ys: ArrayView3<'_, M::Elem>, plan: Plan, grads: &mut M) {
        let mut d_state = self.d_state.take().unwrap_or_else(|| run.model.zero_state(self.rows));
        d_state.set_zero();
        if block(run.model, self.rows, plan) == usize::MAX {
            self.sum = None;
        } else {
            self.sum.get_or_insert_with(|| BlockSum::new(run.model)).clear();
        }
        run.leaf_backward(plan, plan.leaves() - 1, d_ys.view(), (&mut self.tape, &mut self.sum), &mut d_state, grads);
        for end in (1..plan.leaves()).rev() {
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
            run.leaf_backward(plan, end - 1, d_ys.view(), (&mut self.tape, &mut self.sum), &mut d_state, grads);
        }
        self.d_state = Some(d_state);
    }

    /// From the state stored last, which is `now`, to the end of the leaf before `end`, that one with tape.
    fn down(&mut self, run: &mut Run<'_, M>, now: &mut M::State, plan: Plan, end: usize) {
        let mut at = self.stored.checked_sub(1).map_or(0, |last| self.kept[last].0);
        while at < end - 1 {
            let free = plan.slots() + 1 - self.stored;
            let to = if free == 0 { end - 1 } else { at + split(end - at, free) };
            (at..to).for_each(|leaf| run.leaf(plan, leaf, now, None));
            at = to;
            // Nothing starts from the state before the last leaf but that leaf itself, at once.
            if at < end - 1 {
                self.keep(at, now, plan);
            }
        }
        run.leaf(plan, end - 1, now, Some(&mut self.tape));
    }

    fn keep(&mut self, leaf: usize, state: &M::State, plan: Plan) {
        match self.kept.get_mut(self.stored) {
            Some((place, kept)) => {
                *place = leaf;
                kept.clone_from(state);
            }
            None => {
                if self.kept.is_empty() {
                    self.kept.reserve_exact(plan.slots() + 1);
                }
                self.kept.push((leaf, state.clone()));
            }
        }
        self.stored += 1;
    }

    /// Forgets a forward pass that will not be undone.
    pub(super) fn abandon(&mut self) {
        self.tape = M::Tape::default();
    }
}

/// Steps of a block, whose gradients are made from zero: a long window has several, so that small terms are not lost in
/// a long sum. One without end where there is one only.
fn block<M: Model>(model: &M, rows: usize, plan: Plan) -> usize {
    if in_blocks(plan.steps(), rows) && model.runs_in_pieces() { block_steps(rows) } else { usize::MAX }
}

impl<M: Model> Run<'_, M> {
    fn block(&self, plan: Plan) -> usize {
        block(self.model, self.xs.steps_and_rows().1, plan)
    }

    /// Calls `f` with the input and the outputs of some steps.
    fn at(&mut self, steps: Range<usize>, mut f: impl FnMut(&M, &M::Input, ArrayViewMut3<'_, M::Elem>)) {
        let Run { model, xs, ys } = self;
        let (all, rows) = xs.steps_and_rows();
        if steps == (0..all) {
            return f(model, xs, ys.view_mut());
        }
        let slice = Slice::from(steps.clone());
        xs.part(steps, 0..rows, &mut |xs| f(model, xs, ys.slice_axis_mut(Axis(0), slice)));
    }

    fn leaf(&mut self, plan: Plan, leaf: usize, state: &mut M::State, mut tape: Option<&mut M::Tape>) {
        let Range { start, end } = plan.range(leaf);
        for steps in blocks(end - start, self.block(plan)).rev() {
            self.at(start + steps.start..start + steps.end, |model, xs, ys| {
                model.run(xs, ys, state, tape.as_deref_mut());
            });
        }
    }

    fn leaf_backward(
        &mut self,
        plan: Plan,
        leaf: usize,
        d_ys: ArrayView3<'_, M::Elem>,
        (tape, sum): (&mut M::Tape, &mut Option<BlockSum<M>>),
        d_state: &mut M::State,
        grads: &mut M,
    ) {
        let Range { start, end } = plan.range(leaf);
        let block = self.block(plan);
        for steps in blocks(end - start, block) {
            let steps = start + steps.start..start + steps.end;
            let d_ys = d_ys.slice_axis(Axis(0), Slice::from(steps.clone()));
            let gathered = sum.as_mut().map_or(&mut *grads, BlockSum::block);
            self.at(steps.clone(), |model, xs, ys| {
                model.run_backward(xs, ys.view(), d_ys.view(), tape, d_state, gathered);
            });
            let whole = steps.start == 0 || (plan.steps() - steps.start).is_multiple_of(block);
            if let Some(sum) = sum.as_mut().filter(|_| whole) {
                sum.add_to(grads);
            }
        }
    }
}
