//! Networks in PyTorch's files: a `state_dict` saved by `safetensors.torch.save_file`.

mod modules;
mod places;

use std::io::{Read, Seek, Write};
use std::path::Path;

use super::renames::Renames;
use super::replace::replace;
use super::source::Source;
use super::tensors::Tensors;
use super::{Loaded, Loading, Saving};
use crate::{Error, Float, Init, Network, Params, Recurrent};

/// Which of PyTorch's modules make a network, bottom first, by the names they have in the `state_dict`.
///
/// A module is an `nn.LSTM`, `nn.GRU` or `nn.RNN` with all its layers and directions, a cell such as `nn.LSTMCell`, an `nn.Linear`,
/// `nn.Embedding` or `nn.LayerNorm`. Sizes, depth, directions, biases and projections are found from names and shapes. What is not in the
/// file is told here (whether an RNN is one of [relu](Names::relu)), or is in the network that is [filled](crate::Network::load_torch).
///
/// ```no_run
/// use deep_rnn::prelude::*;
/// use deep_rnn::files::Names;
///
/// // class Effect: self.rec = nn.LSTM(1, 40); self.lin = nn.Linear(40, 1)
/// let net = Network::<f32>::from_torch("effect.safetensors", &Names::prefix("rec").and("lin"))?;
/// // A bare module, torch.nn.GRU(3, 4).
/// let gru = Network::<f32>::from_torch("gru.safetensors", &Names::prefix(""))?;
/// // Saved from a DataParallel, whose names all begin with "module.".
/// let names = Names::prefix("encoder.rnn").and("head.out").rename("module.", "");
/// let tagger = Network::<f32>::from_torch("tagger.safetensors", &names)?;
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Names {
    modules: Vec<Named>,
    renames: Renames,
}

/// A module and what a file does not say of it.
#[derive(Clone, Debug)]
struct Named {
    prefix: String,
    relu: bool,
    layers: Option<usize>,
}

impl Names {
    /// Found from names and shapes alone, where there is only one way: one recurrent module, an embedding of its width below it,
    /// and above it modules each of which has the width of the one before.
    #[must_use]
    pub fn auto() -> Self {
        Names::default()
    }

    /// A network that begins with this module; the name of a bare one is empty.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Names::auto().and(prefix)
    }

    /// And one more on top.
    #[must_use]
    pub fn and(mut self, prefix: &str) -> Self {
        let prefix = prefix.strip_suffix('.').unwrap_or(prefix).to_string();
        self.modules.push(Named { prefix, relu: false, layers: None });
        self
    }

    /// The module named last is an RNN of relu, which its numbers do not tell.
    #[must_use]
    pub fn relu(mut self) -> Self {
        self.modules.iter_mut().last().into_iter().for_each(|module| module.relu = true);
        self
    }

    /// Of a network that is written, the module named last has so many layers; without, as many as go into one.
    #[must_use]
    pub fn layers(mut self, layers: usize) -> Self {
        self.modules.iter_mut().last().into_iter().for_each(|module| module.layers = Some(layers));
        self
    }

    /// Names in the file that begin with `from` are read as if they began with `to`, and written the other way round. Of several the first
    /// that fits is taken.
    #[must_use]
    pub fn rename(mut self, from: &str, to: &str) -> Self {
        self.renames.push(from, to);
        self
    }
}

impl<F: Float> Loading<F> {
    /// The network of these modules of a `state_dict`.
    ///
    /// # Errors
    /// If the file can't be read, a module is not in it or is none of those, or modules do not fit each other. Other tensors in the file are
    /// refused unless [lenient](Loading::lenient).
    #[inline(never)]
    pub fn torch(&self, path: impl AsRef<Path>, names: &Names) -> Result<Network<F>, Error> {
        let path = path.as_ref();
        self.of_modules(Tensors::open(path)?, names).map_err(|error| error.in_file(path))
    }

    /// As [`torch`](Loading::torch), of the bytes of a file.
    ///
    /// # Errors
    /// As [`torch`](Loading::torch).
    #[inline(never)]
    pub fn torch_from_bytes(&self, bytes: &[u8], names: &Names) -> Result<Network<F>, Error> {
        self.of_modules(Tensors::of(Source::of(bytes))?, names)
    }

    fn of_modules<R: Read + Seek>(&self, tensors: Tensors<R>, names: &Names) -> Result<Network<F>, Error> {
        let modules = modules::find(tensors.entries(), names)?;
        let about = modules::describe(&modules)?;
        let mut net = self.kinds.network_from(&about, &mut Init::blank(tensors.numbers()))?;
        let places = places::of(&net.describe(), &modules)?;
        self.renamed(&names.renames).fill(&mut net, tensors, &|name| places.theirs(name))?;
        Ok(net)
    }

    /// The numbers of a network that is there, from these modules of a `state_dict`, layer by layer; layers without arrays are passed over.
    ///
    /// # Errors
    /// As [`torch`](Loading::torch), and if the network's layers are others. The network is as it was then.
    #[inline(never)]
    pub fn torch_into<N: Recurrent<Elem = F> + Params>(
        &self,
        net: &mut N,
        path: impl AsRef<Path>,
        names: &Names,
    ) -> Result<Loaded, Error> {
        let path = path.as_ref();
        let tensors = Tensors::open(path)?;
        let within = |error: Error| error.in_file(path);
        let modules = modules::find(tensors.entries(), names).map_err(within)?;
        let places = places::of(&net.describe(), &modules).map_err(within)?;
        let loading = self.renamed(&names.renames);
        let mut filled = net.clone();
        let report = loading.fill(&mut filled, tensors, &|name| places.theirs(name)).map_err(within)?;
        *net = filled;
        Ok(report)
    }
}

impl Saving {
    /// Writes a network as a `state_dict` of these modules, which `load_state_dict` takes: names, shapes and bytes are PyTorch's.
    ///
    /// # Errors
    /// If the network has a layer that PyTorch has not, layers do not go into the modules, or the file can't be written.
    #[inline(never)]
    pub fn torch<N: Recurrent + Params>(&self, net: &N, path: impl AsRef<Path>, names: &Names) -> Result<(), Error> {
        let path = path.as_ref();
        let within = |error: Error| error.in_file(path);
        let about = net.describe();
        let modules = modules::fit(&about, names).map_err(within)?;
        let places = places::of(&about, &modules).map_err(within)?;
        let saving = self.renamed(&names.renames);
        let bytes = saving.write(net, &|name| places.theirs(name), ("format", "pt".to_string())).map_err(within)?;
        replace(path, |file| file.write_all(&bytes))
    }
}
