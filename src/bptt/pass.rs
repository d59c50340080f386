//! One window forward and backward, whole or in shards of rows.

use ndarray::{ArrayView3, Axis, Slice};

use crate::kernel::threads::divide;
use crate::kernel::views::{view, view_mut};
use crate::model::{Model, Sequence};
use crate::{Float, Loss, State, Threads};

/// Rows of a shard. It depends on nothing, so that no result depends on the number of threads.
const SHARD: usize = 8;

/// The working memory of a window; it lasts from one window to the next.
pub(super) struct Pass<M: Model> {
    dim: (usize, usize, usize),
    ys: Vec<M::Elem>,
    d_ys: Vec<M::Elem>,
    tape: M::Tape,
    d_state: Option<(M::State, usize)>,
    shards: Vec<Shard<M>>,
}

impl<M: Model> Default for Pass<M> {
    fn default() -> Self {
        Pass {
            dim: (0, 0, 0),
            ys: Vec::new(),
            d_ys: Vec::new(),
            tape: M::Tape::default(),
            d_state: None,
            shards: Vec::new(),
        }
    }
}

/// Some rows of the batch with all they need.
struct Shard<M: Model> {
    first: usize,
    rows: usize,
    ys: Vec<M::Elem>,
    d_ys: Vec<M::Elem>,
    state: M::State,
    tape: M::Tape,
    grads: M,
}

impl<M: Model> Shard<M> {
    fn new(model: &M, first: usize, rows: usize) -> Self {
        let (state, grads) = (model.zero_state(rows), model.zeros_like());
        Shard { first, rows, ys: Vec::new(), d_ys: Vec::new(), state, tape: M::Tape::default(), grads }
    }

    fn forward(&mut self, model: &M, xs: &M::Input, (t, v): (usize, usize), state: &M::State, taped: bool) {
        let Shard { first, rows, ys, tape, .. } = self;
        self.state.copy_rows(0, state, *first..*first + *rows);
        ys.resize(t * *rows * v, num_traits::zero());
        let (rows, own) = (*first..*first + *rows, &mut self.state);
        xs.part(0..t, rows.clone(), &mut |xs| {
            let ys = view_mut(&mut ys[..], (t, rows.len(), v));
            model.run(xs, ys, own, taped.then_some(&mut *tape));
        });
    }

    fn backward(&mut self, model: &M, xs: &M::Input, (t, v): (usize, usize), d_ys: ArrayView3<'_, M::Elem>) {
        let rows = self.first..self.first + self.rows;
        self.d_ys.resize(t * rows.len() * v, num_traits::zero());
        let shape = (t, rows.len(), v);
        let mut own = view_mut(&mut self.d_ys[..], shape);
        own.assign(&d_ys.slice_axis(Axis(1), Slice::from(rows.clone())));
        self.grads.set_zero();
        self.state.set_zero();
        let Shard { ys, state, tape, grads, .. } = self;
        let ys = view(&ys[..], shape);
        xs.part(0..t, rows, &mut |xs| model.run_backward(xs, ys, own.view(), tape, state, grads));
    }
}

impl<M: Model> Pass<M> {
    /// Runs the window from `state`, which moves on.
    pub(super) fn forward(&mut self, model: &M, xs: &M::Input, state: &mut M::State, threads: &Threads, taped: bool) {
        let (t, b) = xs.steps_and_rows();
        let v = model.output_size();
        self.dim = (t, b, v);
        let zero: M::Elem = num_traits::zero();
        for buffer in [&mut self.ys, &mut self.d_ys] {
            buffer.resize(t * b * v, zero);
        }
        let mut ys = view_mut(&mut self.ys[..], self.dim);
        if model.splits_itself() {
            let tape = taped.then_some(&mut self.tape);
            threads.install(|| model.run(xs, ys, state, tape));
            return;
        }
        let shards = &mut self.shards;
        if shards.iter().map(|shard| shard.rows).sum::<usize>() != b {
            *shards = (0..b).step_by(SHARD).map(|first| Shard::new(model, first, SHARD.min(b - first))).collect();
        }
        let state_before = &*state;
        threads.install(|| {
            divide(&mut shards[..], threads.number(), 1, &|part: &mut [Shard<M>]| {
                part.iter_mut().for_each(|shard| shard.forward(model, xs, (t, v), state_before, taped));
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
        let d_ys = view_mut(&mut self.d_ys[..], self.dim);
        let ys = view(&self.ys[..], self.dim);
        loss.evaluate(ys, targets, d_ys)
    }

    /// Sets `grads` to the gradients of the window.
    pub(super) fn backward(&mut self, model: &M, xs: &M::Input, threads: &Threads, grads: &mut M) {
        let (t, b, v) = self.dim;
        grads.set_zero();
        let d_ys = view(&self.d_ys[..], self.dim);
        if model.splits_itself() {
            let ys = view(&self.ys[..], self.dim);
            match &mut self.d_state {
                Some((d_state, rows)) if *rows == b => d_state.set_zero(),
                other => *other = Some((model.zero_state(b), b)),
            }
            if let Some((d_state, _)) = &mut self.d_state {
                let tape = &mut self.tape;
                threads.install(|| model.run_backward(xs, ys, d_ys, tape, d_state, grads));
            }
            return;
        }
        threads.install(|| {
            divide(&mut self.shards[..], threads.number(), 1, &|part: &mut [Shard<M>]| {
                part.iter_mut().for_each(|shard| shard.backward(model, xs, (t, v), d_ys.view()));
            });
        });
        for shard in &self.shards {
            grads.add_scaled(&shard.grads, M::Elem::from_f64(1.0));
        }
    }

    /// Forgets a forward pass that will not be undone.
    pub(super) fn abandon(&mut self) {
        self.tape = M::Tape::default();
        self.shards.clear();
    }

    pub(super) fn outputs(&self) -> ArrayView3<'_, M::Elem> {
        view(&self.ys[..], self.dim)
    }
}
