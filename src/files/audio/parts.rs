//! A network put together of layers whose arrays are there.

use std::collections::BTreeMap;

use ndarray::Array2;

use crate::layers::{Boxed, Kinds, LearnedState, Residual, Scale};
use crate::{Describe, Error, Float, Init, Network, Params, Stacked};

/// Layers, bottom first, each with its arrays by name.
#[derive(Debug)]
pub(super) struct Parts {
    inputs: usize,
    layers: Vec<(Describe, BTreeMap<&'static str, Array>)>,
}

/// Numbers of a matrix or vector, in rows.
#[derive(Debug)]
pub(super) struct Array {
    shape: Vec<usize>,
    numbers: Vec<f64>,
}

/// `[rows, columns]`, or the other way round where `transposed`.
pub(super) fn matrix([rows, columns]: [usize; 2], numbers: &[f64], transposed: bool) -> Array {
    if !transposed {
        return Array { shape: vec![rows, columns], numbers: numbers.to_vec() };
    }
    let at = |i: usize| numbers[i % rows * columns + i / rows];
    Array { shape: vec![columns, rows], numbers: (0..rows * columns).map(at).collect() }
}

pub(super) fn vector(numbers: &[f64]) -> Array {
    Array { shape: vec![numbers.len()], numbers: numbers.to_vec() }
}

impl Parts {
    pub(super) fn new(inputs: usize) -> Self {
        Parts { inputs, layers: Vec::new() }
    }

    /// How wide the outputs are so far.
    pub(super) fn width(&self) -> usize {
        self.layers.iter().rev().find_map(|(about, _)| about.sizes).map_or(self.inputs, |(_, outputs)| outputs)
    }

    pub(super) fn push(&mut self, about: Describe, arrays: impl IntoIterator<Item = (&'static str, Array)>) {
        self.layers.push((about, arrays.into_iter().collect()));
    }

    /// The network.
    pub(super) fn build<F: Float>(self) -> Result<Network<F>, Error> {
        let numbers = self.layers.iter().flat_map(|(_, arrays)| arrays.values()).map(|array| array.numbers.len()).sum();
        let about = Describe::new("Stacked", self.inputs, self.width());
        let name = |i: usize| i.to_string();
        let about = self.layers.iter().enumerate().fold(about, |all, (i, (layer, _))| all.with(name(i), layer.clone()));
        let mut net = Kinds::<F>::new().network_from(&about, &mut Init::blank(numbers))?;
        let mut arrays = BTreeMap::new();
        for (i, (_, own)) in self.layers.into_iter().enumerate() {
            arrays.extend(own.into_iter().map(|(name, array)| (format!("{i}.{name}"), array)));
        }
        let mut result = Ok(());
        net.visit_mut(&mut |name, mut to| {
            let filled = fill(name, arrays.remove(name), &mut to);
            if result.is_ok() {
                result = filled;
            }
        });
        result?;
        match arrays.into_keys().next() {
            Some(name) => Err(Error::value("arrays", "those of the layers", name)),
            None => Ok(net),
        }
    }
}

fn fill<F: Float>(name: &str, array: Option<Array>, to: &mut ndarray::ArrayViewMutD<'_, F>) -> Result<(), Error> {
    let Some(array) = array else { return Err(Error::value(name, "an array", "none")) };
    if array.shape != to.shape() {
        return Err(Error::shape(name, format!("{:?}", to.shape()), &array.shape));
    }
    for (to, from) in to.iter_mut().zip(&array.numbers) {
        *to = F::from_f64(*from);
        if !to.is_finite() {
            return Err(Error::value(name, format!("finite numbers in {}", F::NAME), from));
        }
    }
    Ok(())
}

/// What is around a network.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    /// Whether the first inputs are added to the outputs.
    pub(super) skip: bool,
    /// Factors of what goes in and of what comes out.
    pub(super) gains: Option<(f64, f64)>,
}

impl Around {
    pub(super) fn put<F: Float>(self, net: Network<F>) -> Result<Network<F>, Error> {
        let (inputs, outputs) = (crate::Recurrent::input_size(&net), crate::Recurrent::output_size(&net));
        let net = match (self.skip, self.gains) {
            (false, None) => return Ok(net),
            (true, _) => {
                let first = Residual::of_first_columns(Boxed::new(net));
                Boxed::new(first.map_err(|error| error.within("skip"))?)
            }
            (false, _) => Boxed::new(net),
        };
        Stacked::new(match self.gains {
            None => vec![net],
            Some((before, after)) => {
                vec![Boxed::new(Scale::new(inputs, before)?), net, Boxed::new(Scale::new(outputs, after)?)]
            }
        })
    }
}

/// A network that starts from these states, an array for each of its states' arrays.
pub(super) fn starting<F: Float>(net: Network<F>, states: &[Vec<f64>]) -> Result<Network<F>, Error> {
    let mut layer = LearnedState::new(Boxed::new(net))?;
    let mut states = states.iter().enumerate();
    let mut result = Ok(());
    layer.visit_mut(&mut |name, mut to| {
        if !name.starts_with("state.") {
            return;
        }
        let array = states.next().map(|(_, numbers)| Array2::from_shape_vec((1, numbers.len()), numbers.clone()));
        let array = array
            .and_then(Result::ok)
            .map(|a| Array { shape: a.shape().to_vec(), numbers: a.into_raw_vec_and_offset().0 });
        let filled = fill(name, array, &mut to);
        if result.is_ok() {
            result = filled;
        }
    });
    result?;
    Stacked::new(vec![Boxed::new(layer)])
}
