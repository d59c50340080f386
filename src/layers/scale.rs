//! A factor that does not learn.

use std::marker::PhantomData;

use ndarray::{ArrayViewMut3, Zip};

use super::{Causal, Run, SeqLayer};
use crate::kernel::scratch;
use crate::{
    Context, Describe, Error, Float, Init, Input, Memory, Numeric, Params, PassSize, Recurrent, SeqGradIo, Spec, Work,
};

/// y = k·x with a fixed k: the gain in front of a model of an amplifier, the unit of a series.
///
/// # Shapes
/// `[T, B, H]` → `[T, B, H]`. No parameters, no state, no tape. Products below [`Float::TINY`] become 0.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::layers::Scale;
///
/// let net = Network::<f32>::builder(1).layer(Scale::spec(0.5)).lstm(8).linear(1).layer(Scale::spec(2.0)).build()?;
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scale<F> {
    width: usize,
    factor: f64,
    float: PhantomData<F>,
}

impl<F: Float> Scale<F> {
    /// For rows of so many columns.
    ///
    /// # Errors
    /// If there are no columns, or the factor is no number of `F`: not finite, or so near 0 that it is not exact.
    pub fn new(width: usize, factor: f64) -> Result<Self, Error> {
        if width == 0 {
            return Err(Error::value("width", "at least 1", 0));
        }
        let here = F::from_f64(factor);
        if !(factor == 0.0 || here.is_normal()) {
            return Err(Error::value("factor", format!("0, or a number that is normal in {}", F::NAME), factor));
        }
        Ok(Scale { width, factor, float: PhantomData })
    }

    /// The width is that of the layer below.
    #[must_use]
    pub fn spec(factor: f64) -> impl Spec<Layer = Scale<F>> + Clone + Send + Sync {
        move |width: usize, _: &mut Init| -> Result<Scale<F>, Error> { Scale::new(width, factor) }
    }

    /// k.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    fn scaled(&self, x: F) -> F {
        (F::from_f64(self.factor) * x).flush()
    }
}

impl<F: Float> Numeric for Scale<F> {
    type Elem = F;
}

impl<F: Float> Params for Scale<F> {
    fn visit<'a>(&'a self, _: &mut dyn FnMut(&str, ndarray::ArrayViewD<'a, F>)) {}
    fn visit_mut<'a>(&'a mut self, _: &mut dyn FnMut(&str, ndarray::ArrayViewMutD<'a, F>)) {}
}

impl<F: Float> Recurrent for Scale<F> {
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
        let rows = scratch::bytes::<F, 1>([size.numbers(self.width)]);
        Some(Memory::new(0, Work::of(if size.tokens { rows } else { 0 }), Work::of(0)))
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Scale", self.width, self.width).without_sizes();
        all.option(self.factor.to_string()).setting("factor", self.factor)
    }
}

impl<F: Float> Run for Scale<F> {
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
            Zip::from(&mut ys).and(&xs).for_each(|y, x| *y = self.scaled(*x));
        });
        cx.clear_padding(&mut ys);
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<F: Float> SeqLayer for Scale<F> {
    #[inline(never)]
    fn backward(&self, cx: Context<'_>, io: SeqGradIo<'_, F>, (): &mut (), (): &mut (), _: &mut Self) {
        io.expect(self);
        if let Some(mut d_x) = io.d_x {
            Zip::from(&mut d_x).and(&io.d_y).for_each(|d_x, d_y| *d_x = self.scaled(*d_y));
            cx.clear_padding(&mut d_x);
        }
    }
}

impl<F: Float> Causal for Scale<F> {
    fn step_clean(&self, x: &[F], y: &mut [F], (): &mut ()) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = self.scaled(*x));
    }
}
