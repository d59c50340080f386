//! Gradients of a window, and nothing else: no update, no state of its own.

mod budget;
mod pass;
mod plan;
mod walk;

pub(crate) use budget::{Shape, objects, unknown_memory};
pub(crate) use pass::Window;
pub(crate) use plan::Plan;

use std::fmt;

use ndarray::{ArrayView3, ArrayViewMut3};

use crate::optim::same_arrays;
use crate::precision::{Precision, Products};
use crate::{AsInput, Context, Error, Float, Input, Loss, LossSum, PassSize, SeqLayer, State, Targets, Threads};
use pass::Pass;

/// Runs a network forward and backward over a window and gives its gradients: plain, within a memory budget, in shards over threads,
/// with rows of any lengths. What is done with them is the caller's; [`Bptt`](crate::train::Bptt) carries the state, clips and
/// updates on top of it.
///
/// Two networks that are trained together, say an encoder and a decoder, take one each; the gradient of the decoder's first state is
/// that of the encoder's last:
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::{Context, train::Backprop};
/// use ndarray::Array2;
///
/// let encoder = Network::<f64>::builder(5).gru(8).seed(1).build()?;
/// let decoder = Network::<f64>::builder(5).gru(8).linear(5).seed(2).build()?;
/// let (mut d_encoder, mut d_decoder) = (encoder.zeros_like(), decoder.zeros_like());
/// let (mut reads, mut writes) = (Backprop::new(1)?, Backprop::new(1)?);
///
/// let (xs, targets) = (Array2::from_elem((4, 2), 1), Array2::from_elem((3, 2), 2));
/// let cx = Context::default();
/// let mut state = encoder.zero_state(2);
/// reads.forward(&encoder, cx, &xs, &mut state)?;
/// let mut decoder_state = decoder.zero_state(2);
/// decoder_state[0].clone_from(&state[0]);
/// let mut d_state = decoder.zero_state(2);
/// let loss = writes.window(
///     &decoder, cx, &targets, &targets, &CrossEntropy, &mut decoder_state, &mut d_state, &mut d_decoder,
/// )?;
/// let mut d_last = encoder.zero_state(2);
/// d_last[0].clone_from(&d_state[0]);
/// reads.d_outputs().fill(0.0);
/// reads.backward(&encoder, cx, &xs, &mut d_last, &mut d_encoder)?;
/// assert!(loss.mean() > 0.0 && d_encoder.norm() > 0.0);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
pub struct Backprop<L: SeqLayer> {
    pub(crate) threads: Threads,
    budget: Option<usize>,
    pass: Pass<L>,
    /// With a budget, the plan that what is held was made for, and its rows.
    plan: Option<(Plan, usize)>,
    /// Of the forward pass that waits to be undone: its plan, steps and rows.
    forward: Option<(Plan, (usize, usize))>,
}

impl<L: SeqLayer> Backprop<L> {
    /// On so many threads; the results do not depend on how many.
    ///
    /// # Errors
    /// If there are no such threads to be had.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let threads = Threads::new(threads)?;
        Ok(Backprop { threads, budget: None, pass: Pass::default(), plan: None, forward: None })
    }

    /// Keeps what a window takes within so many bytes, as [`BpttBuilder::memory_budget`](crate::train::BpttBuilder::memory_budget).
    ///
    /// # Errors
    /// If the network looks ahead, so that it can't be run in pieces, or does not tell its memory.
    pub fn with_memory_budget(mut self, net: &L, bytes: usize) -> Result<Self, Error> {
        if !net.is_causal() {
            let expected = "a network that can be run in pieces (`Run::is_causal`), for a memory budget";
            return Err(Error::value(
                "model",
                expected,
                format!("{}, whose outputs may depend on later inputs", net.describe()),
            ));
        }
        if net.memory(PassSize::of(1, 1)).is_none() {
            return Err(unknown_memory());
        }
        self.budget = Some(bytes);
        Ok(self)
    }

    /// Rounds the operands of products, as [`BpttBuilder::matmul_precision`](crate::train::BpttBuilder::matmul_precision).
    ///
    /// # Errors
    /// If it is neither full nor bf16, or bf16 and the network's numbers are not `f32`.
    pub fn with_matmul_precision(mut self, precision: Precision) -> Result<Self, Error> {
        if precision == Precision::Bf16 && L::Elem::NAME != "f32" {
            let expected = format!("full, as the network's numbers are {} (bf16 is for f32)", L::Elem::NAME);
            return Err(Error::value("matmul_precision", expected, precision));
        }
        self.threads = self.threads.matmul_precision(precision)?;
        Ok(self)
    }

    /// How products are made.
    pub(crate) fn products(&self) -> Products {
        self.threads.operands().products()
    }

    pub(crate) fn budget(&self) -> Option<usize> {
        self.budget
    }

    /// Runs the window from `state`, which moves on, and keeps what the way back needs.
    ///
    /// # Errors
    /// If the input, the context or the state does not fit the network, or the memory budget is too small. Nothing is changed then.
    pub fn forward(
        &mut self,
        net: &L,
        cx: Context<'_>,
        xs: &impl AsInput<L::Elem>,
        state: &mut L::State,
    ) -> Result<(), Error> {
        let xs = xs.as_input();
        check(net, cx, xs)?;
        check_state("state", net, state, xs.dim().1)?;
        let plan = self.plan_for(net, xs)?;
        self.forward_checked(Window { net, cx, xs: xs.reborrow(), plan }, state, true);
        Ok(())
    }

    /// The outputs of the last window, `[T, B, V]`; empty before the first.
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, L::Elem> {
        self.pass.outputs()
    }

    /// Where the gradient of the loss by the outputs goes, `[T, B, V]`, to be overwritten in full.
    pub fn d_outputs(&mut self) -> ArrayViewMut3<'_, L::Elem> {
        self.pass.d_outputs()
    }

    /// The way back of the last [`forward`](Backprop::forward), with what is in [`d_outputs`](Backprop::d_outputs): `d_state` comes in
    /// as the gradient by the state after the window and goes out as that before it; the gradients of the parameters are added to
    /// `grads`. `net`, `cx` and `xs` are those of the forward call.
    ///
    /// # Errors
    /// If there is no forward pass of such a window to undo, or `d_state` or `grads` does not fit the network.
    pub fn backward(
        &mut self,
        net: &L,
        cx: Context<'_>,
        xs: &impl AsInput<L::Elem>,
        d_state: &mut L::State,
        grads: &mut L,
    ) -> Result<(), Error> {
        let xs = xs.as_input();
        check(net, cx, xs)?;
        check_state("d_state", net, d_state, xs.dim().1)?;
        same_arrays(net, grads)?;
        let (t, b) = xs.dim();
        match self.forward.filter(|(_, dim)| *dim == (t, b)) {
            None => {
                let got = self.forward.map_or("none".to_string(), |(_, (t, b))| format!("one of [{t}, {b}]"));
                Err(Error::value("backward", format!("a forward pass of [{t}, {b}] before it"), got))
            }
            Some((plan, _)) => {
                self.pass.d_outputs();
                self.backward_checked(Window { net, cx, xs: xs.reborrow(), plan }, d_state, grads);
                Ok(())
            }
        }
    }

    /// Forward, loss and backward. The gradients are those of the mean loss; what
    /// [learned](crate::layers::LearnedState) first states get of `d_state` is the caller's to add
    /// ([`initial_state_backward`](SeqLayer::initial_state_backward)), who alone knows whether the state was the first.
    ///
    /// # Errors
    /// As those of [`forward`](Backprop::forward) and [`backward`](Backprop::backward); or if the targets do not fit the outputs, or
    /// the loss is not finite.
    #[expect(clippy::too_many_arguments, reason = "a network, what goes in, what comes out")]
    pub fn window<Y: Targets>(
        &mut self,
        net: &L,
        cx: Context<'_>,
        xs: &impl AsInput<L::Elem>,
        targets: &Y,
        loss: &impl Loss<L::Elem, Y::Of>,
        state: &mut L::State,
        d_state: &mut L::State,
        grads: &mut L,
    ) -> Result<LossSum, Error> {
        let xs = xs.as_input();
        check(net, cx, xs)?;
        let (t, b) = xs.dim();
        check_state("state", net, state, b)?;
        check_state("d_state", net, d_state, b)?;
        same_arrays(net, grads)?;
        let targets = targets.targets();
        loss.check((net.output_steps(t), b, net.output_size()), targets)?;
        let plan = self.plan_for(net, xs)?;
        let window = Window { net, cx, xs: xs.reborrow(), plan };
        let mut moving = state.clone();
        self.forward_checked(window, &mut moving, true);
        let value = self.loss_checked(cx, loss, targets)?;
        self.backward_checked(window, d_state, grads);
        *state = moving;
        Ok(value)
    }

    fn plan_for(&mut self, net: &L, xs: Input<'_, L::Elem>) -> Result<Plan, Error> {
        let (steps, batch) = xs.dim();
        let params = crate::memory::bytes::<L::Elem>(net.num_params());
        let standing = params.saturating_mul(2).saturating_add(objects(net, self.threads.number()));
        Ok(self.plan(net, Shape { steps, batch, rows_in: matches!(xs, Input::Rows(_)), standing })?.0)
    }

    /// [`forward`](Backprop::forward), checked already; without `taped` nothing is kept.
    pub(crate) fn forward_checked(&mut self, window: Window<'_, L>, state: &mut L::State, taped: bool) {
        if self.forward.take().is_some() {
            self.pass.abandon();
        }
        self.pass.forward(window, state, &self.threads, taped);
        self.forward = taped.then(|| (window.plan, window.xs.dim()));
    }

    /// The loss, its gradient in place; the forward pass is forgotten where it is not finite.
    pub(crate) fn loss_checked<T: ?Sized>(
        &mut self,
        cx: Context<'_>,
        loss: &impl Loss<L::Elem, T>,
        targets: &T,
    ) -> Result<LossSum, Error> {
        let value = self.pass.loss(cx, loss, targets);
        if value.mean().is_finite() {
            return Ok(value);
        }
        self.abandon();
        Err(Error::not_finite("loss", value.mean()))
    }

    /// The loss alone.
    pub(crate) fn value<T: ?Sized>(&mut self, cx: Context<'_>, loss: &impl Loss<L::Elem, T>, targets: &T) -> LossSum {
        self.pass.value(cx, loss, targets)
    }

    pub(crate) fn backward_checked(&mut self, window: Window<'_, L>, d_state: &mut L::State, grads: &mut L) {
        self.forward = None;
        self.pass.backward(window, &self.threads, d_state, grads);
    }

    /// Forgets a forward pass that will not be undone.
    pub(crate) fn abandon(&mut self) {
        self.forward = None;
        self.pass.abandon();
    }

    /// Frees all that a window was in the middle of.
    pub(crate) fn forget(&mut self) {
        self.forward = None;
        self.pass = Pass::default();
    }
}

/// Refuses an input or a context that does not fit.
pub(crate) fn check<L: SeqLayer>(net: &L, cx: Context<'_>, xs: Input<'_, L::Elem>) -> Result<(), Error> {
    let (t, b) = xs.dim();
    xs.check(net.input_size())?;
    cx.check(t, b)
}

/// Refuses what is not a state of the network for `rows` rows.
pub(crate) fn check_state<L: SeqLayer>(name: &str, net: &L, state: &L::State, rows: usize) -> Result<(), Error> {
    if net.takes_state(state, rows) {
        return Ok(());
    }
    check_state_like(name, &net.zero_state(1), state, rows)
}

/// The same, where a state of one row is there.
pub(crate) fn check_state_like<F: crate::Float, S: State<F>>(
    name: &str,
    like: &S,
    state: &S,
    rows: usize,
) -> Result<(), Error> {
    if state.has_rows(rows) && like.is_like(state) {
        return Ok(());
    }
    let expected: Vec<[usize; 2]> = like.shapes().into_iter().map(|[_, width]| [rows, width]).collect();
    Err(Error::value(name, format!("arrays of shapes {expected:?}"), format!("{:?}", state.shapes())))
}

impl<L: SeqLayer> fmt::Debug for Backprop<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Backprop");
        f.field("threads", &self.threads.number()).field("memory_budget", &self.budget).finish_non_exhaustive()
    }
}
