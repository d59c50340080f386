//! Models of amplifiers and effects: the outputs that others have for the same files, and files that are read again.

#[path = "../support/folder.rs"]
mod folder;
mod formats;
mod plain;
mod played;
mod real;
mod refused;
