//! A cell by its steps: what the crate does for cells that neither divide their work nor have a packed form. It is the GRU with the reset
//! before the product, written on arrays, so that it can be held against the crate's own.
#![allow(dead_code)] // no test file uses all of it

use deep_rnn::cells::{Bias, GruResetBefore};
use deep_rnn::custom::{Memory, PassSize, Work, add_outer};
use deep_rnn::infer::{Prepare, Unprepared};
use deep_rnn::ndarray::linalg::general_mat_mul;
use deep_rnn::ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Zip, concatenate, s};
use deep_rnn::params;
use deep_rnn::prelude::*;

#[derive(Clone, Debug)]
pub(crate) struct SteppedGru<F> {
    w_x: Array2<F>,
    w_h: Array2<F>,
    b: Option<Array1<F>>,
    b_h: Option<Array1<F>>,
}

params!(SteppedGru<F> { w_x, w_h, b, b_h });

/// How one of so many units is built, with the numbers that the crate's own cell starts with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SteppedSpec<F> {
    units: usize,
    bias: Bias,
    float: std::marker::PhantomData<F>,
}

impl<F: Float> SteppedGru<F> {
    pub(crate) fn spec(units: usize) -> SteppedSpec<F> {
        SteppedSpec { units, bias: Bias::One, float: std::marker::PhantomData }
    }
}

impl<F> SteppedSpec<F> {
    pub(crate) fn bias(self, bias: Bias) -> Self {
        SteppedSpec { bias, ..self }
    }
}

impl<F: Float> Spec for SteppedSpec<F> {
    type Layer = SteppedGru<F>;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<SteppedGru<F>, Error> {
        let own = GruResetBefore::<F>::spec(self.units).bias(self.bias).build(input_size, init)?;
        let (b, b_h) = (own.b().cloned(), own.b_h().cloned());
        Ok(SteppedGru { w_x: own.w_x().to_owned(), w_h: own.w_h().to_owned(), b, b_h })
    }
}

impl<F: Float> Prepare for SteppedGru<F> {
    type Prepared = Unprepared<Self>;
    fn prepare(&self, _: Precision) -> Result<Unprepared<Self>, Error> {
        Ok(Unprepared::new(self.clone()))
    }
}

impl<F: Float> Recurrent for SteppedGru<F> {
    type State = [Array2<F>; 1];
    /// h before, r, z, n of each step.
    type Tape = Vec<[Array2<F>; 4]>;

    fn input_size(&self) -> usize {
        self.w_x.nrows()
    }
    fn output_size(&self) -> usize {
        self.w_h.nrows()
    }
    fn zero_state(&self, batch: usize) -> Self::State {
        [Array2::zeros((batch, self.output_size()))]
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let PassSize { steps, batch, .. } = size;
        // Beside the numbers a step keeps four array headers, in a list that doubles as it grows. Working memory is the
        // arrays alive at once in a step, counted from its lines, and the operand of a product that ndarray packs.
        let (d, units) = self.w_x.dim();
        let units = units / 3;
        let array = bytes::<F>(batch.saturating_mul(units));
        let listed = steps.checked_next_power_of_two().unwrap_or(usize::MAX).max(4);
        let headers = listed.saturating_mul(size_of::<[Array2<F>; 4]>());
        let tape = steps.saturating_mul(4).saturating_mul(array).saturating_add(headers);
        let packed = bytes::<F>(3 * units * d.max(units)).min(1 << 20);
        let work = |arrays: usize| Work::of(array.saturating_mul(arrays).saturating_add(packed));
        // Rows that tokens stand for are built step by step; a gradient nobody asks for is made all the same.
        let rows = bytes::<F>(batch.saturating_mul(d));
        let own = rows.saturating_mul(usize::from(size.tokens));
        let unasked = rows.saturating_mul(usize::from(!size.d_x));
        let (forward, backward) = (work(10).inside(own), work(14).inside(own.saturating_add(unasked)));
        Some(Memory::new(tape, forward, backward))
    }
}

impl<F: Float> RnnCell for SteppedGru<F> {
    fn step(
        &self,
        _: Context<'_>,
        x: ArrayView2<'_, F>,
        mut y: ArrayViewMut2<'_, F>,
        [h]: &mut Self::State,
        tape: Option<&mut Self::Tape>,
    ) {
        let units = self.output_size();
        let mut a = x.dot(&self.w_x);
        for b in [&self.b, &self.b_h].into_iter().flatten() {
            a += b;
        }
        let (mut rz, mut n) = a.view_mut().split_at(Axis(1), 2 * units);
        general_mat_mul(F::one(), h, &self.w_h.slice(s![.., ..2 * units]), F::one(), &mut rz);
        rz.mapv_inplace(Float::sigmoid);
        let (r, z) = rz.split_at(Axis(1), units);
        general_mat_mul(F::one(), &(&r * &*h), &self.w_h.slice(s![.., 2 * units..]), F::one(), &mut n);
        n.mapv_inplace(Float::tanh);
        Zip::from(&mut y).and(&n).and(&z).and(&*h).for_each(|y, &n, &z, &h| *y = (F::one() - z) * n + z * h);
        let [r, z, n] = [r, z, n].map(|gate| gate.to_owned());
        let before = std::mem::replace(h, y.to_owned());
        if let Some(tape) = tape {
            tape.push([before, r, z, n]);
        }
    }

    fn step_backward(
        &self,
        _: Context<'_>,
        mut io: GradIo<'_, F>,
        tape: &mut Self::Tape,
        [dh]: &mut Self::State,
        grads: &mut Self,
    ) {
        let units = self.output_size();
        let [h, r, z, n] = tape.pop().expect("a taped step for each backward step");
        *dh += &io.d_y;
        let mut da_n = &*dh * &n.mapv(F::tanh_slope);
        Zip::from(&mut da_n).and(&z).for_each(|d, &z| *d *= F::one() - z);
        let dp = da_n.dot(&self.w_h.slice(s![.., 2 * units..]).t());
        let da_r = &dp * &h * &r.mapv(F::sigmoid_slope);
        let da_z = &*dh * &(&h - &n) * &z.mapv(F::sigmoid_slope);
        let da_rz = concatenate![Axis(1), da_r, da_z];
        *dh = &*dh * &z + &dp * &r + da_rz.dot(&self.w_h.slice(s![.., ..2 * units]).t());

        let da = concatenate![Axis(1), da_rz, da_n];
        let (mut g_rz, mut g_n) = grads.w_h.view_mut().split_at(Axis(1), 2 * units);
        add_outer(&mut g_rz, &h, &da_rz);
        add_outer(&mut g_n, &(&r * &h), &da_n);
        add_outer(&mut grads.w_x, &io.x, &da);
        for b in [&mut grads.b, &mut grads.b_h].into_iter().flatten() {
            da.axis_chunks_iter(Axis(0), 2048).for_each(|rows| *b += &rows.sum_axis(Axis(0)));
        }
        io.d_x.assign(&da.dot(&self.w_x.t()));
    }

    fn output_in_state(&self) -> Option<usize> {
        Some(0)
    }
}

fn bytes<F>(numbers: usize) -> usize {
    numbers.saturating_mul(size_of::<F>())
}
