//! The command line.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use deep_rnn::prelude::Precision;
use deep_rnn::text::Cleaning;

/// Trains a deep recurrent network on the characters of a text and lets it go on from a prefix.
///
/// The defaults are those of "Dive into Deep Learning", chapter "Deep Recurrent Neural Networks". Its models of one layer
/// use `--layers 1 --lr 1`.
#[derive(Debug, Parser)]
#[command(name = "time_machine")]
pub(crate) struct Args {
    /// Train on these files (UTF-8), joined; without it, on The Time Machine, downloaded once
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) text: Vec<PathBuf>,
    /// Characters to keep: book (a to z and space), unicode, turkish, keep (all)
    #[arg(long, value_name = "RULE", default_value = "book")]
    pub(crate) cleaning: Cleaning,
    /// Kind of cell
    #[arg(long, value_enum, default_value_t = Cell::Lstm)]
    pub(crate) cell: Cell,
    /// Layers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = layers)]
    pub(crate) layers: usize,
    /// Units of each layer
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = at_least_1)]
    pub(crate) hidden: usize,
    /// Rows of a batch
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_1)]
    pub(crate) batch_size: usize,
    /// Characters of a row: how far gradients go back
    #[arg(long, value_name = "N", default_value_t = 35, value_parser = at_least_1)]
    pub(crate) num_steps: usize,
    /// Times to go through the text
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = at_least_1)]
    pub(crate) epochs: usize,
    /// Learning rate
    #[arg(long, value_name = "RATE", default_value_t = 2.0, value_parser = above_0)]
    pub(crate) lr: f64,
    /// Largest norm of the gradients; 0 for any
    #[arg(long, value_name = "NORM", default_value_t = 1.0, value_parser = from_0)]
    pub(crate) clip: f64,
    /// Use the first N characters of the text; 0 for all
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_tokens: usize,
    /// Batches of windows from anywhere in the text, each from a zero state, instead of sequential ones
    #[arg(long)]
    pub(crate) random: bool,
    /// Seed of the starting values, of where batches begin, and of the continuations with a temperature
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Threads; the results do not depend on them [default: as many as the machine has]
    #[arg(long, value_name = "N", default_value_t = cores(), hide_default_value = true, value_parser = at_least_1)]
    pub(crate) threads: usize,
    /// Precision of what matrix products are made of: full, bf16
    #[arg(long, value_name = "PRECISION", default_value_t = Precision::Full)]
    pub(crate) precision: Precision,
    /// Leave out numbers between layers with this probability, in training
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    pub(crate) dropout: f64,
    /// Hold out this part of the text, from its end, and report the perplexity on it
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    pub(crate) validation: Option<f64>,
    /// What to go on from; can be given several times
    #[arg(long, value_name = "TEXT", default_values = ["time traveller", "traveller"], value_parser = not_empty)]
    pub(crate) prefix: Vec<String>,
    /// Choose characters of the continuations by chance at this temperature, not always the likeliest
    #[arg(long, value_name = "T", value_parser = above_0)]
    pub(crate) temperature: Option<f64>,
    /// Keep the training in this folder, so that it can go on: every minute, at the end, and where Ctrl-C stops it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Go on from the last checkpoint in the folder of --checkpoint
    #[arg(long, requires = "checkpoint")]
    pub(crate) resume: bool,
    /// Seconds between checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = from_0)]
    pub(crate) checkpoint_every: f64,
    /// Draw the perplexity of each epoch into this file, .png or .svg
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Print the results as one line of JSON, the last of standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Where to download The Time Machine from
    #[arg(long, value_name = "URL", default_value = crate::book::URL, hide = true)]
    pub(crate) book_url: String,
}

/// The kinds of cell.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Cell {
    Rnn,
    Gru,
    Lstm,
}

impl Cell {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cell::Rnn => "RNN",
            Cell::Gru => "GRU",
            Cell::Lstm => "LSTM",
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(1024))
}

fn parse<T: FromStr<Err: Display>>(text: &str, wanted: &str, good: impl Fn(&T) -> bool) -> Result<T, String> {
    let value = text.parse().map_err(|error| format!("{error}; wanted: {wanted}"))?;
    if good(&value) { Ok(value) } else { Err(format!("wanted: {wanted}")) }
}

fn at_least_1(text: &str) -> Result<usize, String> {
    parse(text, "a whole number, at least 1", |n| *n >= 1)
}

fn layers(text: &str) -> Result<usize, String> {
    parse(text, "a whole number, 1 to 1000", |n| (1..=1000).contains(n))
}

fn above_0(text: &str) -> Result<f64, String> {
    parse(text, "a finite number above 0", |x: &f64| *x > 0.0 && x.is_finite())
}

fn from_0(text: &str) -> Result<f64, String> {
    parse(text, "a finite number, at least 0", |x: &f64| *x >= 0.0 && x.is_finite())
}

fn rate(text: &str) -> Result<f64, String> {
    parse(text, "a number from 0, below 1", |x: &f64| (0.0..1.0).contains(x))
}

fn fraction(text: &str) -> Result<f64, String> {
    parse(text, "a number between 0 and 1, both excluded", |x: &f64| *x > 0.0 && *x < 1.0)
}

fn not_empty(text: &str) -> Result<String, String> {
    parse(text, "at least one character", |text: &String| !text.is_empty())
}
