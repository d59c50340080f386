//! An affine map, packed.

use std::fmt;

use super::operands::{Matrix, Operands, check_bias};
use super::{Infer, Precision, Prepare, with_flushed};
use crate::kernel::stored::Stored;
use crate::kernel::stream::{Affine, Aligned, Input, Operand, columns, rows_of};
use crate::kernel::sums::has_tiny;
use crate::kernel::views::flat;
use crate::{Error, Float, Linear, Recurrent};

/// A [`Linear`] layer packed for inference.
pub struct PreparedLinear<F> {
    inputs: usize,
    outputs: usize,
    weights: Operands<F, 1>,
    b: Aligned<F>,
}

impl<F: Float> Prepare for Linear<F> {
    type Prepared = PreparedLinear<F>;

    fn prepare(&self, precision: Precision) -> Result<PreparedLinear<F>, Error> {
        let (inputs, outputs, w, b) = (self.input_size(), self.output_size(), self.w(), self.b().map(flat));
        check_bias("b", b)?;
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
    fn step_of<W: Stored<F>>(&self, [w]: &[Operand<F, W>; 1], x: &[F], y: &mut [F]) {
        Affine { w, b: self.b.get(), n: self.outputs, x: Input::Rows(x), y }.start();
    }
}

impl<F: Float> Infer for PreparedLinear<F> {
    type Elem = F;
    type State = ();

    fn input_size(&self) -> usize {
        self.inputs
    }
    fn output_size(&self) -> usize {
        self.outputs
    }
    fn zero_state(&self, _: usize) {}
    fn bytes(&self) -> usize {
        self.weights.bytes() + self.b.bytes()
    }
    #[inline]
    fn step_rows(&self, x: &[F], y: &mut [F], (): &mut ()) {
        if has_tiny(x) {
            return with_flushed(x, &mut |x| self.step_clean(x, y, &mut ()));
        }
        self.step_clean(x, y, &mut ());
    }
    #[inline]
    fn step_clean(&self, x: &[F], y: &mut [F], (): &mut ()) {
        let rows = rows_of(y.len(), self.outputs);
        assert_eq!(y.len(), rows * self.outputs, "y: B rows of V");
        assert_eq!(x.len(), rows * self.inputs, "x: B rows of D");
        match &self.weights {
            Operands::Full(weights) => self.step_of(weights, x, y),
            Operands::Bf16(weights) => self.step_of(weights, x, y),
            Operands::Int8(weights) => self.step_of(weights, x, y),
        }
    }
}

impl<F: Float> fmt::Debug for PreparedLinear<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, v, bytes) = (self.inputs, self.outputs, self.bytes());
        write!(f, "PreparedLinear({d} -> {v}, {}, {bytes} bytes)", self.precision())
    }
}
