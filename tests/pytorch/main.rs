//! Values and gradients against PyTorch's, in f64 and f32: see `tests/data/gen.py` for the cases.

#[path = "../support/fixture.rs"]
mod fixture;
mod gates;
mod mixed;
#[path = "../support/pass.rs"]
mod pass;
mod product;
mod ragged;
mod reset_before;
mod shapes;
mod tally;
mod threads;
mod tied;
