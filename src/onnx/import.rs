//! From a graph to layers: each node in its order, with what is known of its inputs. A node that is not read makes
//! values that are refused, which is an error only where the outputs need them.

mod build;
mod cells;
mod constants;
mod heads;
mod line;
mod nodes;
mod recurrent;
mod reshape;
mod sequence;
mod shapes;
mod tokens;
mod value;

use std::collections::HashMap;
use std::rc::Rc;

use super::model::{Graph, Node, Port, decode};
use super::proto::{self, dtype};
use super::tensor::Tensor;
use super::{Axis as Outside, Imported, Place};
use crate::{Error, Float};
use line::Line;
use value::{Axis, OUTSIDE, Sequence, Value};

/// Numbers that may still be made of those in the file, so that no file asks for many times its own size.
#[derive(Debug)]
pub(super) struct Room {
    left: usize,
}

impl Room {
    fn take(&mut self, numbers: usize) -> Result<(), Error> {
        match self.left.checked_sub(numbers) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::value("constants", "not many times the numbers that the file has", "more")),
        }
    }
}

/// The network of a graph.
pub(super) fn import<F: Float>(graph: &Graph, bytes: usize) -> Result<Imported<F>, Error> {
    let room = Room { left: bytes.saturating_mul(4).saturating_add(1 << 20) };
    let mut importer = Importer {
        graph,
        values: HashMap::new(),
        line: Line::default(),
        room,
        time: None,
        batch: None,
        tokens: None,
        outside_states: Vec::new(),
        cut_inputs: Vec::new(),
        takes_parts: false,
    };
    importer.inputs();
    for bytes in &graph.nodes {
        importer.node(bytes)?;
    }
    importer.output()
}

struct Importer<'g> {
    graph: &'g Graph,
    values: HashMap<String, Value>,
    line: Line,
    room: Room,
    /// Which axes of the input are time and batch.
    time: Option<usize>,
    batch: Option<usize>,
    /// Which input has tokens.
    tokens: Option<usize>,
    /// Inputs that are states or lengths.
    outside_states: Vec<usize>,
    /// Inputs of which parts are taken; and whether a part is a state.
    cut_inputs: Vec<usize>,
    takes_parts: bool,
}

impl Importer<'_> {
    fn inputs(&mut self) {
        for (index, port) in self.graph.inputs.iter().enumerate() {
            if self.graph.constants.contains_key(&port.name) {
                continue; // a constant, to which a caller may give other numbers
            }
            let is_number = !is_whole(port.dtype);
            let dims = port.dims.clone().unwrap_or(vec![None; if is_number { 3 } else { 2 }]);
            let columns = |width: Option<i64>| Axis::Columns(width.and_then(|width| usize::try_from(width).ok()));
            let axes = match (&dims[..], is_number) {
                ([_, _, width], true) => vec![Axis::Outer(0), Axis::Outer(1), columns(*width)],
                ([_, width], true) => vec![Axis::Outer(0), columns(*width)],
                ([_, _], false) => vec![Axis::Outer(0), Axis::Outer(1)],
                ([_], false) => vec![Axis::Outer(0)],
                _ => {
                    self.values.insert(port.name.clone(), Value::States(OUTSIDE));
                    continue;
                }
            };
            let width = axes.iter().find_map(|axis| if let Axis::Columns(width) = axis { *width } else { None });
            let place = self.line.input(index, width);
            let value = Value::Sequence(Sequence { axes, parts: vec![Some(place)], is_state: false });
            self.values.insert(port.name.clone(), value);
        }
    }

    fn node(&mut self, bytes: &prost::bytes::Bytes) -> Result<(), Error> {
        let node = Node::of(bytes.clone())?;
        let mut inputs = Vec::with_capacity(node.inputs.len());
        let mut refused = None;
        for name in &node.inputs {
            let value = if name.is_empty() { None } else { Some(self.value(name, &node)?) };
            if let Some(Value::Refused(error)) = &value {
                refused.get_or_insert(error.clone());
            }
            inputs.push(value);
        }
        while let Some(None) = inputs.last() {
            inputs.pop();
        }
        // Of what has graphs inside the reader wants to hear first.
        let has_graphs = matches!(node.op.as_str(), "If" | "Loop" | "Scan");
        let outputs = match refused.filter(|_| !has_graphs) {
            Some(error) => Err(error),
            None => self.evaluate(&node, &inputs).map_err(|error| Rc::new(error.within(node.label()))),
        };
        let mut outputs = outputs.map(Vec::into_iter);
        for name in &node.outputs {
            let value = match &mut outputs {
                Ok(values) => values.next().unwrap_or_else(|| {
                    let error = Error::value("output", "one of those that are read", format!("{name:?}"));
                    Value::Refused(Rc::new(error.within(node.label())))
                }),
                Err(error) => Value::Refused(error.clone()),
            };
            if name.is_empty() {
                continue;
            }
            if self.graph.constants.contains_key(name) || self.values.insert(name.clone(), value).is_some() {
                return Err(Error::value(node.label(), "an output with a name of its own", format!("{name:?} again")));
            }
        }
        Ok(())
    }

    /// What is known under this name. A constant is decoded where it is asked for first.
    fn value(&mut self, name: &str, node: &Node) -> Result<Value, Error> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let Some(bytes) = self.graph.constants.get(name) else {
            return Err(Error::value(node.label(), "inputs that are made before it", format!("{name:?}")));
        };
        let message: proto::Tensor = decode("constant", bytes.clone()).map_err(|error| error.within(node.label()))?;
        let value = match Tensor::of(message) {
            Ok(tensor) => Value::Constant(Rc::new(tensor)),
            Err(error) => Value::Refused(Rc::new(error.within(node.label()))),
        };
        self.values.insert(name.to_string(), value.clone());
        Ok(value)
    }

    /// The size that axis `outer` of the input says it has.
    fn declared(&self, sequence: &Sequence, outer: usize) -> Option<i64> {
        let place = sequence.parts.iter().flatten().next()?;
        let port = self.graph.inputs.get(self.line.input_of(*place))?;
        port.dims.as_ref()?.get(outer).copied().flatten()
    }

    /// A part of an input, or several as one: what can only be a state.
    fn part_of(&mut self, sequence: &Sequence) -> Value {
        let places = sequence.parts.iter().flatten();
        let inputs: Vec<usize> = places.map(|place| self.line.input_of(*place)).collect();
        for input in inputs {
            if !self.cut_inputs.contains(&input) {
                self.cut_inputs.push(input);
            }
        }
        Value::States(OUTSIDE)
    }

    /// Whether these are the outputs of no layer but an input itself.
    fn is_input(&self, sequence: &Sequence) -> bool {
        matches!(sequence.parts[..], [Some(place)] if self.line.is_input(place))
    }

    /// The one output that is a sequence, or, where there is none, one that is the last state of a cell.
    fn output<F: Float>(mut self) -> Result<Imported<F>, Error> {
        let mut found: Option<(&Port, Sequence)> = None;
        for port in &self.graph.outputs {
            let label = || format!("output {:?}", port.name);
            match self.values.get(&port.name) {
                Some(Value::Sequence(sequence)) if self.is_input(sequence) => {
                    return Err(Error::value(label(), "an output that layers make of an input", "an input as it is"));
                }
                Some(Value::Sequence(sequence)) => match &found {
                    None => found = Some((port, sequence.clone())),
                    Some((_, other)) if other.is_state && !sequence.is_state => found = Some((port, sequence.clone())),
                    Some(_) if sequence.is_state => {}
                    Some((other, _)) => {
                        let expected = format!("no outputs but {:?} and states", other.name);
                        return Err(Error::value("outputs of the graph", expected, format!("{:?}", port.name)));
                    }
                },
                Some(Value::States(_)) => {}
                Some(Value::Refused(error)) => return Err(same(error).within(label())),
                Some(other) => return Err(Error::value(label(), "outputs of a layer", other.what())),
                None => return Err(Error::value(label(), "what a node makes", "no such name")),
            }
        }
        let Some((port, sequence)) = found else {
            let expected = "an output that layers make of an input";
            return Err(Error::value("outputs of the graph", expected, "none"));
        };
        self.finish(port, &sequence).map_err(|error| error.within(format!("output {:?}", port.name)))
    }

    fn finish<F: Float>(&mut self, port: &Port, sequence: &Sequence) -> Result<Imported<F>, Error> {
        let place = match sequence.parts[..] {
            [Some(place)] => place,
            _ => self.side_by_side(&sequence.parts)?,
        };
        let input = self.line.input_of(place);
        if self.outside_states.contains(&input) || self.takes_parts && self.cut_inputs.contains(&input) {
            let expected = "an input that is a sequence, and not a state or lengths too";
            return Err(Error::value(format!("input {:?}", self.graph.inputs[input].name), expected, "both"));
        }
        let (time, has_columns) = (self.time.unwrap_or(0), self.tokens != Some(input));
        let outside = |outer: usize| if outer == time { Outside::Time } else { Outside::Batch };
        let own = &self.graph.inputs[input];
        let rank = own.dims.as_ref().map_or(if has_columns { 3 } else { 2 }, Vec::len);
        let mut input_axes: Vec<Outside> = (0..rank - usize::from(has_columns)).map(outside).collect();
        input_axes.extend(has_columns.then_some(Outside::Columns));
        let output_axes = sequence.axes.iter().map(|axis| match *axis {
            Axis::Outer(outer) => outside(outer),
            Axis::Both(first, _) if first == time => Outside::TimeAndBatch,
            Axis::Both(..) => Outside::BatchAndTime,
            Axis::Directions if sequence.parts.len() > 1 => Outside::Directions,
            Axis::Columns(_) => Outside::Columns,
            Axis::One | Axis::Directions => Outside::One,
        });
        Ok(Imported {
            network: build::network(&self.line, place)?,
            input: Place { name: own.name.clone(), axes: input_axes },
            output: Place { name: port.name.clone(), axes: output_axes.collect() },
        })
    }
}

fn is_whole(data_type: i32) -> bool {
    matches!(data_type, dtype::INT32 | dtype::INT64 | dtype::UINT8 | dtype::INT8 | dtype::BOOL)
}

/// The same once more.
fn same(error: &Error) -> Error {
    match error {
        Error::Shape { argument, expected, got } => {
            Error::Shape { argument: argument.clone(), expected: expected.clone(), got: got.clone() }
        }
        Error::Value { argument, expected, got } => Error::value(argument.clone(), expected, got),
        other => Error::value("ONNX file", "one that can be read", other),
    }
}
