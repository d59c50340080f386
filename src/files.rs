//! Networks in files: ours, and those that other programs read and write.

#[cfg(feature = "audio")]
mod audio;
#[cfg(any(feature = "safetensors", feature = "audio"))]
pub(crate) mod json;
#[cfg(feature = "safetensors")]
mod loading;
#[cfg(feature = "safetensors")]
mod names;
#[cfg(feature = "safetensors")]
mod networks;
mod open;
#[cfg(feature = "safetensors")]
mod renames;
pub(crate) mod replace;
#[cfg(feature = "safetensors")]
mod saving;
pub(crate) mod source;
#[cfg(feature = "safetensors")]
mod tensors;
#[cfg(feature = "safetensors")]
mod torch;

#[cfg(feature = "audio")]
pub use audio::{AudioFormat, AudioModel};
#[cfg(feature = "safetensors")]
pub use loading::{Loaded, Loading};
#[cfg(feature = "safetensors")]
pub use networks::{load_into, save};
#[cfg(feature = "safetensors")]
pub use saving::Saving;
#[cfg(feature = "safetensors")]
pub use tensors::Storage;
#[cfg(feature = "safetensors")]
pub use torch::Names;
