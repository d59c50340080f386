//! The chapter's experiment: a deep LSTM learns The Time Machine character by character, then goes on from a prefix.
//!
//! ```text
//! cargo run --release --example time_machine
//! cargo run --release --example time_machine -- --cell gru --epochs 100 --validation 0.1 --plot curve.svg
//! cargo run --release --example time_machine -- --text a.txt b.txt --max-tokens 0 --json
//! ```
//!
//! Without arguments everything is as in the book's run with PyTorch's layers; `--help` lists what can be changed.

mod args;
mod book;
mod checkpoints;
mod plot;
mod progress;
mod report;
mod train;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use deep_rnn::text::{Corpus, Source};

use args::Args;
use book::Shelf;
use plot::Picture;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    // What can be refused is refused before hours of training.
    let picture = args.plot.as_deref().map(Picture::new).transpose()?;
    let mut corpus = Corpus::builder().cleaning(args.cleaning).max_tokens(args.max_tokens);
    for source in sources(args) {
        corpus = corpus.source(source);
    }
    let corpus = corpus.build()?;
    let names: Vec<&str> = corpus.books().iter().map(|(name, _)| *name).collect();
    let mut out = std::io::stdout().lock();
    report::header(&mut out, args, &names, &corpus)?;

    let Some(outcome) = train::run(args, &corpus)? else {
        return Ok(()); // stopped, and said so
    };
    report::summary(&mut out, &outcome)?;
    // A picture that cannot be written does not cost the results.
    let drawn = picture.map_or(Ok(()), |picture| picture.draw(&report::title(args), &outcome));
    if args.json {
        report::json(&mut out, args, &outcome)?;
    }
    drawn
}

/// The files that were asked for; else the book; else, without a network, a text that needs none.
fn sources(args: &Args) -> Vec<Source> {
    if !args.text.is_empty() {
        return args.text.iter().map(Source::file).collect();
    }
    match Shelf::of_the_book(&args.book_url).get() {
        Ok(found) => {
            if let Some(problem) = found.not_kept {
                eprintln!("The Time Machine could not be kept for the next run: {problem}");
            }
            vec![found.source]
        }
        Err(problem) => {
            eprintln!("The Time Machine cannot be had ({problem}); training on Cicero's De finibus, book 1, instead");
            vec![Source::text("De finibus, book 1", lipsum::LIBER_PRIMUS)]
        }
    }
}
