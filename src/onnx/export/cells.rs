//! Cells: a node for one, or for two directions of one kind.

use std::str::FromStr;

use super::super::functions;
use super::super::gates::{self, Gates};
use super::super::proto;
use super::graph::{float, floats, int, ints, text, texts};
use super::layers::only;
use super::{Exporter, Way, joined, number_type};
use crate::cells::Activation;
use crate::{Describe, Error, Float};

/// A cell of a direction.
pub(super) struct Cell<'a> {
    about: &'a Describe,
    gates: Gates,
    /// In front of the names of its arrays.
    prefix: String,
    reversed: bool,
    units: usize,
    clip: Option<f64>,
    functions: Vec<Activation>,
    /// Whether its first state is among its arrays.
    learned: bool,
}

impl<'a> Cell<'a> {
    /// # Errors
    /// If it has a setting that ONNX has not.
    pub(super) fn of(about: &'a Describe, prefix: &str, reversed: bool) -> Result<Self, Error> {
        if about.kind == "LearnedState" {
            let (name, inner) = only(about)?;
            if gates::of_kind(&inner.kind).is_none() {
                return Err(Error::value("layer inside LearnedState", "a cell that ONNX has", inner));
            }
            return Ok(Cell { learned: true, ..Cell::of(inner, &joined(prefix, name), reversed)? });
        }
        let Some(gates) = gates::of_kind(&about.kind) else {
            return Err(Error::value("layer", "a cell that ONNX has", about));
        };
        for (name, why) in
            [("units", "a projection"), ("projection_clip", "a projection"), ("clip_cell", "a clipped cell state")]
        {
            if about.get(name).is_some() {
                return Err(Error::value("cell", "one that ONNX has", why));
            }
        }
        let names: Vec<&str> = gates.functions.iter().map(|(name, _)| *name).collect();
        about.expect_settings(&[&names[..], &["bias", "clip_gates", "forget_bias"]].concat())?;
        let functions = gates.functions.iter().map(|(name, usual)| {
            Activation::from_str(about.text(name)?.unwrap_or(usual)).map_err(|error| error.within(name))
        });
        let functions = functions.collect::<Result<Vec<_>, Error>>()?;
        let (units, clip) = (about.outputs()?, about.number("clip_gates")?);
        let prefix = prefix.to_string();
        Ok(Cell { about, gates, prefix, reversed, units, clip, functions, learned: false })
    }

    /// Whether one node has room for both.
    pub(super) fn goes_with(&self, other: &Cell<'_>) -> bool {
        self.about.kind == other.about.kind
            && (self.units, self.clip, self.learned) == (other.units, other.clip, other.learned)
            && self.about.sizes == other.about.sizes
    }
}

impl<F: Float> Exporter<'_, F> {
    /// One node of these cells, which are one direction or both; the name of its outputs, `[T, B, H]`, or `[T, B, 2H]`
    /// of two that are not added.
    pub(super) fn cells(&mut self, cells: &[Cell<'_>], name: &str, x: &str, way: Way) -> Result<String, Error> {
        let first = &cells[0];
        if way.tokens {
            return Err(Error::value("input", "rows of numbers", "tokens"));
        }
        let Cell { gates, units: h, .. } = *first;
        let (count, directions, d) =
            (gates.order.len(), cells.len(), first.about.sizes.map_or(0, |(inputs, _)| inputs));
        let (mut w, mut r, mut b, mut p) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let has_bias = cells.iter().any(|cell| ["b", "b_h"].iter().any(|own| self.has(cell, own)));
        for cell in cells {
            self.turned(&mut w, cell, "w_x", d)?;
            self.turned(&mut r, cell, "w_h", h)?;
            for own in ["b", "b_h"].iter().filter(|_| has_bias) {
                match self.has(cell, own) {
                    true => self.turned(&mut b, cell, own, 1)?,
                    false => b.extend(vec![F::zero(); count * h]),
                }
            }
            for peephole in gates.peepholes {
                match peephole {
                    Some(own) => p.extend(self.numbers(cell, own, h)?),
                    None => p.extend(vec![F::zero(); h]),
                }
            }
        }
        let mut constant = |own: &str, dims: &[usize], numbers: &[F]| match numbers {
            [] => String::new(),
            numbers => self.writer.constant(&joined(&first.prefix, own), dims, numbers),
        };
        let w = constant("W", &[directions, count * h, d], &w);
        let r = constant("R", &[directions, count * h, h], &r);
        let b = constant("B", &[directions, 2 * count * h], &b);
        let p = constant("P", &[directions, gates.peepholes.len() * h], &p);
        let (mut inputs, mut outputs) =
            (vec![x, &w, &r, &b, ""], vec![self.writer.fresh(&format!("{name}/{}_Y", gates.op))]);
        let index = self.cells;
        self.cells += 1;
        let mut firsts = Vec::new();
        for (lane, letter) in ["h", "c"].into_iter().take(gates.lanes).enumerate() {
            let dims = [(None, directions), (Some("B"), 0), (None, h)];
            firsts.push(match first.learned {
                true => self.learned(cells, lane, x, name)?,
                false => {
                    let own = format!("{letter}{index}_in");
                    self.writer.input(&own, number_type::<F>(), &dims);
                    own
                }
            });
            let own = format!("{letter}{index}_out");
            self.writer.output(&own, number_type::<F>(), &dims);
            outputs.push(own);
        }
        inputs.extend(firsts.iter().map(String::as_str));
        if !p.is_empty() {
            inputs.push(&p);
        }
        while inputs.last() == Some(&"") {
            inputs.pop();
        }
        let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
        self.writer.node(gates.op, name, &inputs, &names, attributes(cells)?);
        let y = &outputs[0];
        if directions == 1 {
            let axes = self.writer.ints(&joined(&first.prefix, "axes"), &[1], &[1]);
            return Ok(self.writer.one("Squeeze", name, &[y, &axes], Vec::new()));
        }
        if way.sum {
            let axes = self.writer.ints(&joined(&first.prefix, "axes"), &[1], &[1]);
            return Ok(self.writer.one("ReduceSum", name, &[y, &axes], vec![int("keepdims", 0)]));
        }
        let turned = self.writer.one("Transpose", name, &[y], vec![ints("perm", &[0, 2, 1, 3])]);
        let shape = self.writer.ints(&joined(&first.prefix, "shape"), &[3], &[0, 0, (directions * h) as i64]);
        Ok(self.writer.one("Reshape", name, &[&turned, &shape], Vec::new()))
    }

    fn has(&self, cell: &Cell<'_>, own: &str) -> bool {
        self.arrays.contains_key(&joined(&cell.prefix, own))
    }

    /// The numbers of an array of a cell, of which there have to be so many.
    fn numbers(&self, cell: &Cell<'_>, own: &str, len: usize) -> Result<Vec<F>, Error> {
        let full = joined(&cell.prefix, own);
        match self.arrays.get(&full) {
            Some(array) if array.len() == len => Ok(array.iter().copied().collect()),
            Some(array) => Err(Error::shape(full, format!("{len} numbers"), array.shape())),
            None => Err(Error::value("arrays", format!("{full:?}"), "none of this name")),
        }
    }

    /// Adds an array `[rows, G·H]` of a cell in ONNX's order, `[G·H, rows]`; zeros for a gate that the cell has not.
    fn turned(&self, to: &mut Vec<F>, cell: &Cell<'_>, own: &str, rows: usize) -> Result<(), Error> {
        let Cell { gates, units: h, .. } = *cell;
        let columns = gates.count() * h;
        let numbers = self.numbers(cell, own, rows * columns)?;
        for here in gates.order {
            for unit in 0..h {
                to.extend((0..rows).map(|row| match here {
                    Some(here) => numbers[row * columns + here * h + unit],
                    None => F::zero(),
                }));
            }
        }
        Ok(())
    }

    /// A first state that is learned, for each row of the batch.
    fn learned(&mut self, cells: &[Cell<'_>], lane: usize, x: &str, name: &str) -> Result<String, Error> {
        let (h, prefix) = (cells[0].units, cells[0].prefix.as_str());
        let mut numbers = Vec::new();
        for cell in cells {
            numbers.extend(self.numbers(cell, &format!("state.{lane}"), h)?);
        }
        let state = self.writer.constant(&joined(prefix, &format!("state.{lane}")), &[cells.len(), 1, h], &numbers);
        let all = self.writer.one("Shape", name, &[x], Vec::new());
        let place = self.writer.ints(&joined(prefix, "place"), &[1], &[1]);
        let batch = self.writer.one("Gather", name, &[&all, &place], vec![int("axis", 0)]);
        let directions = self.writer.ints(&joined(prefix, "directions"), &[1], &[cells.len() as i64]);
        let units = self.writer.ints(&joined(prefix, "units"), &[1], &[h as i64]);
        let shape = self.writer.one("Concat", name, &[&directions, &batch, &units], vec![int("axis", 0)]);
        Ok(self.writer.one("Expand", name, &[&state, &shape], Vec::new()))
    }
}

fn attributes(cells: &[Cell<'_>]) -> Result<Vec<proto::Attribute>, Error> {
    let first = &cells[0];
    let direction = match (cells.len(), first.reversed) {
        (2, _) => "bidirectional",
        (_, true) => "reverse",
        (_, false) => "forward",
    };
    let mut all = vec![int("hidden_size", first.units as i64), text("direction", direction)];
    let usual = cells.iter().all(|cell| {
        let names = cell.gates.functions.iter().map(|(_, usual)| (*usual).to_string());
        names.eq(cell.functions.iter().map(Activation::to_string))
    });
    if !usual {
        let (mut names, mut alpha, mut beta) = (Vec::new(), Vec::new(), Vec::new());
        for function in cells.iter().flat_map(|cell| &cell.functions) {
            let (name, a, b) = functions::name(*function)?;
            names.push(name);
            alpha.extend(a);
            beta.extend(b);
        }
        all.push(texts("activations", &names));
        all.extend((!alpha.is_empty()).then(|| floats("activation_alpha", &alpha)));
        all.extend((!beta.is_empty()).then(|| floats("activation_beta", &beta)));
    }
    all.extend(first.clip.map(|clip| float("clip", clip)));
    match first.about.kind.as_str() {
        "Gru" => all.push(int("linear_before_reset", 1)),
        "CoupledLstm" | "CoupledPeepholeLstm" => all.push(int("input_forget", 1)),
        _ => {}
    }
    Ok(all)
}
