//! The layers that have been found, each with the one below it: a tree whose path from the output down is the network.

use std::rc::Rc;

use super::super::tensor::Tensor;
use super::Room;
use crate::{Describe, Error};

/// A layer: what it is, and its arrays by their names in it.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub about: Describe,
    pub arrays: Vec<(String, Rc<Tensor>)>,
    /// Whether it is a cell, in a direction.
    pub cell: Option<Direction>,
    /// How many layers are inside each other in it, and how many there are.
    depth: usize,
    size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Direction {
    Forward,
    Reverse,
}

/// A place in the line.
#[derive(Debug)]
struct Place {
    /// The place below, but for an input of the graph.
    below: Option<usize>,
    layer: Option<Layer>,
    /// The input it is all made from.
    input: usize,
    height: usize,
    /// Columns that come out; of an input those that it says it has.
    width: Option<usize>,
}

/// All places.
#[derive(Debug, Default)]
pub(super) struct Line {
    places: Vec<Place>,
}

/// Layers inside layers: no deeper than this.
const DEEPEST: usize = 16;
/// As many numbers take as much memory as a layer without any.
const OF_LAYER: usize = 256;
/// Layers on top of each other.
const HIGHEST: usize = 10_000;

impl Layer {
    pub(super) fn new(about: Describe, arrays: Vec<(&str, Tensor)>) -> Self {
        let arrays = arrays.into_iter().map(|(name, tensor)| (name.to_string(), Rc::new(tensor))).collect();
        Layer { about, arrays, cell: None, depth: 1, size: 1 }
    }

    /// The same read from the end.
    pub(super) fn reversed(self) -> Self {
        let cell = Some(Direction::Reverse);
        Layer { about: Describe::around("Reversed", "", self.about), depth: self.depth + 1, cell, ..self }
    }

    /// Two directions, of a cell and a reversed one.
    pub(super) fn both(forward: &Layer, backward: &Layer, merge: &str) -> Result<Self, Error> {
        let (_, inner) = backward.about.inner.first().ok_or_else(|| Error::value("direction", "reverse", "forward"))?;
        let (inputs, ours) = forward.about.sizes.unwrap_or_default();
        let (own, theirs) = backward.about.sizes.unwrap_or_default();
        if inputs != own || merge == "sum" && ours != theirs {
            let expected = format!("{inputs} inputs and {ours} outputs, as in the forward direction");
            return Err(Error::value("reverse direction", expected, format!("{own} and {theirs}")));
        }
        let outputs = if merge == "sum" { ours } else { ours + theirs };
        let about = Describe::new("Bidirectional", inputs, outputs).setting("merge", merge);
        let about = about.with("forward", forward.about.clone()).with("backward", inner.clone());
        let prefixed = |prefix: &str, layer: &Layer| -> Vec<_> {
            layer.arrays.iter().map(|(name, array)| (format!("{prefix}.{name}"), array.clone())).collect()
        };
        let mut arrays = prefixed("forward", forward);
        arrays.extend(prefixed("backward", backward));
        let (depth, size) = (1 + forward.depth.max(backward.depth), 1 + forward.size + backward.size);
        Ok(Layer { about, arrays, cell: None, depth, size })
    }

    /// x + f(x), f these layers.
    fn residual(width: usize, layers: &[&Layer]) -> Self {
        let (about, arrays) = match layers {
            [one] => (one.about.clone(), one.arrays.clone()),
            _ => stack(width, layers),
        };
        let arrays = arrays.into_iter().map(|(name, array)| (format!("inner.{name}"), array)).collect();
        let depth = 2 + layers.iter().map(|layer| layer.depth).max().unwrap_or(0);
        let size = 2 + layers.iter().map(|layer| layer.size).sum::<usize>();
        Layer { about: Describe::around("Residual", "inner", about), arrays, cell: None, depth, size }
    }

    fn numbers(&self) -> usize {
        self.arrays.iter().map(|(_, array)| array.numbers.len()).sum()
    }
}

/// These layers as one.
pub(super) fn stack(inputs: usize, layers: &[&Layer]) -> (Describe, Vec<(String, Rc<Tensor>)>) {
    let outputs = layers.iter().rev().find_map(|layer| layer.about.sizes).map_or(inputs, |(_, outputs)| outputs);
    let (mut about, mut arrays) = (Describe::new("Stacked", inputs, outputs), Vec::new());
    for (i, layer) in layers.iter().enumerate() {
        about = about.with(i.to_string(), layer.about.clone());
        arrays.extend(layer.arrays.iter().map(|(name, array)| (format!("{i}.{name}"), array.clone())));
    }
    (about, arrays)
}

impl Line {
    /// The place of input number `input` of the graph.
    pub(super) fn input(&mut self, input: usize, width: Option<usize>) -> usize {
        self.places.push(Place { below: None, layer: None, input, height: 0, width });
        self.places.len() - 1
    }

    /// A layer on top of the one at `below`, for which there has to be room.
    ///
    /// # Errors
    /// If there are too many layers, on top of or inside each other, or too many numbers in them.
    pub(super) fn push(&mut self, below: usize, layer: Layer, room: &mut Room) -> Result<usize, Error> {
        let Place { input, height, width, .. } = self.places[below];
        if height >= HIGHEST || layer.depth > DEEPEST {
            let expected = format!("at most {HIGHEST} on each other and {DEEPEST} inside each other");
            return Err(Error::value("layers", expected, format!("{} and {}", height + 1, layer.depth)));
        }
        room.take(layer.numbers())?;
        let width = layer.about.sizes.map(|(_, outputs)| outputs).or(width);
        self.places.push(Place { below: Some(below), layer: Some(layer), input, height: height + 1, width });
        Ok(self.places.len() - 1)
    }

    pub(super) fn layer(&self, place: usize) -> Option<&Layer> {
        self.places[place].layer.as_ref()
    }

    pub(super) fn below(&self, place: usize) -> Option<usize> {
        self.places[place].below
    }

    pub(super) fn width(&self, place: usize) -> Option<usize> {
        self.places[place].width
    }

    /// The input that everything up to here is made from.
    pub(super) fn input_of(&self, place: usize) -> usize {
        self.places[place].input
    }

    pub(super) fn is_input(&self, place: usize) -> bool {
        self.places[place].below.is_none()
    }

    /// The layers up to a place, bottom first.
    pub(super) fn path(&self, place: usize) -> Vec<&Layer> {
        let mut layers = Vec::new();
        let mut at = Some(place);
        while let Some(place) = at {
            layers.extend(self.places[place].layer.as_ref());
            at = self.places[place].below;
        }
        layers.reverse();
        layers
    }

    /// What the sum of the values at these two places is a layer of, and the place that layer is on: two directions of
    /// one input, or a layer's output and its input.
    ///
    /// # Errors
    /// If it is neither.
    pub(super) fn sum(&self, one: usize, other: usize, room: &mut Room) -> Result<(usize, Layer), Error> {
        if let Some((below, forward, backward)) = self.two_directions(one, other)? {
            return Ok((below, Layer::both(forward, backward, "sum")?));
        }
        let height = |place: usize| self.places[place].height;
        let (low, high) = if height(one) <= height(other) { (one, other) } else { (other, one) };
        let (mut at, mut layers) = (high, Vec::new());
        while height(at) > height(low) {
            // Each is copied, with what is inside it.
            room.take(OF_LAYER * self.places[at].layer.as_ref().map_or(1, |layer| layer.size))?;
            layers.extend(self.places[at].layer.as_ref());
            let Some(below) = self.places[at].below else { break };
            at = below;
        }
        layers.reverse();
        match self.width(low) {
            Some(width) if at == low && !layers.is_empty() => Ok((low, Layer::residual(width, &layers))),
            _ => {
                let expected = "a constant, a layer's output and its input, or the two directions of one input";
                Err(Error::value("sum", expected, "outputs of two other layers"))
            }
        }
    }

    /// The forward and the reverse cell over one and the same input, which these two places are; and that input's
    /// place.
    ///
    /// # Errors
    /// If they are two of one direction.
    #[allow(clippy::type_complexity)]
    pub(super) fn two_directions(&self, one: usize, other: usize) -> Result<Option<(usize, &Layer, &Layer)>, Error> {
        let place = |at: usize| {
            let Place { below: Some(below), layer: Some(layer), .. } = &self.places[at] else { return None };
            layer.cell.map(|direction| (*below, layer, direction))
        };
        let (Some((below, first, a)), Some((also, second, b))) = (place(one), place(other)) else { return Ok(None) };
        match (a, b) {
            _ if below != also => Ok(None),
            (Direction::Forward, Direction::Reverse) => Ok(Some((below, first, second))),
            (Direction::Reverse, Direction::Forward) => Ok(Some((below, second, first))),
            _ => Err(Error::value("directions", "one forward and one reverse", format!("{a:?} twice"))),
        }
    }
}
