//! Which operator goes where.

use std::rc::Rc;

use super::super::model::Node;
use super::super::tensor::Tensor;
use super::value::{Axis, Sequence, Sizes, Value};
use super::{Importer, constants, shapes};
use crate::Error;

/// An input that has to be there.
pub(super) fn wanted(inputs: &[Option<Value>], index: usize) -> Result<&Value, Error> {
    match inputs.get(index) {
        Some(Some(value)) => Ok(value),
        _ => Err(Error::value(format!("input {index}"), "a value", "none")),
    }
}

/// An input that may be there.
pub(super) fn given(inputs: &[Option<Value>], index: usize) -> Option<&Value> {
    inputs.get(index).and_then(Option::as_ref)
}

/// Whole numbers that are an attribute in earlier versions of an operator and an input in later ones.
pub(super) fn list(node: &Node, name: &str, inputs: &[Option<Value>], index: usize) -> Result<Option<Vec<i64>>, Error> {
    if let Some(ints) = node.ints(name) {
        return Ok(Some(ints.to_vec()));
    }
    match given(inputs, index) {
        None => Ok(None),
        Some(value) => match value.as_numbers() {
            Some(numbers) => Ok(Some(numbers)),
            None => Err(Error::value(name, "whole numbers that are known", value.what())),
        },
    }
}

/// Axis number `axis` of `rank`, counted from the end where it is below 0.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize, Error> {
    let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(from_start) {
        Ok(own) if own < rank => Ok(own),
        _ => Err(Error::value("axis", format!("one of {rank}"), axis)),
    }
}

impl Importer<'_> {
    pub(super) fn evaluate(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Vec<Value>, Error> {
        let one = |value: Value| Ok(vec![value]);
        match node.op.as_str() {
            "Constant" => one(constant(node)?),
            "Identity" => one(wanted(inputs, 0)?.clone()),
            "Cast" => one(self.cast(node, inputs)?),
            "Dropout" => match given(inputs, 2).and_then(Value::as_numbers).as_deref() {
                None | Some([0]) => one(wanted(inputs, 0)?.clone()),
                Some(_) => Err(Error::value("training_mode", "false: a network that is not in training", "true")),
            },
            "Shape" | "ConstantOfShape" | "Equal" | "ReduceProd" | "Where" => one(shapes::evaluate(node, inputs)?),
            "Transpose" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" | "Slice" | "Gather" | "Split" | "Concat"
            | "Expand" => self.arrange(node, inputs),
            "MatMul" => one(self.matmul(inputs)?),
            "Gemm" => one(self.gemm(node, inputs)?),
            "Add" | "Mul" | "Less" | "Not" if let Some(value) = self.of_tokens(node, inputs) => one(value),
            "Add" | "Sub" | "Mul" | "Div" => one(self.arithmetic(node, inputs)?),
            "Tanh" | "Sigmoid" | "Relu" | "Elu" | "LeakyRelu" | "ThresholdedRelu" | "HardSigmoid" | "Softsign"
            | "Softplus" => one(self.function(node, inputs)?),
            "LayerNormalization" => one(self.layer_norm(node, inputs)?),
            "ReduceSum" => one(self.reduce_sum(node, inputs)?),
            "RNN" | "GRU" | "LSTM" => self.recurrent(node, inputs),
            other => Err(Error::value("operator", "one of those listed in deep_rnn::onnx", other)),
        }
    }

    /// Another type of number: of constants only whole or not counts.
    fn cast(&self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
        let (value, to) = (wanted(inputs, 0)?, node.int("to", 0));
        let whole = i32::try_from(to).is_ok_and(super::is_whole);
        match value {
            Value::Constant(tensor) if tensor.as_floats().is_some() == whole => {
                self.room_for(tensor.numbers.len())?;
                Ok(Value::Constant(Rc::new(constants::cast(tensor, whole))))
            }
            Value::Sequence(sequence) if whole && !self.is_input(sequence) => {
                Err(Error::value("outputs of a layer", "numbers", "whole numbers"))
            }
            // Numbers that become tokens: what looked like columns is an axis of them.
            Value::Sequence(sequence) if whole && sequence.axes.len() < 3 => {
                let axes = sequence.axes.iter().enumerate().map(|(i, axis)| match axis {
                    Axis::Columns(_) => Axis::Outer(i),
                    other => *other,
                });
                Ok(Value::Sequence(Sequence { axes: axes.collect(), ..sequence.clone() }))
            }
            Value::Zeros(_) if whole => Err(Error::value("zeros", "numbers", "whole numbers")),
            other => Ok(other.clone()),
        }
    }

    fn room_for(&self, numbers: usize) -> Result<(), Error> {
        if numbers <= self.room.left { Ok(()) } else { Err(Error::value("constant", "less numbers", numbers)) }
    }

    /// Operators that move numbers and leave them as they are.
    fn arrange(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Vec<Value>, Error> {
        if node.op == "Concat" {
            return Ok(vec![self.concat(node, inputs)?]);
        }
        // Rows of a table, one for each token.
        if node.op == "Gather"
            && let (Value::Constant(table), Value::Sequence(tokens)) = (wanted(inputs, 0)?, wanted(inputs, 1)?)
        {
            return Ok(vec![self.embedding(node, table, tokens)?]);
        }
        match wanted(inputs, 0)? {
            Value::Zeros(_) => Ok(vec![Value::Zeros(None); node.outputs.len()]),
            Value::States(why) => Ok(vec![Value::States(why); node.outputs.len()]),
            Value::Sizes(_) => Ok(vec![shapes::arrange(node, inputs)?]),
            Value::Constant(tensor) => {
                let constant = constants::arrange(node, tensor, inputs, &mut self.room)?;
                Ok(constant)
            }
            Value::Repeated(tensor) => constants::arrange_repeated(node, tensor, inputs, &mut self.room),
            Value::Sequence(sequence) => {
                let sequence = sequence.clone();
                match self.arrange_sequence(node, &sequence, inputs) {
                    // A part of an input that is no sequence, or states put into another shape, can still be states.
                    Err(_) if self.is_input(&sequence) => Ok(vec![self.part_of(&sequence); node.outputs.len()]),
                    Err(_) if sequence.is_state => Ok(vec![Value::States(super::value::STATES); node.outputs.len()]),
                    other => other,
                }
            }
            Value::Refused(error) => Err(super::same(error)),
        }
    }
}

/// What a node of its own holds.
fn constant(node: &Node) -> Result<Value, Error> {
    if let Some(tensor) = node.get("value").and_then(|attribute| attribute.t.clone()) {
        return Ok(Value::Constant(Rc::new(Tensor::of(tensor)?)));
    }
    let made = |tensor: Tensor| Ok(Value::Constant(Rc::new(tensor)));
    if node.get("value_int").is_some() {
        return made(Tensor::ints(Vec::new(), vec![node.int("value_int", 0)]));
    }
    if let Some(ints) = node.ints("value_ints") {
        return made(Tensor::ints(vec![ints.len()], ints.to_vec()));
    }
    if let Some(number) = node.get("value_float") {
        return made(Tensor::floats(Vec::new(), vec![f64::from(number.f.unwrap_or(0.0))]));
    }
    if let Some(numbers) = node.get("value_floats") {
        let numbers: Vec<f64> = numbers.floats.iter().copied().map(f64::from).collect();
        return made(Tensor::floats(vec![numbers.len()], numbers));
    }
    Err(Error::value("constant", "numbers", "none"))
}

impl Sizes {
    /// A list.
    pub(super) fn list(list: Vec<super::value::Size>) -> Self {
        Sizes { list, is_scalar: false }
    }
}
