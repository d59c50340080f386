//! A gated cell, packed.

use std::fmt;

use super::operands::{Matrix, Operands, check_bias};
use super::steps::{forward_by_steps, numeric};
use super::{Packed, Precision, Prepare};
use crate::kernel::stored::Stored;
use crate::kernel::stream::{Aligned, Operand, Step, StepInput, columns, rows_of};
use crate::kernel::views::flat;
use crate::pointwise::{Lanes, Pointwise};
use crate::{Causal, Context, Describe, Error, Float, Gated, Input, Recurrent, Run};

/// A [`Gated`] cell packed for inference: both products and the gates of a step are one loop over blocks of units.
pub struct PreparedGated<F, P> {
    inputs: usize,
    units: usize,
    weights: Operands<F, 2>,
    b: Aligned<F>,
    b_h: Aligned<F>,
    gates: P,
}

impl<F: Float, P: Pointwise<F>> Prepare for Gated<F, P> {
    type Prepared = PreparedGated<F, P>;

    #[inline(never)]
    fn prepare(&self, precision: Precision) -> Result<PreparedGated<F, P>, Error> {
        let (inputs, units, x, u) = (self.input_size(), self.output_size(), P::X::N, P::H::N);
        let (w_x, w_h) = (self.w_x(), self.w_h());
        let (b, b_h) = (self.b().map(flat), self.b_h().map(flat));
        check_bias("b", b)?;
        check_bias("b_h", b_h)?;
        let weights = Operands::pack(
            [
                Matrix { name: "w_x", w: flat(&w_x), k: inputs, lanes: x, units },
                Matrix { name: "w_h", w: flat(&w_h), k: units, lanes: u, units },
            ],
            precision,
        )?;
        let (mut b, mut b_h) = (columns(b, x, units), columns(b_h, u, units));
        if P::SUMMED {
            b.get_mut().iter_mut().zip(b_h.get()).for_each(|(b, b_h)| *b += *b_h);
            b_h = Aligned::new(0);
        }
        Ok(PreparedGated { inputs, units, weights, b, b_h, gates: self.gates().clone() })
    }
}

impl<F: Float, P: Pointwise<F>> PreparedGated<F, P> {
    /// The form the weights are in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.weights.precision()
    }

    #[inline(never)]
    fn run(&self, x: StepInput<'_, F>, y: &mut [F], state: &mut <P::State as Lanes<F>>::Arrays) {
        let state = P::State::slices(state);
        match &self.weights {
            Operands::Full(weights) => self.step_of(weights, x, y, state),
            Operands::Bf16(weights) => self.step_of(weights, x, y, state),
            Operands::Int8(weights) => self.step_of(weights, x, y, state),
        }
    }

    #[inline(always)]
    fn step_of<'a, W: Stored<F>>(
        &'a self,
        [w_x, w_h]: &'a [Operand<F, W>; 2],
        x: StepInput<'a, F>,
        y: &'a mut [F],
        state: <P::State as Lanes<F>>::Slices<'a>,
    ) {
        let (b, b_h) = (self.b.get(), self.b_h.get());
        Step { gates: &self.gates, units: self.units, w_x, w_h, b, b_h, x, y, state }.start();
    }
}

numeric!([F: Float, P: Pointwise<F>] PreparedGated<F, P>, F);

impl<F: Float, P: Pointwise<F>> Recurrent for PreparedGated<F, P> {
    type State = <P::State as Lanes<F>>::Arrays;
    type Tape = ();

    fn input_size(&self) -> usize {
        self.inputs
    }
    fn output_size(&self) -> usize {
        self.units
    }
    fn zero_state(&self, batch: usize) -> Self::State {
        P::State::arrays(batch, self.units)
    }
    #[inline]
    fn takes_state(&self, state: &Self::State, rows: usize) -> bool {
        state.as_ref().iter().all(|array| array.dim() == (rows, self.units))
    }
    fn describe(&self) -> Describe {
        Describe::new(P::NAME, self.inputs, self.units).option(self.precision().to_string())
    }
}

forward_by_steps!([F: Float, P: Pointwise<F>] PreparedGated<F, P>, F);

impl<F: Float, P: Pointwise<F>> Causal for PreparedGated<F, P> {
    #[inline]
    fn step_clean(&self, x: &[F], y: &mut [F], state: &mut Self::State) {
        assert_eq!(x.len(), rows_of(y.len(), self.units) * self.inputs, "x: B rows of D");
        self.run(StepInput::Rows(x), y, state);
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [F], state: &mut Self::State) {
        assert_eq!(y.len(), tokens.len() * self.units, "y: B rows of H");
        self.run(StepInput::Tokens(tokens), y, state);
    }
}

impl<F: Float, P: Pointwise<F>> Packed for PreparedGated<F, P> {
    const PLAIN_STATE: bool = true;

    fn bytes(&self) -> usize {
        self.weights.bytes() + self.b.bytes() + self.b_h.bytes()
    }
}

impl<F: Float, P: Pointwise<F>> fmt::Debug for PreparedGated<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, h, bytes) = (self.inputs, self.units, self.bytes());
        write!(f, "Prepared{}({d} -> {h}, {}, {bytes} bytes)", P::NAME, self.precision())
    }
}
