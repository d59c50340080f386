//! Relatives of the cells: projections, peepholes, coupled gates, other activations, clips, whole rows. Held against PyTorch, ONNX
//! Runtime and Keras (`tests/data/variants.py` says which case is which) and by the conformance checks.

mod case;
mod conformance;
#[path = "../support/deep.rs"]
mod deep;
mod errors;
#[path = "../support/fixture.rs"]
mod fixture;
mod keras;
#[allow(unreachable_pub)]
#[path = "../downstream/src/norm_lstm.rs"]
mod norm_lstm;
mod onnx;
mod projection;
mod rows;
#[path = "../pytorch/tally.rs"]
mod tally;
