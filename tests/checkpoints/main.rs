//! Trainings that stop anywhere and go on with the same bits; checkpoints that are whole or not there.

#[path = "../support/deep.rs"]
mod deep;
#[path = "../support/folder.rs"]
mod folder;
#[path = "../support/fuzz.rs"]
mod fuzz;
mod kills;
mod other;
mod processes;
mod resume;
mod run;
mod whole;
