//! How a layer is asked for before its input's width is known.

use crate::layers::SeqLayer;
use crate::{Error, Init};

/// Something that makes a layer once it is told the width of its input: what builders collect.
///
/// `Lstm::<f32>::spec(256)` and its like are specs; so is any closure `|input_size, init| -> Result<Layer, Error>`, by
/// which a layer from anywhere stacks like the crate's own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes no layer",
    label = "not a spec",
    note = "a builder takes specs: `Lstm::spec(64)`, or a closure `|inputs: usize, init: &mut Init| -> Result<MyLayer, Error>`; of a layer that is there already, `move |_: usize, _: &mut Init| Ok(layer.clone())`"
)]
pub trait Spec {
    /// What it makes.
    type Layer: SeqLayer;

    /// The layer for inputs of `input_size` columns, its starting values drawn from `init`.
    ///
    /// # Errors
    /// If a size or an option is unusable.
    fn build(&self, input_size: usize, init: &mut Init) -> Result<Self::Layer, Error>;
}

impl<L: SeqLayer, F: Fn(usize, &mut Init) -> Result<L, Error>> Spec for F {
    type Layer = L;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<L, Error> {
        self(input_size, init)
    }
}
