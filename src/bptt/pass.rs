//! One window forward and backward, whole or in shards of rows.

use ndarray::{ArrayView3, Axis, Slice};

use super::plan::Plan;
use super::walk::{Run, Walk};
use crate::kernel::threads::divide;
use crate::kernel::views::{view, view_mut};
use crate::model::{Model, Sequence};
use crate::{Float, Loss, State, Threads};

/// Rows of a shard. It depends on nothing, so that no result depends on the number of threads.
pub(super) const SHARD: usize = 8;
/// Shards whose gradients are summed one after the other; more are summed in blocks of so many, since a long sum of small
/// terms loses their last digits.
const SHARDS: usize = 512;

/// The working memory of a window; it lasts from one window to the next.
pub(super) struct Pass<M: Model> {
    dim: (usize, usize, usize),
    ys: Vec<M::Elem>,
    d_ys: Vec<M::Elem>,
    walk: Walk<M>,
    shards: Vec<Shard<M>>,
}

impl<M: Model> Default for Pass<M> {
    fn default() -> Self {
        Pass { dim: (0, 0, 0), ys: Vec::new(), d_ys: Vec::new(), walk: Walk::default(), shards: Vec::new() }
    }
}

/// Some rows of the batch with all they need.
struct Shard<M: Model> {
    first: usize,
    rows: usize,
    ys: Vec<M::Elem>,
    d_ys: Vec<M::Elem>,
    state: M::State,
    walk: Walk<M>,
    grads: M,
}

/// Makes it as long as is asked for, and no longer where it must grow.
fn resize<F: Float>(buffer: &mut Vec<F>, len: usize) {
    if buffer.capacity() < len {
        drop(std::mem::take(buffer));
        buffer.reserve_exact(len);
    }
    buffer.resize(len, F::zero());
}

impl<M: Model> Shard<M> {
    fn new(model: &M, first: usize, rows: usize) -> Self {
        let (state, grads) = (model.zero_state(rows), model.zeros_like());
        Shard { first, rows, ys: Vec::new(), d_ys: Vec::new(), state, walk: Walk::default(), grads }
    }

    fn forward(&mut self, model: &M, xs: &M::Input, v: usize, state: &M::State, plan: Plan, taped: bool) {
        let Shard { first, rows, ys, state: own, walk, .. } = self;
        let (t, rows) = (plan.steps(), *first..*first + *rows);
        own.copy_rows(0, state, rows.clone());
        resize(ys, t * rows.len() * v);
        xs.part(0..t, rows.clone(), &mut |xs| {
            let ys = view_mut(&mut ys[..], (t, rows.len(), v));
            walk.forward(Run { model, xs, ys }, own, plan, taped);
        });
    }

    fn backward(&mut self, model: &M, xs: &M::Input, plan: Plan, d_ys: ArrayView3<'_, M::Elem>) {
        let (t, rows, v) = (plan.steps(), self.first..self.first + self.rows, d_ys.len_of(Axis(2)));
        let shape = (t, rows.len(), v);
        resize(&mut self.d_ys, t * rows.len() * v);
        let mut own = view_mut(&mut self.d_ys[..], shape);
        own.assign(&d_ys.slice_axis(Axis(1), Slice::from(rows.clone())));
        self.grads.set_zero();
        let Shard { ys, walk, grads, .. } = self;
        xs.part(0..t, rows, &mut |xs| {
            let ys = view_mut(&mut ys[..], shape);
            walk.backward(Run { model, xs, ys }, own.view(), plan, grads);
        });
    }
}

impl<M: Model> Pass<M> {
    /// Runs the window from `state`, which moves on.
    pub(super) fn forward(
        &mut self,
        model: &M,
        xs: &M::Input,
        state: &mut M::State,
        threads: &Threads,
        plan: Plan,
        taped: bool,
    ) {
        let (t, b) = xs.steps_and_rows();
        let v = model.output_size();
        self.dim = (t, b, v);
        resize(&mut self.ys, t * b * v);
        let mut ys = view_mut(&mut self.ys[..], self.dim);
        if model.splits_itself() {
            let walk = &mut self.walk;
            threads.install(|| walk.forward(Run { model, xs, ys }, state, plan, taped));
            return;
        }
        let shards = &mut self.shards;
        if shards.iter().map(|shard| shard.rows).sum::<usize>() != b {
            shards.clear();
            shards.extend((0..b).step_by(SHARD).map(|first| Shard::new(model, first, SHARD.min(b - first))));
        }
        let state_before = &*state;
        threads.install(|| {
            divide(&mut shards[..], threads.number(), 1, &|part: &mut [Shard<M>]| {
                part.iter_mut().for_each(|shard| shard.forward(model, xs, v, state_before, plan, taped));
            });
        });
        for shard in shards {
            let rows = shard.first..shard.first + shard.rows;
            let own = view(&shard.ys[..], (t, shard.rows, v));
            ys.slice_axis_mut(Axis(1), Slice::from(rows)).assign(&own);
            state.copy_rows(shard.first, &shard.state, 0..shard.rows);
        }
    }

    /// The loss of the outputs; its gradient is kept for the way back.
    pub(super) fn loss<T: ?Sized>(&mut self, loss: &impl Loss<M::Elem, T>, targets: &T) -> f64 {
        resize(&mut self.d_ys, self.ys.len());
        let d_ys = view_mut(&mut self.d_ys[..], self.dim);
        let ys = view(&self.ys[..], self.dim);
        loss.evaluate(ys, targets, d_ys)
    }

    /// The loss of the outputs alone.
    pub(super) fn value<T: ?Sized>(&mut self, loss: &impl Loss<M::Elem, T>, targets: &T) -> f64 {
        let value = loss.value(view(&self.ys[..], self.dim), targets);
        value.unwrap_or_else(|| self.loss(loss, targets))
    }

    /// Sets `grads` to the gradients of the window, which went forward by the same plan.
    pub(super) fn backward(&mut self, model: &M, xs: &M::Input, threads: &Threads, plan: Plan, grads: &mut M) {
        grads.set_zero();
        let d_ys = view(&self.d_ys[..], self.dim);
        if model.splits_itself() {
            let ys = view_mut(&mut self.ys[..], self.dim);
            let walk = &mut self.walk;
            threads.install(|| walk.backward(Run { model, xs, ys }, d_ys, plan, grads));
            return;
        }
        threads.install(|| {
            divide(&mut self.shards[..], threads.number(), 1, &|part: &mut [Shard<M>]| {
                part.iter_mut().for_each(|shard| shard.backward(model, xs, plan, d_ys.view()));
            });
        });
        let one = M::Elem::from_f64(1.0);
        if self.shards.len() <= SHARDS {
            self.shards.iter().for_each(|shard| grads.add_scaled(&shard.grads, one));
            return;
        }
        for block in self.shards.chunks_mut(SHARDS) {
            let Some((first, others)) = block.split_first_mut() else { continue };
            others.iter().for_each(|shard| first.grads.add_scaled(&shard.grads, one));
            grads.add_scaled(&first.grads, one);
        }
    }

    /// Forgets a forward pass that will not be undone.
    pub(super) fn abandon(&mut self) {
        self.walk.abandon();
        self.shards.clear();
    }

    pub(super) fn outputs(&self) -> ArrayView3<'_, M::Elem> {
        view(&self.ys[..], self.dim)
    }
}
