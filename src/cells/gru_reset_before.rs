//! The gated recurrent unit with the reset gate before the product, as the book has it (and Cho et al. 2014, third version).
//!
//! Backward (derived in `docs/derivations/gru.md`), with p = r∘h:  dn = dh'∘(1-z);  dz = dh'∘(h - n);
//! da_n = dn∘(1-n²);  dp = da_n·w_nᵀ;  da_r = dp∘h∘r(1-r);  da_z = dz∘z(1-z);
//! dh = dh'∘z + dp∘r + [da_r da_z]·w_rzᵀ.

use std::fmt;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Zip, concatenate, s};

use crate::blocks::BLOCK_ROWS;
use crate::memory::bytes;
use crate::{
    Bias, Context, Error, Float, GradIo, Init, Memory, Params, PassSize, Recurrent, RnnCell, Scheme, Spec, Work,
    add_outer,
};

/// The gated recurrent unit with the reset gate before the product:
///
/// ```text
/// r = σ(x·w_xr + h·w_hr + b_r)   z = σ(x·w_xz + h·w_hz + b_z)   n = tanh(x·w_xn + (r∘h)·w_hn + b_n)
/// y = h' = (1 - z)∘n + z∘h
/// ```
///
/// A product comes after a gate, so it is an [`RnnCell`] and runs step by step.
///
/// # Shapes
/// `x [B, D]` → `y [B, H]`; state `[h]`, `[B, H]`.
/// # Parameters
/// `w_x [D, 3H]`, `w_h [H, 3H]`, `b [3H]` (and `b_h [3H]`, added to `b`, with [`Bias::Two`]), gates in the order r z n.
/// # Memory
/// A step with tape keeps 4·B·H numbers: h before, r, z, n.
///
/// ```
/// use deep_rnn::prelude::*;
/// use ndarray::{Array2, array};
///
/// let cell = GruResetBefore::<f64>::spec(1).build(2, &mut Init::seeded(1))?;
/// let (x, mut y, mut state, h) = (array![[0.5, -1.0]], Array2::zeros((1, 1)), cell.zero_state(1), 0.3);
/// state[0][[0, 0]] = h;
/// cell.step(Context::default(), x.view(), y.view_mut(), &mut state, None);
///
/// let a = (x.dot(&cell.w_x()) + cell.b().unwrap()).remove_axis(ndarray::Axis(0));
/// let w = cell.w_h();
/// let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
/// let (r, z) = (sigmoid(a[0] + h * w[[0, 0]]), sigmoid(a[1] + h * w[[0, 1]]));
/// let n = (a[2] + r * h * w[[0, 2]]).tanh();
/// assert!((y[[0, 0]] - ((1.0 - z) * n + z * h)).abs() < 1e-15);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct GruResetBefore<F> {
    w_x: Array2<F>,
    w_h: Array2<F>,
    b: Option<Array1<F>>,
    b_h: Option<Array1<F>>,
}

crate::params!(GruResetBefore<F> { w_x, w_h, b, b_h });

/// Builds a [`GruResetBefore`].
#[derive(Clone, Copy, Debug)]
pub struct GruResetBeforeSpec<F> {
    units: usize,
    bias: Bias,
    scheme: Scheme,
    float: std::marker::PhantomData<F>,
}

impl<F: Float> GruResetBefore<F> {
    /// `units` units.
    #[must_use]
    pub fn spec(units: usize) -> GruResetBeforeSpec<F> {
        let (bias, scheme) = (Bias::default(), Scheme::default());
        GruResetBeforeSpec { units, bias, scheme, float: std::marker::PhantomData }
    }

    /// `w_x [D, 3H]`.
    #[must_use]
    pub fn w_x(&self) -> ArrayView2<'_, F> {
        self.w_x.view()
    }

    /// `w_h [H, 3H]`.
    #[must_use]
    pub fn w_h(&self) -> ArrayView2<'_, F> {
        self.w_h.view()
    }

    /// `b [3H]`, where there is one.
    #[must_use]
    pub fn b(&self) -> Option<&Array1<F>> {
        self.b.as_ref()
    }
}

impl<F: Float> GruResetBeforeSpec<F> {
    /// Which biases it has.
    #[must_use]
    pub fn bias(mut self, bias: Bias) -> Self {
        self.bias = bias;
        self
    }

    /// How its arrays start.
    #[must_use]
    pub fn init(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// The cell for inputs of `input_size` columns.
    ///
    /// # Errors
    /// If there are no units or inputs, a size is too large for memory to be counted, or the scheme is unusable.
    pub fn build(&self, input_size: usize, init: &mut Init) -> Result<GruResetBefore<F>, Error> {
        // The arrays are those of the other form: one place decides how they start.
        let like = crate::GatedSpec::<F, crate::GruGates>::new(crate::GruGates, self.units);
        let like = like.bias(self.bias).init(self.scheme).build(input_size, init)?;
        let b_h = like.b_h().filter(|_| self.bias == Bias::Two).cloned();
        Ok(GruResetBefore { w_x: like.w_x().to_owned(), w_h: like.w_h().to_owned(), b: like.b().cloned(), b_h })
    }
}

impl<F: Float> Spec for GruResetBeforeSpec<F> {
    type Layer = GruResetBefore<F>;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<GruResetBefore<F>, Error> {
        GruResetBeforeSpec::build(self, input_size, init)
    }
}

impl<F: Float> fmt::Debug for GruResetBefore<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, h, n) = (self.input_size(), self.output_size(), self.num_params());
        write!(f, "GruResetBefore({d} -> {h}, {n} params)")
    }
}

impl<F: Float> Recurrent for GruResetBefore<F> {
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
        Some(Memory { tape, forward, backward })
    }
}

impl<F: Float> RnnCell for GruResetBefore<F> {
    #[inline(never)]
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

    #[inline(never)]
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
            da.axis_chunks_iter(Axis(0), BLOCK_ROWS).for_each(|rows| *b += &rows.sum_axis(Axis(0)));
        }
        io.d_x.assign(&da.dot(&self.w_x.t()));
    }

    fn output_in_state(&self) -> Option<usize> {
        Some(0)
    }
}
