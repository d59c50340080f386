//! A function of each number.

use std::marker::PhantomData;

use ndarray::{ArrayViewMut3, Zip};

use super::{Causal, Run, SeqLayer};
use crate::cells::Activation;
use crate::kernel::scratch;
use crate::{
    Context, Describe, Error, Float, Init, Input, Memory, Numeric, Params, PassSize, Recurrent, SeqGradIo, Spec, Work,
};

/// y = φ(x), number by number: between layers that have no function of their own, as on top of a [`Linear`](crate::layers::Linear) one.
///
/// Backward, x being in the hands of the caller: ∂L/∂x = ∂L/∂y·φ'(x).
///
/// # Shapes
/// `[T, B, H]` → `[T, B, H]`. No parameters, no state, no tape.
///
/// ```
/// use deep_rnn::prelude::*;
///
/// let net = Network::<f32>::builder(1).linear(8).activation(Activation::Relu).gru(8).linear(1).build()?;
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Activate<F> {
    width: usize,
    activation: Activation,
    float: PhantomData<F>,
}

impl<F: Float> Activate<F> {
    /// For rows of so many columns.
    ///
    /// # Errors
    /// If there are no columns, or a number of φ is not in its range in `F`.
    pub fn new(width: usize, activation: Activation) -> Result<Self, Error> {
        if width == 0 {
            return Err(Error::value("width", "at least 1", 0));
        }
        activation.check::<F>()?;
        Ok(Activate { width, activation, float: PhantomData })
    }

    /// The width is that of the layer below.
    #[must_use]
    pub fn spec(activation: Activation) -> impl Spec<Layer = Activate<F>> + Clone + Send + Sync {
        move |width: usize, _: &mut Init| -> Result<Activate<F>, Error> { Activate::new(width, activation) }
    }

    /// φ.
    #[must_use]
    pub fn activation(&self) -> Activation {
        self.activation
    }
}

impl<F: Float> Numeric for Activate<F> {
    type Elem = F;
}

impl<F: Float> Params for Activate<F> {
    fn visit<'a>(&'a self, _: &mut dyn FnMut(&str, ndarray::ArrayViewD<'a, F>)) {}
    fn visit_mut<'a>(&'a mut self, _: &mut dyn FnMut(&str, ndarray::ArrayViewMutD<'a, F>)) {}
}

impl<F: Float> Recurrent for Activate<F> {
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
        let rows = Work::of(if size.tokens { scratch::bytes::<F, 1>([size.numbers(self.width)]) } else { 0 });
        Some(Memory::new(0, rows, rows))
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Activate", self.width, self.width).without_sizes();
        all.option(self.activation.to_string()).setting("activation", self.activation.to_string())
    }
}

impl<F: Float> Run for Activate<F> {
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
            Zip::from(&mut ys).and(&xs).for_each(|y, x| *y = self.activation.apply(x.flush()).0.flush());
        });
        cx.clear_padding(&mut ys);
    }

    fn is_causal(&self) -> bool {
        true
    }
}

impl<F: Float> SeqLayer for Activate<F> {
    #[inline(never)]
    fn backward(&self, cx: Context<'_>, io: SeqGradIo<'_, F>, (): &mut (), (): &mut (), _: &mut Self) {
        io.expect(self);
        let SeqGradIo { x, d_y, d_x, .. } = io;
        let Some(mut d_x) = d_x else { return };
        x.with_rows(self.width, |x| {
            let each = Zip::from(&mut d_x).and(&x).and(&d_y);
            each.for_each(|d_x, x, d_y| *d_x = (self.activation.apply(x.flush()).1 * d_y.flush()).flush());
        });
        cx.clear_padding(&mut d_x);
    }
}

impl<F: Float> Causal for Activate<F> {
    fn step_clean(&self, x: &[F], y: &mut [F], (): &mut ()) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = self.activation.apply(*x).0.flush());
    }
}
