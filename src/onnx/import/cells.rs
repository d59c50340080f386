//! What the nodes RNN, GRU and LSTM say of their cells: sizes, functions, weights.

use std::rc::Rc;

use super::super::functions;
use super::super::gates::{self, Gates};
use super::super::model::Node;
use super::super::tensor::Tensor;
use super::Importer;
use super::line::Direction;
use super::nodes::{given, wanted};
use super::value::Value;
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
pub(super) struct Cells {
    pub gates: Gates,
    kind: &'static str,
    pub directions: Vec<Direction>,
    pub inputs: usize,
    pub units: usize,
    clip: Option<f64>,
    /// The functions of each direction in turn.
    functions: Vec<crate::cells::Activation>,
    pub batch_first: bool,
}

impl Cells {
    pub(super) fn of(node: &Node, inputs: &[Option<Value>]) -> Result<Self, Error> {
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
    pub(super) fn arrays(
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
    pub(super) fn describe(&self, direction: usize, arrays: &[(String, Tensor)]) -> Result<Describe, Error> {
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
