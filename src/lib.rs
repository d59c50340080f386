//! Deep recurrent networks on a CPU, with gradients derived by hand.

mod error;

pub use error::Error;
