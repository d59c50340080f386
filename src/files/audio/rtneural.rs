//! RTNeural's JSON, which AIDA-X reads too: layers as Keras has them.
//!
//! A kernel is `[D, G·H]`, as ours; columns of an LSTM are i f c o, ours exactly, of a GRU z r h, with two biases, the reset after the product.

use serde::Deserialize;

use super::few::Few;
use super::numbers::Numbers;
use super::parts::{Around, Array, Parts, matrix, vector};
use super::{AudioFormat, AudioModel, SelfTest, json};
use crate::{Describe, Error, Float};

#[derive(Deserialize)]
struct File {
    in_shape: Few<Option<usize>, 16>,
    layers: Few<Layer, MOST>,
    in_skip: Option<f64>,
    in_gain: Option<f64>,
    out_gain: Option<f64>,
    metadata: Option<Metadata>,
    samplerate: Option<Rate>,
    input_batch: Option<Numbers>,
    output_batch: Option<Numbers>,
}

#[derive(Deserialize)]
struct Metadata {
    samplerate: Option<Rate>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rate {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    activation: String,
    shape: Few<Option<usize>, 16>,
    #[serde(default)]
    weights: Few<Numbers, 16>,
}

/// The kinds of layers alone: those that are not there here have weights of any shape.
#[derive(Deserialize)]
struct Kinds {
    layers: Few<Kind, MOST>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

/// The most layers of a file.
const MOST: usize = 10_000;

pub(super) fn read<F: Float>(bytes: &[u8]) -> Result<AudioModel<F>, Error> {
    let kinds: Kinds = json::parse(bytes)?;
    for (i, Kind { kind }) in kinds.layers.0.iter().enumerate() {
        if !KINDS.contains(&kind.as_str()) {
            let expected = format!("{} (no other is there here)", KINDS.join(", "));
            return Err(Error::value(format!("layer {i}: type"), expected, kind));
        }
    }
    let file: File = json::parse(bytes)?;
    let Some(Some(inputs)) = file.in_shape.0.last().copied().filter(|inputs| *inputs != Some(0)) else {
        return Err(Error::value("in_shape", "the width of the inputs at its end", format!("{:?}", file.in_shape.0)));
    };
    let mut parts = Parts::new(inputs);
    for (i, layer) in file.layers.0.iter().enumerate() {
        layer.add_to(&mut parts).map_err(|error| error.within(format!("layer {i} ({})", layer.kind)))?;
    }
    let skip = match file.in_skip {
        None | Some(0.0) => false,
        Some(1.0) => true,
        Some(other) => return Err(Error::value("in_skip", "0 or 1", other)),
    };
    let gain = |name: &str, decibels: Option<f64>| match decibels.unwrap_or(0.0) {
        decibels if (-200.0..=200.0).contains(&decibels) => Ok(10_f64.powf(decibels / 20.0)),
        other => Err(Error::value(name, "-200 to 200 decibels", other)),
    };
    let gains = (gain("in_gain", file.in_gain)?, gain("out_gain", file.out_gain)?);
    let around = Around { skip, gains: Some(gains).filter(|gains| *gains != (1.0, 1.0)) };
    let rate = file.metadata.and_then(|metadata| metadata.samplerate).or(file.samplerate);
    let self_test = match (file.input_batch, file.output_batch) {
        (Some(inputs), Some(outputs)) => Some(SelfTest { inputs: inputs.numbers, outputs: outputs.numbers, gains }),
        _ => None,
    };
    Ok(AudioModel {
        network: around.put(parts.build()?)?,
        format: AudioFormat::RtNeural,
        sample_rate: rate.map(Rate::hertz).transpose()?,
        self_test,
    })
}

const KINDS: [&str; 5] = ["lstm", "gru", "dense", "time-distributed-dense", "activation"];

impl Rate {
    fn hertz(self) -> Result<f64, Error> {
        let (rate, got) = match self {
            Rate::Number(rate) => (Some(rate), rate.to_string()),
            Rate::Text(text) => (text.trim().parse().ok(), text),
        };
        match rate {
            Some(rate) if rate > 0.0 && rate < f64::INFINITY => Ok(rate),
            _ => Err(Error::value("samplerate", "samples a second", got)),
        }
    }
}

impl Layer {
    fn add_to(&self, parts: &mut Parts) -> Result<(), Error> {
        let Some(Some(units)) = self.shape.0.last().copied().filter(|units| *units != Some(0)) else {
            return Err(Error::value("shape", "the layer's units at its end", format!("{:?}", self.shape.0)));
        };
        let inputs = parts.width();
        match self.kind.as_str() {
            "lstm" | "gru" => {
                // There is no field for what gates are of; this one is of no use there.
                if !matches!(self.activation.as_str(), "" | "tanh") {
                    return Err(Error::value("activation", "tanh, or none", &self.activation));
                }
                self.cell(parts, inputs, units)
            }
            "dense" | "time-distributed-dense" => self.dense(parts, inputs, units),
            _ => self.activation(parts),
        }
    }

    fn weights<const N: usize>(&self) -> Result<[&Numbers; N], Error> {
        let weights: Vec<&Numbers> = self.weights.0.iter().collect();
        weights.try_into().map_err(|weights: Vec<_>| Error::value("weights", format!("{N} arrays"), weights.len()))
    }

    fn cell(&self, parts: &mut Parts, inputs: usize, units: usize) -> Result<(), Error> {
        let [kernel, recurrent, bias] = self.weights()?;
        let lstm = self.kind == "lstm";
        let width = if lstm { 4 } else { 3 } * units;
        let (kernel_shape, recurrent_shape) = ([inputs, width], [units, width]);
        let w_x = kernel.expect("weights[0]", &kernel_shape)?;
        let w_h = recurrent.expect("weights[1]", &recurrent_shape)?;
        if lstm {
            let b = bias.expect("weights[2]", &[width])?;
            let about = Describe::new("Lstm", inputs, units).setting("bias", "one");
            let arrays = [("w_x", matrix(kernel_shape, w_x, false)), ("w_h", matrix(recurrent_shape, w_h, false))];
            parts.push(about, arrays.into_iter().chain([("b", vector(b))]));
        } else {
            let both = bias.expect("weights[2]", &[2, width])?;
            let about = Describe::new("Gru", inputs, units).setting("bias", "two");
            let swapped = |numbers: &[f64]| swap_gates(numbers, units);
            let arrays = [
                ("w_x", matrix(kernel_shape, &swapped(w_x), false)),
                ("w_h", matrix(recurrent_shape, &swapped(w_h), false)),
                ("b", vector(&swapped(&both[..width]))),
                ("b_h", vector(&swapped(&both[width..]))),
            ];
            parts.push(about, arrays);
        }
        Ok(())
    }

    fn dense(&self, parts: &mut Parts, inputs: usize, units: usize) -> Result<(), Error> {
        let [kernel, bias] = self.weights()?;
        let arrays: [(&str, Array); 2] = [
            ("w", matrix([inputs, units], kernel.expect("weights[0]", &[inputs, units])?, false)),
            ("b", vector(bias.expect("weights[1]", &[units])?)),
        ];
        parts.push(Describe::new("Linear", inputs, units).setting("bias", true), arrays);
        if self.activation.is_empty() { Ok(()) } else { self.activation(parts) }
    }

    fn activation(&self, parts: &mut Parts) -> Result<(), Error> {
        let name = match self.activation.as_str() {
            name @ ("tanh" | "relu" | "sigmoid") => name,
            "elu" => "elu(1)",
            other => return Err(Error::value("activation", "tanh, relu, sigmoid, elu", other)),
        };
        parts.push(Describe::new("Activate", 0, 0).without_sizes().setting("activation", name), []);
        Ok(())
    }
}

/// Rows of three gates with the first two in each other's place: z r h to r z n, and back.
pub(super) fn swap_gates(numbers: &[f64], units: usize) -> Vec<f64> {
    let mut all = numbers.to_vec();
    for row in all.chunks_exact_mut(3 * units) {
        let (first, rest) = row.split_at_mut(units);
        first.swap_with_slice(&mut rest[..units]);
    }
    all
}
