//! Tensors of a safetensors file, as another reader has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deep_rnn::ndarray::{ArrayD, IxDyn};
use safetensors::{Dtype, SafeTensors};

/// A file of `tests/data`.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// Each tensor's type, shape and bytes.
pub(crate) fn tensors(path: &Path) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, t)| (name.to_string(), (t.dtype(), t.shape().to_vec(), t.data().to_vec()))).collect()
}

/// The numbers of a file of inputs and outputs.
pub(crate) struct Numbers(BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>);

impl Numbers {
    pub(crate) fn of(name: &str) -> Self {
        Numbers(tensors(&data(name)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<ArrayD<f64>> {
        let (dtype, shape, bytes) = self.0.get(name)?;
        let numbers = match dtype {
            Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            Dtype::I64 => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
            other => panic!("{name}: {other:?}"),
        };
        Some(ArrayD::from_shape_vec(IxDyn(shape), numbers).unwrap())
    }

    /// The names before `.x`.
    pub(crate) fn cases(&self) -> Vec<String> {
        self.0.keys().filter_map(|name| name.strip_suffix(".x")).map(str::to_string).collect()
    }
}
