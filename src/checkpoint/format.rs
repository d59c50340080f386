//! A snapshot as a safetensors file with a checksum.
//!
//! The metadata has one entry, JSON: `{"version": 1, "sha1": "…", "parts": {"engine": {"version": 1, "values": {…}}}}`. The SHA-1 is that of
//! the whole file with 40 zeros in its place. Tensors are called `part/array`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, Metadata, View, serialize};
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::Snapshot;
use crate::Error;
use crate::files::json;
use crate::part::{Bytes, Part};

const KEY: &str = "deep-rnn checkpoint";
const VERSION: u32 = 1;
/// The digits of a SHA-1.
const DIGITS: usize = 40;
/// What comes before them in the header, where quotes of the metadata's text are escaped.
const BEFORE: &[u8] = br#"\"sha1\":\""#;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    sha1: String,
    parts: BTreeMap<String, Values>,
}

#[derive(Serialize, Deserialize)]
struct Values {
    version: u32,
    values: BTreeMap<String, String>,
}

impl View for &&Bytes {
    fn dtype(&self) -> Dtype {
        if self.width == 8 { Dtype::F64 } else { Dtype::F32 }
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        (&self.bytes[..]).into()
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The bytes of the file.
pub(super) fn to_bytes(snapshot: &Snapshot) -> Result<Vec<u8>, Error> {
    let (mut parts, mut tensors) = (BTreeMap::new(), BTreeMap::new());
    for (name, (version, part)) in &snapshot.parts {
        parts.insert(name.clone(), Values { version: *version, values: part.values.clone() });
        tensors.extend(part.arrays.iter().map(|(own, array)| (format!("{name}/{own}"), array)));
    }
    let wrong = |error: &dyn std::fmt::Display| Error::value("snapshot", "what can be written", error);
    let header = Header { version: VERSION, sha1: "0".repeat(DIGITS), parts };
    let text = serde_json::to_string(&header).map_err(|error| wrong(&error))?;
    let metadata = [(KEY.to_string(), text)].into_iter().collect();
    let mut bytes = serialize(&tensors, Some(metadata)).map_err(|error| wrong(&error))?;
    let place = place(&bytes).ok_or_else(|| wrong(&"no place for a checksum"))?;
    let digest = digest(&bytes);
    bytes[place..][..DIGITS].copy_from_slice(digest.as_bytes());
    Ok(bytes)
}

/// The snapshot in the bytes of a file.
pub(super) fn from_bytes(mut bytes: Vec<u8>) -> Result<Snapshot, Error> {
    let damaged = |got: &str| Error::value("checkpoint", "a whole one", got);
    let Some(place) = place(&bytes) else {
        return Err(damaged("no checkpoint, or one whose beginning is damaged"));
    };
    let said = bytes[place..][..DIGITS].to_vec();
    bytes[place..][..DIGITS].fill(b'0');
    if digest(&bytes).as_bytes() != said {
        return Err(damaged("one that is cut off or has other bytes than were written (its SHA-1 is another)"));
    }
    // From here on it is what was written, though perhaps not by us.
    let (header, data) = split(&bytes).ok_or_else(|| damaged("no header"))?;
    let metadata: Metadata = json::parse(header)?;
    if metadata.data_len() != data.len() {
        return Err(damaged("another length than it says"));
    }
    let text = metadata.metadata().as_ref().and_then(|all| all.get(KEY)).ok_or_else(|| damaged("none"))?;
    let header: Header = json::parse(text.as_bytes())?;
    if header.version != VERSION {
        return Err(Error::value("version of the checkpoint", VERSION, header.version));
    }
    let mut parts: BTreeMap<String, (u32, Part)> = header
        .parts
        .into_iter()
        .map(|(name, Values { version, values })| (name, (version, Part { values, arrays: BTreeMap::new() })))
        .collect();
    for (name, info) in metadata.tensors() {
        let width = match info.dtype {
            Dtype::F32 => 4,
            Dtype::F64 => 8,
            other => return Err(Error::value(name, "numbers in F32 or F64", format!("{other:?}"))),
        };
        let Some((part, own)) = name.split_once('/').and_then(|(part, own)| Some((parts.get_mut(part)?, own))) else {
            return Err(Error::value("tensor", "one of a part", name));
        };
        let bytes = data[info.data_offsets.0..info.data_offsets.1].to_vec();
        part.1.arrays.insert(own.to_string(), Bytes { shape: info.shape.clone(), width, bytes });
    }
    Ok(Snapshot { parts })
}

/// The header, and what comes after it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}

/// Where the checksum's digits are: the first ones in the header, since nothing that a name could be comes before.
fn place(bytes: &[u8]) -> Option<usize> {
    let (header, _) = split(bytes)?;
    let at = header.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
    (at + DIGITS <= header.len()).then_some(8 + at)
}

/// Of bytes with zeros where it is to be.
fn digest(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
