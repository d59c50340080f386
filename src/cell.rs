//! The traits of a cell: what any recurrent network is made of.

mod step_input;

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayBase, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, Data, DataMut, Ix2};

use crate::blocks::{BlockSum, block_steps, blocks, in_blocks};
use crate::infer::{Precision, PreparedBox};
use crate::{Context, Describe, Error, Float, Input, Memory, Numeric, Params, PassSize, State};
use step_input::{StepInput, flushed};

/// Something with sizes and a state: a cell, a layer, a whole network, packed for inference or not.
///
/// It is immutable while it runs. The state and the tape are values of the caller's.
pub trait Recurrent: Numeric + Send + Sync {
    /// What goes from one step to the next. Every array in it is `[B, _]`. Also the type of ∂L/∂state.
    type State: State<Self::Elem>;

    /// What a forward pass keeps for the backward pass: a stack. Each backward call takes back what the matching
    /// forward call pushed, the last one first, so an empty tape is one whose forward passes are all undone.
    type Tape: Default + Send + Sync + Tape;

    /// D, the width of an input row.
    fn input_size(&self) -> usize;

    /// H, the width of an output row.
    fn output_size(&self) -> usize;

    /// How many steps come out of so many: the same number, but for what gathers a sequence ([`Last`](crate::layers::Last)).
    fn output_steps(&self, steps: usize) -> usize {
        steps
    }

    /// A state of zeros for `batch` rows.
    fn zero_state(&self, batch: usize) -> Self::State;

    /// Whether this is a state of this layer, for so many rows.
    #[must_use]
    fn takes_state(&self, state: &Self::State, rows: usize) -> bool {
        state.has_rows(rows) && self.zero_state(1).is_like(state)
    }

    /// The state before the first step of a sequence, for `batch` rows; zeros, where it is not said or
    /// [learned](crate::layers::LearnedState).
    fn initial_state(&self, batch: usize) -> Self::State {
        self.zero_state(batch)
    }

    /// Makes the state after one window that before the next window of the same sequence. What reads a sequence from its
    /// start goes on from where it was, so its state stays. What reads from the end has not seen the next window, which comes
    /// first in its order, so its state becomes zeros. `reversed` says that this layer as a whole is run from the end.
    ///
    /// [`Bptt`](crate::train::Bptt) calls it at the start of every window. The provided one is right for whatever has no layer inside;
    /// a layer around another one hands the call on, each state to the layer it belongs to.
    fn carry(&self, state: &mut Self::State, reversed: bool) {
        if reversed {
            state.set_zero();
        }
    }

    /// Whether `forward` and `backward` divide their own work over the available threads ([`Threads`](crate::cpu::Threads)),
    /// with results that do not depend on how many there are. The engine shards the rows of what does not.
    #[must_use]
    fn splits_itself(&self) -> bool {
        false
    }

    /// The bytes that a pass of this size takes; `None`, which is the provided answer, says that
    /// nobody has counted them. [`Bptt::memory_estimate`](crate::train::Bptt::memory_estimate) and
    /// [`memory_budget`](crate::train::BpttBuilder::memory_budget) rest on it. Results never depend on it.
    #[must_use]
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let _ = size;
        None
    }

    /// Calls `f` for each cell that keeps a state, in the order of the state's arrays ([`State::visit`]), with what the cell is and the
    /// widths of its arrays. The provided one is right for whatever has no layer inside; a layer around others hands the call on to
    /// each. [`flat_state`](crate::data::flat_state) goes by it.
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        let widths: Vec<usize> = self.zero_state(1).shapes().into_iter().map(|[_, width]| width).collect();
        if !widths.is_empty() {
            f(&self.describe(), &widths);
        }
    }

    /// What it is: kind, sizes, options, and what is inside. Summaries and errors go by it.
    #[must_use]
    fn describe(&self) -> Describe {
        Describe::of::<Self>(self.input_size(), self.output_size())
    }
}

/// A tape can say whether it is empty; the check "backward drains what forward pushed" is checked by it.
pub trait Tape {
    /// Whether every forward pass has been undone.
    fn is_drained(&self) -> bool;
}

impl<T> Tape for Vec<T> {
    fn is_drained(&self) -> bool {
        self.is_empty()
    }
}

impl Tape for () {
    fn is_drained(&self) -> bool {
        true
    }
}

impl<F: Copy + Default> Tape for crate::Record<F> {
    fn is_drained(&self) -> bool {
        self.is_empty()
    }
}

/// The four arrays of a step backward, `[B, _]`.
#[derive(Debug)]
pub struct GradIo<'a, F> {
    /// The input the step had.
    pub x: ArrayView2<'a, F>,
    /// The output it gave.
    pub y: ArrayView2<'a, F>,
    /// ∂L/∂y.
    pub d_y: ArrayView2<'a, F>,
    /// ∂L/∂x, to be overwritten in full.
    pub d_x: ArrayViewMut2<'a, F>,
}

/// The four arrays of a sequence backward, `[T, B, _]`.
#[derive(Debug)]
pub struct SeqGradIo<'a, F> {
    /// The input the forward call had.
    pub x: Input<'a, F>,
    /// The output it gave.
    pub y: ArrayView3<'a, F>,
    /// ∂L/∂y.
    pub d_y: ArrayView3<'a, F>,
    /// ∂L/∂x, to be overwritten in full; none where nobody asks for it, as for tokens, which have no gradient.
    pub d_x: Option<ArrayViewMut3<'a, F>>,
}

impl<F: Float> SeqGradIo<'_, F> {
    /// The same for a shorter time.
    #[must_use]
    pub fn reborrow(&mut self) -> SeqGradIo<'_, F> {
        let d_x = self.d_x.as_mut().map(|d_x| d_x.view_mut());
        SeqGradIo { x: self.x.reborrow(), y: self.y.view(), d_y: self.d_y.view(), d_x }
    }

    /// Panics on arrays that do not fit a layer of these widths.
    #[track_caller]
    pub(crate) fn expect<L: Recurrent>(&self, layer: &L) {
        let ((t, b), inputs, outputs) = (self.x.dim(), layer.input_size(), layer.output_size());
        let shape = (layer.output_steps(t), b, outputs);
        self.x.expect(inputs);
        assert_eq!(self.y.dim(), shape, "y: [T, B, H] of this input and layer");
        assert_eq!(self.d_y.dim(), shape, "d_y: [T, B, H] of this input and layer");
        if let Some(d_x) = &self.d_x {
            assert_eq!(d_x.dim(), (t, b, inputs), "d_x: the shape of x");
        }
    }
}

/// A recurrent cell: one step, its derivative, and from these the whole sequence.
///
/// Two methods are required. `scan` and `scan_backward` are loops over them that a cell may override where the whole
/// sequence can be done faster; the results must be the same. [`gradcheck::assert_cell`](crate::gradcheck::assert_cell)
/// holds a cell against these rules.
///
/// Most cells have no use for the [`Context`] of a step: lengths and resets are seen to by the sequence. It is there for what draws
/// numbers.
///
/// The methods panic on arrays whose shapes do not fit: they are the inside of the machine. The calls where a user's
/// data comes in ([`Bptt`](crate::train::Bptt), the builders) check and return an [`Error`](crate::Error).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no cell, or no layer that can be trained",
    label = "not an `RnnCell`",
    note = "a layer of the crate is made by its spec: `Lstm::<f32>::spec(64).build(inputs, &mut init)?`; a packed network runs and cannot be trained",
    note = "one's own cell implements `Recurrent` and `RnnCell`, or `Pointwise` for the gates of one unit, `PerUnit`, `RowCell`: docs/custom-cell.md"
)]
pub trait RnnCell: Recurrent + Params {
    /// One step: `x [B, D]` and the state give `y [B, H]` and the next state. With a tape, pushes onto it what
    /// `step_backward` will need; the results are the same without.
    ///
    /// The crate's gated cells allocate nothing here, but for a tape and for the thread's working memory, which its first step
    /// makes: where that counts, make a step with a state to throw away beforehand, or [prepare](crate::infer::Prepare) the cell.
    ///
    /// # Panics
    /// If the shapes do not fit.
    fn step(
        &self,
        cx: Context<'_>,
        x: ArrayView2<'_, Self::Elem>,
        y: ArrayViewMut2<'_, Self::Elem>,
        state: &mut Self::State,
        tape: Option<&mut Self::Tape>,
    );

    /// The derivative of the last step on the tape, which it takes off. `d_state` comes in as the gradient with
    /// respect to the state after the step and goes out as that before it; `io.d_x` is overwritten; the gradients of
    /// the parameters are added to `grads`. `cx` is that of the step.
    ///
    /// # Panics
    /// If the shapes do not fit, or the tape holds no step.
    fn step_backward(
        &self,
        cx: Context<'_>,
        io: GradIo<'_, Self::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    );

    /// A sequence: `xs` (`[T, B, D]`, or tokens `[T, B]`) gives `ys [T, B, H]`; the same as T calls of
    /// [`step`](RnnCell::step), but that outputs and state are [flushed](crate::data::State::flush) after each and inputs before, as
    /// `d_x` and `d_state` are on the way back; and that rows begin and end where `cx` says.
    ///
    /// # Panics
    /// If the shapes do not fit.
    fn scan(
        &self,
        cx: Context<'_>,
        xs: Input<'_, Self::Elem>,
        mut ys: ArrayViewMut3<'_, Self::Elem>,
        state: &mut Self::State,
        mut tape: Option<&mut Self::Tape>,
    ) {
        let (t, b) = xs.dim();
        let xs = StepInput::new(&cx, xs, self.input_size());
        for (t, mut y) in (0..t).zip(ys.outer_iter_mut()) {
            restart(self, &cx, t, b, state);
            let at = cx.from_step(t);
            let before = at.is_ragged(1).then(|| state.clone());
            xs.with_step(t, |x| self.step(at.whole(), x, y.view_mut(), state, tape.as_deref_mut()));
            y.map_inplace(|y| *y = y.flush());
            state.flush();
            if let Some(before) = before {
                for row in over(&at, b) {
                    state.copy_rows(row, &before, row..row + 1);
                    y.row_mut(row).fill(num_traits::zero());
                }
            }
        }
    }

    /// The derivative of the last sequence on the tape; one call undoes one call of [`scan`](RnnCell::scan).
    ///
    /// The provided one gives the gradients of T calls of [`step_backward`](RnnCell::step_backward), to the bit up to 2¹⁴ rows
    /// (T·B). Of more it sums blocks of 2¹¹ rows, counted from the end, each from zero: one long sum of small terms would lose
    /// their last digits.
    ///
    /// # Panics
    /// If the shapes do not fit, or the tape does not hold such a sequence.
    fn scan_backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, Self::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    ) {
        let (t, b) = io.x.dim();
        let SeqGradIo { x, y, d_y, mut d_x } = io;
        let (xs, d_ys) = (StepInput::new(&cx, x, self.input_size()), flushed(cx.cleared(d_y)));
        let mut unasked = if d_x.is_none() { Array2::zeros((b, self.input_size())) } else { Array2::zeros((0, 0)) };
        let mut back = |steps: Range<usize>, grads: &mut Self| {
            for t in steps.rev() {
                let at = cx.from_step(t);
                let mut d_x = match &mut d_x {
                    Some(d_x) => d_x.index_axis_mut(Axis(0), t),
                    None => unasked.view_mut(),
                };
                // The gradient of the state of a row that is over waits for the row's last step.
                let waiting = at.is_ragged(1).then(|| {
                    let (waiting, zero) = (d_state.clone(), self.zero_state(1));
                    over(&at, b).for_each(|row| d_state.copy_rows(row, &zero, 0..1));
                    waiting
                });
                xs.with_step(t, |x| {
                    let (y, d_y) = (y.index_axis(Axis(0), t), d_ys.index_axis(Axis(0), t));
                    let io = GradIo { x, y, d_y, d_x: d_x.view_mut() };
                    self.step_backward(at.whole(), io, tape, d_state, grads);
                });
                d_x.map_inplace(|d| *d = d.flush());
                d_state.flush();
                if let Some(waiting) = waiting {
                    for row in over(&at, b) {
                        d_state.copy_rows(row, &waiting, row..row + 1);
                        d_x.row_mut(row).fill(num_traits::zero());
                    }
                }
                restart_backward(self, &cx, t, b, d_state, |d_first| self.initial_state_backward(d_first, grads));
            }
        };
        if !in_blocks(t, b) {
            return back(0..t, grads);
        }
        let mut sum = BlockSum::new(grads);
        for steps in blocks(t, block_steps(b)) {
            back(steps, sum.block());
            sum.add_to(grads);
        }
    }

    /// Adds to `grads` the derivative of [`initial_state`](Recurrent::initial_state): `d_state` is the gradient with respect to
    /// that state. The provided one does nothing, as is right for a state that is always the same.
    fn initial_state_backward(&self, d_state: &Self::State, grads: &mut Self) {
        let _ = (d_state, grads);
    }

    /// Which array of the state, in the order of [`State::visit`], is the output, where one is: what changes states from outside,
    /// as [`Zoneout`](crate::layers::Zoneout) does, changes outputs with them.
    fn output_in_state(&self) -> Option<usize> {
        None
    }

    #[doc(hidden)]
    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<Self::Elem>, Error>
    where
        Self: 'static,
    {
        let _ = precision;
        Ok(PreparedBox::unprepared(self))
    }
}

/// The rows that are over before the first step of the call.
fn over(cx: &Context<'_>, rows: usize) -> impl Iterator<Item = usize> {
    (0..rows).filter(|row| cx.length(*row, 1) == 0)
}

/// Puts the rows that start afresh before step `t` back to the first state.
pub(crate) fn restart<L: Recurrent>(layer: &L, cx: &Context<'_>, t: usize, rows: usize, state: &mut L::State) {
    if cx.resets_any(t, rows) {
        let first = layer.initial_state(1);
        (0..rows).filter(|row| cx.is_reset(t, *row)).for_each(|row| state.copy_rows(row, &first, 0..1));
    }
}

/// The way back: hands `f` the gradient of the first states of those rows (zeros elsewhere), and stops it there.
pub(crate) fn restart_backward<L: Recurrent>(
    layer: &L,
    cx: &Context<'_>,
    t: usize,
    rows: usize,
    d_state: &mut L::State,
    f: impl FnOnce(&L::State),
) {
    if cx.resets_any(t, rows) {
        let (mut d_first, zero) = (layer.zero_state(rows), layer.zero_state(1));
        for row in (0..rows).filter(|row| cx.is_reset(t, *row)) {
            d_first.copy_rows(row, d_state, row..row + 1);
            d_state.copy_rows(row, &zero, 0..1);
        }
        f(&d_first);
    }
}

/// `grad [D, H] += aᵀ·b` for `a [B, D]` and `b [B, H]`: the line that every backward pass written by hand repeats.
///
/// # Panics
/// If the shapes do not fit.
pub fn add_outer<F: Float>(
    grad: &mut ArrayBase<impl DataMut<Elem = F>, Ix2>,
    a: &ArrayBase<impl Data<Elem = F>, Ix2>,
    b: &ArrayBase<impl Data<Elem = F>, Ix2>,
) {
    general_mat_mul(F::one(), &a.t(), b, F::one(), grad);
}
