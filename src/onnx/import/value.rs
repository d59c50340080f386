//! What is known of a value of the graph before it is run.

use std::rc::Rc;

use super::super::tensor::Tensor;
use crate::Error;

/// A value that a node gives or takes.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Numbers of the file.
    Constant(Rc<Tensor>),
    /// Numbers that are all 0, with their sizes where they are told.
    Zeros(Option<Vec<Size>>),
    /// Numbers of the file, repeated along sizes that are not known: broadcast, as ONNX calls it.
    Repeated(Rc<Tensor>),
    /// Whole numbers of which some are sizes of the input.
    Sizes(Sizes),
    /// The outputs of layers.
    Sequence(Sequence),
    /// States from outside or for outside, in any shape; why they are no sequence.
    States(&'static str),
    /// What is not read; it matters only where the outputs need it.
    Refused(Rc<Error>),
}

/// Whole numbers, one or a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sizes {
    pub list: Vec<Size>,
    /// One number that is not in a list.
    pub is_scalar: bool,
}

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Size {
    Known(i64),
    /// The size of this axis of the input.
    Of(usize),
    /// The product of those of two.
    Product(usize, usize),
    Unknown,
}

/// Sizes, for messages.
pub(super) fn shown(sizes: &[Size]) -> String {
    let one = |size: &Size| match size {
        Size::Known(number) => number.to_string(),
        Size::Of(axis) => format!("input[{axis}]"),
        Size::Product(a, b) => format!("input[{a}]·input[{b}]"),
        Size::Unknown => "?".into(),
    };
    format!("[{}]", sizes.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// The outputs of a layer, or the graph's input, and the meaning of each axis.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    pub axes: Vec<Axis>,
    /// The place in the line of what made it; several where an axis is [`Axis::Directions`]. None where no layer gives
    /// it: the state that a reverse direction ends with.
    pub parts: Vec<Option<usize>>,
    /// Whether it is what is left at the end: the state of a cell.
    pub is_state: bool,
}

/// What an axis is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Axis {
    /// This axis of the input: time or batch.
    Outer(usize),
    /// Two of them as one, the first the slower.
    Both(usize, usize),
    /// A part each.
    Directions,
    /// The columns of each row; how many, where that is known.
    Columns(Option<usize>),
    /// Of size 1.
    One,
}

/// Why a value is no sequence.
pub(super) const OUTSIDE: &str = "a part of an input, which can only be a state";
pub(super) const CELL: &str = "a cell state c";
pub(super) const STATES: &str = "last states, put together or of a reverse direction, which no layer gives";

impl Value {
    /// Its kind, for messages.
    pub(super) fn what(&self) -> String {
        match self {
            Value::Constant(tensor) => format!("a constant of shape {:?}", tensor.dims),
            Value::Zeros(_) => "zeros".into(),
            Value::Repeated(_) => "a constant that is repeated".into(),
            Value::Sizes(_) => "sizes of the input".into(),
            Value::Sequence(_) => "outputs of a layer".into(),
            Value::States(why) => (*why).into(),
            Value::Refused(_) => "what is not read".into(),
        }
    }

    /// Whole numbers, where it is some.
    pub(super) fn as_sizes(&self) -> Option<Sizes> {
        match self {
            Value::Sizes(sizes) => Some(sizes.clone()),
            Value::Constant(tensor) if tensor.dims.len() < 2 => {
                let list = tensor.as_ints()?.iter().map(|number| Size::Known(*number)).collect();
                Some(Sizes { list, is_scalar: tensor.dims.is_empty() })
            }
            _ => None,
        }
    }

    /// Whole numbers that are all known.
    pub(super) fn as_numbers(&self) -> Option<Vec<i64>> {
        self.as_sizes()?.list.into_iter().map(|size| if let Size::Known(n) = size { Some(n) } else { None }).collect()
    }
}

impl From<Sizes> for Value {
    /// As a constant, where all are known.
    fn from(sizes: Sizes) -> Self {
        let known = sizes.list.iter().map(|size| if let Size::Known(n) = size { Some(*n) } else { None });
        match known.collect::<Option<Vec<i64>>>() {
            Some(numbers) => {
                let dims = if sizes.is_scalar { Vec::new() } else { vec![numbers.len()] };
                Value::Constant(Rc::new(Tensor::ints(dims, numbers)))
            }
            None => Value::Sizes(sizes),
        }
    }
}

impl Sequence {
    pub(super) fn directions(&self) -> Option<usize> {
        self.axes.iter().position(|axis| *axis == Axis::Directions)
    }

    /// How many columns its rows have.
    pub(super) fn columns(&self) -> Option<usize> {
        self.axes.iter().find_map(|axis| if let Axis::Columns(width) = axis { *width } else { None })
    }

    /// Whether this axis has one place.
    pub(super) fn is_one(&self, axis: Axis) -> bool {
        axis == Axis::One || axis == Axis::Directions && self.parts.len() == 1
    }

    /// The size of each axis.
    pub(super) fn sizes(&self) -> Vec<Size> {
        let size = |axis: &Axis| match axis {
            Axis::Outer(outer) => Size::Of(*outer),
            Axis::Both(a, b) => Size::Product(*a, *b),
            Axis::Directions => Size::Known(self.parts.len() as i64),
            Axis::Columns(Some(width)) => Size::Known(*width as i64),
            Axis::Columns(None) => Size::Unknown,
            Axis::One => Size::Known(1),
        };
        self.axes.iter().map(size).collect()
    }
}
