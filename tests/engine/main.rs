//! The engine: where the past is cut, what is carried, what evaluation leaves alone, clips and reports, optimisers, threads,
//! generation, and the training runs of PyTorch.

mod averages;
#[path = "../support/bits.rs"]
mod bits;
mod clips;
mod directions;
mod evaluation;
#[path = "../support/fixture.rs"]
mod fixture;
mod generation;
mod groups;
mod loss;
mod moments;
mod optimisers;
mod pytorch_runs;
mod report;
mod schedules;
mod small_model;
mod training;
mod weights;
mod windows;
