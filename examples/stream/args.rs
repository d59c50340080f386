//! The command line.

use std::path::PathBuf;

use clap::Parser;
use deep_rnn::infer::Precision;

/// Plays a sound through a recurrent network, sample by sample, and says how long a sample takes.
#[derive(Debug, Parser)]
#[command(name = "stream")]
pub(crate) struct Args {
    /// A model of RTNeural, AIDA-X, GuitarML, Proteus or NAM (LSTM), a safetensors file of ours or of PyTorch's
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// A sound of one channel, .wav
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Where to write what comes out, .wav in 32-bit floats
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Draw what comes out over what goes in, into this file, .png or .svg
    #[arg(long, value_name = "FILE")]
    pub(crate) transfer: Option<PathBuf>,
    /// The value of an input after the sound, from 0 to 1; once for each
    #[arg(long, value_name = "VALUE")]
    pub(crate) knob: Vec<f32>,
    /// How weights are kept: full, bf16, int8
    #[arg(long, value_name = "PRECISION", default_value = "full")]
    pub(crate) precision: Precision,
    /// Streams of the same sound, a thread each, that share the network
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) streams: u16,
    /// Seconds of silence after the sound, and the sound once more
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    pub(crate) silence: f64,
    /// Seconds of the made sound
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub(crate) seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("wanted: seconds, from 0 to 3600".to_string()),
    }
}
