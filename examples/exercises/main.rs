//! The chapter's exercises, the book's table and known results, with figures: `docs/exercises.md` says what came out.
//!
//! ```text
//! cargo run --release --example exercises -- cells
//! cargo run --release --example exercises -- table --texts FOLDER --seeds 20
//! ```

mod args;
mod authors;
mod book_table;
mod cells;
mod choices;
mod corpus;
mod ensemble;
mod hour;
mod known;
mod lab;
mod learn;
mod picture;
mod recipe;
mod scratch;
mod table;
mod texts;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, What};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Scratch(common) => scratch::run(&common),
        What::Table(common) => book_table::run(&common),
        What::Cells(common) => cells::run(&common),
        What::Corpus(common) => corpus::run(&common),
        What::Choices(common) => choices::run(&common),
        What::Hour(common) => hour::run(&common),
        What::Authors(common) => authors::run(&common),
        What::Adding(common) => known::adding::run(&common),
        What::Copying(common) => known::copying::run(&common),
        What::Shakespeare(common) => known::shakespeare::run(&common),
        What::Digits(common) => known::digits::run(&common),
        What::Vowels(common) => known::vowels::run(&common),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
