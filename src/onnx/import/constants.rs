//! Operators on numbers of the file: what exporters leave to be computed of weights.

use std::rc::Rc;

use super::super::model::Node;
use super::super::tensor::{Numbers, Tensor};
use super::Room;
use super::nodes::{axis_of, list, wanted};
use super::value::Value;
use crate::Error;

pub(super) fn cast(tensor: &Tensor, whole: bool) -> Tensor {
    let numbers = match &tensor.numbers {
        Numbers::Floats(numbers) if whole => Numbers::Ints(numbers.iter().map(|x| *x as i64).collect()),
        Numbers::Ints(numbers) if !whole => Numbers::Floats(numbers.iter().map(|x| *x as f64).collect()),
        same => same.clone(),
    };
    Tensor { dims: tensor.dims.clone(), numbers }
}

/// The start, the end and the step of a slice along each axis that it names.
pub(super) fn slices(node: &Node, inputs: &[Option<Value>]) -> Result<Vec<[i64; 4]>, Error> {
    let missing = |name: &str| Error::value(name, "whole numbers", "none");
    let starts = list(node, "starts", inputs, 1)?.ok_or_else(|| missing("starts"))?;
    let ends = list(node, "ends", inputs, 2)?.ok_or_else(|| missing("ends"))?;
    let axes = list(node, "axes", inputs, 3)?.unwrap_or((0..starts.len() as i64).collect());
    let steps = list(node, "steps", inputs, 4)?.unwrap_or(vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(Error::value("slices", "a start, an end, an axis and a step each", format!("{starts:?} {ends:?}")));
    }
    let all = starts.into_iter().zip(ends).zip(axes).zip(steps);
    Ok(all.map(|(((start, end), axis), step)| [axis, start, end, step]).collect())
}

/// From where to where a slice goes, of `size` places.
pub(super) fn bounds(start: i64, end: i64, size: usize) -> (usize, usize) {
    let size = size as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(size) } else { at }.clamp(0, size) as usize;
    let (start, end) = (place(start), place(end));
    (start, end.max(start))
}

pub(super) fn arrange(
    node: &Node,
    tensor: &Rc<Tensor>,
    inputs: &[Option<Value>],
    room: &mut Room,
) -> Result<Vec<Value>, Error> {
    let rank = tensor.dims.len();
    let shaped = |dims: Vec<usize>| Tensor { dims, numbers: tensor.numbers.clone() };
    room.take(tensor.numbers.len())?;
    let made = match node.op.as_str() {
        "Transpose" => {
            let usual: Vec<i64> = (0..rank as i64).rev().collect();
            let order = permutation(node.ints("perm").unwrap_or(&usual), rank)?;
            let strides = tensor.strides();
            let dims = order.iter().map(|axis| tensor.dims[*axis]).collect();
            tensor.strided(dims, 0, &order.iter().map(|axis| strides[*axis]).collect::<Vec<_>>())
        }
        "Squeeze" => {
            let axes = list(node, "axes", inputs, 1)?;
            let axes = axes.map(|axes| axes.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<Vec<_>, _>>());
            let axes = axes.transpose()?.unwrap_or((0..rank).filter(|axis| tensor.dims[*axis] == 1).collect());
            if let Some(axis) = axes.iter().find(|axis| tensor.dims[**axis] != 1) {
                return Err(Error::value(format!("size of axis {axis}"), "1", tensor.dims[*axis]));
            }
            shaped((0..rank).filter(|axis| !axes.contains(axis)).map(|axis| tensor.dims[axis]).collect())
        }
        "Unsqueeze" => {
            let axes = list(node, "axes", inputs, 1)?.unwrap_or_default();
            let mut dims = tensor.dims.clone();
            for place in places_of_new(&axes, rank)? {
                dims.insert(place, 1);
            }
            shaped(dims)
        }
        "Reshape" => {
            let target = list(node, "shape", inputs, 1)?.unwrap_or_default();
            shaped(reshaped(tensor, &target, node.int("allowzero", 0) != 0)?)
        }
        "Slice" => {
            let mut own = (**tensor).clone();
            for [axis, start, end, step] in slices(node, inputs)? {
                if step != 1 {
                    return Err(Error::value("step of a slice", "1", step));
                }
                let axis = axis_of(axis, rank)?;
                let (start, end) = bounds(start, end, own.dims[axis]);
                own = sliced(&own, axis, start, end)?;
            }
            own
        }
        "Gather" => {
            let axis = axis_of(node.int("axis", 0), rank)?;
            let indices = wanted(inputs, 1)?;
            let Some(sizes) = indices.as_sizes() else {
                return Err(Error::value("indices", "whole numbers that are known", indices.what()));
            };
            let numbers = indices.as_numbers().unwrap_or_default();
            if numbers.len() != sizes.list.len() || numbers.len() > 1 + tensor.dims[axis] {
                return Err(Error::value("indices", "whole numbers that are known, each place once", indices.what()));
            }
            let parts: Result<Vec<Tensor>, Error> = numbers
                .iter()
                .map(|index| {
                    let index = axis_of(*index, tensor.dims[axis])?;
                    sliced(tensor, axis, index, index + 1)
                })
                .collect();
            let parts = parts?;
            let mut all = concatenated(&parts.iter().collect::<Vec<_>>(), axis)?;
            if sizes.is_scalar {
                all.dims.remove(axis);
            }
            all
        }
        "Split" => {
            let axis = axis_of(node.int("axis", 0), rank)?;
            let sizes = split_sizes(node, inputs, tensor.dims[axis])?;
            let (mut from, mut parts) = (0, Vec::new());
            for size in sizes {
                parts.push(Value::Constant(Rc::new(sliced(tensor, axis, from, from + size)?)));
                from += size;
            }
            return Ok(parts);
        }
        "Expand" if tensor.is_zero() && tensor.as_floats().is_some() => {
            let sizes = wanted(inputs, 1)?.as_sizes().map(|sizes| sizes.list);
            return Ok(vec![Value::Zeros(sizes.filter(|_| tensor.numbers.len() == 1))]);
        }
        // Axes come in front, and those of size 1 stand for any size.
        "Expand" => {
            let shape = wanted(inputs, 1)?;
            let rank = shape.as_sizes().map_or(rank, |sizes| sizes.list.len().clamp(rank, 8));
            let mut dims = vec![1; rank - tensor.dims.len()];
            dims.extend(&tensor.dims);
            return Ok(vec![Value::Repeated(Rc::new(shaped(dims)))]);
        }
        other => return Err(Error::value("operator", "one that constants go through", other)),
    };
    Ok(vec![Value::Constant(Rc::new(made))])
}

/// The same of numbers that are repeated along axes that have one place here.
pub(super) fn arrange_repeated(
    node: &Node,
    tensor: &Rc<Tensor>,
    inputs: &[Option<Value>],
    room: &mut Room,
) -> Result<Vec<Value>, Error> {
    let repeated = |values: Vec<Value>| {
        let repeated = |value| if let Value::Constant(tensor) = value { Value::Repeated(tensor) } else { value };
        Ok(values.into_iter().map(repeated).collect())
    };
    let rank = tensor.dims.len();
    match node.op.as_str() {
        "Unsqueeze" | "Transpose" | "Squeeze" | "Expand" => repeated(arrange(node, tensor, inputs, room)?),
        "Slice" => {
            let mut own = (**tensor).clone();
            room.take(own.numbers.len())?;
            for [axis, start, end, step] in slices(node, inputs)? {
                let axis = axis_of(axis, rank)?;
                let (start, end) = bounds(start, end, own.dims[axis]);
                if own.dims[axis] > 1 {
                    own = sliced(&own, axis, start, if step == 1 { end } else { start })?;
                }
            }
            Ok(vec![Value::Repeated(Rc::new(own))])
        }
        "Gather" => {
            let axis = axis_of(node.int("axis", 0), rank)?;
            if tensor.dims[axis] > 1 {
                return repeated(arrange(node, tensor, inputs, room)?);
            }
            let is_scalar = wanted(inputs, 1)?.as_sizes().is_some_and(|sizes| sizes.is_scalar);
            let mut own = (**tensor).clone();
            if is_scalar {
                own.dims.remove(axis);
            }
            Ok(vec![Value::Repeated(Rc::new(own))])
        }
        _ => Err(Error::value("input", "a constant or outputs of a layer", "a constant that is repeated")),
    }
}

/// An order of all axes.
pub(super) fn permutation(order: &[i64], rank: usize) -> Result<Vec<usize>, Error> {
    let own = order.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<Vec<_>, _>>()?;
    if own.len() != rank || (0..rank).any(|axis| !own.contains(&axis)) {
        return Err(Error::value("perm", format!("each of {rank} axes once"), format!("{order:?}")));
    }
    Ok(own)
}

/// Where new axes come, in the order in which they are put in.
pub(super) fn places_of_new(axes: &[i64], rank: usize) -> Result<Vec<usize>, Error> {
    if axes.len() > 8 || axes.len() + rank > 8 {
        return Err(Error::value("axes", "at most 8", axes.len() + rank));
    }
    let mut places = axes.iter().map(|axis| axis_of(*axis, rank + axes.len())).collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    if places.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::value("axes", "each once", format!("{axes:?}")));
    }
    Ok(places)
}

/// The sizes of the parts of an axis.
pub(super) fn split_sizes(node: &Node, inputs: &[Option<Value>], size: usize) -> Result<Vec<usize>, Error> {
    let count = node.outputs.len().max(1);
    let sizes = match list(node, "split", inputs, 1)? {
        Some(sizes) => sizes.into_iter().map(|size| usize::try_from(size).unwrap_or(usize::MAX)).collect(),
        None => {
            let each = size.div_ceil(count);
            let left = |i: usize| size.saturating_sub(i * each);
            (0..count).map(|i| left(i).min(each)).collect::<Vec<_>>()
        }
    };
    let sum = sizes.iter().try_fold(0_usize, |sum, size| sum.checked_add(*size));
    if sum != Some(size) || sizes.len() != count {
        return Err(Error::value("split", format!("{count} sizes, in all {size}"), format!("{} sizes", sizes.len())));
    }
    Ok(sizes)
}

fn reshaped(tensor: &Tensor, target: &[i64], zero_is_zero: bool) -> Result<Vec<usize>, Error> {
    let count = tensor.numbers.len();
    let refused = || Error::value("shape", format!("a shape of {count} numbers"), format!("{target:?}"));
    let mut dims = Vec::new();
    for (i, size) in target.iter().take(9).enumerate() {
        dims.push(match size {
            0 if !zero_is_zero => *tensor.dims.get(i).ok_or_else(refused)?,
            -1 => usize::MAX,
            size => usize::try_from(*size).map_err(|_| refused())?,
        });
    }
    let known = dims.iter().filter(|dim| **dim != usize::MAX).try_fold(1_usize, |all, dim| all.checked_mul(*dim));
    let known = known.ok_or_else(refused)?;
    for dim in dims.iter_mut().filter(|dim| **dim == usize::MAX) {
        *dim = count.checked_div(known).ok_or_else(refused)?;
    }
    if dims.len() > 8 || dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim)) != Some(count) {
        return Err(refused());
    }
    Ok(dims)
}

/// Places `start` to `end` of an axis.
pub(super) fn sliced(tensor: &Tensor, axis: usize, start: usize, end: usize) -> Result<Tensor, Error> {
    if start >= end || end > tensor.dims[axis] {
        let expected = format!("at least one place of the {} along axis {axis}", tensor.dims[axis]);
        return Err(Error::value("slice", expected, format!("{start} to {end}")));
    }
    let (strides, mut dims) = (tensor.strides(), tensor.dims.clone());
    dims[axis] = end - start;
    Ok(tensor.strided(dims, start as isize * strides[axis], &strides))
}

/// All along one axis.
pub(super) fn concatenated(parts: &[&Tensor], axis: usize) -> Result<Tensor, Error> {
    let Some(first) = parts.first() else { return Err(Error::value("inputs", "at least 1", 0)) };
    let mut dims = first.dims.clone();
    let refused = |part: &Tensor| Error::shape("input", format!("{:?} but for axis {axis}", first.dims), &part.dims);
    let mut sum = 0;
    for part in parts {
        let same = part.dims.len() == dims.len() && (0..dims.len()).all(|i| i == axis || part.dims[i] == dims[i]);
        if !same || axis >= dims.len() {
            return Err(refused(part));
        }
        sum += part.dims[axis];
    }
    dims[axis] = sum;
    let outer: usize = dims[..axis].iter().product();
    let runs = |len: usize| len / outer.max(1);
    let mut floats = Vec::new();
    let mut ints = Vec::new();
    for run in 0..outer {
        for part in parts {
            let each = runs(part.numbers.len());
            match (&part.numbers, first.as_floats().is_some()) {
                (Numbers::Floats(own), true) => floats.extend_from_slice(&own[run * each..][..each]),
                (Numbers::Ints(own), false) => ints.extend_from_slice(&own[run * each..][..each]),
                _ => return Err(refused(part)),
            }
        }
    }
    let numbers = if first.as_floats().is_some() { Numbers::Floats(floats) } else { Numbers::Ints(ints) };
    Ok(Tensor { dims, numbers })
}
