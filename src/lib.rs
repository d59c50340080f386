//! Deep recurrent networks on a CPU, with gradients derived by hand.

mod batch;
mod error;
pub mod text;

pub use batch::Batch;
pub use error::Error;
