//! The second way in for a cell: the gate maths of one unit, as scalars.

use std::fmt::Debug;

use ndarray::Array2;

use crate::kernel::stored::Stored;
use crate::kernel::views::flat_mut;
use crate::{Error, Float, State};

/// How many units are computed side by side. A unit's numbers lie in one column of a block.
pub(crate) const BLOCK: usize = 16;

mod sealed {
    pub trait Sealed {}
    impl<F, const N: usize> Sealed for [F; N] {}
}

/// A fixed number of scalars: `[F; N]`. Sealed, because the row loop knows how arrays become vector registers.
pub trait Lanes<F: Float>: Copy + Debug + Send + Sync + sealed::Sealed {
    /// How many.
    const N: usize;
    /// One `[B, H]` array for each: `[Array2<F>; N]`.
    type Arrays: State<F> + Debug + AsRef<[Array2<F>]> + AsMut<[Array2<F>]>;
    /// The lanes of some units side by side.
    type Block: Copy + AsRef<[[F; BLOCK]]> + AsMut<[[F; BLOCK]]>;
    /// The numbers of such arrays.
    #[doc(hidden)]
    type Slices<'a>: AsMut<[&'a mut [F]]>;

    /// Arrays of zeros.
    fn arrays(batch: usize, units: usize) -> Self::Arrays;
    #[doc(hidden)]
    fn block() -> Self::Block;
    #[doc(hidden)]
    fn get(block: &Self::Block, unit: usize) -> Self;
    #[doc(hidden)]
    fn put(self, block: &mut Self::Block, unit: usize);
    /// Each [flushed](Float::flush).
    #[doc(hidden)]
    #[must_use]
    fn flush(self) -> Self;
    #[doc(hidden)]
    fn slices(arrays: &mut Self::Arrays) -> Self::Slices<'_>;
    /// `sums += x · w` for weight number `ROW` of each word.
    #[doc(hidden)]
    #[expect(private_bounds, reason = "for kernels only")]
    fn multiply_add<W: Stored<F>, const ROW: usize, const FUSED: bool>(sums: &mut Self::Block, x: F, words: &[W]);
    /// `sums += own · scales`.
    #[doc(hidden)]
    fn add_scaled(sums: &mut Self::Block, own: &Self::Block, scales: &[F]);
}

impl<F: Float, const N: usize> Lanes<F> for [F; N] {
    const N: usize = N;
    type Arrays = [Array2<F>; N];
    type Block = [[F; BLOCK]; N];
    type Slices<'a> = [&'a mut [F]; N];

    fn arrays(batch: usize, units: usize) -> Self::Arrays {
        std::array::from_fn(|_| Array2::zeros((batch, units)))
    }
    #[inline(always)]
    fn block() -> Self::Block {
        [[F::zero(); BLOCK]; N]
    }
    #[inline(always)]
    fn get(block: &Self::Block, unit: usize) -> Self {
        std::array::from_fn(|lane| block[lane][unit])
    }
    #[inline(always)]
    fn put(self, block: &mut Self::Block, unit: usize) {
        for lane in 0..N {
            block[lane][unit] = self[lane];
        }
    }
    #[inline(always)]
    fn flush(self) -> Self {
        std::array::from_fn(|lane| self[lane].flush())
    }
    #[inline(always)]
    fn slices(arrays: &mut Self::Arrays) -> Self::Slices<'_> {
        let mut slices: [&mut [F]; N] = std::array::from_fn(|_| Default::default());
        for (slice, array) in slices.iter_mut().zip(arrays) {
            *slice = row_major(array);
        }
        slices
    }
    #[inline(always)]
    #[expect(private_bounds, reason = "for kernels only")]
    fn multiply_add<W: Stored<F>, const ROW: usize, const FUSED: bool>(sums: &mut Self::Block, x: F, words: &[W]) {
        // A lane goes through `of_lane` by value: in a loop over `sums` itself it would not become vector code.
        #[inline(always)]
        fn of_lane<F: Float, W: Stored<F>, const ROW: usize, const FUSED: bool>(
            mut sums: [F; BLOCK],
            x: F,
            words: &[W; BLOCK],
        ) -> [F; BLOCK] {
            for i in 0..BLOCK {
                sums[i] = x.mul_add_if::<FUSED>(words[i].load::<ROW>(), sums[i]);
            }
            sums
        }
        let (words, _) = words.as_chunks::<BLOCK>();
        let words = &words[..N];
        for lane in 0..N {
            sums[lane] = of_lane::<F, W, ROW, FUSED>(sums[lane], x, &words[lane]);
        }
    }
    #[inline(always)]
    fn add_scaled(sums: &mut Self::Block, own: &Self::Block, scales: &[F]) {
        let scales = &scales[..N * BLOCK];
        for lane in 0..N {
            for i in 0..BLOCK {
                sums[lane][i] += own[lane][i] * scales[lane * BLOCK + i];
            }
        }
    }
}

/// The numbers of an array, which is made row-major if it is not.
#[inline(always)]
fn row_major<F: Float>(array: &mut Array2<F>) -> &mut [F] {
    if !array.is_standard_layout() {
        *array = array.as_standard_layout().into_owned();
    }
    flat_mut(array)
}

/// The gate maths of one unit. [`Gated<F, P>`](crate::cells::Gated) makes a whole cell of it: matrix products, biases, batches,
/// tape, fused forward and backward sequences, token input and threads. The crate's own [`Rnn`](crate::cells::Rnn),
/// [`Gru`](crate::cells::Gru) and [`Lstm`](crate::cells::Lstm) are made this way and no other.
///
/// Per step the cell computes x·w_x + b (the columns `X`) and h·w_h (the columns `H`), and each unit gets its own lanes
/// of both, with its own lanes of the state. Lane 0 of the state is the unit's output h. Which cells fit: those that
/// use h through one product only, made before the gates (RNN, GRU with the reset after the product, LSTM, coupled
/// gates, UGRNN, minGRU with `H = [F; 0]`). What multiplies after a gate is written as an [`RnnCell`](crate::RnnCell).
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
/// impl<F: Float> Pointwise<F> for Cifg {
///     type X = [F; 3];
///     type H = [F; 3];
///     type State = [F; 2];
///     type Saved = [F; 4];
///     const NAME: &'static str = "Cifg";
///     #[inline(always)]
///     fn forward(&self, x: [F; 3], u: [F; 3], [_, c]: [F; 2]) -> ([F; 2], [F; 4]) {
///         let (i, g, o) = ((x[0] + u[0]).sigmoid(), (x[1] + u[1]).tanh(), (x[2] + u[2]).sigmoid());
///         let c = c + i * (g - c);
///         let tc = c.tanh();
///         ([o * tc, c], [i, g, o, tc])
///     }
///     #[inline(always)]
///     fn backward(&self, [i, g, o, tc]: [F; 4], [_, c]: [F; 2], [dh, dc]: [F; 2]) -> ([F; 3], [F; 3], [F; 2]) {
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
    message = "`{Self}` is not the gates of a unit over `{F}`",
    note = "`impl<F: Float> Pointwise<F> for {Self}` makes it a cell of `f32` and of `f64`: docs/custom-cell.md"
)]
pub trait Pointwise<F: Float>: Clone + Debug + Send + Sync {
    /// `[F; G]`: a unit's columns of x·w_x + b.
    type X: Lanes<F>;
    /// `[F; K]`: a unit's columns of h·w_h (+ its own bias, see [`RECURRENT_BIAS`](Pointwise::RECURRENT_BIAS)).
    type H: Lanes<F>;
    /// `[F; S]`: a unit's state; lane 0 is its output h.
    type State: Lanes<F>;
    /// What `backward` needs to know of `forward`.
    type Saved: Lanes<F>;

    /// The cell's name, for `Debug` and `Display`.
    const NAME: &'static str;
    /// Whether h·w_h has a bias of its own, because `forward` does more with it than add it to x·w_x + b.
    const RECURRENT_BIAS: bool = false;
    /// Whether `forward` uses `x` and `u` only as the sums `x[k] + u[k]`. Then `x` arrives as the sum and `u` as zeros,
    /// which saves memory traffic, and only the first result of `backward` is used. Needs as many lanes in `H` as in `X`.
    const SUMMED: bool = false;

    /// Refuses settings of the gate maths that no cell can be made with, say a slope that is not finite; called where a
    /// cell is made.
    ///
    /// # Errors
    /// If a setting is out of its range.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The state after the step, and what `backward` will need.
    fn forward(&self, x: Self::X, u: Self::H, before: Self::State) -> (Self::State, Self::Saved);

    /// [`forward`](Pointwise::forward) for a block of units side by side. Override it only to take a choice that is the same
    /// for all units out of the loop over them, as [`RnnGates`](crate::cells::RnnGates) does.
    #[inline(always)]
    fn forward_block(
        &self,
        x: &<Self::X as Lanes<F>>::Block,
        u: &<Self::H as Lanes<F>>::Block,
        state: &mut <Self::State as Lanes<F>>::Block,
        saved: &mut <Self::Saved as Lanes<F>>::Block,
    ) {
        for unit in 0..BLOCK {
            let before = Self::State::get(state, unit);
            let (after, keep) = self.forward(Self::X::get(x, unit), Self::H::get(u, unit), before);
            after.put(state, unit);
            keep.put(saved, unit);
        }
    }

    /// From the gradient `d` with respect to the state after the step: those with respect to `x`, `u` and the state
    /// before (not counting its way through h·w_h).
    fn backward(&self, saved: Self::Saved, before: Self::State, d: Self::State) -> (Self::X, Self::H, Self::State);
}
