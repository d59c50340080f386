//! One window forward and backward, whole or in shards of rows.

use ndarray::{ArrayView3, ArrayViewMut3, Axis, Slice};

use super::plan::Plan;
use super::walk::{self, Walk};
use crate::kernel::threads::divide;
use crate::kernel::views::{view, view_mut};
use crate::{Context, Float, Input, Loss, LossSum, SeqLayer, State, Threads};

/// Rows of a shard. It depends on nothing, so that no result depends on the number of threads.
pub(super) const SHARD: usize = 8;
/// Shards whose gradients are summed one after the other; more are summed in blocks of so many, since a long sum of small
/// terms loses their last digits.
const SHARDS: usize = 512;

/// The working memory of a window; it lasts from one window to the next.
pub(super) struct Pass<L: SeqLayer> {
    dim: (usize, usize, usize),
    ys: Vec<L::Elem>,
    d_ys: Vec<L::Elem>,
    walk: Walk<L>,
    shards: Vec<Shard<L>>,
}

impl<L: SeqLayer> Default for Pass<L> {
    fn default() -> Self {
        Pass { dim: (0, 0, 0), ys: Vec::new(), d_ys: Vec::new(), walk: Walk::default(), shards: Vec::new() }
    }
}

/// Some rows of the batch with all they need.
struct Shard<L: SeqLayer> {
    first: usize,
    rows: usize,
    ys: Vec<L::Elem>,
    d_ys: Vec<L::Elem>,
    state: L::State,
    d_state: L::State,
    walk: Walk<L>,
    grads: L,
}

/// What a window is of.
pub(crate) struct Window<'a, L: SeqLayer> {
    pub(crate) net: &'a L,
    pub(crate) cx: Context<'a>,
    pub(crate) xs: Input<'a, L::Elem>,
    pub(crate) plan: Plan,
}

impl<L: SeqLayer> Clone for Window<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: SeqLayer> Copy for Window<'_, L> {}

impl<L: SeqLayer> Window<'_, L> {
    /// The shape of the outputs.
    fn dim(&self) -> (usize, usize, usize) {
        let (t, b) = self.xs.dim();
        (self.net.output_steps(t), b, self.net.output_size())
    }
}

/// Makes it as long as is asked for, and no longer where it must grow.
fn resize<F: Float>(buffer: &mut Vec<F>, len: usize) {
    if buffer.capacity() < len {
        drop(std::mem::take(buffer));
        buffer.reserve_exact(len);
    }
    buffer.resize(len, F::zero());
}

impl<L: SeqLayer> Shard<L> {
    fn new(net: &L, first: usize, rows: usize) -> Self {
        let (state, d_state, grads) = (net.zero_state(rows), net.zero_state(rows), net.zeros_like());
        Shard { first, rows, ys: Vec::new(), d_ys: Vec::new(), state, d_state, walk: Walk::default(), grads }
    }

    fn forward(&mut self, window: &Window<'_, L>, state: &L::State, taped: bool) {
        let Shard { first, rows, ys, state: own, walk, .. } = self;
        let ((t, _, v), rows) = (window.dim(), *first..*first + *rows);
        own.copy_rows(0, state, rows.clone());
        resize(ys, t * rows.len() * v);
        let ys = view_mut(&mut ys[..], (t, rows.len(), v));
        let xs = window.xs.part(0..window.xs.dim().0, rows.clone());
        walk.forward(walk::Pass { net: window.net, cx: window.cx.rows(rows), xs, ys }, own, window.plan, taped);
    }

    fn backward(&mut self, window: &Window<'_, L>, d_ys: ArrayView3<'_, L::Elem>, d_state: &L::State) {
        let ((t, _, v), rows) = (window.dim(), self.first..self.first + self.rows);
        let shape = (t, rows.len(), v);
        resize(&mut self.d_ys, t * rows.len() * v);
        let mut own = view_mut(&mut self.d_ys[..], shape);
        own.assign(&d_ys.slice_axis(Axis(1), Slice::from(rows.clone())));
        self.d_state.copy_rows(0, d_state, rows.clone());
        self.grads.set_zero();
        let Shard { ys, walk, grads, d_state, .. } = self;
        let xs = window.xs.part(0..window.xs.dim().0, rows.clone());
        let pass = walk::Pass { net: window.net, cx: window.cx.rows(rows), xs, ys: view_mut(&mut ys[..], shape) };
        walk.backward(pass, own.view(), window.plan, d_state, grads);
    }
}

impl<L: SeqLayer> Pass<L> {
    /// Runs the window from `state`, which moves on.
    pub(super) fn forward(&mut self, window: Window<'_, L>, state: &mut L::State, threads: &Threads, taped: bool) {
        let Window { net, cx, xs, plan } = window;
        self.dim = window.dim();
        let (t, b, v) = self.dim;
        resize(&mut self.ys, t * b * v);
        let mut ys = view_mut(&mut self.ys[..], self.dim);
        if xs.dim().0 * b == 0 {
            return ys.fill(L::Elem::from_f64(0.0));
        }
        if net.splits_itself() {
            let (walk, ys) = (&mut self.walk, ys.view_mut());
            threads.install(|| walk.forward(walk::Pass { net, cx, xs: xs.reborrow(), ys }, state, plan, taped));
        } else {
            let shards = &mut self.shards;
            if shards.iter().map(|shard| shard.rows).sum::<usize>() != b {
                shards.clear();
                shards.extend((0..b).step_by(SHARD).map(|first| Shard::new(net, first, SHARD.min(b - first))));
            }
            let state_before = &*state;
            threads.install(|| {
                divide(&mut shards[..], threads.number(), 1, &|part: &mut [Shard<L>]| {
                    part.iter_mut().for_each(|shard| shard.forward(&window, state_before, taped));
                });
            });
            for shard in shards {
                let rows = shard.first..shard.first + shard.rows;
                let own = view(&shard.ys[..], (t, shard.rows, v));
                ys.slice_axis_mut(Axis(1), Slice::from(rows)).assign(&own);
                state.copy_rows(shard.first, &shard.state, 0..shard.rows);
            }
        }
        cx.clear_padding(&mut ys);
    }

    /// The loss of the outputs; its gradient is kept for the way back.
    pub(super) fn loss<T: ?Sized>(&mut self, cx: Context<'_>, loss: &impl Loss<L::Elem, T>, targets: &T) -> LossSum {
        resize(&mut self.d_ys, self.ys.len());
        let ys = view(&self.ys[..], self.dim);
        loss.evaluate(cx, ys, targets, view_mut(&mut self.d_ys[..], self.dim))
    }

    /// The loss of the outputs alone.
    pub(super) fn value<T: ?Sized>(&mut self, cx: Context<'_>, loss: &impl Loss<L::Elem, T>, targets: &T) -> LossSum {
        let value = loss.value(cx, view(&self.ys[..], self.dim), targets);
        value.unwrap_or_else(|| self.loss(cx, loss, targets))
    }

    /// Adds the gradients of the window, which went forward by the same plan, to `grads`; `d_state` goes from that of the last
    /// state to that of the first.
    pub(super) fn backward(&mut self, window: Window<'_, L>, threads: &Threads, d_state: &mut L::State, grads: &mut L) {
        let Window { net, cx, xs, plan } = window;
        if xs.dim().0 * xs.dim().1 == 0 {
            return;
        }
        cx.clear_padding(&mut view_mut(&mut self.d_ys[..], self.dim));
        let d_ys = view(&self.d_ys[..], self.dim);
        if net.splits_itself() {
            let ys = view_mut(&mut self.ys[..], self.dim);
            let walk = &mut self.walk;
            threads
                .install(|| walk.backward(walk::Pass { net, cx, xs: xs.reborrow(), ys }, d_ys, plan, d_state, grads));
            return;
        }
        let after = &*d_state;
        threads.install(|| {
            divide(&mut self.shards[..], threads.number(), 1, &|part: &mut [Shard<L>]| {
                part.iter_mut().for_each(|shard| shard.backward(&window, d_ys.view(), after));
            });
        });
        for shard in &self.shards {
            d_state.copy_rows(shard.first, &shard.d_state, 0..shard.rows);
        }
        let one = L::Elem::from_f64(1.0);
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

    pub(super) fn outputs(&self) -> ArrayView3<'_, L::Elem> {
        view(&self.ys[..], self.dim)
    }

    /// Room for the gradient of the outputs.
    pub(super) fn d_outputs(&mut self) -> ArrayViewMut3<'_, L::Elem> {
        resize(&mut self.d_ys, self.ys.len());
        view_mut(&mut self.d_ys[..], self.dim)
    }
}
