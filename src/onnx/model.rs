//! From bytes to a graph: what the file is, its nodes, inputs, outputs and constants, counted before they are decoded.

use std::collections::{HashMap, HashSet};

use prost::Message;
use prost::bytes::Bytes;

use super::proto;
use crate::Error;

/// More nodes, constants, inputs or outputs than this no network of this crate is made of.
const MOST: usize = 100_000;
/// Attributes, inputs and outputs of a node.
const MOST_OF_NODE: usize = 1000;
/// The versions of the format and of the operators that are read.
const FORMATS: std::ops::RangeInclusive<i64> = 3..=14;
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// A graph.
#[derive(Debug)]
pub(super) struct Graph {
    /// Each an encoded [`proto::Node`].
    pub nodes: Vec<Bytes>,
    /// Encoded tensors by name.
    pub constants: HashMap<String, Bytes>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

/// An input or output.
#[derive(Debug)]
pub(super) struct Port {
    pub name: String,
    /// One of [`proto::dtype`], or 0.
    pub dtype: i32,
    /// Sizes, where they are known; none where not even their number is.
    pub dims: Option<Vec<Option<i64>>>,
}

/// A node with its attributes.
#[derive(Debug)]
pub(super) struct Node {
    pub op: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    attributes: Vec<proto::Attribute>,
}

impl Graph {
    /// The graph of a file.
    ///
    /// # Errors
    /// If the bytes are no ONNX file, or of a version that is not read, or have too many parts, or a name twice.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Error> {
        let model: proto::Model = decode("ONNX file", Bytes::copy_from_slice(bytes))?;
        if !FORMATS.contains(&model.ir_version) {
            let expected = format!("{} to {}", FORMATS.start(), FORMATS.end());
            return Err(Error::value("ir_version of the ONNX file", expected, model.ir_version));
        }
        limit("operator sets", model.opset_import.len(), MOST_OF_NODE)?;
        let mut opset = None;
        for set in model.opset_import {
            let set: proto::OperatorSet = decode("operator set", set)?;
            if set.domain.is_empty() || set.domain == "ai.onnx" {
                opset = Some(set.version);
            }
        }
        if !opset.is_some_and(|version| OPSETS.contains(&version)) {
            let got = opset.map_or("none".to_string(), |version| version.to_string());
            let expected = format!("{} to {}", OPSETS.start(), OPSETS.end());
            return Err(Error::value("operator set of the ONNX file", expected, got));
        }
        let Some(graph) = model.graph else { return Err(Error::value("ONNX file", "a graph in it", "none")) };
        let counts = [
            ("nodes", &graph.node),
            ("constants", &graph.initializer),
            ("inputs", &graph.input),
            ("outputs", &graph.output),
        ];
        for (what, list) in counts {
            limit(what, list.len(), MOST)?;
        }
        let mut constants = HashMap::with_capacity(graph.initializer.len());
        for bytes in graph.initializer {
            // Of the tensor only the name, for now.
            let tensor: Named = decode("constant", bytes.clone())?;
            if constants.insert(tensor.name.clone(), bytes).is_some() {
                return Err(Error::value("constants", "each name once", format!("{:?} twice", tensor.name)));
            }
        }
        let (inputs, outputs) = (ports("input", graph.input)?, ports("output", graph.output)?);
        Ok(Graph { nodes: graph.node, constants, inputs, outputs })
    }
}

/// Of a tensor its name: the rest is passed over.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "8")]
    name: String,
}

fn limit(what: &str, count: usize, most: usize) -> Result<(), Error> {
    if count <= most { Ok(()) } else { Err(Error::value(what, format!("at most {most}"), count)) }
}

/// The message of these bytes.
pub(super) fn decode<M: Message + Default>(what: &str, bytes: Bytes) -> Result<M, Error> {
    M::decode(bytes).map_err(|error| Error::value(what, "a message of ONNX", error))
}

fn ports(what: &str, list: Vec<Bytes>) -> Result<Vec<Port>, Error> {
    let mut names = HashSet::with_capacity(list.len());
    let mut ports = Vec::with_capacity(list.len());
    for bytes in list {
        let info: proto::ValueInfo = decode(what, bytes)?;
        if !names.insert(info.name.clone()) {
            return Err(Error::value(format!("{what}s"), "each name once", format!("{:?} twice", info.name)));
        }
        let tensor = info.of.and_then(|of| of.tensor);
        let (dtype, shape) = tensor.map_or((0, None), |tensor| (tensor.elem_type, tensor.shape));
        let known = |dim: proto::Dimension| dim.value.filter(|value| *value > 0);
        let dims = shape.map(|shape| shape.dim.into_iter().take(9).map(known).collect());
        ports.push(Port { name: info.name, dtype, dims });
    }
    Ok(ports)
}

impl Node {
    /// The node of these bytes.
    ///
    /// # Errors
    /// If they are none, it has too many parts, or an attribute twice.
    pub(super) fn of(bytes: Bytes) -> Result<Self, Error> {
        let node: proto::Node = decode("node", bytes)?;
        // Of another domain it is another operator, whatever its name.
        let op = match node.domain.as_str() {
            "" | "ai.onnx" => node.op_type,
            domain => format!("{domain}::{}", node.op_type),
        };
        let mut own = Node { op, name: node.name, inputs: node.input, outputs: node.output, attributes: Vec::new() };
        let refuse = |own: &Node, error: Error| error.within(own.label());
        let counts =
            [("inputs", own.inputs.len()), ("outputs", own.outputs.len()), ("attributes", node.attribute.len())];
        for (what, count) in counts {
            limit(what, count, MOST_OF_NODE).map_err(|error| refuse(&own, error))?;
        }
        let mut names = HashSet::new();
        for bytes in node.attribute {
            let attribute: proto::Attribute = decode("attribute", bytes).map_err(|error| refuse(&own, error))?;
            if !names.insert(attribute.name.clone()) {
                let error = Error::value("attributes", "each once", format!("{:?} twice", attribute.name));
                return Err(refuse(&own, error));
            }
            own.attributes.push(attribute);
        }
        Ok(own)
    }

    /// How messages call it: `node "/fc/Gemm" (Gemm)`.
    pub(super) fn label(&self) -> String {
        let name = if self.name.is_empty() { self.outputs.first().map_or("", String::as_str) } else { &self.name };
        format!("node {name:?} ({})", self.op)
    }

    pub(super) fn get(&self, name: &str) -> Option<&proto::Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The names of its attributes.
    pub(super) fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|attribute| attribute.name.as_str())
    }

    /// A whole number, or what goes without saying.
    pub(super) fn int(&self, name: &str, usual: i64) -> i64 {
        self.get(name).map_or(usual, |attribute| attribute.i.unwrap_or(0))
    }

    /// A number, by its shortest decimal, so that 0.2 is the same in `f64`.
    pub(super) fn float(&self, name: &str) -> Option<f64> {
        self.get(name).map(|attribute| shortest(attribute.f.unwrap_or(0.0)))
    }

    pub(super) fn floats(&self, name: &str) -> Vec<f64> {
        self.get(name).map_or(Vec::new(), |attribute| attribute.floats.iter().copied().map(shortest).collect())
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.get(name).map(|attribute| &attribute.ints[..])
    }

    /// A word, or what goes without saying.
    pub(super) fn text(&self, name: &str, usual: &str) -> String {
        match self.get(name).and_then(|attribute| attribute.s.as_ref()) {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => usual.to_string(),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let words = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        self.get(name).map(|attribute| attribute.strings.iter().map(words).collect())
    }

    /// Whether output number `index` has a name.
    pub(super) fn has_output(&self, index: usize) -> bool {
        self.outputs.get(index).is_some_and(|name| !name.is_empty())
    }
}

fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}
