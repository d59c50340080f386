//! The numbers of PyTorch that the gradients are held against: `tests/data/pytorch.safetensors`, made by
//! `tests/data/gen.py`, whose header lists every case and tensor, and `ragged.safetensors`, `tied.safetensors` and `variants.safetensors` likewise. Weights, inputs, initial states and cotangents are
//! not in the file; they are made here by the same integer recurrence, to the bit.
//!
//! A test file takes it in with (and a folder of tests with `"../support/fixture.rs"`)
//!
//! ```ignore
//! #[path = "support/fixture.rs"]
//! mod fixture;
//! ```
#![allow(dead_code)] // no test file uses all of it

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use ndarray::{Array1, Array2, Array3, ArrayD, ArrayViewD, Dimension, IntoDimension, IxDyn};

/// Sample `index` of a stream: 53 bits of SplitMix64 at `stream * golden + index`, modulo 2^64.
pub(crate) fn bits(stream: u64, index: u64) -> u64 {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = stream.wrapping_mul(GOLDEN).wrapping_add(index).wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) >> 11
}

/// `bits` as a number in [-0.5, 0.5); exact, as both the division and the difference are.
pub(crate) fn value(stream: u64, index: u64) -> f64 {
    bits(stream, index) as f64 / (1u64 << 53) as f64 - 0.5
}

/// `bits` as a token below `vocab`.
pub(crate) fn token(stream: u64, index: u64, vocab: usize) -> usize {
    (bits(stream, index) % vocab as u64) as usize
}

/// The stream of tensor number `tensor` of case number `case` (both in the header of `gen.py`).
pub(crate) fn stream(case: usize, tensor: usize) -> u64 {
    assert!(tensor < 64, "tensor {tensor}");
    (64 * case + tensor) as u64
}

/// The tensor number of a part (see [`Part`]) of the weights of a layer, `direction` 0 forward and 1 reverse.
pub(crate) fn weight_tensor(layer: usize, direction: usize, part: Part) -> usize {
    8 + 4 * (2 * layer + direction) + part as usize
}

/// The four parameters PyTorch gives a layer and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// `[G*H, D]`.
    WeightIh,
    /// `[G*H, H]`.
    WeightHh,
    /// `[G*H]`.
    BiasIh,
    /// `[G*H]`.
    BiasHh,
}

impl Part {
    pub(crate) const ALL: [Part; 4] = [Part::WeightIh, Part::WeightHh, Part::BiasIh, Part::BiasHh];

    /// PyTorch's name of this part, such as `weight_ih_l0` or `bias_hh_l2_reverse`.
    pub(crate) fn name(self, layer: usize, direction: usize) -> String {
        let stem = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"][self as usize];
        format!("{stem}_l{layer}{}", ["", "_reverse"][direction])
    }
}

fn made<D: Dimension>(stream: u64, shape: impl IntoDimension<Dim = D>, scale: f64) -> ndarray::Array<f64, D> {
    let shape = shape.into_dimension();
    let data = (0..shape.size() as u64).map(|i| scale * value(stream, i)).collect();
    ndarray::Array::from_shape_vec(shape, data).expect("as many numbers as the shape holds")
}

/// The first `shape` numbers of a stream times `scale` (a power of two, so that the product is exact).
pub(crate) fn array1(stream: u64, shape: usize, scale: f64) -> Array1<f64> {
    made(stream, shape, scale)
}

/// As [`array1`], row-major.
pub(crate) fn array2(stream: u64, shape: [usize; 2], scale: f64) -> Array2<f64> {
    made(stream, shape, scale)
}

/// As [`array1`], row-major.
pub(crate) fn array3(stream: u64, shape: [usize; 3], scale: f64) -> Array3<f64> {
    made(stream, shape, scale)
}

/// Tokens below `vocab` from the first numbers of a stream, row-major.
pub(crate) fn tokens(stream: u64, shape: [usize; 2], vocab: usize) -> Array2<usize> {
    Array2::from_shape_fn(shape, |(i, j)| token(stream, (i * shape[1] + j) as u64, vocab))
}

/// Which network a [`Case`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    RnnTanh,
    RnnRelu,
    Gru,
    Lstm,
}

impl Kind {
    /// How many blocks of `H` columns the weights have.
    pub(crate) fn gates(self) -> usize {
        match self {
            Kind::RnnTanh | Kind::RnnRelu => 1,
            Kind::Gru => 3,
            Kind::Lstm => 4,
        }
    }
}

/// One of the 192 cases of the full product; its `Display` is its name in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// Its number, which the streams go by.
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    pub(crate) layers: usize,
    pub(crate) directions: usize,
    /// Steps.
    pub(crate) t: usize,
    /// Rows.
    pub(crate) b: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::RnnTanh => "rnn_tanh",
            Kind::RnnRelu => "rnn_relu",
            Kind::Gru => "gru",
            Kind::Lstm => "lstm",
        };
        write!(f, "{kind}.l{}.d{}.t{}.b{}", self.layers, self.directions, self.t, self.b)
    }
}

/// All cases of the product, in the order of their numbers.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for kind in [Kind::RnnTanh, Kind::RnnRelu, Kind::Gru, Kind::Lstm] {
        for layers in 1..=3 {
            for directions in 1..=2 {
                for t in [1, 2, 7, 40] {
                    for b in [1, 3] {
                        all.push(Case { index: all.len(), kind, layers, directions, t, b });
                    }
                }
            }
        }
    }
    all
}

impl Case {
    /// Inputs.
    pub(crate) const D: usize = 3;
    /// Units.
    pub(crate) const H: usize = 4;

    fn stream(&self, tensor: usize) -> u64 {
        stream(self.index, tensor)
    }

    fn state(&self, tensor: usize) -> Array3<f64> {
        array3(self.stream(tensor), [self.layers * self.directions, self.b, Self::H], 2.0)
    }

    /// `[T, B, D]`.
    pub(crate) fn x(&self) -> Array3<f64> {
        array3(self.stream(0), [self.t, self.b, Self::D], 2.0)
    }

    /// `[layers * directions, B, H]`, the direction the faster.
    pub(crate) fn h0(&self) -> Array3<f64> {
        self.state(1)
    }

    /// As [`Case::h0`]; for an LSTM.
    pub(crate) fn c0(&self) -> Array3<f64> {
        self.state(2)
    }

    /// Gradient of the loss by the output, `[T, B, directions * H]`.
    pub(crate) fn cot_out(&self) -> Array3<f64> {
        array3(self.stream(3), [self.t, self.b, self.directions * Self::H], 2.0)
    }

    /// Gradient of the loss by the last states, apart from what goes through the output.
    pub(crate) fn cot_h(&self) -> Array3<f64> {
        self.state(4)
    }

    /// As [`Case::cot_h`]; for an LSTM.
    pub(crate) fn cot_c(&self) -> Array3<f64> {
        self.state(5)
    }

    /// `weight_ih` or `weight_hh` in PyTorch's shape `[G*H, D]` or `[G*H, H]`; the crate's is its transpose.
    pub(crate) fn weight(&self, layer: usize, direction: usize, part: Part) -> Array2<f64> {
        let inputs = match part {
            Part::WeightIh if layer == 0 => Self::D,
            Part::WeightIh => self.directions * Self::H,
            Part::WeightHh => Self::H,
            Part::BiasIh | Part::BiasHh => panic!("{part:?} is not a matrix"),
        };
        let shape = [self.kind.gates() * Self::H, inputs];
        array2(self.stream(weight_tensor(layer, direction, part)), shape, 1.0)
    }

    /// `bias_ih` or `bias_hh`, `[G*H]`.
    pub(crate) fn bias(&self, layer: usize, direction: usize, part: Part) -> Array1<f64> {
        assert!(matches!(part, Part::BiasIh | Part::BiasHh), "{part:?} is not a bias");
        array1(self.stream(weight_tensor(layer, direction, part)), self.kind.gates() * Self::H, 1.0)
    }
}

fn file() -> &'static BTreeMap<String, ArrayD<f64>> {
    static FILE: OnceLock<BTreeMap<String, ArrayD<f64>>> = OnceLock::new();
    FILE.get_or_init(|| {
        let mut all = read("pytorch.safetensors", "gen.py");
        all.append(&mut read("ragged.safetensors", "ragged.py"));
        all.append(&mut read("tied.safetensors", "tied.py"));
        all.append(&mut read("variants.safetensors", "variants.py"));
        all
    })
}

/// The tensors of a file.
fn read(file: &str, made_by: &str) -> BTreeMap<String, ArrayD<f64>> {
    let path = format!("{}/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path} ({e}): made by tests/data/{made_by}"));
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        assert_eq!(view.dtype(), safetensors::Dtype::F64, "{name}");
        let (numbers, rest) = view.data().as_chunks::<8>();
        assert!(rest.is_empty(), "{name}");
        let numbers = numbers.iter().map(|b| f64::from_le_bytes(*b)).collect();
        (name, ArrayD::from_shape_vec(IxDyn(view.shape()), numbers).expect("as many numbers as the shape holds"))
    };
    tensors.tensors().into_iter().map(read).collect()
}

/// The stored tensor `<case>/<tensor>`. Panics where there is none.
pub(crate) fn get(case: impl fmt::Display, tensor: &str) -> ArrayD<f64> {
    let name = format!("{case}/{tensor}");
    file().get(&name).unwrap_or_else(|| panic!("{name} is not in tests/data")).clone()
}

/// The names of all tensors stored for a case, so that a test can tell that it compared every one.
pub(crate) fn names(case: impl fmt::Display) -> Vec<String> {
    let prefix = format!("{case}/");
    file().keys().filter_map(|k| k.strip_prefix(&prefix)).map(str::to_owned).collect()
}

/// The greatest relative error of `ours` in any element:
///
/// ```text
/// max over i of |ours_i - theirs_i| / max(|theirs_i|, 1e-3 * max over j of |theirs_j|)
/// ```
///
/// Every element is held to its own size, and not to the largest of the array, down to a thousandth of the largest;
/// below that, where cancellation leaves few correct digits to either side, the thousandth stands in. Equal elements
/// have error 0, so an array of zeros is matched only by zeros: against it, as for a NaN, any other number has an
/// infinite error. Panics where the shapes differ or `theirs` is not finite.
pub(crate) fn max_rel_error(ours: ArrayViewD<'_, f64>, theirs: ArrayViewD<'_, f64>) -> f64 {
    assert_eq!(ours.shape(), theirs.shape(), "shapes");
    assert!(theirs.iter().all(|v| v.is_finite()), "the reference is not finite");
    let floor = 1e-3 * theirs.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    ours.iter().zip(&theirs).fold(0.0, |worst, (&a, &b)| {
        let error = if a == b { 0.0 } else { (a - b).abs() / b.abs().max(floor) };
        if error.is_nan() { f64::INFINITY } else { worst.max(error) }
    })
}
