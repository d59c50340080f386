//! The network of the layers that have been found.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::tensor::Tensor;
use super::line::{Line, stack};
use crate::layers::Kinds;
use crate::{Error, Float, Init, Network, Params};

/// The network whose outputs are made at `place`.
///
/// # Errors
/// If the layers do not fit each other, or a number is not finite in `F`.
pub(super) fn network<F: Float>(line: &Line, place: usize) -> Result<Network<F>, Error> {
    let layers = line.path(place);
    let mut bottom = place;
    while let Some(below) = line.below(bottom) {
        bottom = below;
    }
    let sized = layers.iter().find_map(|layer| layer.about.sizes.map(|(inputs, _)| inputs));
    let Some(inputs) = sized.or(line.width(bottom)).filter(|inputs| *inputs > 0) else {
        return Err(Error::value("columns of the input", "a number", "none"));
    };
    let (about, arrays) = stack(inputs, &layers);
    let most = arrays.iter().map(|(_, array)| array.numbers.len()).max().unwrap_or(0);
    let mut network = Kinds::<F>::new().network_from(&about, &mut Init::blank(most))?;
    fill(&mut network, arrays)?;
    Ok(network)
}

fn fill<F: Float>(network: &mut Network<F>, arrays: Vec<(String, Rc<Tensor>)>) -> Result<(), Error> {
    let mut arrays: HashMap<String, Rc<Tensor>> = arrays.into_iter().collect();
    let mut result = Ok(());
    network.visit_mut(&mut |name, mut to| {
        let Some(array) = arrays.remove(name) else {
            result = Err(Error::value("arrays", format!("{name:?}"), "none of this name"));
            return;
        };
        let Some(from) = array.as_floats().filter(|from| array.dims == to.shape() && from.len() == to.len()) else {
            result = Err(Error::shape(name, format!("{:?}", to.shape()), &array.dims));
            return;
        };
        for (to, from) in to.iter_mut().zip(from) {
            *to = F::from_f64(*from).flush();
            if !num_traits::float::FloatCore::is_finite(*to) {
                result = Err(Error::value(name, format!("finite numbers of {}", F::NAME), from));
            }
        }
    });
    match arrays.into_keys().next() {
        Some(name) if result.is_ok() => Err(Error::value("arrays", "those of the layers", format!("{name:?}"))),
        _ => result,
    }
}
