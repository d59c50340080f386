//! An affine map, packed.

use std::fmt;

use super::operands::{Matrix, Operands, check_finite};
use super::steps::{forward_by_steps, numeric};
use super::{Packed, Precision, Prepare};
use crate::kernel::stored::Stored;
use crate::kernel::stream::{Affine, Aligned, Operand, StepInput, columns, rows_of};
use crate::kernel::views::flat;
use crate::{Causal, Context, Describe, Error, Float, Input, Linear, Recurrent, Run};

/// A [`Linear`] layer packed for inference.
pub struct PreparedLinear<F> {
    inputs: usize,
    outputs: usize,
    weights: Operands<F, 1>,
    b: Aligned<F>,
}

impl<F: Float> Prepare for Linear<F> {
    type Prepared = PreparedLinear<F>;

    #[inline(never)]
    fn prepare(&self, precision: Precision) -> Result<PreparedLinear<F>, Error> {
        let (inputs, outputs, w, b) = (self.input_size(), self.output_size(), self.w(), self.b().map(flat));
        check_finite("b", b.unwrap_or_default())?;
        let matrix = Matrix { name: "w", w: flat(&w), k: inputs, lanes: 1, units: outputs };
        Ok(PreparedLinear { inputs, outputs, weights: Operands::pack([matrix], precision)?, b: columns(b, 1, outputs) })
    }
}

impl<F: Float> PreparedLinear<F> {
    /// The form the weights are in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.weights.precision()
    }

    #[inline(always)]
    fn step_of<W: Stored<F>>(&self, [w]: &[Operand<F, W>; 1], x: StepInput<'_, F>, y: &mut [F]) {
        Affine { w, b: Some(self.b.get()), n: self.outputs, ld: self.outputs, x, y }.start();
    }
}

numeric!([F: Float] PreparedLinear<F>, F);

impl<F: Float> Recurrent for PreparedLinear<F> {
    type State = ();
    type Tape = ();

    fn input_size(&self) -> usize {
        self.inputs
    }
    fn output_size(&self) -> usize {
        self.outputs
    }
    fn zero_state(&self, _: usize) {}
    fn describe(&self) -> Describe {
        Describe::new("Linear", self.inputs, self.outputs).option(self.precision().to_string())
    }
}

forward_by_steps!([F: Float] PreparedLinear<F>, F);

impl<F: Float> PreparedLinear<F> {
    #[inline(never)]
    fn run(&self, x: StepInput<'_, F>, y: &mut [F]) {
        match &self.weights {
            Operands::Full(weights) => self.step_of(weights, x, y),
            Operands::Bf16(weights) => self.step_of(weights, x, y),
            Operands::Int8(weights) => self.step_of(weights, x, y),
        }
    }
}

impl<F: Float> Causal for PreparedLinear<F> {
    #[inline]
    fn step_clean(&self, x: &[F], y: &mut [F], (): &mut ()) {
        assert_eq!(x.len(), rows_of(y.len(), self.outputs) * self.inputs, "x: B rows of D");
        self.run(StepInput::Rows(x), y);
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [F], (): &mut ()) {
        assert_eq!(y.len(), tokens.len() * self.outputs, "y: B rows of V");
        self.run(StepInput::Tokens(tokens), y);
    }
}

impl<F: Float> Packed for PreparedLinear<F> {
    const PLAIN_STATE: bool = true;

    fn bytes(&self) -> usize {
        self.weights.bytes() + self.b.bytes()
    }
}

impl<F: Float> fmt::Debug for PreparedLinear<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, v, bytes) = (self.inputs, self.outputs, self.bytes());
        write!(f, "PreparedLinear({d} -> {v}, {}, {bytes} bytes)", self.precision())
    }
}
