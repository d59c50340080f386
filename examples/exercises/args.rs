//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::lab::processor;
use crate::table::count;

/// The chapter's exercises, the book's table and known results, each with a table and a picture. What came out: docs/exercises.md.
///
/// Runs are kept as they are made: Ctrl-C stops, and the same command goes on.
#[derive(Debug, Parser)]
#[command(name = "exercises")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Exercise 1: two layers from scratch, beside the library's
    Scratch(Common),
    /// The four models of the book's notebooks, over many seeds
    Table(Common),
    /// Exercise 2: LSTM, GRU and RNN, deep and shallow
    Cells(Common),
    /// Exercise 3: more books
    Corpus(Common),
    /// Exercise 3: what each choice gives, one at a time
    Choices(Common),
    /// Exercise 3: how low in an hour
    Hour(Common),
    /// Exercise 4: two authors, apart and mixed
    Authors(Common),
    /// Known: the adding problem (Hochreiter and Schmidhuber 1997)
    Adding(Common),
    /// Known: copying after a pause (Arjovsky, Shah and Bengio 2016)
    Copying(Common),
    /// Known: three minutes of Shakespeare
    Shakespeare(Common),
    /// Known: handwritten digits, row by row
    Digits(Common),
    /// Known: Japanese vowels, whose they are
    Vowels(Common),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The folder of the texts (timemachine.txt and so on) [default: the variable DEEP_RNN_TEXTS; else a text that is built in]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) texts: Option<PathBuf>,
    /// The folder of the series (digits.csv and so on) [default: the variable DEEP_RNN_SERIES]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) series: Option<PathBuf>,
    /// Where results are kept
    #[arg(long, value_name = "FOLDER", default_value = "target/exercises")]
    results: PathBuf,
    /// How many seeds [default: as in docs/exercises.md]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    first_seed: u64,
    /// Epochs, where fewer are to do for a trial
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) epochs: Option<usize>,
    /// Units of a layer, likewise
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) hidden: Option<usize>,
    /// Threads; the results do not depend on them [default: as many as the machine has]
    #[arg(long, value_name = "N", default_value_t = cores(), hide_default_value = true, value_parser = at_least_1)]
    pub(crate) threads: usize,
}

impl Common {
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.results.join(name)
    }

    /// On what, in a few words.
    pub(crate) fn machine(&self, seeds: usize) -> String {
        format!("{}, {}; {}", count(seeds, "seed"), count(self.threads, "thread"), processor())
    }

    pub(crate) fn seeds(&self, usual: u64) -> impl Iterator<Item = u64> {
        self.first_seed..self.first_seed.saturating_add(self.seeds.unwrap_or(usual))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(1024))
}

fn at_least_1(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n >= 1).ok_or_else(|| "wanted: a whole number, at least 1".to_owned())
}
