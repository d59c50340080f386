//! Files made to do harm: each is refused with a reason, in little time and memory, and nothing panics.

mod audio;
#[path = "../support/deep.rs"]
mod deep;
#[path = "../support/folder.rs"]
mod folder;
#[path = "../support/fuzz.rs"]
mod fuzz;
mod measured;
mod random;
mod safetensors;
mod sources;

/// Counts what is held at the peak.
#[global_allocator]
static HEAP: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
