//! How a gated cell is to be built.

use std::marker::PhantomData;

use ndarray::{Array1, s};

use super::Gated;
use super::arrays::{GatedArrays, not_projectable};
use super::vectors::wanted;
use crate::gates::{RowCell, Start, Vector};
use crate::{Error, Float, Init, Scheme, Spec};

/// Which biases a cell has.
///
/// PyTorch gives every cell two, added to x·w_x and to h·w_h. Where the gates only use the sum, the second adds nothing
/// to what the cell can compute, but it changes training: both get the same gradient, so plain SGD moves their sum
/// twice as far, and the global norm that a clip looks at counts both. The book's run with PyTorch's layers has two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bias {
    /// None.
    None,
    /// One, `b`; and `b_h` beside it in a cell that does more with h·w_h than add it (the reset-after GRU), where the
    /// two cannot be merged.
    #[default]
    One,
    /// Both, `b` and `b_h`, as in PyTorch and the book's run.
    Two,
}

/// Builds a [`Gated`] cell: units, gate maths, biases, starting values.
#[derive(Clone, Debug)]
pub struct GatedSpec<F, P> {
    units: usize,
    gates: P,
    bias: Bias,
    scheme: Scheme,
    lane_biases: Vec<(usize, f64)>,
    projection: Option<usize>,
    projection_clip: Option<f64>,
    float: PhantomData<F>,
}

impl<F: Float, P: RowCell> GatedSpec<F, P> {
    /// A cell of `units` units with one bias and PyTorch's starting values.
    #[must_use]
    pub fn new(gates: P, units: usize) -> Self {
        let (bias, scheme) = (Bias::default(), Scheme::default());
        let lane_biases = Vec::new();
        GatedSpec {
            units,
            gates,
            bias,
            scheme,
            lane_biases,
            projection: None,
            projection_clip: None,
            float: PhantomData,
        }
    }

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

    /// Where the bias of gate number `lane` starts, instead of where the scheme would have it. With two biases the first
    /// starts there and the second at 0.
    #[must_use]
    pub fn lane_bias(mut self, lane: usize, value: f64) -> Self {
        self.lane_biases.push((lane, value));
        self
    }

    /// Projects the output to `width` columns: y = h' = m·w_p with m `[B, H]` what the gates give, `w_p [H, R]` without a bias
    /// (Sak et al. 2014; `proj_size` of PyTorch, `num_proj` of TensorFlow). Then h and `w_h [R, K·H]` have R rows less. For gates that
    /// use h in products only, as an LSTM's do.
    #[must_use]
    pub fn projection(mut self, width: usize) -> Self {
        self.projection = Some(width);
        self
    }

    /// Clips a projected output to ±`clip` (`proj_clip` of TensorFlow's `LSTMCell`). No gradient goes back through what is clipped.
    #[must_use]
    pub fn projection_clip(mut self, clip: f64) -> Self {
        self.projection_clip = Some(clip);
        self
    }

    /// The same with other gates.
    pub(crate) fn units(mut self, units: usize) -> Self {
        self.units = units;
        self
    }

    pub(crate) fn with_gates<Q>(self, gates: Q) -> GatedSpec<F, Q> {
        let GatedSpec { units, bias, scheme, lane_biases, projection, projection_clip, float, .. } = self;
        GatedSpec { units, gates, bias, scheme, lane_biases, projection, projection_clip, float }
    }

    pub(crate) fn gates(&self) -> P {
        self.gates.clone()
    }

    pub(crate) fn has_lane_biases(&self) -> bool {
        !self.lane_biases.is_empty()
    }

    pub(crate) fn gates_mut(&mut self) -> &mut P {
        &mut self.gates
    }

    /// The cell for inputs of `input_size` columns.
    ///
    /// # Errors
    /// If there are no units or inputs, a size is too large for memory to be counted, the scheme or a setting of the gate maths
    /// is unusable in `F`, a lane with a bias of its own does not exist or the cell has no bias, or there is a projection that is wider
    /// than the units or that the gates don't allow.
    pub fn build(&self, input_size: usize, init: &mut Init) -> Result<Gated<F, P>, Error> {
        let units = self.units;
        for (name, value) in [("units", units), ("input_size", input_size)] {
            if value == 0 {
                return Err(Error::value(name, "at least 1", value));
            }
        }
        let out = self.check_projection()?;
        let product = |gates: usize, rows: usize| gates.checked_mul(units).and_then(|width| width.checked_mul(rows));
        let room = |numbers: Option<usize>| numbers.is_some_and(|numbers| init.has_room_for(numbers));
        if ![product(P::X, input_size), product(P::H, out), product(1, out)].into_iter().all(room) {
            let got = format!("{units} units of {input_size} inputs");
            return Err(Error::value("units", "a matrix that memory can hold", got));
        }
        let scheme = self.scheme.check::<F>()?;
        let (x, u) = (P::X, P::H);
        let w_x = scheme.weights(init, input_size, x, units, false);
        let w_h = scheme.weights(init, out, u, units, true);
        let mut b = (self.bias != Bias::None).then(|| scheme.bias::<F>(init, x * units, units));
        let second = self.bias == Bias::Two || self.bias == Bias::One && P::RECURRENT_BIAS;
        let mut b_h = (second && u > 0).then(|| scheme.bias::<F>(init, u * units, units));
        for &(lane, value) in &self.lane_biases {
            let here = F::from_f64(value);
            let in_range = value.is_finite() && here.is_finite() && (value == 0.0 || here.is_normal());
            if lane >= x || !in_range {
                let expected = format!("a finite value for a lane below {x} (in {}, not denormal)", F::NAME);
                return Err(Error::value("lane_bias", expected, format!("{value} for {lane}")));
            }
            let Some(b) = &mut b else { return Err(Error::value("lane_bias", "a cell with a bias", "Bias::None")) };
            b.slice_mut(s![lane * units..(lane + 1) * units]).fill(F::from_f64(value));
            if let Some(b_h) = b_h.as_mut().filter(|_| lane < u) {
                b_h.slice_mut(s![lane * units..(lane + 1) * units]).fill(F::zero());
            }
        }
        let w_p = self.projection.map(|_| scheme.weights(init, out, 1, units, true).reversed_axes());
        let mut vectors = Vec::new();
        for Vector { name, lanes, start } in wanted(&self.gates)? {
            vectors.push(match start {
                Start::Scheme => scheme.bias(init, lanes * units, units),
                Start::Constant(value) => Array1::from_elem(lanes * units, in_range::<F>(name, value)?),
                Start::Uniform(low, high) => {
                    let (low, high) = (in_range::<F>(name, low)?.as_f64(), in_range::<F>(name, high)?.as_f64());
                    let (middle, half) = (low / 2.0 + high / 2.0, high / 2.0 - low / 2.0);
                    init.uniform::<f64, _, _>(lanes * units, half).mapv(|x| F::from_f64(middle + x))
                }
            });
        }
        let projection_clip = self.projection_clip.map(F::from_f64);
        GatedArrays { w_x, w_h, b, b_h, w_p, projection_clip, vectors }.into_cell(self.gates.clone())
    }

    /// R.
    fn check_projection(&self) -> Result<usize, Error> {
        let units = self.units;
        match self.projection {
            None => Ok(units),
            Some(_) if !P::PROJECTABLE => Err(not_projectable::<P>()),
            Some(width) if (1..=units).contains(&width) => Ok(width),
            Some(width) => Err(Error::value("projection", format!("1 to {units} columns, of {units} units"), width)),
        }
    }
}

/// A starting value or a bound, in `F`.
fn in_range<F: Float>(name: &str, value: f64) -> Result<F, Error> {
    let here = F::from_f64(value);
    if value == 0.0 || here.is_normal() {
        return Ok(here);
    }
    Err(Error::value(name, format!("a finite number in {}, not denormal", F::NAME), value))
}

impl<F: Float, P: RowCell> Spec for GatedSpec<F, P> {
    type Layer = Gated<F, P>;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<Gated<F, P>, Error> {
        GatedSpec::build(self, input_size, init)
    }
}
