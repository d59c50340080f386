//! An affine map, packed.

use std::fmt;

use super::operands::{Matrix, Operands, check_finite};
use super::steps::{forward_by_steps, numeric};
use super::{Packed, Precision, Prepare};
use crate::kernel::narrow::{Narrow, is_narrow, narrow_len};
use crate::kernel::stored::Stored;
use crate::kernel::stream::{Affine, Aligned, Operand, StepInput, columns, rows_of};
use crate::kernel::views::flat;
use crate::{Causal, Context, Describe, Error, Float, Input, Linear, Recurrent, Run};

/// A [`Linear`] layer packed for inference. Of up to four outputs each weight is kept as a number of the network's type, rounded to
/// its precision.
pub struct PreparedLinear<F> {
    inputs: usize,
    outputs: usize,
    weights: Form<F>,
    b: Aligned<F>,
}

/// The weights, for either order of the sums.
enum Form<F> {
    Wide(Operands<F, 1>),
    /// Of few outputs: so few numbers that each is kept whole, rounded to the precision.
    Narrow(Aligned<F>, Precision),
}

impl<F: Float> Prepare for Linear<F> {
    type Prepared = PreparedLinear<F>;

    #[inline(never)]
    fn prepare(&self, precision: Precision) -> Result<PreparedLinear<F>, Error> {
        let (inputs, outputs, w, b) = (self.input_size(), self.output_size(), self.w(), self.b().map(flat));
        check_finite("b", b.unwrap_or_default())?;
        let matrix = Matrix { name: "w", w: flat(&w), k: inputs, lanes: 1, units: outputs };
        let weights = if is_narrow(outputs) {
            let rounded = matrix.rounded(precision)?;
            let mut columns = Aligned::new(narrow_len(inputs, outputs));
            Narrow::pack(inputs, outputs, columns.get_mut(), |p, j| rounded[p * outputs + j]);
            Form::Narrow(columns, precision)
        } else {
            Form::Wide(Operands::pack([matrix], precision)?)
        };
        Ok(PreparedLinear { inputs, outputs, weights, b: columns(b, 1, outputs) })
    }
}

impl<F: Float> PreparedLinear<F> {
    /// The form the weights are in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match &self.weights {
            Form::Wide(weights) => weights.precision(),
            Form::Narrow(_, precision) => *precision,
        }
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
        let (inputs, outputs) = (self.inputs, self.outputs);
        match (&self.weights, x) {
            (Form::Wide(Operands::Full(weights)), x) => self.step_of(weights, x, y),
            (Form::Wide(Operands::Bf16(weights)), x) => self.step_of(weights, x, y),
            (Form::Wide(Operands::Int8(weights)), x) => self.step_of(weights, x, y),
            (Form::Narrow(columns, _), StepInput::Rows(x)) => {
                Narrow { k: inputs, n: outputs, columns: columns.get() }.times(Some(&self.b.get()[..outputs]), x, y);
            }
            (Form::Narrow(columns, _), StepInput::Tokens(tokens)) => {
                let (columns, len) = (columns.get(), narrow_len(inputs, 1));
                for (y, token) in y.chunks_exact_mut(outputs).zip(tokens) {
                    assert!(*token < inputs, "tokens: below the number of inputs");
                    for (j, (y, b)) in y.iter_mut().zip(self.b.get()).enumerate() {
                        *y = *b + columns[j * len + token];
                    }
                }
            }
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
        let weights = match &self.weights {
            Form::Wide(weights) => weights.bytes(),
            Form::Narrow(columns, _) => columns.bytes(),
        };
        weights + self.b.bytes()
    }
}

impl<F: Float> fmt::Debug for PreparedLinear<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, v, bytes) = (self.inputs, self.outputs, self.bytes());
        write!(f, "PreparedLinear({d} -> {v}, {}, {bytes} bytes)", self.precision())
    }
}
