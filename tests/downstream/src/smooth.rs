//! A cell with a state and no parameters: the mean of this input and the one before.

use std::marker::PhantomData;

use deep_rnn::ndarray::{Array2, ArrayView2, ArrayViewMut2, Zip};
use deep_rnn::{Context, Float, Recurrent, RnnCell, custom::GradIo, params};

#[derive(Clone, Debug)]
pub struct Smooth<F> {
    width: usize,
    float: PhantomData<F>,
}

params!(Smooth<F> {});

impl<F> Smooth<F> {
    pub fn new(width: usize) -> Self {
        Smooth { width, float: PhantomData }
    }
}

impl<F: Float> Recurrent for Smooth<F> {
    type State = Array2<F>;
    type Tape = ();

    fn input_size(&self) -> usize {
        self.width
    }
    fn output_size(&self) -> usize {
        self.width
    }
    fn zero_state(&self, batch: usize) -> Array2<F> {
        Array2::zeros((batch, self.width))
    }
}

impl<F: Float> RnnCell for Smooth<F> {
    fn step(
        &self,
        _: Context<'_>,
        x: ArrayView2<'_, F>,
        mut y: ArrayViewMut2<'_, F>,
        last: &mut Array2<F>,
        _: Option<&mut ()>,
    ) {
        let half = F::from_f64(0.5);
        Zip::from(&mut y).and(&x).and(&*last).for_each(|y, &x, &last| *y = half * (x + last));
        last.assign(&x);
    }

    fn step_backward(&self, _: Context<'_>, mut io: GradIo<'_, F>, (): &mut (), d_last: &mut Array2<F>, _: &mut Self) {
        let half = F::from_f64(0.5);
        Zip::from(&mut io.d_x).and(&io.d_y).and(d_last).for_each(|d_x, &d_y, d_last| {
            *d_x = half * d_y + *d_last;
            *d_last = half * d_y;
        });
    }
}
