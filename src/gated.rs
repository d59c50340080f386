//! A whole cell from the gate maths of one unit.

mod backward;
mod columns;
mod forward;
mod ragged;
mod sequence;
mod spec;
mod tape;

pub use spec::{Bias, GatedSpec};
pub use tape::GatedTape;

use std::fmt;

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, ArrayViewMut3, Axis};

use crate::infer::{Precision, Prepare, PreparedBox};
use crate::kernel::views::kept;
use crate::pointwise::{Lanes, Pointwise};
use crate::{Context, Describe, Error, Float, GradIo, Input, Memory, PassSize, Recurrent, RnnCell, SeqGradIo};

/// The cell whose gate maths is `P`: matrix products, biases, batches, tape and fused sequences around it.
///
/// With G = lanes of `P::X` and K = lanes of `P::H`, per step
///
/// ```text
/// a = x·w_x + b      u = h·w_h (+ b_h)      state' = P::forward(a, u, state)      y = h' = lane 0 of state'
/// ```
///
/// # Shapes
/// `x [B, D]` → `y [B, H]`; the state is one `[B, H]` array for each lane of `P::State`.
///
/// # Parameters
/// `w_x [D, G·H]`, `w_h [H, K·H]`, `b [G·H]`, `b_h [K·H]`, gate after gate. Which biases there are is said by
/// [`Bias`]. Each weight is multiplied from the right: `y = x·W`, the transpose of PyTorch's.
///
/// # Memory
/// A sequence with tape keeps T·B·(saved lanes + state lanes - 1)·H + B·H numbers. Working memory besides: the packed
/// weights once, and the gates of about 512 rows at a time.
///
/// # Speed
/// The input products of many steps are one matrix product, the recurrent weight is packed once for the sequence, the
/// weight gradients are one product over many rows, rows are divided over the available threads. The numbers are the same
/// bits as those of single steps. Where rows are of several lengths ([`Context`]), padding costs no arithmetic.
///
/// # Sums
/// Gradients are summed row after row, last to first; in a call of more than 2¹⁴ rows (T·B) in blocks of 2¹¹, counted from its end,
/// which loses nothing in `f32` over millions of rows. Gradients of the pieces of such a call, or of its single steps, sum to other
/// last digits than those of the whole.
#[derive(Clone)]
pub struct Gated<F, P> {
    w_x: Array2<F>,
    w_h: Array2<F>,
    b: Option<Array1<F>>,
    b_h: Option<Array1<F>>,
    gates: P,
}

crate::params!([F: Float, P: Pointwise<F>] Gated<F, P>, F => { w_x, w_h, b, b_h });

impl<F: Float, P: Pointwise<F>> Gated<F, P> {
    /// Told when a cell of such gate maths is compiled.
    const LANES_FIT: () = {
        assert!(P::X::N > 0, "Pointwise::X needs at least one lane");
        assert!(P::State::N > 0, "Pointwise::State needs at least one lane: lane 0 is the output");
        assert!(!P::SUMMED || P::X::N == P::H::N, "Pointwise::SUMMED needs as many lanes in H as in X");
    };

    /// A cell of these arrays, say from a file. Numbers below [`Float::TINY`] become 0.
    ///
    /// # Errors
    /// If there are no units or inputs, an array has another shape than the sizes in `w_x [D, G·H]` ask for, or the gate
    /// maths [refuses](Pointwise::check) its settings.
    pub fn from_arrays(
        gates: P,
        w_x: Array2<F>,
        w_h: Array2<F>,
        b: Option<Array1<F>>,
        b_h: Option<Array1<F>>,
    ) -> Result<Self, Error> {
        let () = Self::LANES_FIT;
        gates.check()?;
        let (inputs, columns) = w_x.dim();
        let units = columns / P::X::N;
        if inputs == 0 || units == 0 || columns % P::X::N != 0 {
            let expected = format!("[D, {} H], D and H at least 1", P::X::N);
            return Err(Error::shape("w_x", expected, w_x.shape()));
        }
        let (x, u) = (P::X::N * units, P::H::N * units);
        if w_h.dim() != (units, u) {
            return Err(Error::shape("w_h", format!("[{units}, {u}]"), w_h.shape()));
        }
        for (name, bias, len) in [("b", &b, x), ("b_h", &b_h, u)] {
            if let Some(bias) = bias
                && bias.len() != len
            {
                return Err(Error::shape(name, format!("[{len}]"), bias.shape()));
            }
        }
        Ok(Gated { w_x: kept(w_x), w_h: kept(w_h), b: b.map(kept), b_h: b_h.map(kept), gates })
    }

    /// `w_x [D, G·H]`.
    #[must_use]
    pub fn w_x(&self) -> ArrayView2<'_, F> {
        self.w_x.view()
    }

    /// `w_h [H, K·H]`.
    #[must_use]
    pub fn w_h(&self) -> ArrayView2<'_, F> {
        self.w_h.view()
    }

    /// `b [G·H]`, where there is one.
    #[must_use]
    pub fn b(&self) -> Option<&Array1<F>> {
        self.b.as_ref()
    }

    /// `b_h [K·H]`, where there is one.
    #[must_use]
    pub fn b_h(&self) -> Option<&Array1<F>> {
        self.b_h.as_ref()
    }

    /// The gate maths.
    #[must_use]
    pub fn gates(&self) -> &P {
        &self.gates
    }

    /// H.
    fn units(&self) -> usize {
        self.w_h.nrows()
    }
}

impl<F: Float, P: Pointwise<F>> fmt::Display for Gated<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, h, n) = (self.input_size(), self.units(), crate::Params::num_params(self));
        write!(f, "{}({d} -> {h}, {n} params)", P::NAME)
    }
}

impl<F: Float, P: Pointwise<F>> fmt::Debug for Gated<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<F: Float, P: Pointwise<F>> Recurrent for Gated<F, P> {
    type State = <P::State as Lanes<F>>::Arrays;
    type Tape = GatedTape<F>;

    fn input_size(&self) -> usize {
        self.w_x.nrows()
    }
    fn output_size(&self) -> usize {
        self.units()
    }
    fn zero_state(&self, batch: usize) -> Self::State {
        P::State::arrays(batch, self.units())
    }
    fn takes_state(&self, state: &Self::State, rows: usize) -> bool {
        state.as_ref().iter().all(|array| array.dim() == (rows, self.units()))
    }
    fn splits_itself(&self) -> bool {
        true
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        Some(self.sequence_memory(size))
    }
    fn describe(&self) -> Describe {
        Describe::new(P::NAME, self.input_size(), self.units())
    }
}

impl<F: Float, P: Pointwise<F>> RnnCell for Gated<F, P> {
    fn step(
        &self,
        cx: Context<'_>,
        x: ArrayView2<'_, F>,
        y: ArrayViewMut2<'_, F>,
        state: &mut Self::State,
        tape: Option<&mut GatedTape<F>>,
    ) {
        self.scan(cx, Input::Rows(x.insert_axis(Axis(0))), y.insert_axis(Axis(0)), state, tape);
    }

    fn step_backward(
        &self,
        cx: Context<'_>,
        io: GradIo<'_, F>,
        tape: &mut GatedTape<F>,
        d_state: &mut Self::State,
        grads: &mut Self,
    ) {
        let one = Axis(0);
        let (x, y, d_y) = (io.x.insert_axis(one), io.y.insert_axis(one), io.d_y.insert_axis(one));
        let io = SeqGradIo { x: Input::Rows(x), y, d_y, d_x: Some(io.d_x.insert_axis(one)) };
        self.scan_backward(cx, io, tape, d_state, grads);
    }

    fn scan(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        ys: ArrayViewMut3<'_, F>,
        state: &mut Self::State,
        tape: Option<&mut GatedTape<F>>,
    ) {
        self.sequence(cx, xs, ys, state, tape);
    }

    fn scan_backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, F>,
        tape: &mut GatedTape<F>,
        d_state: &mut Self::State,
        grads: &mut Self,
    ) {
        self.sequence_backward(cx, io, tape, d_state, grads);
    }

    fn output_in_state(&self) -> Option<usize> {
        Some(0)
    }

    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<F>, Error>
    where
        P: 'static,
    {
        Ok(PreparedBox::new(self.prepare(precision)?))
    }
}
