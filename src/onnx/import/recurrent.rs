//! The nodes RNN, GRU and LSTM: where their input comes from, first states, and where their outputs go.

use std::rc::Rc;

use super::super::model::Node;
use super::super::tensor::Tensor;
use super::Importer;
use super::cells::Cells;
use super::line::{Direction, Layer};
use super::nodes::{given, wanted};
use super::value::{Axis, CELL, OUTSIDE, Sequence, Size, Value};
use crate::{Describe, Error};

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
        self.lengths(given(inputs, 4), &x, time)?;
        let states = self.states(&cells, inputs)?;
        let mut parts = Vec::new();
        for (index, direction) in cells.directions.iter().enumerate() {
            let mut arrays = cells.arrays(index, inputs, self)?;
            let mut about = cells.describe(index, &arrays)?;
            if let Some(states) = &states {
                about = Describe::around("LearnedState", "", about);
                for (lane, rows) in states.iter().enumerate() {
                    let row = rows[index * cells.units..][..cells.units].to_vec();
                    arrays.push((format!("state.{lane}"), Tensor::floats(vec![1, cells.units], row)));
                }
            }
            let mut layer = Layer::new(about, Vec::new());
            layer.arrays = arrays.into_iter().map(|(name, array)| (name, Rc::new(array))).collect();
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
    fn lengths(&mut self, lengths: Option<&Value>, x: &Sequence, time: Axis) -> Result<(), Error> {
        let Axis::Outer(outer) = time else { return Ok(()) };
        let expected = "none, an input of the graph, or all steps for each row";
        let whole = |size: &Size, steps: Option<i64>| match size {
            Size::Of(axis) => *axis == outer,
            Size::Known(n) => steps == Some(*n),
            _ => false,
        };
        match lengths {
            None => Ok(()),
            Some(Value::States(OUTSIDE)) => {
                self.takes_parts = true;
                Ok(())
            }
            Some(Value::Sequence(own)) if self.is_input(own) => {
                let place = own.parts.iter().flatten().next();
                self.outside_states.extend(place.map(|place| self.line.input_of(*place)));
                Ok(())
            }
            Some(Value::Repeated(tensor)) if tensor.as_ints().is_none() => {
                Err(Error::value("sequence_lens", expected, "numbers"))
            }
            Some(value) => {
                let steps = self.declared(x, outer);
                let sizes = match value {
                    Value::Repeated(tensor) => Value::Constant(tensor.clone()).as_sizes(),
                    value => value.as_sizes(),
                };
                match sizes.filter(|sizes| sizes.list.iter().all(|size| whole(size, steps))) {
                    Some(_) => Ok(()),
                    None => Err(Error::value("sequence_lens", expected, value.what())),
                }
            }
        }
    }

    /// First states that the file has: of each lane a row for each direction. None where they are 0 or come from the
    /// caller.
    fn states(&mut self, cells: &Cells, inputs: &[Option<Value>]) -> Result<Option<Vec<Vec<f64>>>, Error> {
        let all = cells.directions.len() * cells.units;
        let (mut lanes, mut any) = (Vec::new(), false);
        for (lane, name) in ["initial_h", "initial_c"].into_iter().take(cells.gates.lanes).enumerate() {
            lanes.push(match given(inputs, 5 + lane) {
                None | Some(Value::Zeros(_)) => vec![0.0; all],
                Some(Value::States(OUTSIDE)) => {
                    self.takes_parts = true;
                    vec![0.0; all]
                }
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

/// The rows of a first state, a direction after the other: of an array `[directions, B, H]` (or `[B, directions, H]`),
/// broadcast, whose rows of the batch are all the same.
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
