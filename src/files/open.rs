//! Whatever a file is.

use std::path::Path;

use super::source::Source;
use crate::{Error, Float, Network};

impl<F: Float> Network<F> {
    /// The network in a file of any format that this crate was built for, told by what is in it: safetensors with a description, or PyTorch's
    /// whose modules fit in one order only (feature `safetensors`); JSON of RTNeural, AIDA-X, GuitarML, and NAM's LSTMs (feature
    /// `audio`); ONNX (feature `onnx`).
    ///
    /// A stream begins with [`initial_state`](crate::Recurrent::initial_state), since some formats have a first state. What is no part of the network, say a sample
    /// rate, is told by the readers of the formats: [`AudioModel`](crate::files::AudioModel).
    ///
    /// # Errors
    /// If the file can't be read, is of none of these, or does not say what its reader needs.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut source = Source::open(path)?;
        let head = source.take(source.len().min(16))?;
        drop(source);
        let is_json = head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if is_json {
            return audio(path);
        }
        // A length of eight bytes, of which none has the last, and JSON.
        if head.get(7..9) == Some(b"\0{") {
            return safetensors(path);
        }
        other(path)
    }
}

#[cfg(feature = "audio")]
fn audio<F: Float>(path: &Path) -> Result<Network<F>, Error> {
    Ok(super::AudioModel::open(path)?.network)
}

#[cfg(not(feature = "audio"))]
fn audio<F: Float>(path: &Path) -> Result<Network<F>, Error> {
    missing(path, "JSON", "audio")
}

#[cfg(feature = "safetensors")]
fn safetensors<F: Float>(path: &Path) -> Result<Network<F>, Error> {
    use super::{Loading, Names};

    let loading = Loading::new();
    if loading.says_what_it_is(path)? { loading.network(path) } else { loading.torch(path, &Names::auto()) }
}

#[cfg(not(feature = "safetensors"))]
fn safetensors<F: Float>(path: &Path) -> Result<Network<F>, Error> {
    missing(path, "safetensors", "safetensors")
}

/// ONNX begins with no word of its own.
#[cfg(feature = "onnx")]
fn other<F: Float>(path: &Path) -> Result<Network<F>, Error> {
    Ok(crate::onnx::open(path)?.network)
}

#[cfg(not(feature = "onnx"))]
fn other<F: Float>(path: &Path) -> Result<Network<F>, Error> {
    let expected = "safetensors, JSON of RTNeural, AIDA-X, GuitarML or NAM, or (with the feature \"onnx\") ONNX";
    Err(Error::value("format", expected, "something else").in_file(path))
}

#[cfg(not(all(feature = "audio", feature = "safetensors")))]
fn missing<F: Float>(path: &Path, format: &str, feature: &str) -> Result<Network<F>, Error> {
    let expected = format!("this crate with the feature {feature:?}, for files of this format");
    Err(Error::value("format", expected, format).in_file(path))
}
