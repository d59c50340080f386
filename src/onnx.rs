//! Networks in ONNX files.

mod export;
mod functions;
mod gates;
mod import;
mod model;
mod proto;
mod tensor;

use std::fmt;

use crate::{Error, Float, Network, Params, Recurrent};

/// A network that was read, and how the file has its input and output. The network itself always takes `[T, B, D]`.
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

/// The network of an ONNX file.
///
/// # Errors
/// If the bytes are no ONNX file of a version that is read, or the outputs need something that no layer here does; the message names
/// the node.
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

/// The ONNX file of a network.
///
/// # Errors
/// If it has a layer or setting that ONNX does not have; the message names the layer.
pub fn write<N: Recurrent + Params>(network: &N) -> Result<Vec<u8>, Error> {
    export::export(network)
}
