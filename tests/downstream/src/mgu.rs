//! The minimal gated unit (Zhou et al. 2016), by `RnnCell`: a product comes after a gate.
//!
//! f = σ(x·w_f + h·u_f + b_f)   n = tanh(x·w_n + (f∘h)·u_n + b_n)   y = h' = h + f∘(n - h)

use deep_rnn::infer::{Precision, Prepare, Unprepared};
use deep_rnn::ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis};
use deep_rnn::{
    Context, Error, Float, Recurrent, RnnCell,
    custom::{GradIo, Memory, PassSize, Work, add_outer},
    init::Init,
    params,
};

#[rustfmt::skip]
#[derive(Clone, Debug)]
pub struct Mgu<F> {
    w_f: Array2<F>, u_f: Array2<F>, b_f: Array1<F>,
    w_n: Array2<F>, u_n: Array2<F>, b_n: Array1<F>,
}

params!(Mgu<F> { w_f, u_f, b_f, w_n, u_n, b_n });

impl<F: Float> Mgu<F> {
    pub fn new(inputs: usize, units: usize, init: &mut Init) -> Self {
        let (w_f, u_f) = (init.xavier((inputs, units)), init.orthogonal((units, units)));
        let (w_n, u_n) = (init.xavier((inputs, units)), init.orthogonal((units, units)));
        Mgu { w_f, u_f, b_f: Array1::zeros(units), w_n, u_n, b_n: Array1::zeros(units) }
    }
}

#[rustfmt::skip]
impl<F: Float> Recurrent for Mgu<F> {
    type State = Array2<F>;
    type Tape = Vec<[Array2<F>; 3]>; // h before, f, n of each step

    fn input_size(&self) -> usize { self.w_f.nrows() }
    fn output_size(&self) -> usize { self.u_f.nrows() }
    fn zero_state(&self, batch: usize) -> Array2<F> { Array2::zeros((batch, self.output_size())) }
    fn memory(&self, PassSize { steps, batch, .. }: PassSize) -> Option<Memory> {
        let array = batch * self.output_size() * size_of::<F>();
        let list = steps.next_power_of_two().max(4) * size_of::<[Array2<F>; 3]>(); // a Vec doubles as it grows
        Some(Memory::new(steps * 3 * array + list, Work::of(4 * array), Work::of(8 * array)))
    }
}

#[rustfmt::skip]
impl<F: Float> RnnCell for Mgu<F> {
    fn step(&self, _: Context, x: ArrayView2<F>, mut y: ArrayViewMut2<F>, h: &mut Array2<F>, tape: Option<&mut Self::Tape>) {
        let f = (x.dot(&self.w_f) + h.dot(&self.u_f) + &self.b_f).mapv_into(F::sigmoid);
        let n = (x.dot(&self.w_n) + (&f * &*h).dot(&self.u_n) + &self.b_n).mapv_into(F::tanh);
        y.assign(&(&*h + &f * (&n - &*h)));
        let before = std::mem::replace(h, y.to_owned());
        if let Some(tape) = tape { tape.push([before, f, n]); }
    }

    fn step_backward(&self, _: Context, mut io: GradIo<F>, tape: &mut Self::Tape, d_h: &mut Array2<F>, grads: &mut Self) {
        let [h, f, n] = tape.pop().expect("a step to undo");
        *d_h += &io.d_y;
        let da_n = &*d_h * &f * n.mapv(F::tanh_slope);
        let d_fh = da_n.dot(&self.u_n.t());
        let da_f = (&*d_h * (&n - &h) + &d_fh * &h) * f.mapv(F::sigmoid_slope);
        *d_h = &*d_h * f.mapv(|f| F::one() - f) + &d_fh * &f + da_f.dot(&self.u_f.t());
        io.d_x.assign(&(da_n.dot(&self.w_n.t()) + da_f.dot(&self.w_f.t())));
        let GradIo { x, .. } = io;
        for (w, a, da) in [(&mut grads.w_n, &x, &da_n), (&mut grads.w_f, &x, &da_f)] { add_outer(w, a, da); }
        for (u, h, da) in [(&mut grads.u_n, &(&f * &h), &da_n), (&mut grads.u_f, &h, &da_f)] { add_outer(u, h, da); }
        for (b, da) in [(&mut grads.b_n, &da_n), (&mut grads.b_f, &da_f)] { *b += &da.sum_axis(Axis(0)); }
    }
}

impl<F: Float> Prepare for Mgu<F> {
    type Prepared = Unprepared<Self>;
    fn prepare(&self, _: Precision) -> Result<Unprepared<Self>, Error> {
        Ok(Unprepared::new(self.clone()))
    }
}
