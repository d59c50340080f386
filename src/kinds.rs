//! From a description to the layer.

mod cells;
mod layers;
#[cfg(feature = "relatives")]
mod relatives;
#[cfg(not(feature = "relatives"))]
mod relatives {
    //! Without the feature there are none.

    use super::cells::Use;
    use crate::{Boxed, Describe, Error, Float, Init};

    pub(super) fn build<F: Float>(about: &Describe, _: usize, _: &mut Init, _: impl Use<F>) -> Result<Boxed<F>, Error> {
        Err(Error::value("cell", "deep-rnn with the feature \"relatives\", for one with other gates", &about.kind))
    }
}

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::gates::RowCell;
use crate::stacked::check_count;
use crate::{Boxed, Describe, Error, Float, Gated, Init, LanguageModel, Network, Recurrent, SeqLayer, Stacked};

/// Makes a layer of a description, for inputs of this width.
type Make<F> = Arc<dyn Fn(&Kinds<F>, &Describe, usize, &mut Init) -> Result<Boxed<F>, Error> + Send + Sync>;

/// The kinds of layers that a network can be built of by its description ([`Recurrent::describe`]): all of this crate's, and those it is
/// told. A value like any other: hand it to whoever reads files or configurations.
///
/// A description has a layer's kind, its outputs and its settings; the inputs are those of what is below. What the description
/// does not say is as usual: `{"kind": "Lstm", "outputs": 64}` is `Lstm::spec(64)`.
///
/// | kind | settings | layers inside |
/// | --- | --- | --- |
/// | `Lstm`, `Gru`, `GruResetBefore`, `Rnn`; with the feature `relatives` `PeepholeLstm`, `CoupledLstm`, `CoupledPeepholeLstm` and the settings of activations and clips | `bias` (`"none"`, `"one"`, `"two"`, `"recurrent"`), `units` where the outputs are a projection of so many units, `projection_clip`, `gate_activation`, `candidate_activation`, `output_activation` (`Rnn`: `activation`), `clip_gates`, `clip_cell` (`[low, high]`); for starting values `forget_bias` | |
/// | `Linear` | `bias` | |
/// | `Embedding` | `word_dropout` | |
/// | `Dropout` | `rate`, `locked` | |
/// | `LayerNorm` | `epsilon` | |
/// | `Scale` | `factor` | |
/// | `Activate` | `activation` | |
/// | `Last` | | |
/// | `Stacked` | | one on top of the other |
/// | `Bidirectional` | `merge` (`"concat"`, `"sum"`) | forward, and backward where it is another one |
/// | `Reversed`, `Residual`, `LearnedState` | | 1 |
/// | `WeightDrop` | `array`, `rate` | 1 |
/// | `Zoneout` | `rates` | 1 cell |
/// | `Tied` | | the embedding, what is above it |
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::layers::Kinds;
///
/// let net = Network::<f32>::builder(28).bi(Gru::spec(8)).dropout(0.3).linear(5).build()?;
/// let about = net.describe(); // which can be kept as JSON, TOML, in a file with the weights
/// let other = Kinds::<f32>::new().network(&about, 1)?;
/// assert_eq!(other.describe(), about);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct Kinds<F> {
    own: BTreeMap<String, Make<F>>,
}

/// Layers inside layers inside layers: no deeper than this, so that the stack is not used up.
const DEEPEST: usize = 32;

impl<F: Float> Default for Kinds<F> {
    fn default() -> Self {
        Kinds::new()
    }
}

impl<F: Float> Kinds<F> {
    /// This crate's.
    #[must_use]
    pub fn new() -> Self {
        Kinds { own: BTreeMap::new() }
    }

    /// One more, or another one in the place of that of the same name. `make` gets the description, the width of the inputs, and where
    /// starting values come from; where the layer is filled from a file afterwards, these are zeros ([`Init::blank`]).
    ///
    /// ```
    /// # use deep_rnn::prelude::*;
    /// # use deep_rnn::layers::{Dropout, Kinds};
    /// // A layer of one's own; here one of ours under another name.
    /// let kinds = Kinds::<f32>::new().with("Noise", |about, width, init| {
    ///     Dropout::spec(about.number("rate")?.unwrap_or(0.1)).build(width, init)
    /// });
    /// # _ = kinds;
    /// ```
    #[must_use]
    pub fn with<L: SeqLayer<Elem = F> + 'static>(
        mut self,
        kind: &str,
        make: impl Fn(&Describe, usize, &mut Init) -> Result<L, Error> + Send + Sync + 'static,
    ) -> Self {
        let make: Make<F> = Arc::new(move |_, about, width, init| Ok(Boxed::new(make(about, width, init)?)));
        self.own.insert(kind.to_string(), make);
        self
    }

    /// One more cell, of gates of one's own, whose kind is their name ([`RowCell::NAME`]). `make` gets the description: the gates'
    /// settings are in it as their `describe` put them there.
    #[must_use]
    pub fn with_cell<P: RowCell + 'static>(
        self,
        make: impl Fn(&Describe) -> Result<P, Error> + Send + Sync + 'static,
    ) -> Self {
        self.with(P::NAME, move |about, width, init| -> Result<Gated<F, P>, Error> {
            cells::gated(make(about)?, about, width, init)
        })
    }

    /// The network of this description, which is a `Stacked` one, with starting values by `seed`.
    ///
    /// # Errors
    /// If a kind or setting is not known, or sizes do not fit each other.
    pub fn network(&self, about: &Describe, seed: u64) -> Result<Network<F>, Error> {
        self.network_from(about, &mut Init::seeded(seed))
    }

    /// The language model of this description, with starting values by `seed`.
    ///
    /// # Errors
    /// If it is not one, a kind or setting is not known, or sizes do not fit each other.
    pub fn language_model(&self, about: &Describe, seed: u64) -> Result<LanguageModel<Network<F>>, Error> {
        self.language_model_from(about, &mut Init::seeded(seed))
    }

    #[inline(never)]
    pub(crate) fn network_from(&self, about: &Describe, init: &mut Init) -> Result<Network<F>, Error> {
        check_depth(about, DEEPEST)?;
        let inputs = match about.sizes {
            Some((inputs, _)) if inputs > 0 => inputs,
            _ => return Err(Error::value("inputs", "the width of the network's inputs", "none")),
        };
        if about.kind == "LanguageModel" {
            return Err(Error::value("kind", "a network", "LanguageModel (LanguageModel::load reads it)"));
        }
        if about.kind != "Stacked" {
            // A layer alone is a network of one.
            return Stacked::new(vec![self.layer(about, inputs, init)?]);
        }
        self.stacked(about, inputs, init)
    }

    #[inline(never)]
    pub(crate) fn language_model_from(
        &self,
        about: &Describe,
        init: &mut Init,
    ) -> Result<LanguageModel<Network<F>>, Error> {
        let parts = (about.kind == "LanguageModel").then_some(&about.inner[..]);
        let Some([(_, net), (_, head)]) = parts else {
            let expected = "LanguageModel, with a network and a head inside";
            return Err(Error::value("kind", expected, format!("{about} with {} inside", about.inner.len())));
        };
        about.expect_settings(&[])?;
        let net = self.network_from(net, init)?;
        LanguageModel::from_parts(net.clone(), layers::linear(head, net.output_size(), init)?)
    }

    pub(super) fn stacked(&self, about: &Describe, inputs: usize, init: &mut Init) -> Result<Network<F>, Error> {
        about.expect_settings(&[])?;
        check_count(about.inner.len())?;
        let mut built: Vec<Boxed<F>> = Vec::new();
        for (i, (_, inner)) in about.inner.iter().enumerate() {
            let width = built.last().map_or(inputs, Recurrent::output_size);
            built.push(self.layer(inner, width, init).map_err(|error| error.within(format!("layer {i}")))?);
        }
        Stacked::new(built)
    }

    /// The layer of this description, for inputs of this width.
    ///
    /// # Errors
    /// If its kind or a setting is not known, or sizes do not fit each other.
    #[inline(never)]
    pub fn layer(&self, about: &Describe, inputs: usize, init: &mut Init) -> Result<Boxed<F>, Error> {
        check_depth(about, DEEPEST)?;
        let (own, outputs) = about.sizes.unwrap_or((0, 0));
        if own > 0 && own != inputs {
            return Err(Error::value(format!("inputs of {}", about.kind), format!("{inputs}, of what is below"), own));
        }
        let layer = match self.own.get(&about.kind) {
            Some(make) => make(self, about, inputs, init)?,
            None => self.ours(about, inputs, init)?,
        };
        if outputs > 0 && outputs != layer.output_size() {
            let expected = format!("{}, by what it is made of", layer.output_size());
            return Err(Error::value(format!("outputs of {}", about.kind), expected, outputs));
        }
        Ok(layer)
    }

    fn ours(&self, about: &Describe, inputs: usize, init: &mut Init) -> Result<Boxed<F>, Error> {
        if let Some(layer) = cells::build(about, inputs, init, cells::InBox)? {
            return Ok(layer);
        }
        if let Some(layer) = self.wrapper(about, inputs, init)? {
            return Ok(layer);
        }
        let expected = "one of this crate's (or hand the reader Kinds that have it)";
        Err(Error::value("kind", expected, format!("{:?}", about.kind)))
    }
}

fn check_depth(about: &Describe, left: usize) -> Result<(), Error> {
    match left.checked_sub(1) {
        None => Err(Error::value("layers", format!("at most {DEEPEST} inside each other"), "more")),
        Some(left) => about.inner.iter().try_for_each(|(_, inner)| check_depth(inner, left)),
    }
}

impl<F> fmt::Debug for Kinds<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kinds").field("own", &self.own.keys()).finish_non_exhaustive()
    }
}
