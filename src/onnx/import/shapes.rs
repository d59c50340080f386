//! Sizes of the input as numbers: what exporters compute shapes of states and of merged directions from.

use std::rc::Rc;

use super::super::model::Node;
use super::super::tensor::{Numbers, Tensor};
use super::constants::{bounds, slices, split_sizes};
use super::nodes::{axis_of, given, list, wanted};
use super::value::{Size, Sizes, Value};
use crate::Error;

/// Lists of sizes are no longer than this.
pub(super) const LONGEST: usize = 16;

pub(super) fn evaluate(node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
    match node.op.as_str() {
        "Shape" => shape(node, wanted(inputs, 0)?),
        "ConstantOfShape" => constant_of_shape(node, wanted(inputs, 0)?),
        "Equal" => {
            let (a, b) = both(inputs)?;
            let list = a.list.iter().zip(&b.list).map(|(a, b)| match (a, b) {
                (Size::Known(a), Size::Known(b)) => Ok(Size::Known(i64::from(a == b))),
                // A size is none of those numbers that stand for something else.
                (Size::Of(_) | Size::Product(..), Size::Known(n))
                | (Size::Known(n), Size::Of(_) | Size::Product(..))
                    if *n < 0 =>
                {
                    Ok(Size::Known(0))
                }
                (a, b) if a == b && *a != Size::Unknown => Ok(Size::Known(1)),
                _ => Err(Error::value("sizes", "sizes that are known", "an unknown one")),
            });
            Ok(Sizes { list: list.collect::<Result<_, Error>>()?, is_scalar: a.is_scalar }.into())
        }
        "ReduceProd" => product(node, inputs),
        "Where" => {
            let choice = wanted(inputs, 0)?.as_numbers();
            let (a, b) = both(&inputs[1..])?;
            match choice.filter(|choice| choice.len() == a.list.len()) {
                Some(choice) => {
                    let pick = choice.iter().zip(a.list.iter().zip(&b.list));
                    let list = pick.map(|(choice, (a, b))| if *choice != 0 { *a } else { *b }).collect();
                    Ok(Sizes { list, is_scalar: a.is_scalar }.into())
                }
                None => Err(Error::value("condition", "known, as long as what it chooses", "another")),
            }
        }
        other => Err(Error::value("operator", "one of those listed in deep_rnn::onnx", other)),
    }
}

fn shape(node: &Node, value: &Value) -> Result<Value, Error> {
    let all: Vec<Size> = match value {
        Value::Constant(tensor) => tensor.dims.iter().map(|dim| Size::Known(*dim as i64)).collect(),
        Value::Sequence(sequence) => sequence.sizes(),
        Value::Zeros(Some(sizes)) => sizes.clone(),
        Value::Sizes(sizes) if sizes.is_scalar => Vec::new(),
        Value::Sizes(sizes) => vec![Size::Known(sizes.list.len() as i64)],
        other => return Err(Error::value("input", "outputs of a layer", other.what())),
    };
    let (start, end) = bounds(node.int("start", 0), node.int("end", i64::MAX), all.len());
    Ok(Sizes::list(all[start..end].to_vec()).into())
}

/// The product of a list.
fn product(node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
    let value = wanted(inputs, 0)?;
    let axes = list(node, "axes", inputs, 1)?.unwrap_or(vec![0]);
    let Some(sizes) = value.as_sizes().filter(|_| axes == [0] || axes == [-1]) else {
        return Err(Error::value("input", "a list of sizes", value.what()));
    };
    let size = match sizes.list[..] {
        [Size::Of(a), Size::Of(b)] => Size::Product(a, b),
        [one] => one,
        _ => {
            let known = value.as_numbers().and_then(|all| all.into_iter().try_fold(1_i64, |all, n| all.checked_mul(n)));
            known.map_or(Size::Unknown, Size::Known)
        }
    };
    Ok(Sizes { list: vec![size], is_scalar: node.int("keepdims", 1) == 0 }.into())
}

fn constant_of_shape(node: &Node, shape: &Value) -> Result<Value, Error> {
    let Some(sizes) = shape.as_sizes() else { return Err(Error::value("shape", "sizes", shape.what())) };
    let tensor = match node.get("value").and_then(|attribute| attribute.t.clone()) {
        Some(tensor) => Tensor::of(tensor)?,
        None => Tensor::floats(vec![1], vec![0.0]),
    };
    let number = match &tensor.numbers {
        Numbers::Floats(_) if tensor.is_zero() => return Ok(Value::Zeros(Some(sizes.list))),
        Numbers::Floats(_) => return Ok(Value::Repeated(Rc::new(tensor))),
        Numbers::Ints(numbers) => numbers.first().copied().unwrap_or(0),
    };
    match sizes.list[..] {
        [Size::Known(len)] if (0..=LONGEST as i64).contains(&len) => {
            Ok(Sizes::list(vec![Size::Known(number); len as usize]).into())
        }
        _ => Err(Error::value("shape of whole numbers", format!("one size of at most {LONGEST}"), shape.what())),
    }
}

/// Two lists, the shorter one repeated where it is one number.
fn both(inputs: &[Option<Value>]) -> Result<(Sizes, Sizes), Error> {
    let sizes = |index: usize| {
        let value = wanted(inputs, index)?;
        value.as_sizes().ok_or_else(|| Error::value(format!("input {index}"), "sizes", value.what()))
    };
    let (mut a, mut b) = (sizes(0)?, sizes(1)?);
    let len = a.list.len().max(b.list.len());
    for own in [&mut a, &mut b] {
        if let ([one], true) = (&own.list[..], len > 1) {
            own.list = vec![*one; len];
        }
        own.is_scalar &= len == 1;
    }
    let is_scalar = a.is_scalar && b.is_scalar;
    (a.is_scalar, b.is_scalar) = (is_scalar, is_scalar);
    if a.list.len() != b.list.len() || len > LONGEST {
        return Err(Error::value("sizes", "as many in both", format!("{} and {}", a.list.len(), b.list.len())));
    }
    Ok((a, b))
}

/// Sums, differences, products and quotients.
pub(super) fn arithmetic(op: &str, inputs: &[Option<Value>]) -> Result<Value, Error> {
    let (a, b) = both(inputs)?;
    let list = a.list.iter().zip(&b.list).map(|(a, b)| match (op, *a, *b) {
        ("Add", Size::Known(a), Size::Known(b)) => a.checked_add(b).map(Size::Known),
        ("Sub", Size::Known(a), Size::Known(b)) => a.checked_sub(b).map(Size::Known),
        ("Mul", Size::Known(a), Size::Known(b)) => a.checked_mul(b).map(Size::Known),
        ("Div", Size::Known(a), Size::Known(b)) => a.checked_div(b).map(Size::Known),
        ("Mul", size, Size::Known(1)) | ("Mul", Size::Known(1), size) | ("Div", size, Size::Known(1)) => Some(size),
        ("Mul", Size::Of(a), Size::Of(b)) => Some(Size::Product(a, b)),
        ("Add" | "Sub", size, Size::Known(0)) => Some(size),
        _ => Some(Size::Unknown),
    });
    match list.collect::<Option<Vec<Size>>>() {
        Some(list) => Ok(Sizes { list, is_scalar: a.is_scalar }.into()),
        None => Err(Error::value("sizes", "numbers in range", "others")),
    }
}

/// Operators that move sizes in their list.
pub(super) fn arrange(node: &Node, inputs: &[Option<Value>]) -> Result<Value, Error> {
    let Some(Sizes { list, is_scalar }) = wanted(inputs, 0)?.as_sizes() else {
        return Err(Error::value("input", "sizes", "something else"));
    };
    let made = |list, is_scalar| Ok(Sizes { list, is_scalar }.into());
    match node.op.as_str() {
        "Gather" if !is_scalar => {
            let indices = wanted(inputs, 1)?;
            let one = indices.as_sizes().is_some_and(|sizes| sizes.is_scalar);
            let numbers = indices.as_numbers().filter(|numbers| numbers.len() <= LONGEST);
            let numbers =
                numbers.ok_or_else(|| Error::value("indices", "whole numbers that are known", indices.what()))?;
            let picked = numbers.iter().map(|index| Ok(list[axis_of(*index, list.len())?]));
            made(picked.collect::<Result<Vec<_>, Error>>()?, one)
        }
        "Slice" => match slices(node, inputs)?[..] {
            [[0 | -1, start, end, 1]] => {
                let (start, end) = bounds(start, end, list.len());
                made(list[start..end].to_vec(), false)
            }
            ref other => Err(Error::value("slice of sizes", "one along axis 0 with step 1", format!("{other:?}"))),
        },
        "Unsqueeze" if is_scalar => made(list, false),
        "Squeeze" if list.len() == 1 => made(list, true),
        "Reshape" => match given(inputs, 1).and_then(Value::as_numbers).as_deref() {
            Some([]) if list.len() == 1 => made(list, true),
            Some([n]) if *n == -1 || *n == list.len() as i64 => made(list, false),
            _ => Err(Error::value("shape of sizes", "a list", "another")),
        },
        "Split" => {
            split_sizes(node, inputs, list.len())?;
            Err(Error::value("operator", "Slice or Gather for sizes", "Split"))
        }
        // All the same number: what fills a state, a length for each row.
        "Expand" if list.len() == 1 => made(list, false),
        other => Err(Error::value("operator", "one that sizes go through", other)),
    }
}
