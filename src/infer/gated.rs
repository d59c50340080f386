//! A gated cell, packed.

use std::fmt;

use super::operands::{Matrix, Operands, check_finite};
use super::steps::{forward_by_steps, numeric};
use super::{Packed, Precision, Prepare};
use crate::gates::{BLOCK, Lanes, RowCell};
use crate::kernel::stored::Stored;
use crate::kernel::stream::{Affine, Aligned, Operand, Step, StepInput, columns, copy, rows_of};
use crate::kernel::views::{flat, flat_mut};
use crate::kernel::{rows, scratch, threads};
use crate::{Causal, Context, Describe, Error, Float, Gated, Input, Recurrent, Run};

/// A [`Gated`] cell packed for inference. Where the gates are those of single units, both products and the gates of a step are one
/// loop over blocks of units; where they see whole rows, or there is a projection or a product after a gate, each product is
/// a loop of its own.
pub struct PreparedGated<F, P> {
    inputs: usize,
    units: usize,
    outputs: usize,
    pub(super) form: Form<F>,
    /// The cell without its weights: sizes, vectors, gates.
    options: Vec<String>,
    weights: Vec<Vec<F>>,
    clip: Option<F>,
    pub(super) gates: P,
}

/// The weights, for either way.
pub(super) enum Form<F> {
    /// `w_x` and `w_h`, unit after unit in blocks.
    ByUnit { operands: Operands<F, 2>, b: Aligned<F>, b_h: Aligned<F>, weights: Aligned<F> },
    /// `w_x`, the columns of `w_h` that multiply h, those after a gate, and `w_p`; the last two may have no columns.
    ByRow { operands: Operands<F, 4>, b: Aligned<F>, b_h: Aligned<F> },
}

impl<F: Float, P: RowCell> Prepare for Gated<F, P> {
    type Prepared = PreparedGated<F, P>;

    #[inline(never)]
    fn prepare(&self, precision: Precision) -> Result<PreparedGated<F, P>, Error> {
        let (inputs, outputs, units) = (self.input_size(), self.output_size(), self.units());
        let (w_x, w_h) = (self.w_x(), self.w_h());
        let (b, b_h) = (self.b().map(flat), self.b_h().map(flat));
        for (name, b) in [("b", b), ("b_h", b_h)] {
            check_finite(name, b.unwrap_or_default())?;
        }
        let weights: Vec<Vec<F>> = self.vector_slices(|all| all.iter().map(|vector| vector.to_vec()).collect());
        weights.iter().try_for_each(|vector| check_finite("vectors of weights", vector))?;
        let form = if P::STEP_AT_ONCE && self.w_p().is_none() {
            let operands = Operands::pack(
                [
                    Matrix { name: "w_x", w: flat(&w_x), k: inputs, lanes: P::X, units },
                    Matrix { name: "w_h", w: flat(&w_h), k: units, lanes: P::H, units },
                ],
                precision,
            )?;
            let (mut b, mut b_h) = (columns(b, P::X, units), columns(b_h, P::H, units));
            if P::SUMMED {
                b.get_mut().iter_mut().zip(b_h.get()).for_each(|(b, b_h)| *b += *b_h);
                b_h = Aligned::new(0);
            }
            let all = weights.concat();
            let weights = columns(Some(&all), weights.len(), units);
            Form::ByUnit { operands, b, b_h, weights }
        } else {
            self.by_row(precision)?
        };
        let (clip, options, gates) = (self.projection_clip(), Recurrent::describe(self).options, self.gates().clone());
        Ok(PreparedGated { inputs, units, outputs, form, options, weights, clip, gates })
    }
}

impl<F: Float, P: RowCell> Gated<F, P> {
    fn by_row(&self, precision: Precision) -> Result<Form<F>, Error> {
        let (inputs, outputs, units) = (self.input_size(), self.output_size(), self.units());
        let (w_x, w_h) = (self.w_x(), self.w_h());
        let (x, u) = (P::X * units, P::H * units);
        let first = u - P::AFTER * units;
        let (w_first, w_after) = w_h.view().split_at(ndarray::Axis(1), first);
        let [w_first, w_after] = [w_first, w_after].map(|w| w.as_standard_layout().into_owned());
        let w_p = self.w_p();
        let (w_p, r) = w_p.as_ref().map_or((&[][..], 0), |w| (flat(w), w.ncols()));
        let matrix = |name, w, k, n| Matrix { name, w, k, lanes: 1, units: n };
        let operands = Operands::pack(
            [
                matrix("w_x", flat(&w_x), inputs, x),
                matrix("w_h", flat(&w_first), outputs, first),
                matrix("w_h", flat(&w_after), units, P::AFTER * units),
                matrix("w_p", w_p, units, r),
            ],
            precision,
        )?;
        let (mut b, mut b_h) = (columns(self.b().map(flat), 1, x), columns(self.b_h().map(flat), 1, u));
        if P::SUMMED {
            b.get_mut().iter_mut().zip(b_h.get()).for_each(|(b, b_h)| *b += *b_h);
            b_h = Aligned::new(0);
        }
        Ok(Form::ByRow { operands, b, b_h })
    }
}

impl<F: Float, P: RowCell> PreparedGated<F, P> {
    /// The form the weights are in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match &self.form {
            Form::ByUnit { operands, .. } => operands.precision(),
            Form::ByRow { operands, .. } => operands.precision(),
        }
    }

    #[inline(never)]
    fn run(&self, x: StepInput<'_, F>, y: &mut [F], state: &mut <P::State<F> as Lanes<F>>::Arrays) {
        match &self.form {
            Form::ByUnit { operands, b, b_h, weights } => {
                let (lanes, biases) = (P::State::slices(state), [b.get(), b_h.get(), weights.get()]);
                match operands {
                    Operands::Full(w) => self.by_unit(w, biases, x, y, lanes),
                    Operands::Bf16(w) => self.by_unit(w, biases, x, y, lanes),
                    Operands::Int8(w) => self.by_unit(w, biases, x, y, lanes),
                }
                // Other units read h until the last of them is made.
                let h = flat_mut(&mut state.as_mut()[0]);
                if h.len() <= BLOCK { copy(h, y, h.len()) } else { h.copy_from_slice(y) }
            }
            Form::ByRow { operands, b, b_h } => match operands {
                Operands::Full(w) => self.by_row(w, [b.get(), b_h.get()], x, y, state),
                Operands::Bf16(w) => self.by_row(w, [b.get(), b_h.get()], x, y, state),
                Operands::Int8(w) => self.by_row(w, [b.get(), b_h.get()], x, y, state),
            },
        }
    }

    #[inline(always)]
    fn by_unit<'a, W: Stored<F>>(
        &'a self,
        [w_x, w_h]: &'a [Operand<F, W>; 2],
        [b, b_h, weights]: [&'a [F]; 3],
        x: StepInput<'a, F>,
        y: &'a mut [F],
        mut state: <P::State<F> as Lanes<F>>::Slices<'a>,
    ) {
        let h = std::mem::take(&mut state.as_mut()[0]);
        let step = Step { units: self.units, first: 0, w_x, w_h, b, b_h, weights, x, h, y, state };
        if threads::available() > 1 { self.on_threads(step) } else { self.gates.step(step) }
    }

    fn by_row<W: Stored<F>>(
        &self,
        [w_x, w_h, w_after, w_p]: &[Operand<F, W>; 4],
        [b, b_h]: [&[F]; 2],
        x: StepInput<'_, F>,
        y: &mut [F],
        state: &mut <P::State<F> as Lanes<F>>::Arrays,
    ) {
        let (units, outputs, rows) = (self.units, self.outputs, rows_of(y.len(), self.outputs));
        let (width, u) = (P::X * units, P::H * units);
        let (first, apart) = (u - P::AFTER * units, if P::SUMMED { 0 } else { u });
        let mut slices = P::State::slices(state);
        let (h, others) = slices.as_mut().split_first_mut().expect("a state has lane 0");
        let more = others.len() * units;
        let projected = w_p.width() > 0;
        let lengths = [rows * width, rows * apart, rows * more, rows * units];
        scratch::on_stack(lengths, |[xs, us, rest, side]| {
            affine(w_x, b, x, xs, width);
            if P::SUMMED {
                add_affine(w_h, StepInput::Rows(&h[..]), xs, width, 0);
            } else if u > 0 {
                affine(w_h, b_h, StepInput::Rows(&h[..]), us, u);
            }
            for (lane, array) in others.iter().enumerate() {
                for (rest, from) in rest.chunks_exact_mut(more).zip(array.chunks_exact(units)) {
                    rest[lane * units..][..units].copy_from_slice(from);
                }
            }
            if P::AFTER > 0 {
                self.gates.operand_rows(rows::Operand { units, x: &mut *xs, h, rest: &*rest, v: &mut *side });
                add_affine(w_after, StepInput::Rows(side), xs, width, first);
            }
            let mut list: [&[F]; crate::gates::MOST_VECTORS] = Default::default();
            list.iter_mut().zip(&self.weights).for_each(|(to, from)| *to = from);
            self.gates.forward_rows(rows::Forward {
                weights: &list[..self.weights.len()],
                units,
                x: xs,
                u: us,
                h: if projected { &[] } else { h },
                y: if projected { &mut *side } else { &mut *y },
                rest: &mut *rest,
                before: &mut [],
                saved: None,
            });
            if projected {
                y.fill(F::zero());
                add_affine(w_p, StepInput::Rows(side), y, outputs, 0);
                crate::gated::clip_projected(y, self.clip);
            }
            h.copy_from_slice(y);
            for (lane, array) in others.iter_mut().enumerate() {
                for (rest, to) in rest.chunks_exact(more).zip(array.chunks_exact_mut(units)) {
                    to.copy_from_slice(&rest[lane * units..][..units]);
                }
            }
        });
    }
}

/// `y [B, n] = b + x · w`.
fn affine<F: Float, W: Stored<F>>(w: &Operand<F, W>, b: &[F], x: StepInput<'_, F>, y: &mut [F], n: usize) {
    Affine { w, b: Some(b), n: w.width(), ld: n, x, y }.start();
}

/// `y [B, n] += x · w`, from column `first` on.
fn add_affine<F: Float, W: Stored<F>>(w: &Operand<F, W>, x: StepInput<'_, F>, y: &mut [F], n: usize, first: usize) {
    Affine { w, b: None, n: w.width(), ld: n, x, y: y.get_mut(first..).unwrap_or_default() }.start();
}

numeric!([F: Float, P: RowCell] PreparedGated<F, P>, F);

impl<F: Float, P: RowCell> Recurrent for PreparedGated<F, P> {
    type State = <P::State<F> as Lanes<F>>::Arrays;
    type Tape = ();

    fn input_size(&self) -> usize {
        self.inputs
    }
    fn output_size(&self) -> usize {
        self.outputs
    }
    fn zero_state(&self, batch: usize) -> Self::State {
        if self.outputs == self.units {
            return P::State::arrays(batch, self.units);
        }
        let mut state = P::State::arrays(0, 0);
        for (lane, array) in state.as_mut().iter_mut().enumerate() {
            *array = ndarray::Array2::zeros((batch, if lane == 0 { self.outputs } else { self.units }));
        }
        state
    }
    #[inline]
    fn takes_state(&self, state: &Self::State, rows: usize) -> bool {
        let mut lanes = state.as_ref().iter().enumerate();
        lanes.all(|(lane, array)| array.dim() == (rows, if lane == 0 { self.outputs } else { self.units }))
    }
    fn describe(&self) -> Describe {
        let describe = Describe::new(P::NAME, self.inputs, self.outputs);
        let options = self.options.iter().cloned().chain([self.precision().to_string()]);
        options.fold(describe, Describe::option)
    }
}

forward_by_steps!([F: Float, P: RowCell] PreparedGated<F, P>, F);

impl<F: Float, P: RowCell> Causal for PreparedGated<F, P> {
    #[inline]
    fn step_clean(&self, x: &[F], y: &mut [F], state: &mut Self::State) {
        assert_eq!(x.len(), rows_of(y.len(), self.outputs) * self.inputs, "x: B rows of D");
        self.run(StepInput::Rows(x), y, state);
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [F], state: &mut Self::State) {
        assert_eq!(y.len(), tokens.len() * self.outputs, "y: B rows of H");
        self.run(StepInput::Tokens(tokens), y, state);
    }
}

impl<F: Float, P: RowCell> Packed for PreparedGated<F, P> {
    const PLAIN_STATE: bool = true;

    fn bytes(&self) -> usize {
        let vectors: usize = self.weights.iter().map(Vec::len).sum();
        match &self.form {
            Form::ByUnit { operands, b, b_h, weights } => operands.bytes() + b.bytes() + b_h.bytes() + weights.bytes(),
            Form::ByRow { operands, b, b_h } => operands.bytes() + b.bytes() + b_h.bytes() + vectors * size_of::<F>(),
        }
    }
}

impl<F: Float, P: RowCell> fmt::Debug for PreparedGated<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, h, bytes) = (self.inputs, self.outputs, self.bytes());
        write!(f, "Prepared{}({d} -> {h}, {}, {bytes} bytes)", P::NAME, self.precision())
    }
}
