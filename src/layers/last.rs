//! One output for a whole sequence: the last.

use std::marker::PhantomData;

use ndarray::{ArrayViewMut3, Axis, s};

use super::{Run, SeqLayer};
use crate::kernel::scratch;
use crate::{
    Context, Describe, Error, Float, Init, Input, Memory, Numeric, Params, PassSize, Recurrent, SeqGradIo, Spec, Work,
};

/// The last step of each row, `[T, B, H]` → `[1, B, H]`: with lengths the last one that the row has. A row without steps gives
/// zeros. For one label a sequence; over a [`Bidirectional`](super::Bidirectional) layer the backward direction's part of it has
/// seen that step only.
///
/// It has no parameters and no state.
#[derive(Clone, Debug)]
pub struct Last<F> {
    width: usize,
    float: PhantomData<F>,
}

impl<F: Float> Last<F> {
    /// For rows of so many columns.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Last { width, float: PhantomData }
    }

    /// The width is that of the layer below.
    #[must_use]
    pub fn spec() -> impl Spec<Layer = Last<F>> + Clone {
        |width: usize, _: &mut Init| -> Result<Last<F>, Error> { Ok(Last::new(width)) }
    }
}

impl<F: Float> Numeric for Last<F> {
    type Elem = F;
}

impl<F: Float> Params for Last<F> {
    fn visit<'a>(&'a self, _: &mut dyn FnMut(&str, ndarray::ArrayViewD<'a, F>)) {}
    fn visit_mut<'a>(&'a mut self, _: &mut dyn FnMut(&str, ndarray::ArrayViewMutD<'a, F>)) {}
}

impl<F: Float> Recurrent for Last<F> {
    type State = ();
    type Tape = ();

    fn input_size(&self) -> usize {
        self.width
    }
    fn output_size(&self) -> usize {
        self.width
    }
    fn output_steps(&self, _: usize) -> usize {
        1
    }
    fn zero_state(&self, _: usize) {}
    fn splits_itself(&self) -> bool {
        true
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let rows = scratch::bytes::<F, 1>([size.numbers(self.width)]);
        let built = Work::of(if size.tokens { rows } else { 0 });
        Some(Memory::new(0, built, Work::of(0)))
    }
    fn describe(&self) -> Describe {
        Describe::new("Last", self.width, self.width).without_sizes()
    }
}

impl<F: Float> Run for Last<F> {
    #[inline(never)]
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, F>,
        mut ys: ArrayViewMut3<'_, F>,
        (): &mut (),
        _: Option<&mut ()>,
    ) {
        let (t, b) = xs.dim();
        assert_eq!(ys.dim(), (1, b, self.width), "ys: [1, B, H] of this input");
        xs.with_rows(self.width, |xs| {
            for row in 0..b {
                let mut y = ys.slice_mut(s![0, row, ..]);
                match cx.length(row, t).checked_sub(1) {
                    Some(last) => y.assign(&xs.slice(s![last, row, ..])),
                    None => y.fill(F::zero()),
                }
            }
        });
    }
}

impl<F: Float> SeqLayer for Last<F> {
    #[inline(never)]
    fn backward(&self, cx: Context<'_>, io: SeqGradIo<'_, F>, (): &mut (), (): &mut (), _: &mut Self) {
        io.expect(self);
        let (t, b) = io.x.dim();
        let Some(mut d_x) = io.d_x else { return };
        d_x.fill(F::zero());
        for row in 0..b {
            if let Some(last) = cx.length(row, t).checked_sub(1) {
                d_x.index_axis_mut(Axis(0), last).row_mut(row).assign(&io.d_y.slice(s![0, row, ..]));
            }
        }
    }
}
