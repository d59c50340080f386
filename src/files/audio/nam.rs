//! Neural Amp Modeler's `.nam` files, of the architecture LSTM.
//!
//! All numbers in one list: for each layer W `[4H, in + H]` in rows, one bias `[4H]`, the first h `[H]` and c `[H]`; then the head's
//! weight `[out, H]` and bias `[out]`. Gates in the order i f g o.

use serde::Deserialize;

use super::parts::{Parts, matrix, starting, vector};
use super::{AudioFormat, AudioModel, json};
use crate::{Describe, Error, Float};

#[derive(Deserialize)]
struct Architecture {
    architecture: String,
}

#[derive(Deserialize)]
struct File {
    config: Config,
    weights: Vec<f64>,
    sample_rate: Option<f64>,
}

#[derive(Deserialize)]
struct Config {
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    #[serde(alias = "out_channels")]
    output_size: Option<usize>,
}

pub(super) fn read<F: Float>(bytes: &[u8]) -> Result<AudioModel<F>, Error> {
    let Architecture { architecture } = json::parse(bytes)?;
    if architecture != "LSTM" {
        return Err(Error::value("architecture", "LSTM (no other is there here)", architecture));
    }
    let File { config, weights, sample_rate } = json::parse(bytes)?;
    if let Some(rate) = sample_rate.filter(|rate| rate.is_nan() || *rate <= 0.0) {
        return Err(Error::value("sample_rate", "samples a second", rate));
    }
    let Config { input_size, hidden_size: units, num_layers, output_size } = config;
    let outputs = output_size.unwrap_or(1);
    for (name, size) in
        [("input_size", input_size), ("hidden_size", units), ("num_layers", num_layers), ("output_size", outputs)]
    {
        if size == 0 {
            return Err(Error::value(name, "at least 1", size));
        }
    }
    // Counted before anything is made of sizes that may be any.
    let expected = numbers(input_size, units, num_layers, outputs);
    if expected != Some(weights.len()) {
        let expected = expected.map_or("more than could be counted".to_string(), |n| n.to_string());
        return Err(Error::value("weights", format!("{expected} numbers, by the config"), weights.len()));
    }
    let mut parts = Parts::new(input_size);
    let mut left = &weights[..];
    let mut take = |len: usize| {
        let (taken, rest) = left.split_at(len);
        left = rest;
        taken
    };
    let mut states = Vec::new();
    for _ in 0..num_layers {
        let (inputs, rows) = (parts.width(), 4 * units);
        let both = take(rows * (inputs + units));
        let columns = |from: usize, to: usize| {
            both.chunks_exact(inputs + units).flat_map(|row| row[from..to].to_vec()).collect::<Vec<f64>>()
        };
        let (w_x, w_h) = (columns(0, inputs), columns(inputs, inputs + units));
        let arrays = [("w_x", matrix([rows, inputs], &w_x, true)), ("w_h", matrix([rows, units], &w_h, true))];
        parts.push(
            Describe::new("Lstm", inputs, units).setting("bias", "one"),
            arrays.into_iter().chain([("b", vector(take(rows)))]),
        );
        states.extend([take(units).to_vec(), take(units).to_vec()]);
    }
    let weight = matrix([outputs, units], take(outputs * units), true);
    let about = Describe::new("Linear", units, outputs).setting("bias", true);
    parts.push(about, [("w", weight), ("b", vector(take(outputs)))]);
    let network = starting(parts.build()?, &states)?;
    Ok(AudioModel { network, format: AudioFormat::Nam, sample_rate, self_test: None })
}

/// How many numbers a file of these sizes has.
fn numbers(inputs: usize, units: usize, layers: usize, outputs: usize) -> Option<usize> {
    let layer = |inputs: usize| {
        // 4H·(in + H) + 4H + 2H
        let rows = units.checked_mul(4)?;
        rows.checked_mul(inputs.checked_add(units)?)?.checked_add(units.checked_mul(6)?)
    };
    let head = outputs.checked_mul(units.checked_add(1)?)?;
    layer(inputs)?.checked_add(layer(units)?.checked_mul(layers.checked_sub(1)?)?)?.checked_add(head)
}
