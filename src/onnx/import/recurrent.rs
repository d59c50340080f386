//! The nodes RNN, GRU and LSTM.

use std::rc::Rc;

use super::super::functions;
use super::super::gates::{self, Gates};
use super::super::model::Node;
use super::super::tensor::Tensor;
use super::Importer;
use super::line::{Direction, Layer};
use super::nodes::{given, wanted};
use super::value::{Axis, CELL, Sequence, Size, Value};
use crate::{Describe, Error};

/// Attributes that are understood.
const KNOWN: [&str; 9] = [
    "activation_alpha",
    "activation_beta",
    "activations",
    "clip",
    "direction",
    "hidden_size",
    "input_forget",
    "layout",
    "linear_before_reset",
];

/// What a node says of all its directions.
struct Cells {
    gates: Gates,
    kind: &'static str,
    directions: Vec<Direction>,
    inputs: usize,
    units: usize,
    clip: Option<f64>,
    /// The functions of each direction in turn.
    functions: Vec<crate::cells::Activation>,
    batch_first: bool,
}

impl Importer<'_> {
    pub(super) fn recurrent(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Vec<Value>, Error> {
        let Value::Sequence(x) = wanted(inputs, 0)? else {
            return Err(Error::value("input X", "the graph's input, or outputs of a layer", wanted(inputs, 0)?.what()));
        };
        let x = x.clone();
        let cells = Cells::of(node, inputs)?;
        let [Some(below)] = x.parts[..] else {
            return Err(Error::value(
                "input X",
                "outputs of one direction, or of two side by side",
                "directions apart",
            ));
        };
        let (time, batch) = self.axes(&x, &cells)?;
        self.lengths(given(inputs, 4), time, batch)?;
        let states = self.states(&cells, inputs)?;
        let mut parts = Vec::new();
        for (index, direction) in cells.directions.iter().enumerate() {
            let arrays = cells.arrays(index, inputs, self)?;
            let mut about = cells.describe(index, &arrays)?;
            let mut arrays: Vec<(String, Tensor)> = arrays;
            if let Some(states) = &states {
                about = Describe::around("LearnedState", "", about);
                for (lane, rows) in states.iter().enumerate() {
                    let row = rows[index * cells.units..][..cells.units].to_vec();
                    arrays.push((format!("state.{lane}"), Tensor::floats(vec![1, cells.units], row)));
                }
            }
            let mut layer =
                Layer::new(about, arrays.iter().map(|(name, array)| (name.as_str(), array.clone())).collect());
            layer.cell = Some(Direction::Forward);
            let layer = if *direction == Direction::Reverse { layer.reversed() } else { layer };
            parts.push(Some(self.line.push(below, layer, &mut self.room)?));
        }
        self.outputs(node, &cells, (time, batch), parts)
    }

    /// Which axes of X are time and batch.
    fn axes(&mut self, x: &Sequence, cells: &Cells) -> Result<(Axis, Axis), Error> {
        let refused = |got: &str| {
            let expected = if cells.batch_first { "[B, T, D]" } else { "[T, B, D]" };
            Err(Error::value("axes of X", format!("{expected} of the graph's input"), got))
        };
        let (time, batch) = match (&x.axes[..], cells.batch_first) {
            ([time, batch, Axis::Columns(_)], false) | ([batch, time, Axis::Columns(_)], true) => (*time, *batch),
            _ => return refused("others"),
        };
        if x.is_state {
            return refused("a state");
        }
        let Axis::Outer(own) = time else { return refused("no time: one step, or time and batch as one") };
        match batch {
            Axis::One => {}
            Axis::Outer(other) if other != own => {
                self.batch = Some(other);
            }
            _ => return refused("no batch"),
        }
        if self.time.is_some_and(|time| time != own) || self.batch == Some(own) {
            return refused("time and batch the other way round than in another recurrent layer");
        }
        self.time = Some(own);
        if x.columns().is_some_and(|width| width != cells.inputs) {
            let got = format!("{} of what is below", x.columns().unwrap_or(0));
            return Err(Error::value("columns of X", format!("{}, by its weights", cells.inputs), got));
        }
        Ok((time, batch))
    }

    /// Lengths of rows: none, those that the caller gives, or all steps.
    fn lengths(&mut self, lengths: Option<&Value>, time: Axis, batch: Axis) -> Result<(), Error> {
        let Axis::Outer(outer) = time else { return Ok(()) };
        let expected = "none, an input of the graph, or all steps for each row";
        let whole = |size: &Size, steps: Option<i64>| match size {
            Size::Of(axis) => *axis == outer,
            Size::Known(n) => steps == Some(*n),
            _ => false,
        };
        match lengths {
            None | Some(Value::States(_)) => Ok(()),
            Some(Value::Sequence(own)) if self.is_input(own) => {
                let place = own.parts.iter().flatten().next();
                self.outside_states.extend(place.map(|place| self.line.input_of(*place)));
                Ok(())
            }
            Some(Value::Repeated(tensor)) if tensor.as_ints().is_none() => {
                Err(Error::value("sequence_lens", expected, "numbers"))
            }
            Some(value) => {
                let steps = self.graph.inputs.iter().find_map(|port| port.dims.as_ref()?.get(outer).copied().flatten());
                let sizes = match value {
                    Value::Repeated(tensor) => Value::Constant(tensor.clone()).as_sizes(),
                    value => value.as_sizes(),
                };
                let _ = batch;
                match sizes.filter(|sizes| sizes.list.iter().all(|size| whole(size, steps))) {
                    Some(_) => Ok(()),
                    None => Err(Error::value("sequence_lens", expected, value.what())),
                }
            }
        }
    }

    /// First states that the file has: of each lane a row for each direction. None where they are 0 or come from the caller.
    fn states(&mut self, cells: &Cells, inputs: &[Option<Value>]) -> Result<Option<Vec<Vec<f64>>>, Error> {
        let all = cells.directions.len() * cells.units;
        let (mut lanes, mut any) = (Vec::new(), false);
        for (lane, name) in ["initial_h", "initial_c"].into_iter().take(cells.gates.lanes).enumerate() {
            lanes.push(match given(inputs, 5 + lane) {
                None | Some(Value::Zeros(_)) => vec![0.0; all],
                Some(Value::States(_)) => vec![0.0; all],
                Some(Value::Sequence(own)) if self.is_input(own) => {
                    let place = own.parts.iter().flatten().next();
                    self.outside_states.extend(place.map(|place| self.line.input_of(*place)));
                    vec![0.0; all]
                }
                Some(Value::Constant(tensor) | Value::Repeated(tensor)) if tensor.is_zero() => vec![0.0; all],
                Some(Value::Constant(tensor) | Value::Repeated(tensor)) => {
                    any = true;
                    rows(tensor, cells).map_err(|error| error.within(name))?
                }
                Some(other) => {
                    let expected = "zeros, an input of the graph, or a constant that is the same for all rows";
                    return Err(Error::value(name, expected, other.what()));
                }
            });
        }
        Ok(any.then_some(lanes))
    }

    fn outputs(
        &mut self,
        node: &Node,
        cells: &Cells,
        (time, batch): (Axis, Axis),
        parts: Vec<Option<usize>>,
    ) -> Result<Vec<Value>, Error> {
        let columns = Axis::Columns(Some(cells.units));
        let (y_axes, h_axes) = if cells.batch_first {
            (vec![batch, time, Axis::Directions, columns], vec![batch, Axis::Directions, columns])
        } else {
            (vec![time, Axis::Directions, batch, columns], vec![Axis::Directions, batch, columns])
        };
        let mut last = Vec::new();
        for (part, direction) in parts.iter().zip(&cells.directions) {
            // A reverse direction ends at the first step.
            last.push(match (part, direction) {
                (Some(place), Direction::Forward) if node.has_output(1) => Some(self.last_of(*place)?),
                _ => None,
            });
        }
        Ok(vec![
            Value::Sequence(Sequence { axes: y_axes, parts, is_state: false }),
            Value::Sequence(Sequence { axes: h_axes, parts: last, is_state: true }),
            Value::States(CELL),
        ])
    }
}

/// The rows of a first state, a direction after the other: of an array `[directions, B, H]` (or `[B, directions, H]`), broadcast, whose
/// rows of the batch are all the same.
fn rows(tensor: &Rc<Tensor>, cells: &Cells) -> Result<Vec<f64>, Error> {
    let (directions, units) = (cells.directions.len(), cells.units);
    let refused = |expected: &str| Err(Error::shape("shape", expected, &tensor.dims));
    let Some(numbers) = tensor.as_floats().filter(|_| tensor.dims.len() <= 3) else {
        return refused("[directions, B, H]");
    };
    let mut dims = vec![1; 3 - tensor.dims.len()];
    dims.extend(&tensor.dims);
    let (of_directions, of_batch) = if cells.batch_first { (1, 0) } else { (0, 1) };
    let fits = |size: usize, wanted: usize| size == 1 || size == wanted;
    if !fits(dims[of_directions], directions) || !fits(dims[2], units) || dims[of_batch] == 0 {
        return refused(&format!("[{directions}, B, {units}]"));
    }
    let strides = [dims[1] * dims[2], dims[2], 1];
    let at = |place: [usize; 3]| {
        let index: usize = (0..3).map(|i| if dims[i] == 1 { 0 } else { place[i] * strides[i] }).sum();
        numbers.get(index).copied().unwrap_or(0.0)
    };
    let mut rows = Vec::with_capacity(directions * units);
    for direction in 0..directions {
        for unit in 0..units {
            let of_row =
                |row: usize| at(if cells.batch_first { [row, direction, unit] } else { [direction, row, unit] });
            let first = of_row(0);
            if (1..dims[of_batch]).any(|row| of_row(row) != first) {
                return Err(Error::value("rows", "the same numbers for each row of the batch", "others"));
            }
            rows.push(first);
        }
    }
    Ok(rows)
}

impl Cells {
    fn of(node: &Node, inputs: &[Option<Value>]) -> Result<Self, Error> {
        if let Some(other) = node.attribute_names().find(|name| !KNOWN.contains(name)) {
            return Err(Error::value("attributes", KNOWN.join(", "), format!("{other:?}")));
        }
        let directions = match node.text("direction", "forward").as_str() {
            "forward" => vec![Direction::Forward],
            "reverse" => vec![Direction::Reverse],
            "bidirectional" => vec![Direction::Forward, Direction::Reverse],
            other => return Err(Error::value("direction", "forward, reverse or bidirectional", other)),
        };
        let flag = |name: &str| match node.int(name, 0) {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::value(name, "0 or 1", other)),
        };
        let (coupled, peepholes) = (flag("input_forget")?, given(inputs, 7).is_some());
        let kind = match (node.op.as_str(), coupled, peepholes) {
            ("RNN", ..) => "Rnn",
            ("GRU", ..) if flag("linear_before_reset")? => "Gru",
            ("GRU", ..) => "GruResetBefore",
            (_, false, false) => "Lstm",
            (_, false, true) => "PeepholeLstm",
            (_, true, false) => "CoupledLstm",
            (_, true, true) => "CoupledPeepholeLstm",
        };
        let Some(gates) = gates::of_kind(kind) else { return Err(Error::value("operator", "a cell", &node.op)) };
        let (w, r) = (weights(inputs, 1, "W")?, weights(inputs, 2, "R")?);
        let &[n, columns, d] = &w.dims[..] else { return Err(Error::shape("W", "[directions, G·H, D]", &w.dims)) };
        let count = gates.order.len();
        let units = columns / count;
        if n != directions.len() || units == 0 || columns % count != 0 || d == 0 {
            return Err(Error::shape("W", format!("[{}, {count}·H, D]", directions.len()), &w.dims));
        }
        if r.dims != [n, columns, units] {
            return Err(Error::shape("R", format!("[{n}, {columns}, {units}]"), &r.dims));
        }
        let said = node.int("hidden_size", units as i64);
        if said != units as i64 {
            return Err(Error::value("hidden_size", format!("{units}, by its weights"), said));
        }
        let usual: Vec<String> = gates.functions.iter().map(|(_, name)| (*name).to_string()).collect();
        let all: Vec<String> = directions.iter().flat_map(|_| usual.clone()).collect();
        let names = node.texts("activations").unwrap_or(all);
        if names.len() != usual.len() * directions.len() {
            let expected = format!("{} for each direction", usual.len());
            return Err(Error::value("activations", expected, names.len()));
        }
        let functions = functions::of(&names, node.floats("activation_alpha"), node.floats("activation_beta"))?;
        Ok(Cells {
            gates,
            kind,
            directions,
            inputs: d,
            units,
            clip: node.float("clip"),
            functions,
            batch_first: flag("layout")?,
        })
    }

    /// The arrays of one direction, by their names here.
    fn arrays(
        &self,
        direction: usize,
        inputs: &[Option<Value>],
        importer: &mut Importer<'_>,
    ) -> Result<Vec<(String, Tensor)>, Error> {
        let (h, d, own) = (self.units, self.inputs, self.gates.count());
        importer.room.take(own * h * (h + d + 2))?;
        let mut arrays = Vec::new();
        for (name, onnx, index, rows) in [("w_x", "W", 1, d), ("w_h", "R", 2, h)] {
            let tensor = weights(inputs, index, onnx)?;
            let numbers = tensor.as_floats().unwrap_or_default();
            let start = direction * self.gates.order.len() * h * rows;
            let mut made = vec![0.0; own * h * rows];
            for (there, here) in self.placed() {
                for unit in 0..h {
                    for row in 0..rows {
                        made[row * own * h + here * h + unit] = numbers[start + (there * h + unit) * rows + row];
                    }
                }
            }
            arrays.push((name.to_string(), Tensor::floats(vec![rows, own * h], made)));
        }
        if given(inputs, 3).is_some() {
            let tensor = weights(inputs, 3, "B")?;
            let all = self.gates.order.len() * h;
            expect("B", &tensor, [self.directions.len(), 2 * all])?;
            let numbers = tensor.as_floats().unwrap_or_default();
            for (name, offset) in [("b", 0), ("b_h", all)] {
                let start = direction * 2 * all + offset;
                let mut made = vec![0.0; own * h];
                for (there, here) in self.placed() {
                    made[here * h..][..h].copy_from_slice(&numbers[start + there * h..][..h]);
                }
                // Where it is only added, a second bias of zeros is none.
                let needed = name == "b" || self.kind == "Gru" || made.iter().any(|x| *x != 0.0);
                if needed {
                    arrays.push((name.to_string(), Tensor::floats(vec![own * h], made)));
                }
            }
        }
        if given(inputs, 7).is_some() {
            let tensor = weights(inputs, 7, "P")?;
            expect("P", &tensor, [self.directions.len(), 3 * h])?;
            let numbers = tensor.as_floats().unwrap_or_default();
            for (place, name) in self.gates.peepholes.iter().enumerate() {
                if let Some(name) = name {
                    let numbers = numbers[(3 * direction + place) * h..][..h].to_vec();
                    arrays.push(((*name).to_string(), Tensor::floats(vec![h], numbers)));
                }
            }
        }
        Ok(arrays)
    }

    /// The number of each gate there and here.
    fn placed(&self) -> impl Iterator<Item = (usize, usize)> {
        self.gates.order.iter().enumerate().filter_map(|(there, here)| here.map(|here| (there, here)))
    }

    /// The cell of one direction, with these arrays.
    fn describe(&self, direction: usize, arrays: &[(String, Tensor)]) -> Result<Describe, Error> {
        let has = |name: &str| arrays.iter().any(|(own, _)| own == name);
        let bias = match (has("b"), has("b_h")) {
            (false, _) => "none",
            (true, false) => "one",
            (true, true) => "two",
        };
        let about = Describe::new(self.kind, self.inputs, self.units).setting("bias", bias);
        let functions = &self.functions[direction * self.gates.functions.len()..][..self.gates.functions.len()];
        let named: Vec<(&str, String)> =
            self.gates.functions.iter().zip(functions).map(|((name, _), own)| (*name, own.to_string())).collect();
        let usual = self.gates.functions.iter().zip(&named).all(|((_, usual), (_, own))| usual == own);
        // The plain cell where it will do.
        let about =
            if usual { about } else { named.into_iter().fold(about, |about, (name, own)| about.setting(name, own)) };
        Ok(match self.clip {
            Some(clip) => about.setting("clip_gates", clip),
            None => about,
        })
    }
}

fn weights(inputs: &[Option<Value>], index: usize, name: &str) -> Result<Rc<Tensor>, Error> {
    match wanted(inputs, index).map_err(|error| error.within(name))? {
        Value::Constant(tensor) if tensor.as_floats().is_some() => Ok(tensor.clone()),
        Value::Constant(_) => Err(Error::value(name, "numbers", "whole numbers")),
        other => Err(Error::value(name, "a constant", other.what())),
    }
}

fn expect(name: &str, tensor: &Tensor, dims: [usize; 2]) -> Result<(), Error> {
    if tensor.dims == dims { Ok(()) } else { Err(Error::shape(name, format!("{dims:?}"), &tensor.dims)) }
}
