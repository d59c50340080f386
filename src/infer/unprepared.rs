//! Cells that take part as they are.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{Infer, InferTokens, Precision, Prepare};
use crate::kernel::scratch;
use crate::layer::SeqLayer;
use crate::{Error, Float, GruResetBefore, OneHot, RnnCell, State};

/// A cell that is stepped as it is, by its own [`RnnCell::step`], whatever the precision asked for. A cell with no packed
/// form gives itself as one in four lines ([module docs](super)).
#[derive(Clone, Debug)]
pub struct Unprepared<C> {
    cell: C,
}

impl<C: RnnCell> Unprepared<C> {
    /// `cell` as it is.
    pub fn new(cell: C) -> Self {
        Unprepared { cell }
    }

    /// The cell.
    pub fn cell(&self) -> &C {
        &self.cell
    }
}

impl<C: RnnCell> Infer for Unprepared<C> {
    type Elem = C::Elem;
    type State = C::State;

    fn input_size(&self) -> usize {
        self.cell.input_size()
    }
    fn output_size(&self) -> usize {
        self.cell.output_size()
    }
    fn zero_state(&self, batch: usize) -> C::State {
        self.cell.zero_state(batch)
    }
    fn bytes(&self) -> usize {
        self.cell.num_params() * size_of::<C::Elem>()
    }
    fn step_rows(&self, x: &[C::Elem], y: &mut [C::Elem], state: &mut C::State) {
        let (d, h) = (self.input_size(), self.output_size());
        let rows = y.len() / h;
        // A view may leave the end of a slice out.
        assert_eq!(y.len(), rows * h, "y: B rows of H");
        assert_eq!(x.len(), rows * d, "x: B rows of D");
        let x = ArrayView2::from_shape((rows, d), x).expect("x: B rows of D");
        let mut y = ArrayViewMut2::from_shape((rows, h), y).expect("y: B rows of H");
        self.cell.step(x, y.view_mut(), state, None);
        y.map_inplace(|y| *y = y.flush());
        state.flush();
    }
}

impl<F: Float> Prepare for GruResetBefore<F> {
    type Prepared = Unprepared<Self>;
    /// The cell as it is; so the weights stay in full.
    fn prepare(&self, _: Precision) -> Result<Self::Prepared, Error> {
        Ok(Unprepared::new(self.clone()))
    }
}

/// [`OneHot`] packed for inference: the rows with a one are built.
#[derive(Debug)]
pub struct PreparedOneHot<I> {
    inner: I,
}

impl<L: SeqLayer + Prepare> Prepare for OneHot<L> {
    type Prepared = PreparedOneHot<L::Prepared>;
    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        Ok(PreparedOneHot { inner: self.inner().prepare(precision)? })
    }
}

impl<I: Infer> Infer for PreparedOneHot<I> {
    type Elem = I::Elem;
    type State = I::State;

    fn input_size(&self) -> usize {
        self.inner.input_size()
    }
    fn output_size(&self) -> usize {
        self.inner.output_size()
    }
    fn zero_state(&self, batch: usize) -> I::State {
        self.inner.zero_state(batch)
    }
    fn bytes(&self) -> usize {
        self.inner.bytes()
    }
    fn step_rows(&self, x: &[I::Elem], y: &mut [I::Elem], state: &mut I::State) {
        self.inner.step_rows(x, y, state);
    }
}

impl<I: Infer> InferTokens for PreparedOneHot<I> {
    fn step_tokens(&self, tokens: &[usize], y: &mut [I::Elem], state: &mut I::State) {
        let d = self.input_size();
        scratch::on_stack([tokens.len() * d], |[rows]| {
            rows.fill(I::Elem::from_f64(0.0));
            for (row, token) in rows.chunks_exact_mut(d).zip(tokens) {
                row[*token] = I::Elem::from_f64(1.0);
            }
            self.inner.step_rows(rows, y, state);
        });
    }
}
