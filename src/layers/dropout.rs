//! Numbers left out at random in training.

use std::marker::PhantomData;

use ndarray::{ArrayView3, ArrayViewMut3, Axis};

use super::{Causal, Run, SeqLayer};
use crate::kernel::scratch;
use crate::philox::{Draw, Place};
use crate::{
    Context, Describe, Error, Float, Init, Input, Memory, Numeric, Params, PassSize, Recurrent, SeqGradIo, Spec, Work,
};

/// Dropout (Srivastava et al. 2014): in training each number is 0 with probability p, and the others are multiplied by 1/(1 - p); in
/// evaluation nothing happens. Locked over time (Gal and Ghahramani 2016) a row has the same numbers left out at all its steps.
///
/// What is left out depends on the key of the call, the layer, the step, the row and the unit, and on nothing else: it is the same
/// whole and in pieces, in shards, run again under a memory budget, on any number of threads.
///
/// # Shapes
/// `[T, B, H]` → `[T, B, H]`. No parameters, no state, no tape.
///
/// ```
/// use deep_rnn::prelude::*;
///
/// let net = Network::<f32>::builder(28).lstm(64).dropout(0.3).lstm(64).locked_dropout(0.2).linear(28).build()?;
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dropout<F> {
    width: usize,
    rate: f64,
    locked: bool,
    float: PhantomData<F>,
}

/// Builds a [`Dropout`] layer.
#[derive(Clone, Copy, Debug)]
pub struct DropoutSpec<F> {
    rate: f64,
    locked: bool,
    float: PhantomData<F>,
}

impl<F: Float> Dropout<F> {
    /// Leaves each number out with probability `rate`.
    #[must_use]
    pub fn spec(rate: f64) -> DropoutSpec<F> {
        DropoutSpec { rate, locked: false, float: PhantomData }
    }

    /// For a whole row at once: the same units at all steps.
    #[must_use]
    pub fn locked(rate: f64) -> DropoutSpec<F> {
        DropoutSpec { rate, locked: true, float: PhantomData }
    }

    /// The probability.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

/// Refuses what is no probability to leave something out.
pub(super) fn check_rate(name: &str, rate: f64) -> Result<(), Error> {
    if (0.0..1.0).contains(&rate) { Ok(()) } else { Err(Error::value(name, "a probability from 0 to below 1", rate)) }
}

impl<F: Float> Spec for DropoutSpec<F> {
    type Layer = Dropout<F>;
    fn build(&self, input_size: usize, _: &mut Init) -> Result<Dropout<F>, Error> {
        check_rate("dropout", self.rate)?;
        if input_size == 0 {
            return Err(Error::value("input_size", "at least 1", 0));
        }
        Ok(Dropout { width: input_size, rate: self.rate, locked: self.locked, float: PhantomData })
    }
}

impl<F: Float> Numeric for Dropout<F> {
    type Elem = F;
}

impl<F: Float> Params for Dropout<F> {
    fn visit<'a>(&'a self, _: &mut dyn FnMut(&str, ndarray::ArrayViewD<'a, F>)) {}
    fn visit_mut<'a>(&'a mut self, _: &mut dyn FnMut(&str, ndarray::ArrayViewMutD<'a, F>)) {}
}

impl<F: Float> Recurrent for Dropout<F> {
    type State = ();
    type Tape = ();

    fn input_size(&self) -> usize {
        self.width
    }
    fn output_size(&self) -> usize {
        self.width
    }
    fn zero_state(&self, _: usize) {}
    fn splits_itself(&self) -> bool {
        true
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let mask = Work::of(scratch::bytes::<F, 1>([self.width]));
        let rows = scratch::bytes::<F, 1>([size.numbers(self.width)]);
        Some(Memory::new(0, if size.tokens { mask.inside(rows) } else { mask }, mask))
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Dropout", self.width, self.width).without_sizes().option(self.rate.to_string());
        let all = if self.locked { all.option("locked") } else { all };
        all.setting("rate", self.rate).setting("locked", self.locked)
    }
}

impl<F: Float> Dropout<F> {
    /// Writes `from` times the masks to `to`.
    fn drop(&self, cx: &Context<'_>, from: &ArrayView3<'_, F>, to: &mut ArrayViewMut3<'_, F>) {
        let (t, b, _) = from.dim();
        let Some(draw) = Draw::new(cx, self.rate) else {
            to.assign(from);
            return cx.clear_padding(to);
        };
        scratch::with(self.width, |mask| {
            let mut row = |step: usize, row: usize, mask: &[F]| {
                let from = from.index_axis(Axis(0), step);
                let (from, mut to) = (from.row(row), to.index_axis_mut(Axis(0), step));
                let mut to = to.row_mut(row);
                // What is left out may be no number.
                let kept = |x: F, m: F| if m == F::zero() { F::zero() } else { x * m };
                to.iter_mut().zip(from).zip(mask).for_each(|((to, x), m)| *to = kept(*x, *m));
            };
            for b in 0..b {
                if self.locked {
                    draw.mask(Place::of_row(cx, b), mask);
                }
                for t in 0..cx.length(b, t) {
                    if !self.locked {
                        draw.mask(Place::of(cx, t, b), mask);
                    }
                    row(t, b, mask);
                }
            }
        });
        cx.clear_padding(to);
    }
}

impl<F: Float> Run for Dropout<F> {
    #[inline(never)]
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
        (): &mut (),
        _: Option<&mut ()>,
    ) {
        xs.expect(self.width);
        xs.with_rows(self.width, |xs| {
            assert_eq!(ys.dim(), xs.dim(), "ys: the shape of x");
            self.drop(&cx, &xs, &mut ys);
        });
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<F: Float> SeqLayer for Dropout<F> {
    #[inline(never)]
    fn backward(&self, cx: Context<'_>, io: SeqGradIo<'_, F>, (): &mut (), (): &mut (), _: &mut Self) {
        io.expect(self);
        if let Some(mut d_x) = io.d_x {
            self.drop(&cx, &io.d_y, &mut d_x);
        }
    }
}

impl<F: Float> Causal for Dropout<F> {
    fn step_clean(&self, x: &[F], y: &mut [F], (): &mut ()) {
        y.copy_from_slice(x);
    }
}
