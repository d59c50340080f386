//! The traits of a cell: what any recurrent network is made of.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{
    ArrayBase, ArrayView, ArrayView2, ArrayView3, ArrayViewMut, ArrayViewMut2, ArrayViewMut3, Axis, CowArray, Data,
    DataMut, Dimension, Ix2, Ix3,
};

use crate::blocks::{BlockSum, block_steps, blocks, in_blocks};
use crate::{Float, Memory, Params, State};

/// Something with parameters, a state and a tape: a cell, a layer, a whole network.
///
/// It is immutable while it runs. The state and the tape are values of the caller's.
pub trait Recurrent: Params {
    /// What goes from one step to the next. Every array in it is `[B, _]`. Also the type of ∂L/∂state.
    type State: State<Self::Elem>;

    /// What a forward pass keeps for the backward pass: a stack. Each backward call takes back what the matching
    /// forward call pushed, the last one first, so an empty tape is one whose forward passes are all undone.
    type Tape: Default + Send + Tape;

    /// D, the width of an input row.
    fn input_size(&self) -> usize;

    /// H, the width of an output row.
    fn output_size(&self) -> usize;

    /// The state before the first step, for `batch` rows: all zeros.
    fn zero_state(&self, batch: usize) -> Self::State;

    /// Makes the state after one window that before the next window of the same sequence. What reads a sequence from its
    /// start goes on from where it was, so its state stays. What reads from the end has not seen the next window, which comes
    /// first in its order, so its state becomes zeros. `reversed` says that this layer as a whole is run from the end.
    ///
    /// [`Bptt`](crate::Bptt) calls it at the start of every window. The provided one is right for whatever has no layer inside;
    /// a layer around another one hands the call on, each state to the layer it belongs to.
    fn carry(&self, state: &mut Self::State, reversed: bool) {
        if reversed {
            state.set_zero();
        }
    }

    /// Whether `forward` and `backward` divide their own work over the threads at hand ([`Threads`](crate::Threads)),
    /// with results that do not depend on how many there are. The engine shards the rows of what does not.
    #[must_use]
    fn splits_itself(&self) -> bool {
        false
    }

    /// The bytes that a pass over so many steps of so many rows takes; `None`, which is the provided answer, says that
    /// nobody has counted them. [`Bptt::memory_estimate`](crate::Bptt::memory_estimate) and
    /// [`memory_budget`](crate::BpttBuilder::memory_budget) rest on it. Results never depend on it.
    #[must_use]
    fn memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        let _ = (steps, batch);
        None
    }
}

/// A tape can say whether it is empty; the law "backward drains what forward pushed" is checked by it.
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

/// The four arrays of a backward call: `[B, _]` for a step, `[T, B, _]` for a sequence.
#[derive(Debug)]
pub struct GradIo<'a, F, Dim: Dimension> {
    /// The input the forward call had.
    pub x: ArrayView<'a, F, Dim>,
    /// The output it gave.
    pub y: ArrayView<'a, F, Dim>,
    /// ∂L/∂y.
    pub d_y: ArrayView<'a, F, Dim>,
    /// ∂L/∂x, to be overwritten in full.
    pub d_x: ArrayViewMut<'a, F, Dim>,
}

/// A recurrent cell: one step, its derivative, and from these the whole sequence.
///
/// Two methods are required. `scan` and `scan_backward` are loops over them that a cell may override where the whole
/// sequence can be done faster; the results must be the same. [`gradcheck::assert_cell`](crate::gradcheck::assert_cell)
/// holds a cell against these rules.
///
/// The methods panic on arrays whose shapes do not fit: they are the inside of the machine. The doors where a user's
/// data comes in ([`Bptt`](crate::Bptt), the builders) check and return an [`Error`](crate::Error).
pub trait RnnCell: Recurrent {
    /// One step: `x [B, D]` and the state give `y [B, H]` and the next state. With a tape, pushes onto it what
    /// `step_backward` will need; the results are the same without.
    ///
    /// The crate's gated cells allocate nothing here, but for a tape and for the thread's working memory, which its first step
    /// makes: where that counts, make a step with a state to throw away beforehand, or use [`Infer`](crate::infer::Infer).
    ///
    /// # Panics
    /// If the shapes do not fit.
    fn step(
        &self,
        x: ArrayView2<'_, Self::Elem>,
        y: ArrayViewMut2<'_, Self::Elem>,
        state: &mut Self::State,
        tape: Option<&mut Self::Tape>,
    );

    /// The derivative of the last step on the tape, which it takes off. `d_state` comes in as the gradient with
    /// respect to the state after the step and goes out as that before it; `io.d_x` is overwritten; the gradients of
    /// the parameters are added to `grads`.
    ///
    /// # Panics
    /// If the shapes do not fit, or the tape holds no step.
    fn step_backward(
        &self,
        io: GradIo<'_, Self::Elem, Ix2>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    );

    /// A sequence: `xs [T, B, D]` gives `ys [T, B, H]`; the same as T calls of [`step`](RnnCell::step), but that outputs and
    /// state are [flushed](crate::State::flush) after each and inputs before, as `d_x` and `d_state` are on the way back.
    ///
    /// # Panics
    /// If the shapes do not fit.
    fn scan(
        &self,
        xs: ArrayView3<'_, Self::Elem>,
        mut ys: ArrayViewMut3<'_, Self::Elem>,
        state: &mut Self::State,
        mut tape: Option<&mut Self::Tape>,
    ) {
        let xs = flushed(xs);
        for (x, mut y) in xs.outer_iter().zip(ys.outer_iter_mut()) {
            self.step(x, y.view_mut(), state, tape.as_deref_mut());
            y.map_inplace(|y| *y = y.flush());
            state.flush();
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
        mut io: GradIo<'_, Self::Elem, Ix3>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    ) {
        let (xs, d_ys) = (flushed(io.x), flushed(io.d_y));
        let (t, b, _) = xs.dim();
        let mut back = |steps: Range<usize>, grads: &mut Self| {
            for t in steps.rev() {
                let step = GradIo {
                    x: xs.index_axis(Axis(0), t),
                    y: io.y.index_axis(Axis(0), t),
                    d_y: d_ys.index_axis(Axis(0), t),
                    d_x: io.d_x.index_axis_mut(Axis(0), t),
                };
                self.step_backward(step, tape, d_state, grads);
                io.d_x.index_axis_mut(Axis(0), t).map_inplace(|d| *d = d.flush());
                d_state.flush();
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
}

/// The array, or a copy of it without numbers that are too near 0.
fn flushed<F: Float>(xs: ArrayView3<'_, F>) -> CowArray<'_, F, Ix3> {
    if xs.iter().any(|x| x.is_tiny()) { xs.mapv(F::flush).into() } else { xs.into() }
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
