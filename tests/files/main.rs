//! Networks in files: what is written is what is read, files of other programs give the numbers of these programs, and whatever else
//! is in a file is refused.

#[path = "../support/bits.rs"]
mod bits;
#[path = "../support/folder.rs"]
mod folder;
mod keras;
mod lenient;
mod networks;
mod ours;
mod replaced;
mod stored;
mod torch;
