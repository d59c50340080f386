//! The gate maths of one unit, as scalars.

use std::fmt::Debug;

use super::lanes::Lanes;
use crate::{Describe, Error, Float};

/// The gate maths of one unit. [`Gated<F, P>`](crate::cells::Gated) makes a whole cell of it: matrix products, biases, batches,
/// tape, fused forward and backward sequences, token input and threads. The crate's own [`Rnn`](crate::cells::Rnn),
/// [`Gru`](crate::cells::Gru) and [`Lstm`](crate::cells::Lstm) are made this way and no other.
///
/// Per step the cell computes x·w_x + b (the columns `X`) and h·w_h (the columns `H`), and each unit gets its own lanes
/// of both, with its own lanes of the state. Lane 0 of the state is the unit's output h. Which cells fit: those that
/// use h through one product only, made before the gates (RNN, GRU with the reset after the product, LSTM, coupled
/// gates, UGRNN, minGRU with `H = [F; 0]`). Weights of a unit's own and a product after a gate are [`PerUnit`](crate::cells::PerUnit)'s,
/// sums over units [`RowCell`](crate::cells::RowCell)'s; all else is written as an [`RnnCell`](crate::RnnCell).
///
/// Write the maths without branches on data, use [`Float`]'s `tanh`, `sigmoid` and `exp`, and mark both methods
/// `#[inline(always)]`: then the loop over the units becomes vector code. It is compiled once for each instruction set, and
/// a method that stays a call in it is computed a unit at a time.
///
/// An LSTM whose input gate is what the forget gate leaves (CIFG), complete:
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::cells::{GatedSpec, Pointwise};
/// use deep_rnn::gradcheck;
///
/// #[derive(Clone, Copy, Debug)]
/// struct Cifg;
/// impl Pointwise for Cifg {
///     type X<F: Float> = [F; 3];
///     type H<F: Float> = [F; 3];
///     type State<F: Float> = [F; 2];
///     type Saved<F: Float> = [F; 4];
///     const NAME: &'static str = "Cifg";
///     #[inline(always)]
///     fn forward<F: Float>(&self, x: [F; 3], u: [F; 3], [_, c]: [F; 2]) -> ([F; 2], [F; 4]) {
///         let (i, g, o) = ((x[0] + u[0]).sigmoid(), (x[1] + u[1]).tanh(), (x[2] + u[2]).sigmoid());
///         let c = c + i * (g - c);
///         let tc = c.tanh();
///         ([o * tc, c], [i, g, o, tc])
///     }
///     #[inline(always)]
///     fn backward<F: Float>(&self, [i, g, o, tc]: [F; 4], [_, c]: [F; 2], [dh, dc]: [F; 2]) -> ([F; 3], [F; 3], [F; 2]) {
///         let dc = dc + dh * o * tc.tanh_slope();
///         let d = [dc * (g - c) * i.sigmoid_slope(), dc * i * g.tanh_slope(), dh * tc * o.sigmoid_slope()];
///         (d, d, [F::zero(), dc * (F::one() - i)])
///     }
/// }
///
/// let cell = GatedSpec::<f64, Cifg>::new(Cifg, 4).build(3, &mut Init::seeded(0))?;
/// gradcheck::assert_cell(&cell);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the gates of a cell",
    note = "`impl Pointwise for {Self}`, with methods for any `F: Float`, makes it a cell of `f32` and of `f64`: docs/custom-cell.md"
)]
pub trait Pointwise: Clone + Debug + Send + Sync {
    /// `[F; G]`: a unit's columns of x·w_x + b.
    type X<F: Float>: Lanes<F>;
    /// `[F; K]`: a unit's columns of h·w_h (+ its own bias, see [`RECURRENT_BIAS`](Pointwise::RECURRENT_BIAS)).
    type H<F: Float>: Lanes<F>;
    /// `[F; S]`: a unit's state; lane 0 is its output h.
    type State<F: Float>: Lanes<F>;
    /// What `backward` needs to know of `forward`.
    type Saved<F: Float>: Lanes<F>;

    /// The cell's name, for `Debug` and `Display`.
    const NAME: &'static str;
    /// Whether h·w_h has a bias of its own, because `forward` does more with it than add it to x·w_x + b.
    const RECURRENT_BIAS: bool = false;
    /// Whether `forward` uses `x` and `u` only as the sums `x[k] + u[k]`. Then `x` arrives as the sum and `u` as zeros,
    /// which saves memory traffic, and only the first result of `backward` is used. Needs as many lanes in `H` as in `X`.
    const SUMMED: bool = false;
    /// Whether `forward` and `backward` leave lane 0 of the state before alone. Then the output may be
    /// [projected](crate::cells::GatedSpec::projection) to another width, and that lane is 0 when they are called.
    const PROJECTABLE: bool = false;
    /// Whether a packed step is one loop, products and gates, compiled for each precision and instruction set. Where `forward` has much
    /// code and its speed in a stream counts less, `false` makes two loops of it, which share theirs with the sequence.
    const STEP_AT_ONCE: bool = true;

    /// Refuses settings of the gate maths that no cell can be made with in `F`, say a slope that is not finite; called where a
    /// cell is made.
    ///
    /// # Errors
    /// If a setting is out of its range.
    fn check<F: Float>(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Adds the settings of the gate maths to what describes a cell: those that are not the usual ones as a summary shows them
    /// ([`Describe::option`]), those it takes to make the gates again by name ([`Describe::setting`]).
    fn describe(&self, about: Describe) -> Describe {
        about
    }

    /// The state after the step, and what `backward` will need.
    fn forward<F: Float>(
        &self,
        x: Self::X<F>,
        u: Self::H<F>,
        before: Self::State<F>,
    ) -> (Self::State<F>, Self::Saved<F>);

    /// [`forward`](Pointwise::forward) for a processor that has, where `FUSED`, one operation for a product and a sum. The provided one is
    /// `forward`. A cell that has its tanh and sigmoid by [`tanh_if`](Float::tanh_if) and [`sigmoid_if`](Float::sigmoid_if) here, and `forward` by
    /// this with `false`, is some percent faster there; its last digits then depend on the processor. With it goes
    /// [`backward_if`](Pointwise::backward_if), if backward computes such a function again.
    #[inline(always)]
    fn forward_if<F: Float, const FUSED: bool>(
        &self,
        x: Self::X<F>,
        u: Self::H<F>,
        before: Self::State<F>,
    ) -> (Self::State<F>, Self::Saved<F>) {
        self.forward(x, u, before)
    }

    /// [`forward`](Pointwise::forward) for the first `UNITS` of a block of units side by side; what becomes of the others does not matter.
    /// Override it only to take a choice that is the same for all units out of the loop over them, as
    /// [`RnnGates`](crate::cells::RnnGates) does. `FUSED` says that the processor has an operation for a product and a sum.
    #[inline(always)]
    fn forward_block<F: Float, const UNITS: usize, const FUSED: bool>(
        &self,
        x: &<Self::X<F> as Lanes<F>>::Block,
        u: &<Self::H<F> as Lanes<F>>::Block,
        state: &mut <Self::State<F> as Lanes<F>>::Block,
        saved: &mut <Self::Saved<F> as Lanes<F>>::Block,
    ) {
        for unit in 0..UNITS {
            let before = Self::State::get(state, unit);
            let (x, u) = (Self::X::get(x, unit), Self::H::get(u, unit));
            let (after, keep) = self.forward_if::<F, FUSED>(x, u, before);
            after.put(state, unit);
            keep.put(saved, unit);
        }
    }

    /// From the gradient `d` with respect to the state after the step: those with respect to `x`, `u` and the state
    /// before (not counting its way through h·w_h).
    fn backward<F: Float>(
        &self,
        saved: Self::Saved<F>,
        before: Self::State<F>,
        d: Self::State<F>,
    ) -> (Self::X<F>, Self::H<F>, Self::State<F>);

    /// [`backward`](Pointwise::backward), as [`forward_if`](Pointwise::forward_if).
    #[inline(always)]
    fn backward_if<F: Float, const FUSED: bool>(
        &self,
        saved: Self::Saved<F>,
        before: Self::State<F>,
        d: Self::State<F>,
    ) -> (Self::X<F>, Self::H<F>, Self::State<F>) {
        self.backward(saved, before, d)
    }
}
