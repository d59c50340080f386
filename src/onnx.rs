//! Networks in ONNX files (with the feature `onnx`): [`read`] and [`import`] make a [`Network`] of a file,
//! [`write`](fn@write) makes a file of any network.
//!
//! ```
//! use deep_rnn::onnx; use deep_rnn::prelude::*;
//!
//! let net = Network::<f32>::builder(28).gru(16).linear(5).seed(1).build()?;
//! let file = onnx::write(&net)?; // the bytes of an ONNX file
//! let back = onnx::import::<f32>(&file)?;
//! assert_eq!(back.input.name, "x");
//! assert_eq!(back.network.to_string(), net.to_string());
//! # Ok::<(), deep_rnn::Error>(())
//! ```
//!
//! # What is read
//!
//! Operator sets 7 to 25. Between the graph's input and its output there has to be a line of layers; a graph is read
//! node by node, and what is not understood is an error where the output needs it, which names the node.
//!
//! | in the file | here |
//! | --- | --- |
//! | `RNN`, `GRU`, `LSTM`: any direction, `activations` with their parameters, `clip`, `input_forget`, `linear_before_reset`, peepholes, `layout` | `Rnn`, `Gru` (`linear_before_reset` 1) or `GruResetBefore`, `Lstm` and its [relatives](crate::cells::LstmVariant), [`Reversed`](crate::layers::Reversed), [`Bidirectional`](crate::layers::Bidirectional) |
//! | `initial_h`, `initial_c`: zeros, or an input of the graph | the state, in the caller's hands |
//! | the same, constant and equal for all rows | [`LearnedState`](crate::layers::LearnedState) |
//! | `sequence_lens`: an input of the graph, or all steps | [`Context::with_lengths`](crate::Context::with_lengths) |
//! | `MatMul` and `Add`, `Gemm`, with constants | [`Linear`](crate::layers::Linear) |
//! | `Gather` of a constant by an input of whole numbers | [`Embedding`](crate::layers::Embedding) |
//! | `Gather` or `Slice` of the last step; `Y_h` of a forward direction | [`Last`](crate::layers::Last) |
//! | `LayerNormalization` along the columns | [`LayerNorm`](crate::layers::LayerNorm) |
//! | `Add` of a layer's output and its input | [`Residual`](crate::layers::Residual) |
//! | `Mul` or `Div` by one number | [`Scale`](crate::layers::Scale) |
//! | `Tanh`, `Sigmoid`, `Relu`, `Elu`, `LeakyRelu`, `ThresholdedRelu`, `HardSigmoid`, `Softsign`, `Softplus` | [`Activate`](crate::layers::Activate) |
//! | `Dropout`, `Identity`, `Cast` | nothing |
//! | `Transpose`, `Squeeze`, `Unsqueeze`, `Reshape`, `Flatten`, `Slice`, `Split`, `Concat`, `Expand`, `ReduceSum` that move or merge axes; `Shape` and what exporters compute of it | nothing: [`Imported`] says how the file has its axes |
//!
//! Not read: softmax, loops (an exporter that has unrolled a layer, or written it as
//! `Loop`), the state that a reverse direction ends with, several outputs that are no states, numbers in other files,
//! other domains' operators.
//!
//! Weights may be `f16`, `bf16`, `f32` or `f64`; they become `F`. A bad file gives an error: no panic, and no more
//! memory than the file's size accounts for, times a constant.
//!
//! # What is written
//!
//! Operator set 14 (17 with a `LayerNorm`), time first, sizes `T` and `B` left open: input `x` `[T, B, D]` (or tokens
//! `[T, B]`, where an embedding is at the bottom), output `y` `[T, B, H]`. A recurrent layer's state is an input and
//! an output, of layer number k `hk_in`, `hk_out` and `ck_in`, `ck_out`, `[directions, B, H]`; a learned one is a
//! constant. Dropouts are left out, as they do nothing outside of training. Weights have the network's type; `f64` is
//! right by the standard, but few programs run it.
//!
//! ONNX has no projections, clipped cell states, zoneouts or functions of one's own: networks with them are refused.
//! Attributes are `f32` there, so parameters of activations and clips of an `f64` network may lose digits.

mod export;
mod functions;
mod gates;
mod import;
mod model;
mod proto;
mod tensor;

use std::fmt;
use std::path::Path;

use crate::{Error, Float, Network, Params, Recurrent};

/// A network that was read, and how the file has its input and output. The network itself always takes `[T, B, D]`,
/// and gives `[T, B, H]`, or `[1, B, H]` where it ends with the last step.
#[derive(Clone)]
#[non_exhaustive]
pub struct Imported<F: Float> {
    /// The network.
    pub network: Network<F>,
    /// The graph's input that is the sequence.
    pub input: Place,
    /// The graph's output that the network gives.
    pub output: Place,
}

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Its name.
    pub name: String,
    /// What its axes are, in their order.
    pub axes: Vec<Axis>,
}

/// An axis of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Axis {
    /// T.
    Time,
    /// B.
    Batch,
    /// D or H: the numbers of a row. Tokens have no such axis.
    Columns,
    /// The directions of a recurrent layer, the columns of the forward one first.
    Directions,
    /// T·B, row b of step t at t·B + b.
    TimeAndBatch,
    /// B·T, row b of step t at b·T + t.
    BatchAndTime,
    /// Of size 1.
    One,
}

impl Place {
    /// Whether the rows of the batch come before time.
    #[must_use]
    pub fn batch_first(&self) -> bool {
        let at = |wanted: Axis| self.axes.iter().position(|axis| *axis == wanted);
        match (at(Axis::Batch), at(Axis::Time)) {
            (Some(batch), Some(time)) => batch < time,
            _ => self.axes.contains(&Axis::BatchAndTime),
        }
    }
}

impl<F: Float> fmt::Debug for Imported<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Imported { network, input, output } = self;
        f.debug_struct("Imported").field("network", network).field("input", input).field("output", output).finish()
    }
}

/// The network of an ONNX file, and how the file has its axes. A model that was exported batch first has another
/// order outside than the network: turn arrays round with [`time_major`](crate::data::time_major) where
/// [`batch_first`](Place::batch_first) says so.
///
/// # Errors
/// If the bytes are no ONNX file of a version that is read, or the outputs need something that no layer here does;
/// the message names the node.
pub fn import<F: Float>(bytes: &[u8]) -> Result<Imported<F>, Error> {
    import::import(&model::Graph::of(bytes)?, bytes.len())
}

/// [`import`], where only the network is wanted.
///
/// # Errors
/// As those of [`import`].
pub fn read<F: Float>(bytes: &[u8]) -> Result<Network<F>, Error> {
    Ok(import(bytes)?.network)
}

/// [`import`] of a file.
///
/// # Errors
/// As those of [`import`], and if the file can't be read.
pub fn open<F: Float>(path: impl AsRef<Path>) -> Result<Imported<F>, Error> {
    let path = path.as_ref();
    import(&crate::files::source::read(path, LONGEST)?).map_err(|error| error.in_file(path))
}

/// Writes the ONNX file of a network: all of it or, if that fails, nothing, and the file that was there stays.
///
/// # Errors
/// As those of [`write()`], and if the file can't be written.
pub fn save<N: Recurrent + Params>(network: &N, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let bytes = write(network).map_err(|error| error.in_file(path))?;
    crate::files::replace::replace_with(path, &bytes)
}

/// The longest file, in bytes: messages of this format are no longer than 2 GiB.
const LONGEST: u64 = 1 << 31;

/// The bytes of the ONNX file of a network: of any type, a layer alone, a stack, a
/// [`LanguageModel`](crate::language::LanguageModel).
///
/// # Errors
/// If it has a layer or setting that ONNX does not have; the message names the layer.
pub fn write<N: Recurrent + Params>(network: &N) -> Result<Vec<u8>, Error> {
    export::export(network)
}

#[cfg(doctest)]
#[doc = include_str!("../docs/onnx.md")]
mod guide {}
