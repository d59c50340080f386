//! A whole cell from the gate maths of one unit.

mod arrays;
mod backward;
mod columns;
mod forward;
mod gradients;
mod ragged;
mod sequence;
mod spec;
mod step;
mod tape;
mod vectors;

pub use arrays::GatedArrays;
pub use spec::{Bias, GatedSpec};
pub(crate) use step::clip_projected;
pub use tape::GatedTape;

use std::fmt;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMut2, ArrayViewMut3, ArrayViewMutD, Axis};

use crate::gates::{Lanes, RowCell};
use crate::infer::{Precision, Prepare, PreparedBox};
use crate::{
    Context, Describe, Error, Float, GradIo, Input, Memory, Numeric, Params, PassSize, Recurrent, RnnCell, SeqGradIo,
    ZipMut,
};
use vectors::Vectors;

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
    w_p: Option<Array2<F>>,
    vectors: Vectors<F>,
    clip_p: Option<F>,
    gates: P,
}

impl<F: Float, P: RowCell> Gated<F, P> {
    /// A cell of these arrays, say from a file; of a cell that has more than these, see [`GatedArrays`]. Numbers below
    /// [`Float::TINY`] become 0.
    ///
    /// # Errors
    /// If there are no units or inputs, an array has another shape than the sizes in `w_x [D, G·H]` ask for, or the gate
    /// maths [refuses](RowCell::check) its settings.
    pub fn from_arrays(
        gates: P,
        w_x: Array2<F>,
        w_h: Array2<F>,
        b: Option<Array1<F>>,
        b_h: Option<Array1<F>>,
    ) -> Result<Self, Error> {
        GatedArrays { b, b_h, ..GatedArrays::new(w_x, w_h) }.into_cell(gates)
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

    /// `w_p [H, R]`, where the output is [projected](GatedSpec::projection).
    #[must_use]
    pub fn w_p(&self) -> Option<ArrayView2<'_, F>> {
        self.w_p.as_ref().map(|w| w.view())
    }

    /// The bound of a projected output, where there is one.
    #[must_use]
    pub fn projection_clip(&self) -> Option<F> {
        self.clip_p
    }

    /// The [vector of weights](RowCell::vectors) of this name.
    #[must_use]
    pub fn vector(&self, name: &str) -> Option<ArrayView1<'_, F>> {
        self.vectors.get(name)
    }

    pub(crate) fn vector_slices<R>(&self, f: impl FnOnce(&[&[F]]) -> R) -> R {
        self.vectors.with_slices(f)
    }

    /// The gate maths.
    #[must_use]
    pub fn gates(&self) -> &P {
        &self.gates
    }

    /// H.
    pub(crate) fn units(&self) -> usize {
        self.w_x.ncols() / P::X
    }

    /// Without `b`.
    pub(crate) fn without_input_bias(self) -> Self {
        Gated { b: None, ..self }
    }

    /// The widths of the state's arrays.
    fn lane_width(&self, lane: usize) -> usize {
        if lane == 0 { self.w_h.nrows() } else { self.units() }
    }

    #[track_caller]
    fn expect_state(&self, state: &<P::State<F> as Lanes<F>>::Arrays, rows: usize, name: &str) {
        for (lane, array) in state.as_ref().iter().enumerate() {
            assert_eq!(array.dim(), (rows, self.lane_width(lane)), "{name}: every array is [B, H]");
        }
    }
}

impl<F: Float, P> Numeric for Gated<F, P> {
    type Elem = F;
}

// By hand, since the vectors of weights have names of the cell's.
impl<F: Float, P: RowCell> Params for Gated<F, P> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, F>)) {
        f("w_x", self.w_x.view().into_dyn());
        f("w_h", self.w_h.view().into_dyn());
        for (name, bias) in [("b", &self.b), ("b_h", &self.b_h)] {
            bias.iter().for_each(|bias| f(name, bias.view().into_dyn()));
        }
        self.w_p.iter().for_each(|w| f("w_p", w.view().into_dyn()));
        self.vectors.visit(f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, F>)) {
        f("w_x", self.w_x.view_mut().into_dyn());
        f("w_h", self.w_h.view_mut().into_dyn());
        for (name, bias) in [("b", &mut self.b), ("b_h", &mut self.b_h)] {
            bias.iter_mut().for_each(|bias| f(name, bias.view_mut().into_dyn()));
        }
        self.w_p.iter_mut().for_each(|w| f("w_p", w.view_mut().into_dyn()));
        self.vectors.visit_mut(f);
    }
    #[track_caller]
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, F>) {
        self.w_x.zip_mut(&other.w_x, &mut |_, a, b| f("w_x", a, b));
        self.w_h.zip_mut(&other.w_h, &mut |_, a, b| f("w_h", a, b));
        self.b.zip_mut(&other.b, &mut |_, a, b| f("b", a, b));
        self.b_h.zip_mut(&other.b_h, &mut |_, a, b| f("b_h", a, b));
        self.w_p.zip_mut(&other.w_p, &mut |_, a, b| f("w_p", a, b));
        self.vectors.zip_mut(&other.vectors, f);
    }
}

impl<F: Float, P: RowCell> fmt::Display for Gated<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, h, n) = (self.input_size(), self.output_size(), self.num_params());
        write!(f, "{}({d} -> {h}, {n} params)", P::NAME)
    }
}

impl<F: Float, P: RowCell> fmt::Debug for Gated<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<F: Float, P: RowCell> Recurrent for Gated<F, P> {
    type State = <P::State<F> as Lanes<F>>::Arrays;
    type Tape = GatedTape<F>;

    fn input_size(&self) -> usize {
        self.w_x.nrows()
    }
    fn output_size(&self) -> usize {
        self.w_h.nrows()
    }
    fn zero_state(&self, batch: usize) -> Self::State {
        if self.w_p.is_none() {
            return P::State::arrays(batch, self.units());
        }
        let mut state = P::State::arrays(0, 0);
        for (lane, array) in state.as_mut().iter_mut().enumerate() {
            *array = Array2::zeros((batch, self.lane_width(lane)));
        }
        state
    }
    fn takes_state(&self, state: &Self::State, rows: usize) -> bool {
        let mut lanes = state.as_ref().iter().enumerate();
        lanes.all(|(lane, array)| array.dim() == (rows, self.lane_width(lane)))
    }
    fn splits_itself(&self) -> bool {
        true
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        Some(self.sequence_memory(size))
    }
    fn describe(&self) -> Describe {
        let biases = match (&self.b, &self.b_h) {
            (None, None) => "none",
            (Some(_), None) => "one",
            (Some(_), Some(_)) => "two",
            (None, Some(_)) => "recurrent",
        };
        let about = self.gates.describe(Describe::new(P::NAME, self.input_size(), self.output_size()));
        let about = about.setting("bias", biases);
        let units = self.units();
        let about = match &self.w_p {
            Some(_) => about.option(format!("{units} units projected")).setting("units", units),
            None => about,
        };
        match self.clip_p {
            Some(clip) => {
                about.option(format!("projection clipped at {clip}")).setting("projection_clip", clip.as_f64())
            }
            None => about,
        }
    }
}

impl<F: Float, P: RowCell> RnnCell for Gated<F, P> {
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
