//! A network into a safetensors file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::names::places;
use super::renames::Renames;
use super::replace::replace;
use super::tensors::{Storage, Written, bytes};
use crate::{Describe, Error, Float, Params, Recurrent};

/// The key of a file's metadata under which the network is described.
pub(super) const KEY: &str = "deep-rnn";
/// The version of what is under it. Whoever reads an older file knows what it means; a newer one is refused.
pub(super) const VERSION: u32 = 1;

/// What is under [`KEY`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) network: Describe,
}

/// How a network is written: [`save`](super::save) with options.
///
/// ```no_run
/// use deep_rnn::prelude::*;
/// use deep_rnn::files::{Saving, Storage};
///
/// let net = Network::<f32>::builder(1).lstm(40).linear(1).build()?;
/// Saving::new().storage(Storage::F16).save(&net, "small.safetensors")?; // half the size, rounded
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Saving {
    storage: Option<Storage>,
    any_numbers: bool,
    renames: Renames,
}

impl Saving {
    /// The numbers as they are, all finite.
    #[must_use]
    pub fn new() -> Self {
        Saving::default()
    }

    /// Numbers rounded to another type, to the nearest, ties to even.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Writes NaN and infinite numbers too.
    #[must_use]
    pub fn allow_not_finite(mut self) -> Self {
        self.any_numbers = true;
        self
    }

    /// Names that begin with `to` are written with `from` in its place: the way back of [`Loading::rename`](super::Loading::rename).
    #[must_use]
    pub fn rename(mut self, from: &str, to: &str) -> Self {
        self.renames.push(from, to);
        self
    }

    pub(super) fn renamed(&self, more: &Renames) -> Self {
        Saving { renames: more.and(&self.renames), ..self.clone() }
    }

    /// Writes a network: all of it or, if that fails, nothing, and the file that was there stays ([`save`](super::save)).
    ///
    /// # Errors
    /// If a number is not finite or too large for the storage, the network's description can't be written, or the file can't.
    pub fn save<N: Recurrent + Params>(&self, net: &N, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let bytes = self.to_bytes(net).map_err(|error| error.in_file(path))?;
        replace(path, |file| file.write_all(&bytes))
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// As [`save`](Saving::save).
    #[inline(never)]
    pub fn to_bytes<N: Recurrent + Params>(&self, net: &N) -> Result<Vec<u8>, Error> {
        let header = Header { version: VERSION, network: net.describe() };
        let unwritable = |error| Error::value("description", "what can be written as JSON", error);
        let header = serde_json::to_string(&header).map_err(unwritable)?;
        self.write(net, &|name| Some(name.to_string()), (KEY, header))
    }

    /// With the names that `named` gives to those of our files.
    #[inline(never)]
    pub(super) fn write<N: Recurrent + Params>(
        &self,
        net: &N,
        named: &dyn Fn(&str) -> Option<String>,
        metadata: (&str, String),
    ) -> Result<Vec<u8>, Error> {
        let storage = self.storage.unwrap_or(Storage::of::<N::Elem>());
        let places = places(net);
        let mut arrays = Vec::new();
        net.visit(&mut |_, array| arrays.push(array));
        let seconds: Vec<ArrayD<N::Elem>> =
            places.iter().map(|place| ArrayD::from_elem(&place.shape[..], zero())).collect();
        let mut tensors = BTreeMap::new();
        for ((place, array), second) in places.iter().zip(arrays).zip(&seconds) {
            if !self.any_numbers
                && let Some(bad) = array.iter().find(|x| !storage.rounded(x.as_f64()).is_finite())
            {
                let expected = format!("finite numbers in {storage}");
                return Err(Error::value(format!("tensor {:?}", place.file), expected, bad));
            }
            let array = if place.transposed { array.reversed_axes() } else { array };
            let others = place.second.iter().map(|name| (name, second.view()));
            for (name, array) in std::iter::once((&place.file, array)).chain(others) {
                let Some(name) = named(name) else { continue };
                let name = self.renames.written(&name);
                if tensors.insert(name.clone(), Written { array, storage }).is_some() {
                    return Err(Error::value("names of tensors", "each once", format!("{name:?} twice")));
                }
            }
        }
        bytes(&tensors, metadata)
    }
}

fn zero<F: Float>() -> F {
    F::from_f64(0.0)
}
