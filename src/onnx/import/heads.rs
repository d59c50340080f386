//! Linear layers, embeddings, norms and sums.

use std::rc::Rc;

use super::super::functions;
use super::super::model::Node;
use super::super::tensor::Tensor;
use super::line::Layer;
use super::nodes::{axis_of, given, list, wanted};
use super::value::{Axis, Sequence, Value};
use super::{Importer, shapes};
use crate::{Describe, Error};

impl Importer<'_> {
    /// A sequence and a constant, in this order.
    fn sequence<'v>(&self, value: &'v Value) -> Result<(&'v Sequence, usize), Error> {
        match value {
            Value::Sequence(own) => match own.parts[..] {
                [Some(place)] => Ok((own, place)),
                [None] => Err(Error::value("input", "outputs of a layer", super::value::STATES)),
                _ => Err(Error::value("input", "outputs of one direction, or of two side by side", "directions apart")),
            },
            other => Err(Error::value("input", "outputs of a layer", other.what())),
        }
    }

    /// Puts a layer on top of a sequence whose last axis are its columns.
    fn on_top(&mut self, sequence: &Sequence, place: usize, layer: Layer) -> Result<Value, Error> {
        let Some((Axis::Columns(width), outer)) = sequence.axes.split_last() else {
            return Err(Error::value("input", "rows whose columns are the last axis", "another order"));
        };
        let (inputs, outputs) = layer.about.sizes.unwrap_or((width.unwrap_or(0), width.unwrap_or(0)));
        if width.is_some_and(|width| width != inputs) {
            let got = format!("{} of what is below", width.unwrap_or(0));
            return Err(Error::value("columns of the input", format!("{inputs}, by its weights"), got));
        }
        let mut axes = outer.to_vec();
        axes.push(Axis::Columns(Some(outputs)));
        let place = self.line.push(place, layer, &mut self.room)?;
        Ok(Value::Sequence(Sequence { axes, parts: vec![Some(place)], is_state: false }))
    }

    pub(super) fn matmul(&mut self, inputs: &[Option<Value>]) -> Result<Value, Error> {
        let (sequence, place) = self.sequence(wanted(inputs, 0)?)?;
        let w = matrix(wanted(inputs, 1)?)?;
        self.on_top(&sequence.clone(), place, linear(w.clone(), None))
    }

    pub(super) fn gemm(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
        let (sequence, place) = self.sequence(wanted(inputs, 0)?)?;
        if node.int("transA", 0) != 0 || sequence.axes.len() != 2 {
            return Err(Error::value("input A", "rows, not transposed", format!("{} axes", sequence.axes.len())));
        }
        let w = matrix(wanted(inputs, 1)?)?;
        let (rows, columns) = (w.dims[0], w.dims[1]);
        self.room.take(w.numbers.len())?;
        let mut w = match node.int("transB", 0) {
            0 => w.strided(w.dims.clone(), 0, &w.strides()),
            _ => w.strided(vec![columns, rows], 0, &[1, columns as isize]),
        };
        let outputs = w.dims[1];
        times(&mut w, node.float("alpha").unwrap_or(1.0));
        let b = match given(inputs, 2) {
            None => None,
            Some(value) => {
                let mut b = self.row(value, outputs)?;
                times(&mut b, node.float("beta").unwrap_or(1.0));
                Some(b)
            }
        };
        self.on_top(&sequence.clone(), place, linear(Rc::new(w), b))
    }

    /// A constant that is added to each row: a number for each column.
    fn row(&mut self, value: &Value, width: usize) -> Result<Tensor, Error> {
        let Value::Constant(tensor) = value else {
            return Err(Error::value("bias", "a constant", value.what()));
        };
        let (len, last) = (tensor.numbers.len(), tensor.dims.last().copied().unwrap_or(1));
        let Some(numbers) = tensor.as_floats() else { return Err(Error::value("bias", "numbers", "whole numbers")) };
        if len != last || len != width && len != 1 {
            return Err(Error::shape("bias", format!("[{width}]"), &tensor.dims));
        }
        self.room.take(width)?;
        let numbers = if len == width { numbers.to_vec() } else { vec![numbers[0]; width] };
        Ok(Tensor::floats(vec![width], numbers))
    }

    pub(super) fn arithmetic(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
        let (a, b) = (wanted(inputs, 0)?, wanted(inputs, 1)?);
        match (node.op.as_str(), a, b) {
            (_, a, b) if a.as_sizes().is_some() && b.as_sizes().is_some() => shapes::arithmetic(&node.op, inputs),
            ("Add", Value::Sequence(one), Value::Sequence(other)) => self.sum(one, other),
            ("Add", sequence @ Value::Sequence(_), constant) | ("Add", constant, sequence @ Value::Sequence(_)) => {
                self.add_bias(sequence, constant)
            }
            ("Mul", sequence @ Value::Sequence(_), constant) | ("Mul", constant, sequence @ Value::Sequence(_)) => {
                self.scale(sequence, constant, false)
            }
            ("Div", sequence @ Value::Sequence(_), constant) => self.scale(sequence, constant, true),
            ("Mul", Value::Zeros(_), Value::Zeros(_) | Value::Constant(_))
            | ("Mul", Value::Constant(_), Value::Zeros(_))
            | ("Add" | "Sub", Value::Zeros(_), Value::Zeros(_)) => Ok(Value::Zeros(None)),
            ("Add", Value::Zeros(_), other) | ("Add" | "Sub", other, Value::Zeros(_)) => Ok(other.clone()),
            (op, Value::Constant(a), Value::Constant(b)) => self.of_constants(op, a, b),
            (_, a, b) => {
                let got = format!("{} and {}", a.what(), b.what());
                Err(Error::value("inputs", "outputs of a layer and a constant, or two of one layer", got))
            }
        }
    }

    /// Of constants of one shape, or with one number.
    fn of_constants(&mut self, op: &str, a: &Tensor, b: &Tensor) -> Result<Value, Error> {
        let (Some(x), Some(y)) = (a.as_floats(), b.as_floats()) else {
            return Err(Error::value("constants", "numbers", "whole numbers"));
        };
        if a.dims != b.dims && x.len() != 1 && y.len() != 1 || x.is_empty() || y.is_empty() {
            return Err(Error::shape("constants", format!("{:?}, or one number", a.dims), &b.dims));
        }
        let len = x.len().max(y.len());
        self.room.take(len)?;
        let at = |numbers: &[f64], i: usize| numbers[if numbers.len() == 1 { 0 } else { i }];
        let made = (0..len).map(|i| {
            let (x, y) = (at(x, i), at(y, i));
            match op {
                "Add" => x + y,
                "Sub" => x - y,
                "Mul" => x * y,
                _ => x / y,
            }
        });
        let dims = if x.len() >= y.len() { a.dims.clone() } else { b.dims.clone() };
        Ok(Value::Constant(Rc::new(Tensor::floats(dims, made.collect()))))
    }

    fn sum(&mut self, one: &Sequence, other: &Sequence) -> Result<Value, Error> {
        let (&[Some(a)], &[Some(b)]) = (&one.parts[..], &other.parts[..]) else {
            return Err(Error::value("inputs", "outputs of one direction each", "several"));
        };
        let columns = |axis: &Axis| if let Axis::Columns(_) = axis { Axis::Columns(None) } else { *axis };
        let kinds = |sequence: &Sequence| sequence.axes.iter().map(columns).collect::<Vec<_>>();
        if kinds(one) != kinds(other) || one.is_state || other.is_state {
            return Err(Error::value("inputs", "outputs with the same axes", "others"));
        }
        let (below, layer) = self.line.sum(a, b, &mut self.room)?;
        let place = self.line.push(below, layer, &mut self.room)?;
        let widths = [one, other].map(|sequence| sequence.columns());
        let axes = if widths[0].is_some() { one.axes.clone() } else { other.axes.clone() };
        if let [Some(a), Some(b)] = widths
            && a != b
        {
            return Err(Error::value("columns", a, b));
        }
        Ok(Value::Sequence(Sequence { axes, parts: vec![Some(place)], is_state: false }))
    }

    /// A product without a bias gets one.
    fn add_bias(&mut self, value: &Value, constant: &Value) -> Result<Value, Error> {
        let (sequence, place) = self.sequence(value)?;
        let expected = "a product with a matrix, which has no bias yet";
        let refused = || Error::value("outputs that a constant is added to", expected, "outputs of another layer");
        let (Some(layer), Some(below)) = (self.line.layer(place), self.line.below(place)) else {
            return Err(refused());
        };
        let (_, outputs) = layer.about.sizes.unwrap_or_default();
        let [(_, w)] = &layer.arrays[..] else { return Err(refused()) };
        if layer.about.kind != "Linear" {
            return Err(refused());
        }
        if !matches!(sequence.axes.last(), Some(Axis::Columns(_))) {
            return Err(Error::value("outputs that a constant is added to", "columns as the last axis", "another"));
        }
        let w = w.clone();
        let sequence = sequence.clone();
        fits(constant, &sequence)?;
        let b = self.row(constant, outputs)?;
        let layer = linear(w, Some(b));
        let place = self.line.push(below, layer, &mut self.room)?;
        Ok(Value::Sequence(Sequence { parts: vec![Some(place)], ..sequence }))
    }

    fn scale(&mut self, value: &Value, constant: &Value, divides: bool) -> Result<Value, Error> {
        let (sequence, place) = self.sequence(value)?;
        fits(constant, sequence)?;
        let factor = if divides { 1.0 / number(constant)? } else { number(constant)? };
        let width = sequence.columns().unwrap_or(0);
        let about = Describe::new("Scale", width, width).setting("factor", factor).without_sizes();
        let sequence = sequence.clone();
        let place = self.line.push(place, Layer::new(about, Vec::new()), &mut self.room)?;
        Ok(Value::Sequence(Sequence { parts: vec![Some(place)], is_state: false, ..sequence }))
    }

    /// A function of each number.
    pub(super) fn function(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
        let (sequence, place) = self.sequence(wanted(inputs, 0)?)?;
        let parameter = |name: &str| node.float(name).into_iter().collect::<Vec<f64>>();
        let functions = functions::of(std::slice::from_ref(&node.op), parameter("alpha"), parameter("beta"))?;
        let [function] = functions[..] else { return Err(Error::value("function", 1, functions.len())) };
        let width = sequence.columns().unwrap_or(0);
        let about = Describe::new("Activate", width, width).setting("activation", function.to_string());
        let sequence = sequence.clone();
        let place = self.line.push(place, Layer::new(about.without_sizes(), Vec::new()), &mut self.room)?;
        Ok(Value::Sequence(Sequence { parts: vec![Some(place)], is_state: false, ..sequence }))
    }

    /// The sum of two directions along their axis.
    pub(super) fn reduce_sum(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
        let expected = "the two directions of a recurrent layer, summed along their axis";
        let refused = |got: &str| Err(Error::value("input", expected, got));
        let Value::Sequence(sequence) = wanted(inputs, 0)? else { return refused("another") };
        let (rank, axes) = (sequence.axes.len(), list(node, "axes", inputs, 1)?.unwrap_or_default());
        let &[Some(one), Some(other)] = &sequence.parts[..] else { return refused("one direction") };
        let [axis] = axes[..] else { return refused("several axes") };
        let axis = axis_of(axis, rank)?;
        if sequence.axes[axis] != Axis::Directions {
            return refused("another axis");
        }
        let mut sequence = sequence.clone();
        let (below, layer) = self.line.sum(one, other, &mut self.room)?;
        sequence.parts = vec![Some(self.line.push(below, layer, &mut self.room)?)];
        if node.int("keepdims", 1) == 0 {
            sequence.axes.remove(axis);
        }
        Ok(Value::Sequence(sequence))
    }

    pub(super) fn embedding(&mut self, node: &Node, table: &Rc<Tensor>, tokens: &Sequence) -> Result<Value, Error> {
        if node.int("axis", 0) != 0 || table.dims.len() != 2 || table.as_floats().is_none() {
            return Err(Error::shape("table", "[V, E], rows taken by tokens", &table.dims));
        }
        let [Some(place)] = tokens.parts[..] else { return Err(Error::value("tokens", "an input", "states")) };
        if !self.is_input(tokens) || tokens.axes.iter().any(|axis| matches!(axis, Axis::Columns(_))) {
            return Err(Error::value("tokens", "an input of whole numbers without columns", "something else"));
        }
        self.tokens = Some(self.line.input_of(place));
        let (v, e) = (table.dims[0], table.dims[1]);
        let mut layer = Layer::new(Describe::new("Embedding", v, e), Vec::new());
        layer.arrays.push(("w".into(), table.clone()));
        let mut axes = tokens.axes.clone();
        axes.push(Axis::Columns(Some(e)));
        let place = self.line.push(place, layer, &mut self.room)?;
        Ok(Value::Sequence(Sequence { axes, parts: vec![Some(place)], is_state: false }))
    }

    pub(super) fn layer_norm(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
        let (sequence, place) = self.sequence(wanted(inputs, 0)?)?;
        let axis = axis_of(node.int("axis", -1), sequence.axes.len())?;
        let Some(width) = sequence.columns().filter(|_| axis + 1 == sequence.axes.len()) else {
            return Err(Error::value("axis", "-1, that of the columns", node.int("axis", -1)));
        };
        let sequence = sequence.clone();
        let g = self.row(wanted(inputs, 1)?, width)?;
        let b = match given(inputs, 2) {
            Some(b) => self.row(b, width)?,
            None => Tensor::floats(vec![width], vec![0.0; width]),
        };
        let about = Describe::new("LayerNorm", width, width).without_sizes();
        let about = about.setting("epsilon", node.float("epsilon").unwrap_or(1e-5));
        self.on_top(&sequence, place, Layer::new(about, vec![("g", g), ("b", b)]))
    }
}

fn linear(w: Rc<Tensor>, b: Option<Tensor>) -> Layer {
    let about = Describe::new("Linear", w.dims[0], w.dims[1]).setting("bias", b.is_some());
    let mut layer = Layer::new(about, b.into_iter().map(|b| ("b", b)).collect());
    layer.arrays.push(("w".into(), w));
    layer
}

fn matrix(value: &Value) -> Result<&Rc<Tensor>, Error> {
    match value {
        Value::Constant(tensor) if tensor.as_floats().is_none() => {
            Err(Error::value("weight", "numbers", "whole numbers"))
        }
        Value::Constant(tensor) if tensor.dims.len() == 2 && tensor.dims.iter().all(|dim| *dim > 0) => Ok(tensor),
        Value::Constant(tensor) => Err(Error::shape("weight", "[D, V], both at least 1", &tensor.dims)),
        other => Err(Error::value("weight", "a constant", other.what())),
    }
}

/// A constant with more axes would give the outputs more.
fn fits(constant: &Value, sequence: &Sequence) -> Result<(), Error> {
    match constant {
        Value::Constant(tensor) if tensor.dims.len() > sequence.axes.len() => {
            Err(Error::shape("constant", format!("at most {} axes", sequence.axes.len()), &tensor.dims))
        }
        _ => Ok(()),
    }
}

fn number(value: &Value) -> Result<f64, Error> {
    match value {
        Value::Constant(tensor) => match tensor.as_floats() {
            Some([number]) => Ok(*number),
            _ => Err(Error::shape("factor", "one number", &tensor.dims)),
        },
        other => Err(Error::value("factor", "a constant", other.what())),
    }
}

fn times(tensor: &mut Tensor, factor: f64) {
    if factor != 1.0
        && let Some(numbers) = tensor.as_floats()
    {
        let numbers = numbers.iter().map(|x| x * factor).collect();
        *tensor = Tensor::floats(tensor.dims.clone(), numbers);
    }
}
