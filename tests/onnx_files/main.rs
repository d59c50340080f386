//! ONNX files: what exporters and hand-made ones say, against ONNX Runtime (`tests/data/onnx_files.py` has the cases);
//! our own files read back; and files that are broken.

#[path = "../support/deep.rs"]
mod deep;
#[path = "../support/fuzz.rs"]
mod fuzz;

mod back;
mod files;
mod hostile;
mod message;
mod nets;
mod read;
mod refused;
