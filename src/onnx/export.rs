//! From a network to a graph: layer by layer, by what each says of itself and by the names of its arrays.

mod cells;
mod graph;
mod layers;

use std::collections::HashMap;

use ndarray::ArrayViewD;
use prost::Message;

use super::proto::{self, dtype};
use crate::{Describe, Error, Float, Params, Recurrent};
use graph::Writer;

/// The versions that are written; the second where a layer needs it.
const FORMAT: i64 = 8;
const OPSET: i64 = 14;
const OPSET_OF_NORM: i64 = 17;

/// The file of a network.
pub(super) fn export<N: Recurrent + Params>(network: &N) -> Result<Vec<u8>, Error> {
    let about = network.describe();
    let mut arrays = HashMap::new();
    network.visit(&mut |name, array: ArrayViewD<'_, N::Elem>| {
        arrays.insert(name.to_string(), array);
    });
    let mut exporter = Exporter { arrays, writer: Writer::new(), cells: 0, needs_norm: false };
    let tokens = starts_with_tokens(&about);
    let (of_numbers, of_tokens) = (number_type::<N::Elem>(), dtype::INT64);
    let (inputs, outputs) = (network.input_size(), network.output_size());
    let (t, b) = (Some("T"), Some("B"));
    match tokens {
        true => exporter.writer.input("x", of_tokens, &[(t, 0), (b, 0)]),
        false => exporter.writer.input("x", of_numbers, &[(t, 0), (b, 0), (None, inputs)]),
    }
    // What is seen of a network first is its output: the states come after it.
    let steps = if network.output_steps(usize::MAX) == 1 { (None, 1) } else { (t, 0) };
    exporter.writer.output("y", of_numbers, &[steps, (b, 0), (None, outputs)]);
    let last = exporter.layer(&about, "", "x", Way { reversed: false, tokens, sum: false })?;
    exporter.writer.node("Identity", "output", &[&last], &["y"], Vec::new());
    let opset = if exporter.needs_norm { OPSET_OF_NORM } else { OPSET };
    let set = proto::OperatorSet { domain: String::new(), version: opset };
    let model = proto::Model {
        ir_version: FORMAT,
        producer_name: "deep-rnn".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(exporter.writer.graph()),
        opset_import: vec![set.encode_to_vec().into()],
    };
    Ok(model.encode_to_vec())
}

/// What has been written so far, and what is to be written.
struct Exporter<'a, F> {
    arrays: HashMap<String, ArrayViewD<'a, F>>,
    writer: Writer,
    /// Recurrent nodes.
    cells: usize,
    needs_norm: bool,
}

/// How the sequence comes to a layer.
#[derive(Clone, Copy)]
struct Way {
    /// From its end.
    reversed: bool,
    /// As tokens.
    tokens: bool,
    /// Whether two directions are added.
    sum: bool,
}

fn number_type<F: Float>() -> i32 {
    if size_of::<F>() == 4 { dtype::FLOAT } else { dtype::DOUBLE }
}

/// Whether the layer at the bottom is one for tokens.
fn starts_with_tokens(about: &Describe) -> bool {
    match about.kind.as_str() {
        "Embedding" | "Tied" => true,
        "Stacked" | "LanguageModel" => about.inner.first().is_some_and(|(_, inner)| starts_with_tokens(inner)),
        _ => false,
    }
}

/// Names joined by a dot.
fn joined(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        ("", name) => name.into(),
        (prefix, "") => prefix.into(),
        (prefix, name) => format!("{prefix}.{name}"),
    }
}
