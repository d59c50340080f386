//! Named tensors in a safetensors file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::str::FromStr;

use half::{bf16, f16};
use ndarray::ArrayViewD;
use safetensors::tensor::{Dtype, Metadata, View, serialize};

use super::json;
use super::source::Source;
use crate::{Error, Float};

/// The longest header, in bytes: that of some 40,000 tensors. The format allows more; nothing of ours has them, and it takes memory to read.
const LONGEST_HEADER: u64 = 4 << 20;

/// How numbers are kept in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// 64 bits.
    F64,
    /// 32 bits.
    F32,
    /// 16 bits, 11 of them for digits: up to 65,504.
    F16,
    /// 16 bits, 8 of them for digits, the range of `f32`.
    Bf16,
}

impl Storage {
    /// Of numbers as they are.
    #[must_use]
    pub fn of<F: Float>() -> Self {
        if size_of::<F>() == size_of::<f64>() { Storage::F64 } else { Storage::F32 }
    }

    /// Bytes for each number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Storage::F64 => 8,
            Storage::F32 => 4,
            Storage::F16 | Storage::Bf16 => 2,
        }
    }

    /// A number as it will be read again.
    pub(super) fn rounded(self, x: f64) -> f64 {
        match self {
            Storage::F64 => x,
            Storage::F32 => f64::from(x as f32),
            Storage::F16 => f16::from_f64(x).to_f64(),
            Storage::Bf16 => bf16::from_f64(x).to_f64(),
        }
    }

    fn dtype(self) -> Dtype {
        match self {
            Storage::F64 => Dtype::F64,
            Storage::F32 => Dtype::F32,
            Storage::F16 => Dtype::F16,
            Storage::Bf16 => Dtype::BF16,
        }
    }

    fn push(self, x: f64, to: &mut Vec<u8>) {
        match self {
            Storage::F64 => to.extend(x.to_le_bytes()),
            Storage::F32 => to.extend((x as f32).to_le_bytes()),
            Storage::F16 => to.extend(f16::from_f64(x).to_le_bytes()),
            Storage::Bf16 => to.extend(bf16::from_f64(x).to_le_bytes()),
        }
    }

    fn numbers<F: Float>(self, bytes: &[u8]) -> Vec<F> {
        fn each<F: Float, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<F> {
            bytes.as_chunks::<N>().0.iter().map(|bytes| F::from_f64(number(*bytes))).collect()
        }
        match self {
            Storage::F64 => each(bytes, f64::from_le_bytes),
            Storage::F32 => each(bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
            Storage::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f64()),
            Storage::Bf16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f64()),
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Storage::F64 => "f64",
            Storage::F32 => "f32",
            Storage::F16 => "f16",
            Storage::Bf16 => "bf16",
        })
    }
}

impl FromStr for Storage {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Storage::F64, Storage::F32, Storage::F16, Storage::Bf16];
        all.into_iter()
            .find(|storage| storage.to_string() == name)
            .ok_or_else(|| Error::value("storage", "f64, f32, f16, bf16", name))
    }
}

/// A tensor in a file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) shape: Vec<usize>,
    /// None of numbers that are none of ours, say whole ones.
    pub(super) storage: Option<Storage>,
    dtype: Dtype,
    bytes: u64,
}

impl Entry {
    /// How many numbers.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// An open file whose header has been read and checked.
#[derive(Debug)]
pub(super) struct Tensors<R = File> {
    source: Source<R>,
    entries: BTreeMap<String, Entry>,
    /// By their places in the file.
    order: Vec<String>,
    metadata: BTreeMap<String, String>,
}

impl Tensors {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::of(Source::open(path)?).map_err(|error| error.in_file(path))
    }
}

impl<R: Read + Seek> Tensors<R> {
    pub(super) fn of(mut source: Source<R>) -> Result<Self, Error> {
        let (entries, order, metadata) = Self::header(&mut source)?;
        Ok(Tensors { source, entries, order, metadata })
    }

    #[expect(clippy::type_complexity, reason = "its parts, once")]
    fn header(
        source: &mut Source<R>,
    ) -> Result<(BTreeMap<String, Entry>, Vec<String>, BTreeMap<String, String>), Error> {
        let wrong = |what: &str, expected: &str, got: &dyn fmt::Display| Error::value(what, expected, got);
        if source.len() < 8 {
            return Err(wrong("length", "at least 8 bytes, as a safetensors file has", &source.len()));
        }
        let mut length = [0; 8];
        length.copy_from_slice(&source.take(8)?);
        let (length, left) = (u64::from_le_bytes(length), source.len() - 8);
        if length > left.min(LONGEST_HEADER) {
            let expected = format!("at most {}, by the file's length and the limit of 4 MiB", left.min(LONGEST_HEADER));
            return Err(Error::value("length of the header", expected, length));
        }
        let header = source.take(length)?;
        if header.first() != Some(&b'{') {
            return Err(wrong("header", "JSON that begins with {, as a safetensors file has", &"something else"));
        }
        let metadata: Metadata = json::parse(&header).map_err(|error| error.within("header"))?;
        drop(header);
        let data = metadata.data_len() as u64;
        if data != left - length {
            let expected = format!("{data} bytes after the header, as it says");
            return Err(Error::value("length", expected, left - length));
        }
        let mut entries = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            let (storage, bytes) = (storage(info.dtype), (info.data_offsets.1 - info.data_offsets.0) as u64);
            entries.insert(name, Entry { shape: info.shape.clone(), storage, dtype: info.dtype, bytes });
        }
        let order = metadata.offset_keys();
        let metadata = metadata.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
        Ok((entries, order, metadata))
    }

    pub(super) fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Numbers in all.
    pub(super) fn numbers(&self) -> usize {
        self.entries.values().fold(0, |sum, entry| sum.saturating_add(entry.len()))
    }

    /// Calls `f` with each tensor that `wanted` asks for, in the order of the file.
    pub(super) fn read<F: Float>(
        mut self,
        wanted: impl Fn(&str) -> bool,
        mut f: impl FnMut(&str, Vec<F>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for name in &self.order {
            let Some(entry) = self.entries.get(name) else { continue };
            if !wanted(name) {
                self.source.skip(entry.bytes)?;
                continue;
            }
            let Some(storage) = entry.storage else {
                let got = format!("{:?}", entry.dtype);
                return Err(Error::value(format!("tensor {name:?}"), "numbers in F64, F32, F16 or BF16", got));
            };
            f(name, storage.numbers(&self.source.take(entry.bytes)?))?;
        }
        self.source.finish()
    }
}

fn storage(dtype: Dtype) -> Option<Storage> {
    match dtype {
        Dtype::F64 => Some(Storage::F64),
        Dtype::F32 => Some(Storage::F32),
        Dtype::F16 => Some(Storage::F16),
        Dtype::BF16 => Some(Storage::Bf16),
        _ => None,
    }
}

/// A tensor to be written, turned into bytes when its turn comes.
pub(super) struct Written<'a, F> {
    pub(super) array: ArrayViewD<'a, F>,
    pub(super) storage: Storage,
}

impl<F: Float> View for &Written<'_, F> {
    fn dtype(&self) -> Dtype {
        self.storage.dtype()
    }
    fn shape(&self) -> &[usize] {
        self.array.shape()
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        self.array.iter().for_each(|x| self.storage.push(x.as_f64(), &mut bytes));
        bytes.into()
    }
    fn data_len(&self) -> usize {
        self.array.len() * self.storage.bytes()
    }
}

/// The bytes of a file.
pub(super) fn bytes<F: Float>(
    tensors: &BTreeMap<String, Written<'_, F>>,
    metadata: (&str, String),
) -> Result<Vec<u8>, Error> {
    // One entry, so that the same network gives the same bytes: several would come in any order.
    let metadata = [(metadata.0.to_string(), metadata.1)].into_iter().collect();
    let bytes =
        serialize(tensors, Some(metadata)).map_err(|error| Error::value("tensors", "what can be written", error))?;
    let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    if header > LONGEST_HEADER {
        return Err(Error::value("header", format!("at most {LONGEST_HEADER} bytes, to be read again"), header));
    }
    Ok(bytes)
}
