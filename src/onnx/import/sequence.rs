//! Operators that move the outputs of layers: axes change places, come and go, directions are taken apart and put
//! together, and the last step is taken.

use std::rc::Rc;

use super::super::model::Node;
use super::Importer;
use super::constants::{bounds, concatenated, permutation, places_of_new, slices, split_sizes};
use super::line::{Direction, Layer};
use super::nodes::{axis_of, given, list, wanted};
use super::shapes::LONGEST;
use super::value::{Axis, OUTSIDE, STATES, Sequence, Size, Sizes, Value};
use crate::{Describe, Error};

/// Directions and states side by side.
const MOST_PARTS: usize = 256;

impl Importer<'_> {
    pub(super) fn arrange_sequence(
        &mut self,
        node: &Node,
        sequence: &Sequence,
        inputs: &[Option<Value>],
    ) -> Result<Vec<Value>, Error> {
        let rank = sequence.axes.len();
        let with = |axes: Vec<Axis>| Ok(vec![Value::Sequence(Sequence { axes, ..sequence.clone() })]);
        match node.op.as_str() {
            "Transpose" => {
                let usual: Vec<i64> = (0..rank as i64).rev().collect();
                let order = permutation(node.ints("perm").unwrap_or(&usual), rank)?;
                with(order.into_iter().map(|axis| sequence.axes[axis]).collect())
            }
            "Squeeze" => {
                let axes = match list(node, "axes", inputs, 1)? {
                    Some(axes) => axes.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<Vec<_>, _>>()?,
                    None => {
                        let declared = |outer: &usize| self.declared(sequence, *outer) == Some(1);
                        let is_one = |axis: &Axis| matches!(axis, Axis::Outer(outer) if declared(outer));
                        if sequence.axes.iter().any(is_one) {
                            return Err(Error::value("axes", "those to be squeezed", "none: all of size 1"));
                        }
                        (0..rank).filter(|axis| sequence.is_one(sequence.axes[*axis])).collect()
                    }
                };
                if let Some(axis) = axes.iter().find(|axis| !sequence.is_one(sequence.axes[**axis])) {
                    return Err(Error::value(format!("axis {axis}"), "one of size 1 for all inputs", "another"));
                }
                with((0..rank).filter(|axis| !axes.contains(axis)).map(|axis| sequence.axes[axis]).collect())
            }
            "Unsqueeze" => {
                let mut own = sequence.axes.clone();
                for place in places_of_new(&list(node, "axes", inputs, 1)?.unwrap_or_default(), rank)? {
                    own.insert(place, Axis::One);
                }
                with(own)
            }
            "Reshape" => {
                let shape = match node.ints("shape") {
                    Some(ints) => Sizes::list(ints.iter().map(|n| Size::Known(*n)).collect()),
                    None => {
                        let shape = wanted(inputs, 1)?;
                        shape.as_sizes().ok_or_else(|| Error::value("shape", "sizes", shape.what()))?
                    }
                };
                self.reshaped(sequence, &shape, node.int("allowzero", 0) != 0)
            }
            "Flatten" => {
                let axis = node.int("axis", 1);
                let axis = if axis == rank as i64 { rank } else { axis_of(axis, rank)? };
                let sizes = sequence.sizes();
                let whole = |range: &[Size]| match range {
                    [] => Ok(Size::Known(1)),
                    [one] => Ok(*one),
                    [Size::Of(a), Size::Of(b)] => Ok(Size::Product(*a, *b)),
                    _ => Ok(Size::Known(-1)),
                };
                let list: Result<Vec<_>, Error> = [&sizes[..axis], &sizes[axis..]].into_iter().map(whole).collect();
                self.reshaped(sequence, &Sizes::list(list?), true)
            }
            "Slice" => {
                let mut own = sequence.clone();
                for [axis, start, end, step] in self.known_slices(node, inputs, sequence)? {
                    if step != 1 {
                        return Err(Error::value("step of a slice", "1", step));
                    }
                    own = self.slice(&own, axis_of(axis, rank)?, start, end)?;
                }
                Ok(vec![Value::Sequence(own)])
            }
            "Gather" => {
                let axis = axis_of(node.int("axis", 0), rank)?;
                let indices = wanted(inputs, 1)?;
                let known = indices.as_sizes().zip(indices.as_numbers());
                let Some((sizes, index)) = known.and_then(|(sizes, numbers)| match numbers[..] {
                    [index] => Some((sizes, index)),
                    _ => None,
                }) else {
                    return Err(Error::value("indices", "one known whole number", indices.what()));
                };
                let end = if index == -1 { i64::MAX } else { index.saturating_add(1) };
                let mut own = self.slice(sequence, axis, index, end)?;
                if sizes.is_scalar {
                    if !own.is_one(own.axes[axis]) {
                        return Err(Error::value(
                            format!("axis {axis}"),
                            "one whose places can be told apart",
                            "another",
                        ));
                    }
                    own.axes.remove(axis);
                }
                Ok(vec![Value::Sequence(own)])
            }
            "Split" => {
                let axis = axis_of(node.int("axis", 0), rank)?;
                if sequence.axes[axis] != Axis::Directions {
                    return Err(Error::value("axis to be split", "that of the directions", "another"));
                }
                let (mut from, mut parts) = (0, Vec::new());
                for size in split_sizes(node, inputs, sequence.parts.len())? {
                    parts.push(Value::Sequence(self.slice(sequence, axis, from, from + size as i64)?));
                    from += size as i64;
                }
                Ok(parts)
            }
            "Expand" => {
                let shape = wanted(inputs, 1)?.as_sizes();
                if shape.is_some_and(|shape| shape.list == sequence.sizes()) {
                    return with(sequence.axes.clone());
                }
                Err(Error::value("shape", "that of the outputs themselves", "another"))
            }
            other => Err(Error::value("operator", "one that outputs of layers go through", other)),
        }
    }

    /// The bounds of slices: an end may be the size of the axis itself.
    fn known_slices(&self, node: &Node, inputs: &[Option<Value>], sequence: &Sequence) -> Result<Vec<[i64; 4]>, Error> {
        let mut inputs = inputs.to_vec();
        if let Some(Value::Sizes(sizes)) = given(&inputs, 2) {
            let to_end = sizes.list.iter().map(|size| match size {
                Size::Known(n) => Ok(Size::Known(*n)),
                size if sequence.sizes().contains(size) && *size != Size::Unknown => Ok(Size::Known(i64::MAX)),
                _ => Err(Error::value("ends", "whole numbers that are known", "sizes of the input")),
            });
            inputs[2] = Some(Sizes::list(to_end.collect::<Result<_, _>>()?).into());
        }
        slices(node, &inputs)
    }

    /// Places `start` to `end` of an axis; an axis that is not known to have one place keeps all or its last.
    fn slice(&mut self, sequence: &Sequence, axis: usize, start: i64, end: i64) -> Result<Sequence, Error> {
        let kind = sequence.axes[axis];
        let is_all = start == 0 && end == i64::MAX;
        match kind {
            _ if is_all => Ok(sequence.clone()),
            Axis::Directions => {
                let (start, end) = bounds(start, end, sequence.parts.len());
                if start == end {
                    return Err(Error::value("directions", "at least one", "none"));
                }
                Ok(Sequence { parts: sequence.parts[start..end].to_vec(), ..sequence.clone() })
            }
            Axis::One if bounds(start, end, 1) == (0, 1) => Ok(sequence.clone()),
            Axis::Columns(Some(width)) if bounds(start, end, width) == (0, width) => Ok(sequence.clone()),
            Axis::Outer(outer) => {
                let size = self.declared(sequence, outer).and_then(|size| usize::try_from(size).ok());
                if end >= i64::from(i32::MAX) && start == 0 || size.is_some_and(|n| bounds(start, end, n) == (0, n)) {
                    return Ok(sequence.clone());
                }
                let is_last = match size {
                    Some(size) => bounds(start, end, size) == (size - 1, size),
                    None => start == -1 && end >= i64::from(i32::MAX),
                };
                if !is_last {
                    return Err(Error::value("steps", "all, or the last one", format!("{start} to {end}")));
                }
                if self.is_input(sequence) {
                    return Err(Error::value("input that is cut", "a state", "a sequence"));
                }
                if self.time.is_some_and(|time| time != outer) {
                    return Err(Error::value("slice", "one along time", "one along the batch"));
                }
                if self.time.is_none() {
                    return Err(Error::value("last step", "outputs of a recurrent layer", "no such layer below"));
                }
                self.last(sequence, axis)
            }
            _ => Err(Error::value(format!("slice of axis {axis}"), "all of it", format!("{start} to {end}"))),
        }
    }

    /// The last step along `axis`, which becomes one of size 1.
    fn last(&mut self, sequence: &Sequence, axis: usize) -> Result<Sequence, Error> {
        let mut parts = Vec::with_capacity(sequence.parts.len());
        for part in &sequence.parts {
            parts.push(match part {
                Some(place) => Some(self.last_of(*place)?),
                None => None,
            });
        }
        let mut axes = sequence.axes.clone();
        axes[axis] = Axis::One;
        Ok(Sequence { axes, parts, ..sequence.clone() })
    }

    /// The last step of what is made at a place.
    pub(super) fn last_of(&mut self, place: usize) -> Result<usize, Error> {
        let Some(width) = self.line.width(place) else {
            return Err(Error::value("last step", "rows of known width", "an unknown one"));
        };
        let about = Describe::new("Last", width, width).without_sizes();
        self.line.push(place, Layer::new(about, Vec::new()), &mut self.room)
    }

    fn reshaped(&mut self, sequence: &Sequence, shape: &Sizes, zero_is_zero: bool) -> Result<Vec<Value>, Error> {
        self.room.take(4096)?; // what looking for it takes
        let (axes, merged) = self.reshape(sequence, shape, zero_is_zero)?;
        let mut own = Sequence { axes, ..sequence.clone() };
        if merged && own.parts.len() > 1 {
            own.parts = vec![Some(self.side_by_side(&own.parts)?)];
        }
        // An axis of directions that is gone had one place.
        Ok(vec![Value::Sequence(own)])
    }

    /// The layer whose columns are those of two directions, the forward one first; below a last step, where both are
    /// one.
    pub(super) fn side_by_side(&mut self, parts: &[Option<usize>]) -> Result<usize, Error> {
        let expected = "the forward and then the reverse direction of one input";
        let &[Some(one), Some(other)] = parts else {
            return Err(Error::value("columns side by side", expected, STATES));
        };
        // The last step of both: of the two together.
        let inner = |place: usize| match self.line.layer(place) {
            Some(layer) if layer.about.kind == "Last" => (self.line.below(place).unwrap_or(place), true),
            _ => (place, false),
        };
        let ((first, a), (second, b)) = (inner(one), inner(other));
        let forward = self.line.layer(first).and_then(|layer| layer.cell) == Some(Direction::Forward);
        let found = if forward && a == b { self.line.two_directions(first, second)? } else { None };
        let Some((below, forward, backward)) = found else {
            return Err(Error::value("columns side by side", expected, "outputs of two other layers"));
        };
        let layer = Layer::both(forward, backward, "concat")?;
        let place = self.line.push(below, layer, &mut self.room)?;
        if a { self.last_of(place) } else { Ok(place) }
    }

    /// Along an axis of directions, states and directions go side by side; along that of columns two directions become
    /// one layer.
    pub(super) fn concat(&mut self, node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
        let values = (0..inputs.len()).map(|index| wanted(inputs, index)).collect::<Result<Vec<_>, _>>()?;
        if values.is_empty() {
            return Err(Error::value("inputs", "at least 1", 0));
        }
        let is_sequence = |value: &&Value| matches!(value, Value::Sequence(_));
        if values.iter().any(is_sequence) || values.iter().any(|value| matches!(value, Value::States(_))) {
            let sequences: Vec<Sequence> = values
                .iter()
                .filter_map(|value| if let Value::Sequence(own) = value { Some(own.clone()) } else { None })
                .collect();
            let from_inputs = |value: &&Value| match value {
                Value::Sequence(own) => self.is_input(own),
                other => matches!(other, Value::States(OUTSIDE)),
            };
            if values.iter().all(from_inputs) {
                sequences.iter().for_each(|own| _ = self.part_of(own));
                return Ok(Value::States(OUTSIDE));
            }
            if sequences.len() != values.len() {
                return Ok(Value::States(STATES));
            }
            let states = sequences.iter().any(|own| own.is_state || self.is_input(own));
            return match self.concat_sequences(node, &sequences) {
                Err(_) if states => Ok(Value::States(STATES)),
                other => other.map(Value::Sequence),
            };
        }
        let is_zero = |value: &&Value| match value {
            Value::Zeros(_) => true,
            Value::Constant(tensor) | Value::Repeated(tensor) => tensor.is_zero() && tensor.as_floats().is_some(),
            _ => false,
        };
        if values.iter().any(|value| matches!(value, Value::Zeros(_))) && values.iter().all(is_zero) {
            return Ok(Value::Zeros(None));
        }
        let is_repeated = values.iter().any(|value| matches!(value, Value::Repeated(_)));
        if values.iter().any(|value| matches!(value, Value::Sizes(_))) {
            let lists = values.iter().map(|value| value.as_sizes().filter(|sizes| !sizes.is_scalar));
            let Some(lists) = lists.collect::<Option<Vec<Sizes>>>() else {
                return Err(Error::value("inputs", "lists of sizes", "others"));
            };
            let list: Vec<Size> = lists.into_iter().flat_map(|sizes| sizes.list).collect();
            if list.len() > LONGEST {
                return Err(Error::value("sizes", format!("at most {LONGEST}"), list.len()));
            }
            return Ok(Sizes::list(list).into());
        }
        let mut tensors = Vec::new();
        for value in &values {
            let (Value::Constant(tensor) | Value::Repeated(tensor)) = value else {
                return Err(Error::value("inputs", "constants, all of them", value.what()));
            };
            self.room.take(tensor.numbers.len())?;
            tensors.push(&**tensor);
        }
        let axis = axis_of(node.int("axis", 0), tensors[0].dims.len())?;
        let all = Rc::new(concatenated(&tensors, axis)?);
        Ok(if is_repeated { Value::Repeated(all) } else { Value::Constant(all) })
    }

    fn concat_sequences(&mut self, node: &Node, sequences: &[Sequence]) -> Result<Sequence, Error> {
        let first = &sequences[0];
        let axis = axis_of(node.int("axis", 0), first.axes.len())?;
        if let [one] = sequences {
            return Ok(one.clone());
        }
        let others_like = |sequence: &Sequence| {
            let same = |(i, (a, b)): (usize, (&Axis, &Axis))| i == axis || a == b;
            sequence.axes.len() == first.axes.len()
                && sequence.axes.iter().zip(&first.axes).enumerate().all(same)
                && sequence.is_state == first.is_state
        };
        let refused = || {
            let expected = "the forward and then the reverse direction of one input, or states of layers";
            Err(Error::value("inputs", expected, "outputs of other layers"))
        };
        if !sequences.iter().all(others_like) {
            return refused();
        }
        match first.axes[axis] {
            Axis::Columns(_) if first.directions().is_none() => {
                let parts: Vec<Option<usize>> = sequences.iter().flat_map(|own| own.parts.clone()).collect();
                let place = self.side_by_side(&parts)?;
                let mut axes = first.axes.clone();
                axes[axis] = Axis::Columns(self.line.width(place));
                Ok(Sequence { axes, parts: vec![Some(place)], is_state: first.is_state })
            }
            // Directions, or what has an axis of size 1 where they would be.
            Axis::Directions | Axis::One if first.axes[axis] == Axis::Directions || first.directions().is_none() => {
                let mut parts = Vec::new();
                for sequence in sequences {
                    if !matches!(sequence.axes[axis], Axis::Directions | Axis::One) {
                        return refused();
                    }
                    parts.extend(sequence.parts.iter().copied());
                    if parts.len() > MOST_PARTS {
                        return Err(Error::value("states", format!("at most {MOST_PARTS}"), parts.len()));
                    }
                }
                let mut axes = first.axes.clone();
                axes[axis] = Axis::Directions;
                Ok(Sequence { axes, parts, is_state: first.is_state })
            }
            _ => refused(),
        }
    }
}
