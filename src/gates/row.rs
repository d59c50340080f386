//! The maths of a whole row of units.

use std::fmt::Debug;

use super::PerUnit;
use super::lanes::Lanes;
use crate::kernel::stored::Stored;
use crate::kernel::stream::Step;
use crate::kernel::{row_cells, rows};
use crate::{Describe, Error, Float};

/// Vectors of weights that a cell may have.
pub(crate) const MOST_VECTORS: usize = 16;

/// How a vector of weights starts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Start {
    /// As a bias does, by the cell's [`Scheme`](crate::init::Scheme).
    Scheme,
    /// All the same number.
    Constant(f64),
    /// Uniform between the two.
    Uniform(f64, f64),
}

/// A vector of weights that a cell has besides its matrices and biases.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Vector {
    /// What its parameter is called.
    pub name: &'static str,
    /// How many numbers it has for each unit.
    pub lanes: usize,
    /// How it starts.
    pub start: Start,
}

impl Vector {
    /// One number a unit: `[H]`.
    #[must_use]
    pub const fn new(name: &'static str, start: Start) -> Self {
        Vector { name, lanes: 1, start }
    }

    /// So many numbers a unit, lane after lane: `[lanes·H]`.
    #[must_use]
    pub const fn lanes(name: &'static str, lanes: usize, start: Start) -> Self {
        Vector { name, lanes, start }
    }
}

/// A row of a step forward. Lane after lane: number k of unit j of H is at `k·H + j`.
#[derive(Debug)]
#[non_exhaustive]
pub struct RowForward<'a, F> {
    /// H.
    pub units: usize,
    /// `[G·H]`: x·w_x + b, or the sum with h·w_h where the cell is [`SUMMED`](RowCell::SUMMED).
    pub x: &'a [F],
    /// `[K·H]`: h·w_h + b_h; empty where the cell is summed.
    pub u: &'a [F],
    /// `[H]`: h before; empty where the output is projected.
    pub h: &'a [F],
    /// `[H]`: h after, to be overwritten.
    pub y: &'a mut [F],
    /// `[(S - 1)·H]`: the other lanes of the state, before; to become those after.
    pub state: &'a mut [F],
    /// [`saved`](RowCell::saved) numbers for `backward`, to be overwritten.
    pub saved: &'a mut [F],
}

/// A row of a step backward.
#[derive(Debug)]
#[non_exhaustive]
pub struct RowBackward<'a, F> {
    /// H.
    pub units: usize,
    /// What `forward` saved.
    pub saved: &'a [F],
    /// `[H]`: h before; empty where the output is projected.
    pub h: &'a [F],
    /// `[(S - 1)·H]`: the other lanes of the state before.
    pub before: &'a [F],
    /// `[H]`: the gradient of h after; to become that of h before, not counting its way through h·w_h.
    pub d_h: &'a mut [F],
    /// `[(S - 1)·H]`: the gradient of the other lanes, likewise.
    pub d_state: &'a mut [F],
    /// `[G·H]`: the gradient of x, to be overwritten.
    pub d_x: &'a mut [F],
    /// `[K·H]`: the gradient of u, to be overwritten; empty where the cell is summed.
    pub d_u: &'a mut [F],
    /// This row's share of the gradient of each vector of weights, to be overwritten.
    pub d_weights: &'a mut [&'a mut [F]],
}

/// The maths of a row of units: where a cell sums over units, as layer norm does. Every [`PerUnit`], and so every
/// [`Pointwise`](super::Pointwise), is one.
///
/// What [`Gated`](crate::cells::Gated) sees to is the same: both products, biases, batches, tape, sequences, lengths, tokens, threads, a
/// projection, a packed form. The row gets its sums, its state and the vectors of weights. Numbers of a row lie lane after lane:
/// the gates of all units, then the next gate's. Sums over a row are [`custom::sum`](crate::custom::sum)'s business: in a
/// plain loop each waits for the one before.
///
/// Write loops over slices of one length; mark both methods `#[inline(always)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the gates of a cell",
    note = "`impl Pointwise for {Self}` for the gates of one unit, `PerUnit` where units have weights of their own, `RowCell` for a whole row: docs/custom-cell.md"
)]
#[expect(private_interfaces, private_bounds, reason = "for kernels only")]
pub trait RowCell: Clone + Debug + Send + Sync {
    /// `[F; S]`: the state's arrays; the first is the output h.
    type State<F: Float>: Lanes<F>;
    /// The cell's name.
    const NAME: &'static str;
    /// G: columns of x·w_x + b for each unit.
    const X: usize;
    /// K: columns of h·w_h for each unit.
    const H: usize;
    /// As [`Pointwise::RECURRENT_BIAS`](super::Pointwise::RECURRENT_BIAS).
    const RECURRENT_BIAS: bool = false;
    /// As [`Pointwise::SUMMED`](super::Pointwise::SUMMED).
    const SUMMED: bool = false;
    /// As [`Pointwise::PROJECTABLE`](super::Pointwise::PROJECTABLE).
    const PROJECTABLE: bool = false;
    #[doc(hidden)]
    const AFTER: usize = 0;
    #[doc(hidden)]
    const BY_UNIT: bool = false;
    #[doc(hidden)]
    const STEP_AT_ONCE: bool = false;

    /// As [`Pointwise::check`](super::Pointwise::check).
    ///
    /// # Errors
    /// If a setting is out of its range.
    fn check<F: Float>(&self) -> Result<(), Error> {
        Ok(())
    }

    /// As [`Pointwise::describe`](super::Pointwise::describe).
    fn describe(&self, about: Describe) -> Describe {
        about
    }

    /// The vectors of weights, at most 16.
    fn vectors(&self) -> Vec<Vector> {
        Vec::new()
    }

    /// How many numbers `backward` needs of `forward`, for a row of so many units.
    fn saved(&self, units: usize) -> usize;

    /// One row, with the vectors of weights.
    fn forward<F: Float>(&self, weights: &[&[F]], row: RowForward<'_, F>);

    /// Its derivative.
    fn backward<F: Float>(&self, weights: &[&[F]], row: RowBackward<'_, F>);

    #[doc(hidden)]
    fn forward_rows<F: Float>(&self, rows: rows::Forward<'_, F>) {
        row_cells::forward(self, rows);
    }
    #[doc(hidden)]
    fn backward_rows<F: Float>(&self, rows: rows::Backward<'_, F>) {
        row_cells::backward(self, rows);
    }
    #[doc(hidden)]
    fn operand_rows<F: Float>(&self, rows: rows::Operand<'_, F>) {
        let _ = rows;
    }
    #[doc(hidden)]
    fn operand_backward_rows<F: Float>(&self, rows: rows::OperandBackward<'_, F>) {
        let _ = rows;
    }
    /// Products and gates at once.
    #[doc(hidden)]
    fn step<'a, F: Float, W: Stored<F>>(&self, step: Step<'a, F, <Self::State<F> as Lanes<F>>::Slices<'a>, W>) {
        let _ = step;
    }
}

const fn count<F: Float, L: Lanes<F>>() -> usize {
    L::N
}

#[expect(private_interfaces, private_bounds, reason = "for kernels only")]
impl<P: PerUnit> RowCell for P {
    type State<F: Float> = P::State<F>;
    const NAME: &'static str = P::NAME;
    const X: usize = count::<f32, P::X<f32>>();
    const H: usize = count::<f32, P::H<f32>>();
    const RECURRENT_BIAS: bool = P::RECURRENT_BIAS;
    const SUMMED: bool = P::SUMMED;
    const PROJECTABLE: bool = P::PROJECTABLE;
    const AFTER: usize = P::AFTER;
    const BY_UNIT: bool = true;
    const STEP_AT_ONCE: bool = P::AFTER == 0 && P::STEP_AT_ONCE;

    fn check<F: Float>(&self) -> Result<(), Error> {
        PerUnit::check::<F>(self)
    }
    fn describe(&self, about: Describe) -> Describe {
        PerUnit::describe(self, about)
    }
    fn vectors(&self) -> Vec<Vector> {
        const { assert!(P::WEIGHTS.len() == count::<f32, P::Weights<f32>>(), "a name for each of PerUnit::Weights") };
        P::WEIGHTS.to_vec()
    }
    fn saved(&self, units: usize) -> usize {
        units * count::<f32, P::Saved<f32>>()
    }
    fn forward<F: Float>(&self, weights: &[&[F]], row: RowForward<'_, F>) {
        rows::one_row_forward(self, weights, row);
    }
    fn backward<F: Float>(&self, weights: &[&[F]], row: RowBackward<'_, F>) {
        rows::one_row_backward(self, weights, row);
    }
    fn forward_rows<F: Float>(&self, rows: rows::Forward<'_, F>) {
        rows::forward(self, rows);
    }
    fn backward_rows<F: Float>(&self, rows: rows::Backward<'_, F>) {
        rows::backward(self, rows);
    }
    fn operand_rows<F: Float>(&self, rows: rows::Operand<'_, F>) {
        if P::AFTER > 0 {
            rows::operand(self, rows);
        }
    }
    fn operand_backward_rows<F: Float>(&self, rows: rows::OperandBackward<'_, F>) {
        if P::AFTER > 0 {
            rows::operand_backward(self, rows);
        }
    }
    #[inline(always)]
    fn step<'a, F: Float, W: Stored<F>>(&self, step: Step<'a, F, <P::State<F> as Lanes<F>>::Slices<'a>, W>) {
        if <P as RowCell>::STEP_AT_ONCE {
            step.start(self);
        }
    }
}
