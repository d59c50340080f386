//! The usual calls, where one looks for them.

use std::path::Path;

use super::{Loading, Names, Saving};
use crate::{Error, Float, LanguageModel, Network, Params, Recurrent, SeqLayer, Stacked};

/// Writes a network, whatever its type, into a safetensors file: with PyTorch's names and layouts where PyTorch has such a layer, and with a
/// description, so that [`Network::load`](crate::Network::load) needs nothing else. Python's `safetensors` and PyTorch read it too.
///
/// The file is written beside the old one, synced, and put in its place: there is always a whole old or new one.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::files::{load_into, save};
///
/// # let folder = std::env::temp_dir().join(format!("deep-rnn-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("stack.safetensors");
/// let stack = Stacked::repeat(28, 2, &Lstm::<f32>::spec(8), 1)?;
/// save(&stack, &path)?;
/// let mut other = Stacked::repeat(28, 2, &Lstm::<f32>::spec(8), 2)?;
/// load_into(&mut other, &path)?; // of the same type
/// let network = Network::<f32>::load(&path)?; // or built from what the file says
/// assert_eq!(other.layers()[0].w_h(), stack.layers()[0].w_h());
/// # assert_eq!(network.describe().inner, stack.describe().inner);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// # Errors
/// If a number is not finite, or the file can't be written: then the old one is as it was.
pub fn save<N: Recurrent + Params>(net: &N, path: impl AsRef<Path>) -> Result<(), Error> {
    Saving::new().save(net, path)
}

/// Reads the numbers of a network that is there, whatever its type, from a safetensors file with the names of [`save`].
///
/// # Errors
/// If the file can't be read, or its tensors or layers are not those of the network, which is as it was then.
pub fn load_into<N: Recurrent + Params>(net: &mut N, path: impl AsRef<Path>) -> Result<(), Error> {
    Loading::new().load_into(net, path).map(|_| ())
}

impl<L: SeqLayer> Stacked<L> {
    /// Writes it into a safetensors file: [`files::save`](save).
    ///
    /// # Errors
    /// As [`files::save`](save).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(self, path)
    }
}

impl<F: Float> Network<F> {
    /// The network in a safetensors file that says what it is, as [`save`](crate::Stacked::save) writes it. For layers of one's own,
    /// other names, rounded numbers and more: [`files::Loading`](Loading).
    ///
    /// ```
    /// use deep_rnn::prelude::*;
    ///
    /// # let path = std::env::temp_dir().join(format!("deep-rnn-doc-{}.safetensors", std::process::id()));
    /// let net = Network::<f32>::builder(1).lstm(8).dropout(0.2).linear(1).seed(1).build()?;
    /// net.save(&path)?;
    /// let again = Network::<f32>::load(&path)?;
    /// assert_eq!(again.to_string(), net.to_string());
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), deep_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file can't be read or is none of that format, has layers of unknown kinds, or numbers that are not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Loading::new().network(path)
    }

    /// The network of these modules of PyTorch, from a `state_dict` in a safetensors file.
    ///
    /// # Errors
    /// As [`Loading::torch`].
    pub fn from_torch(path: impl AsRef<Path>, names: &Names) -> Result<Self, Error> {
        Loading::new().torch(path, names)
    }

    /// Reads the numbers of this network from these modules of PyTorch, layer by layer.
    ///
    /// # Errors
    /// As [`Loading::torch_into`]. The network is as it was then.
    pub fn load_torch(&mut self, path: impl AsRef<Path>, names: &Names) -> Result<(), Error> {
        Loading::new().torch_into(self, path, names).map(|_| ())
    }

    /// Writes it as a `state_dict` of these modules of PyTorch.
    ///
    /// # Errors
    /// As [`Saving::torch`].
    pub fn save_torch(&self, path: impl AsRef<Path>, names: &Names) -> Result<(), Error> {
        Saving::new().torch(self, path, names)
    }
}

impl<N: SeqLayer> LanguageModel<N> {
    /// Writes it into a safetensors file: [`files::save`](save).
    ///
    /// # Errors
    /// As [`files::save`](save).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(self, path)
    }
}

impl<F: Float> LanguageModel<Network<F>> {
    /// The language model in a safetensors file that says what it is.
    ///
    /// # Errors
    /// As [`Network::load`](crate::Network::load).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Loading::new().language_model(path)
    }
}
