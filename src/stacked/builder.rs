//! Builds networks at run time, each layer's input width taken from the one below it.

use std::fmt;

use super::Stacked;
use crate::cells::Activation;
use crate::layers::Activate;
use crate::{
    Bidirectional, Boxed, Dropout, Embedding, Error, Float, Gru, Init, Last, LayerNorm, Linear, Lstm, Merge, Recurrent,
    Rnn, SeqLayer, Spec, Tied,
};

/// Layers of any kinds on top of each other, chosen at run time.
///
/// ```
/// use deep_rnn::prelude::*;
///
/// let (kind, depth, both_ways) = ("gru", 3, true); // from a file, say
/// let mut builder = Network::<f32>::builder(28);
/// for _ in 0..depth {
///     builder = match (kind, both_ways) {
///         ("gru", true) => builder.bi(Gru::spec(64)),
///         ("gru", false) => builder.gru(64),
///         _ => builder.lstm(64),
///     };
/// }
/// let net = builder.linear(10).seed(1).build()?;
/// println!("{net}");
/// # assert!(net.to_string().contains("Bidirectional(28 → 128, Gru)   [T, B, 128]   36,096"), "{net}");
/// # Ok::<(), deep_rnn::Error>(())
/// ```
pub type Network<F> = Stacked<Boxed<F>>;

/// Makes one layer, given the width of its input.
type Make<F> = Box<dyn Fn(usize, &mut Init) -> Result<Boxed<F>, Error> + Send + Sync>;

/// Collects specs, bottom first, and builds a [`Network`] of them: see [`Stacked::builder`].
pub struct Builder<F> {
    /// None of a part of a network.
    input_size: Option<usize>,
    seed: Option<u64>,
    specs: Vec<Make<F>>,
    /// How many layers there are to be, where that is too many to be collected.
    count: usize,
}

impl<F: Float> Stacked<Boxed<F>> {
    /// Starts a network for inputs of `input_size` columns.
    #[must_use]
    pub fn builder(input_size: usize) -> Builder<F> {
        Builder { input_size: Some(input_size), ..Self::part() }
    }

    /// Starts a part of a network, as a layer of another builder or for a layer around it: it takes the width of its inputs from what
    /// is below, and its starting values with the rest.
    ///
    /// ```
    /// use deep_rnn::prelude::*;
    /// use deep_rnn::layers::WeightDrop;
    ///
    /// let two = Network::part().lstm(32).lstm(32);
    /// let net = Network::<f32>::builder(28).gru(16).layer(WeightDrop::spec(two, 0.5)).linear(28).seed(1).build()?;
    /// # assert_eq!(net.output_size(), 28);
    /// # Ok::<(), deep_rnn::Error>(())
    /// ```
    #[must_use]
    pub fn part() -> Builder<F> {
        Builder { input_size: None, seed: None, specs: Vec::new(), count: 0 }
    }
}

impl<F: Float> Builder<F> {
    /// One more layer on top.
    #[must_use]
    pub fn layer<S: Spec<Layer: SeqLayer<Elem = F> + 'static> + Send + Sync + 'static>(self, spec: S) -> Self {
        self.repeat(1, spec)
    }

    /// `count` more layers of one spec.
    #[must_use]
    pub fn repeat<S: Spec<Layer: SeqLayer<Elem = F> + 'static> + Send + Sync + 'static>(
        mut self,
        count: usize,
        spec: S,
    ) -> Self {
        self.count = self.count.saturating_add(count);
        let spec = std::sync::Arc::new(spec);
        for _ in 0..count.min(MOST) {
            let spec = std::sync::Arc::clone(&spec);
            self.specs.push(Box::new(move |width, init| Ok(Boxed::new(spec.build(width, init)?))));
        }
        self
    }

    /// A layer of `units` LSTM units.
    #[must_use]
    #[inline(never)]
    pub fn lstm(self, units: usize) -> Self {
        self.layer(Lstm::spec(units))
    }

    /// A layer of `units` GRU units.
    #[must_use]
    #[inline(never)]
    pub fn gru(self, units: usize) -> Self {
        self.layer(Gru::spec(units))
    }

    /// A layer of `units` units tanh(x·w + h·u + b).
    #[must_use]
    #[inline(never)]
    pub fn rnn(self, units: usize) -> Self {
        self.layer(Rnn::spec(units))
    }

    /// Two layers of one spec, one for each direction, side by side.
    #[must_use]
    pub fn bi<S: Spec<Layer: SeqLayer<Elem = F> + 'static> + Send + Sync + 'static>(self, both: S) -> Self {
        self.layer(Bidirectional::spec(both, Merge::Concat))
    }

    /// The same affine map at every step.
    #[must_use]
    #[inline(never)]
    pub fn linear(self, outputs: usize) -> Self {
        self.layer(Linear::spec(outputs))
    }

    /// Numbers left out with probability `rate`, in training.
    #[must_use]
    #[inline(never)]
    pub fn dropout(self, rate: f64) -> Self {
        self.layer(Dropout::spec(rate))
    }

    /// The same, the same units at all steps of a row.
    #[must_use]
    #[inline(never)]
    pub fn locked_dropout(self, rate: f64) -> Self {
        self.layer(Dropout::locked(rate))
    }

    /// A row of `width` numbers for each token.
    #[must_use]
    #[inline(never)]
    pub fn embedding(self, width: usize) -> Self {
        self.layer(Embedding::spec(width))
    }

    /// Rows brought to mean 0 and variance 1.
    #[must_use]
    #[inline(never)]
    pub fn layer_norm(self) -> Self {
        self.layer(LayerNorm::spec())
    }

    /// A function of each number.
    #[must_use]
    #[inline(never)]
    pub fn activation(self, activation: Activation) -> Self {
        self.layer(Activate::spec(activation))
    }

    /// The last step of each row alone.
    #[must_use]
    #[inline(never)]
    pub fn last(self) -> Self {
        self.layer(Last::spec())
    }

    /// Makes the layers so far one [`Tied`] layer: the first, which is to be an [embedding](Builder::embedding), gives its weight to a
    /// head on top of the others too, so the last of them is to be as wide as it. Layers that follow are above the head.
    #[must_use]
    #[inline(never)]
    pub fn tied(mut self) -> Self {
        let (specs, count) = (std::mem::take(&mut self.specs), std::mem::replace(&mut self.count, 1));
        self.specs.push(Box::new(move |width, init| {
            check_count(count)?;
            let mut layers = layers(&specs, width, init)?;
            let first = layers.remove(0);
            let Some(embedding) = first.downcast_ref::<Embedding<F>>() else {
                return Err(Error::value("tied", "an embedding as the first layer", first.describe()));
            };
            if layers.is_empty() {
                return Err(Error::value("tied", "a layer above the embedding", "none"));
            }
            Ok(Boxed::new(Tied::new(embedding.clone(), Stacked::new(layers)?)?))
        }));
        self
    }

    /// The seed of the starting values; 0 if not said.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The network.
    ///
    /// # Errors
    /// If there is no layer or more than 10,000, a layer's spec refuses its sizes or options, or it is a [part](Stacked::part) of a
    /// network.
    #[inline(never)]
    pub fn build(self) -> Result<Network<F>, Error> {
        let Some(input_size) = self.input_size else {
            return Err(Error::value(
                "input_size",
                "the width of the inputs: Network::builder(width)",
                "a part of a network",
            ));
        };
        self.layers(input_size, &mut Init::seeded(self.seed.unwrap_or(0)))
    }

    fn layers(&self, input_size: usize, init: &mut Init) -> Result<Network<F>, Error> {
        check_count(self.count)?;
        Stacked::new(layers(&self.specs, input_size, init)?)
    }
}

/// The most layers.
const MOST: usize = 10_000;

pub(crate) fn check_count(count: usize) -> Result<(), Error> {
    if (1..=MOST).contains(&count) { Ok(()) } else { Err(Error::value("layers", format!("1 to {MOST}"), count)) }
}

/// A builder is a spec of its network, so networks stack. What it was told itself must be what is there.
impl<F: Float> Spec for Builder<F> {
    type Layer = Network<F>;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<Network<F>, Error> {
        if let Some(own) = self.input_size.filter(|own| *own != input_size) {
            let expected = format!("{input_size}, the width of what is below (Network::part() takes it from there)");
            return Err(Error::value("input_size", expected, own));
        }
        if let Some(seed) = self.seed {
            let expected = "none in a part of a network: the builder of the whole has it";
            return Err(Error::value("seed", expected, seed));
        }
        self.layers(input_size, init)
    }
}

/// The layers, bottom first.
fn layers<F: Float>(specs: &[Make<F>], input_size: usize, init: &mut Init) -> Result<Vec<Boxed<F>>, Error> {
    let mut layers: Vec<Boxed<F>> = Vec::new();
    for (i, make) in specs.iter().enumerate() {
        let width = layers.last().map_or(input_size, Recurrent::output_size);
        layers.push(make(width, init).map_err(|error| error.within(format!("layer {i}")))?);
    }
    Ok(layers)
}

impl<F> fmt::Debug for Builder<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs = self.input_size.map_or_else(|| "any".to_string(), |inputs| inputs.to_string());
        write!(f, "Builder({inputs} inputs, {} layers)", self.count)
    }
}
