//! Deep recurrent networks on a CPU, with gradients derived by hand.

mod batch;
mod error;

pub use batch::Batch;
pub use error::Error;
