//! Models of amplifiers and effects, as the programs that play them have them.

mod few;
mod guitarml;
mod nam;
mod numbers;
mod parts;
mod rtneural;
mod write;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;

use super::json;
use super::replace::replace_with;
use crate::{Error, Float, Network, Recurrent, Run};

/// The longest file, in bytes: that of some three million numbers.
const LONGEST: u64 = 64 << 20;

/// Which program's file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudioFormat {
    /// RTNeural's JSON of layers, of Keras' weights, which AIDA-X reads too (`.json`, `.aidax`).
    RtNeural,
    /// GuitarML's and Proteus's JSON of a PyTorch module.
    GuitarMl,
    /// A JSON of a bare `state_dict`, as RTNeural's examples for PyTorch have it.
    StateDict,
    /// Neural Amp Modeler's `.nam` of the architecture LSTM.
    Nam,
}

/// A model that turns a sound into another one, sample by sample.
///
/// Everything that makes its outputs is in the network: gains are [`Scale`](crate::layers::Scale) layers, a way past the network
/// is a [`Residual`](crate::layers::Residual) layer, first states are those of a [`LearnedState`](crate::layers::LearnedState) one, so start a stream with
/// [`initial_state`](crate::Recurrent::initial_state).
///
/// ```no_run
/// use deep_rnn::prelude::*;
/// use deep_rnn::files::AudioModel;
///
/// let model = AudioModel::<f32>::open("amp.nam")?;
/// let fast = model.network.prepare(Precision::Full)?;
/// let (mut state, mut out) = (fast.initial_state(1), [0.0]);
/// for sample in [0.0, 0.1, 0.2] {
///     fast.step_rows(&[sample], &mut out, &mut state)?;
/// }
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AudioModel<F: Float> {
    /// The network: the first input is the sound, others are knobs.
    pub network: Network<F>,
    /// Which program's it is.
    pub format: AudioFormat,
    /// Samples a second, where the file says so (AIDA-X takes 48,000 where it does not).
    pub sample_rate: Option<f64>,
    /// Inputs and what is to come out for them, where the file has them.
    self_test: Option<SelfTest>,
}

/// Inputs and outputs of the network without its gains.
#[derive(Clone, Debug)]
struct SelfTest {
    inputs: Vec<f64>,
    outputs: Vec<f64>,
    /// What goes in and comes out is divided by these.
    gains: (f64, f64),
}

/// What tells the formats from each other.
#[derive(Deserialize)]
struct Keys {
    layers: Option<serde::de::IgnoredAny>,
    model_data: Option<serde::de::IgnoredAny>,
    architecture: Option<serde::de::IgnoredAny>,
}

impl<F: Float> AudioModel<F> {
    /// The model in a file, of whatever format.
    ///
    /// # Errors
    /// If the file can't be read, is of none of the formats, has a layer or setting that is not there here (which is named), or sizes that do
    /// not fit each other.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = super::source::read(path, LONGEST)?;
        Self::from_bytes(&bytes).map_err(|error| error.in_file(path))
    }

    /// The model in the bytes of a file.
    ///
    /// # Errors
    /// As [`open`](AudioModel::open).
    #[inline(never)]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let keys: Keys = json::parse(bytes)?;
        if keys.architecture.is_some() {
            nam::read(bytes)
        } else if keys.model_data.is_some() {
            guitarml::read(bytes)
        } else if keys.layers.is_some() {
            rtneural::read(bytes)
        } else {
            guitarml::read_bare(bytes)
        }
    }

    /// Writes a network in a format: what it cannot say is refused by layer.
    ///
    /// # Errors
    /// If the network is not one that the format can hold, has a number that is not finite, or the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>, format: AudioFormat) -> Result<(), Error> {
        let path = path.as_ref();
        let text = write::text(&self.network, self.sample_rate, format).map_err(|error| error.in_file(path))?;
        replace_with(path, text.as_bytes())
    }

    /// One of a network, to be [saved](AudioModel::save).
    #[must_use]
    pub fn new(network: Network<F>, sample_rate: Option<f64>) -> Self {
        AudioModel { network, format: AudioFormat::RtNeural, sample_rate, self_test: None }
    }

    /// The largest difference between the outputs and those the file has for a test, where it has any (AIDA-X's do, which takes 10⁻⁵ for
    /// a pass).
    ///
    /// # Errors
    /// If the test does not fit the network.
    pub fn self_test(&self) -> Result<Option<f64>, Error> {
        let Some(SelfTest { inputs, outputs, gains }) = &self.self_test else { return Ok(None) };
        let (width, each) = (self.network.input_size(), self.network.output_size());
        let steps = outputs.len() / each;
        if outputs.len() != steps * each || inputs.len() != steps * width {
            let expected = format!("{width} numbers a step, for {each} of output_batch");
            let got = format!("{} for {}", inputs.len(), outputs.len());
            return Err(Error::value("input_batch", expected, got));
        }
        let xs =
            ndarray::Array3::from_shape_fn((steps, 1, width), |(t, _, d)| F::from_f64(inputs[t * width + d] / gains.0));
        let ys = self.network.predict(&xs)?;
        let difference = |(y, expected): (&F, &f64)| (y.as_f64() / gains.1 - expected).abs();
        // NaN is no pass.
        Ok(Some(
            ys.iter()
                .zip(outputs)
                .map(difference)
                .fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst }),
        ))
    }
}

impl fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AudioFormat::RtNeural => "rtneural",
            AudioFormat::GuitarMl => "guitarml",
            AudioFormat::StateDict => "state-dict",
            AudioFormat::Nam => "nam",
        })
    }
}

impl FromStr for AudioFormat {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [AudioFormat::RtNeural, AudioFormat::GuitarMl, AudioFormat::StateDict, AudioFormat::Nam];
        all.into_iter()
            .find(|format| format.to_string() == name)
            .ok_or_else(|| Error::value("format", "rtneural, guitarml, state-dict, nam", name))
    }
}
