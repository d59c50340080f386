//! Relations between runs: what is known of a result without knowing the result. Most are held to the bit, in f32 and
//! in f64.

mod arrays;
mod biases;
mod cutting;
#[path = "../support/deep.rs"]
mod deep;
mod flat;
mod grus;
mod loss;
mod outputs;
#[path = "../support/pass.rs"]
mod pass;
mod problems;
mod reach;
mod shapes;
#[path = "../support/stepped.rs"]
mod stepped;
mod threads;
mod tokens;
mod views;
mod wrappers;
