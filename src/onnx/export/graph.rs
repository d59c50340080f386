//! A graph that is being written.

use std::collections::HashSet;

use prost::Message;
use prost::bytes::Bytes;

use super::super::proto::{self, kind};
use super::super::tensor::Tensor;
use crate::Float;

/// Nodes, constants, inputs and outputs so far.
pub(super) struct Writer {
    graph: proto::Graph,
    /// Names of values, and of nodes, in use.
    names: HashSet<String>,
    nodes: HashSet<String>,
}

/// A size: its name, or where it has none the number.
pub(super) type Dim<'a> = (Option<&'a str>, usize);

impl Writer {
    pub(super) fn new() -> Self {
        let names = ["", "x", "y"].map(str::to_string).into();
        let graph = proto::Graph { name: "network".into(), ..Default::default() };
        Writer { graph, names, nodes: HashSet::new() }
    }

    pub(super) fn graph(self) -> proto::Graph {
        self.graph
    }

    /// A name that nothing has yet: this one, or this one with a number.
    pub(super) fn fresh(&mut self, name: &str) -> String {
        unused(&mut self.names, name)
    }

    pub(super) fn input(&mut self, name: &str, elem_type: i32, dims: &[Dim<'_>]) {
        self.names.insert(name.to_string());
        self.graph.input.push(info(name, elem_type, dims));
    }

    pub(super) fn output(&mut self, name: &str, elem_type: i32, dims: &[Dim<'_>]) {
        self.names.insert(name.to_string());
        self.graph.output.push(info(name, elem_type, dims));
    }

    /// A node of this operator, with outputs of these names.
    pub(super) fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<proto::Attribute>,
    ) {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_string()).collect();
        let node = proto::Node {
            input: names(inputs),
            output: names(outputs),
            name: unused(&mut self.nodes, &format!("{name}/{op}")),
            op_type: op.into(),
            attribute: attributes.iter().map(|attribute| attribute.encode_to_vec().into()).collect(),
            domain: String::new(),
        };
        self.graph.node.push(node.encode_to_vec().into());
    }

    /// The same with one output, whose name it gives.
    pub(super) fn one(&mut self, op: &str, name: &str, inputs: &[&str], attributes: Vec<proto::Attribute>) -> String {
        let output = self.fresh(&format!("{name}/{op}_out"));
        self.node(op, name, inputs, &[&output], attributes);
        output
    }

    pub(super) fn constant<F: Float>(&mut self, name: &str, dims: &[usize], numbers: &[F]) -> String {
        let name = self.fresh(name);
        let tensor = Tensor::message(&name, dims, numbers);
        self.graph.initializer.push(tensor.encode_to_vec().into());
        name
    }

    pub(super) fn ints(&mut self, name: &str, dims: &[usize], numbers: &[i64]) -> String {
        let name = self.fresh(name);
        let tensor = Tensor::message_of_ints(&name, dims, numbers);
        self.graph.initializer.push(tensor.encode_to_vec().into());
        name
    }
}

/// This name, or this one with a number.
fn unused(names: &mut HashSet<String>, name: &str) -> String {
    let mut own = name.to_string();
    let mut number = 1;
    while !names.insert(own.clone()) {
        number += 1;
        own = format!("{name}_{number}");
    }
    own
}

fn info(name: &str, elem_type: i32, dims: &[Dim<'_>]) -> Bytes {
    let dim = |(name, size): &Dim<'_>| match name {
        Some(name) => proto::Dimension { value: None, param: Some((*name).to_string()) },
        None => proto::Dimension { value: Some(*size as i64), param: None },
    };
    let shape = Some(proto::Shape { dim: dims.iter().map(dim).collect() });
    let of = Some(proto::Type { tensor: Some(proto::TensorType { elem_type, shape }) });
    proto::ValueInfo { name: name.into(), of }.encode_to_vec().into()
}

pub(super) fn int(name: &str, value: i64) -> proto::Attribute {
    proto::Attribute { name: name.into(), i: Some(value), kind: kind::INT, ..Default::default() }
}

pub(super) fn float(name: &str, value: f64) -> proto::Attribute {
    proto::Attribute { name: name.into(), f: Some(value as f32), kind: kind::FLOAT, ..Default::default() }
}

pub(super) fn text(name: &str, value: &str) -> proto::Attribute {
    let s = Some(Bytes::copy_from_slice(value.as_bytes()));
    proto::Attribute { name: name.into(), s, kind: kind::STRING, ..Default::default() }
}

pub(super) fn ints(name: &str, values: &[i64]) -> proto::Attribute {
    proto::Attribute { name: name.into(), ints: values.to_vec(), kind: kind::INTS, ..Default::default() }
}

pub(super) fn floats(name: &str, values: &[f64]) -> proto::Attribute {
    let floats = values.iter().map(|value| *value as f32).collect();
    proto::Attribute { name: name.into(), floats, kind: kind::FLOATS, ..Default::default() }
}

pub(super) fn texts(name: &str, values: &[&str]) -> proto::Attribute {
    let strings = values.iter().map(|value| Bytes::copy_from_slice(value.as_bytes())).collect();
    proto::Attribute { name: name.into(), strings, kind: kind::STRINGS, ..Default::default() }
}
