//! The gate maths of one unit that has weights of its own, or whose cell multiplies after a gate.

use std::fmt::Debug;

use super::lanes::{BLOCK, Lanes};
use super::{Pointwise, Vector};
use crate::{Describe, Error, Float};

/// The gradients of a step of a unit.
#[derive(Debug)]
pub struct PerUnitGrad<F: Float, P: PerUnit> {
    /// Of the unit's own weights.
    pub weights: P::Weights<F>,
    /// Of x·w_x + b, or of the sums.
    pub x: P::X<F>,
    /// Of h·w_h.
    pub u: P::H<F>,
    /// Of the state before, not counting its way through h·w_h.
    pub before: P::State<F>,
}

/// [`Pointwise`] gate maths with weights of each unit's own, or with a product after a gate. Every [`Pointwise`] is one, with neither.
///
/// # Weights
/// A weight is a vector `[H]`, one number a unit: peepholes, a diagonal recurrent weight, a leak rate. [`WEIGHTS`](PerUnit::WEIGHTS) names
/// them and says where they start; a unit gets its own of each as a lane, and gives the gradient back in the same lane.
///
/// Units that leak, each at a rate it learns, complete:
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::cells::{GatedSpec, PerUnit, PerUnitGrad, Start, Vector};
/// use deep_rnn::gradcheck;
///
/// /// h' = h + σ(k) (tanh(x·w_x + h·w_h + b) - h)
/// #[derive(Clone, Copy, Debug)]
/// struct Leaky;
/// impl PerUnit for Leaky {
///     type Weights<F: Float> = [F; 1];
///     type X<F: Float> = [F; 1];
///     type H<F: Float> = [F; 1];
///     type State<F: Float> = [F; 1];
///     type Saved<F: Float> = [F; 2];
///     const NAME: &'static str = "Leaky";
///     const WEIGHTS: &'static [Vector] = &[Vector::new("k", Start::Constant(-1.0))];
///     const SUMMED: bool = true;
///     #[inline(always)]
///     fn forward<F: Float>(&self, [k]: [F; 1], [x]: [F; 1], [u]: [F; 1], [h]: [F; 1]) -> ([F; 1], [F; 2]) {
///         let (rate, g) = (k.sigmoid(), (x + u).tanh());
///         ([h + rate * (g - h)], [rate, g])
///     }
///     #[inline(always)]
///     fn backward<F: Float>(&self, _: [F; 1], [rate, g]: [F; 2], [h]: [F; 1], [dh]: [F; 1]) -> PerUnitGrad<F, Self> {
///         let da = [dh * rate * g.tanh_slope()];
///         let dk = [dh * (g - h) * rate.sigmoid_slope()];
///         PerUnitGrad { weights: dk, x: da, u: da, before: [dh * (F::one() - rate)] }
///     }
/// }
///
/// let cell = GatedSpec::<f64, _>::new(Leaky, 4).build(3, &mut Init::seeded(0))?;
/// gradcheck::assert_cell(&cell);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// # A product after a gate
/// Where [`AFTER`](PerUnit::AFTER) is not 0, the last so many lanes of x do not get h·w_h, but v·w_h for a v that
/// [`operand`](PerUnit::operand) makes of the other lanes, say r∘h in the GRU of the book:
///
/// ```text
/// the first lanes:  x = x·w_x + b + h·w_h    (x, v) = operand(x, state)    the last lanes:  x = x·w_x + b + v·w_h    forward(x, state)
/// ```
///
/// [`GruResetBefore`](crate::cells::GruResetBefore) is made this way.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the gates of a unit",
    note = "`impl Pointwise for {Self}`, or `impl PerUnit for {Self}` where units have weights of their own: docs/custom-cell.md"
)]
pub trait PerUnit: Clone + Debug + Send + Sync {
    /// `[F; W]`: a unit's own weights.
    type Weights<F: Float>: Lanes<F>;
    /// As [`Pointwise::X`].
    type X<F: Float>: Lanes<F>;
    /// As [`Pointwise::H`].
    type H<F: Float>: Lanes<F>;
    /// As [`Pointwise::State`].
    type State<F: Float>: Lanes<F>;
    /// As [`Pointwise::Saved`].
    type Saved<F: Float>: Lanes<F>;

    /// As [`Pointwise::NAME`].
    const NAME: &'static str;
    /// The weights of `Weights`, in order: their names, and how they start.
    const WEIGHTS: &'static [Vector] = &[];
    /// As [`Pointwise::RECURRENT_BIAS`].
    const RECURRENT_BIAS: bool = false;
    /// As [`Pointwise::SUMMED`].
    const SUMMED: bool = false;
    /// As [`Pointwise::PROJECTABLE`].
    const PROJECTABLE: bool = false;
    /// As [`Pointwise::STEP_AT_ONCE`].
    const STEP_AT_ONCE: bool = true;
    /// How many of the last lanes of `X` get v·w_h; needs [`SUMMED`](PerUnit::SUMMED).
    const AFTER: usize = 0;

    /// As [`Pointwise::check`].
    ///
    /// # Errors
    /// If a setting is out of its range.
    fn check<F: Float>(&self) -> Result<(), Error> {
        Ok(())
    }

    /// As [`Pointwise::describe`].
    fn describe(&self, about: Describe) -> Describe {
        about
    }

    /// The state after the step, and what `backward` will need.
    fn forward<F: Float>(
        &self,
        weights: Self::Weights<F>,
        x: Self::X<F>,
        u: Self::H<F>,
        before: Self::State<F>,
    ) -> (Self::State<F>, Self::Saved<F>);

    /// As [`Pointwise::forward_if`].
    #[inline(always)]
    fn forward_if<F: Float, const FUSED: bool>(
        &self,
        weights: Self::Weights<F>,
        x: Self::X<F>,
        u: Self::H<F>,
        before: Self::State<F>,
    ) -> (Self::State<F>, Self::Saved<F>) {
        self.forward(weights, x, u, before)
    }

    /// As [`Pointwise::forward_block`].
    #[inline(always)]
    fn forward_block<F: Float, const UNITS: usize, const FUSED: bool>(
        &self,
        weights: &<Self::Weights<F> as Lanes<F>>::Block,
        x: &<Self::X<F> as Lanes<F>>::Block,
        u: &<Self::H<F> as Lanes<F>>::Block,
        state: &mut <Self::State<F> as Lanes<F>>::Block,
        saved: &mut <Self::Saved<F> as Lanes<F>>::Block,
    ) {
        for unit in 0..UNITS {
            let (weights, before) = (Self::Weights::get(weights, unit), Self::State::get(state, unit));
            let (x, u) = (Self::X::get(x, unit), Self::H::get(u, unit));
            let (after, keep) = self.forward_if::<F, FUSED>(weights, x, u, before);
            after.put(state, unit);
            keep.put(saved, unit);
        }
    }

    /// From the gradient `d` with respect to the state after the step, all others.
    fn backward<F: Float>(
        &self,
        weights: Self::Weights<F>,
        saved: Self::Saved<F>,
        before: Self::State<F>,
        d: Self::State<F>,
    ) -> PerUnitGrad<F, Self>;

    /// As [`Pointwise::backward_if`].
    #[inline(always)]
    fn backward_if<F: Float, const FUSED: bool>(
        &self,
        weights: Self::Weights<F>,
        saved: Self::Saved<F>,
        before: Self::State<F>,
        d: Self::State<F>,
    ) -> PerUnitGrad<F, Self> {
        self.backward(weights, saved, before, d)
    }

    /// The lanes of x as `forward` shall get them, and v. The last [`AFTER`](PerUnit::AFTER) lanes are not summed yet: they
    /// are to be given back as they are.
    #[inline(always)]
    fn operand<F: Float>(&self, x: Self::X<F>, before: Self::State<F>) -> (Self::X<F>, F) {
        let _ = before;
        (x, F::zero())
    }

    /// Its derivative. `d_x` and `d_before` are what `backward` gave for x and for the state before, `d_v` is the gradient of v; back
    /// come the gradients of x as `operand` got it and of the state before, and v once more.
    #[inline(always)]
    fn operand_backward<F: Float>(
        &self,
        saved: Self::Saved<F>,
        before: Self::State<F>,
        d_v: F,
        d_x: Self::X<F>,
        d_before: Self::State<F>,
    ) -> (Self::X<F>, Self::State<F>, F) {
        let _ = (saved, before, d_v);
        (d_x, d_before, F::zero())
    }
}

impl<P: Pointwise> PerUnit for P {
    type Weights<F: Float> = [F; 0];
    type X<F: Float> = P::X<F>;
    type H<F: Float> = P::H<F>;
    type State<F: Float> = P::State<F>;
    type Saved<F: Float> = P::Saved<F>;
    const NAME: &'static str = P::NAME;
    const RECURRENT_BIAS: bool = P::RECURRENT_BIAS;
    const SUMMED: bool = P::SUMMED;
    const PROJECTABLE: bool = P::PROJECTABLE;
    const STEP_AT_ONCE: bool = P::STEP_AT_ONCE;

    fn check<F: Float>(&self) -> Result<(), Error> {
        Pointwise::check::<F>(self)
    }
    fn describe(&self, about: Describe) -> Describe {
        Pointwise::describe(self, about)
    }
    #[inline(always)]
    fn forward<F: Float>(&self, _: [F; 0], x: P::X<F>, u: P::H<F>, before: P::State<F>) -> (P::State<F>, P::Saved<F>) {
        Pointwise::forward(self, x, u, before)
    }
    #[inline(always)]
    fn forward_if<F: Float, const FUSED: bool>(
        &self,
        _: [F; 0],
        x: P::X<F>,
        u: P::H<F>,
        before: P::State<F>,
    ) -> (P::State<F>, P::Saved<F>) {
        Pointwise::forward_if::<F, FUSED>(self, x, u, before)
    }
    #[inline(always)]
    fn forward_block<F: Float, const UNITS: usize, const FUSED: bool>(
        &self,
        _: &[[F; BLOCK]; 0],
        x: &<P::X<F> as Lanes<F>>::Block,
        u: &<P::H<F> as Lanes<F>>::Block,
        state: &mut <P::State<F> as Lanes<F>>::Block,
        saved: &mut <P::Saved<F> as Lanes<F>>::Block,
    ) {
        Pointwise::forward_block::<F, UNITS, FUSED>(self, x, u, state, saved);
    }
    #[inline(always)]
    fn backward<F: Float>(
        &self,
        _: [F; 0],
        saved: P::Saved<F>,
        before: P::State<F>,
        d: P::State<F>,
    ) -> PerUnitGrad<F, Self> {
        let (x, u, before) = Pointwise::backward(self, saved, before, d);
        PerUnitGrad { weights: [], x, u, before }
    }
    #[inline(always)]
    fn backward_if<F: Float, const FUSED: bool>(
        &self,
        _: [F; 0],
        saved: P::Saved<F>,
        before: P::State<F>,
        d: P::State<F>,
    ) -> PerUnitGrad<F, Self> {
        let (x, u, before) = Pointwise::backward_if::<F, FUSED>(self, saved, before, d);
        PerUnitGrad { weights: [], x, u, before }
    }
}
