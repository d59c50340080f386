//! What it runs on: threads and instruction sets.

pub use crate::kernel::dispatch::simd_level;
pub use crate::kernel::threads::Threads;
