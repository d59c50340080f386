//! Networks into the formats.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, ArrayD, Ix1, Ix2};
use serde_json::{Value, json};

use super::AudioFormat;
use super::rtneural::swap_gates;
use crate::{Describe, Error, Float, Network, Params, Recurrent};

/// What the names of a layer's arrays begin with, and what it is.
type Layer<'a> = (String, &'a Describe);

/// A network taken apart: what is around it, and its layers, bottom first.
struct Taken<'a> {
    gains: Option<(f64, f64)>,
    skip: bool,
    /// What the names of first states begin with, where they are learned.
    states: Option<String>,
    layers: Vec<Layer<'a>>,
    arrays: BTreeMap<String, ArrayD<f64>>,
    inputs: usize,
    outputs: usize,
}

/// The text of a file.
pub(super) fn text<F: Float>(net: &Network<F>, rate: Option<f64>, format: AudioFormat) -> Result<String, Error> {
    let mut arrays = BTreeMap::new();
    let mut bad = None;
    net.visit(&mut |name, array| {
        bad = bad.take().or_else(|| array.iter().find(|x| !x.is_finite()).map(|x| (name.to_string(), *x)));
        arrays.insert(name.to_string(), array.mapv(Float::as_f64));
    });
    if let Some((name, got)) = bad {
        return Err(Error::value(name, "finite numbers", got));
    }
    let about = net.describe();
    let taken = Taken::of(&about, arrays)?;
    let value = match format {
        AudioFormat::RtNeural => taken.rtneural(rate)?,
        AudioFormat::GuitarMl => taken.guitarml()?,
        // In the order of the modules, which is what its reader goes by.
        AudioFormat::StateDict => return Ok(taken.state_dict()?.to_string()),
        AudioFormat::Nam => taken.nam(rate)?,
    };
    Ok(value.to_string())
}

impl<'a> Taken<'a> {
    fn of(about: &'a Describe, arrays: BTreeMap<String, ArrayD<f64>>) -> Result<Self, Error> {
        let (inputs, outputs) = about.sizes.unwrap_or_default();
        let mut layers = Vec::new();
        flatten(about, "", &mut layers);
        let mut taken = Taken { gains: None, skip: false, states: None, layers, arrays, inputs, outputs };
        let factor = |about: &Describe| about.number("factor").map(|factor| factor.unwrap_or(1.0));
        if let [(_, first), .., (_, last)] = &taken.layers[..]
            && first.kind == "Scale"
            && last.kind == "Scale"
        {
            taken.gains = Some((factor(first)?, factor(last)?));
            taken.layers.pop();
            taken.layers.remove(0);
        }
        if let [(prefix, only)] = &taken.layers[..]
            && matches!(only.kind.as_str(), "Residual" | "LearnedState")
        {
            let (prefix, only) = (prefix.clone(), *only);
            taken.layers.clear();
            for (name, inner) in &only.inner {
                flatten(inner, &joined(&prefix, name), &mut taken.layers);
            }
            taken.skip = only.kind == "Residual";
            taken.states = (only.kind == "LearnedState").then(|| joined(&prefix, "state"));
        }
        Ok(taken)
    }

    fn array(&self, prefix: &str, name: &str) -> Option<&ArrayD<f64>> {
        self.arrays.get(&joined(prefix, name))
    }

    fn matrix(&self, prefix: &str, name: &str) -> Result<Array2<f64>, Error> {
        let array = self.array(prefix, name).and_then(|array| array.clone().into_dimensionality::<Ix2>().ok());
        array.ok_or_else(|| Error::value(joined(prefix, name), "a matrix", "none"))
    }

    /// A vector, or zeros.
    fn vector(&self, prefix: &str, name: &str, len: usize) -> Array1<f64> {
        let array = self.array(prefix, name).and_then(|array| array.clone().into_dimensionality::<Ix1>().ok());
        array.unwrap_or_else(|| Array1::zeros(len))
    }

    fn refuse_around(&self, format: &str, skip: bool) -> Result<(), Error> {
        let refused = |what: &str| Err(Error::value("network", format!("what {format} has"), what));
        if self.gains.is_some() {
            return refused("gains (Scale)");
        }
        if self.skip && !skip {
            return refused("a way past it (Residual)");
        }
        if self.states.is_some() {
            return refused("first states (LearnedState)");
        }
        Ok(())
    }

    fn rtneural(&self, rate: Option<f64>) -> Result<Value, Error> {
        if self.states.is_some() {
            return Err(Error::value("network", "what RTNeural has", "first states (LearnedState)"));
        }
        let mut layers: Vec<Value> = Vec::new();
        for (prefix, about) in &self.layers {
            let shape = |units: usize| json!([null, null, units]);
            match about.kind.as_str() {
                "Lstm" | "Gru" => {
                    plain(about, "RTNeural", &["bias"])?;
                    let (w_x, w_h) = (self.matrix(prefix, "w_x")?, self.matrix(prefix, "w_h")?);
                    let (units, width) = w_h.dim();
                    let (b, b_h) = (self.vector(prefix, "b", width), self.vector(prefix, "b_h", width));
                    let weights = if about.kind == "Lstm" {
                        json!([rows(&w_x), rows(&w_h), (b + b_h).to_vec()])
                    } else {
                        let swapped = |m: &Array2<f64>| {
                            m.rows().into_iter().map(|row| swap_gates(&row.to_vec(), units)).collect::<Vec<_>>()
                        };
                        let [b, b_h] = [b, b_h].map(|b| swap_gates(&b.to_vec(), units));
                        json!([swapped(&w_x), swapped(&w_h), [b, b_h]])
                    };
                    let kind = about.kind.to_lowercase();
                    layers.push(json!({"type": kind, "activation": "", "shape": shape(units), "weights": weights}));
                }
                "Linear" => {
                    let w = self.matrix(prefix, "w")?;
                    let weights = json!([rows(&w), self.vector(prefix, "b", w.ncols()).to_vec()]);
                    layers.push(
                        json!({"type": "dense", "activation": "", "shape": shape(w.ncols()), "weights": weights}),
                    );
                }
                "Activate" => {
                    let name = match about.text("activation")? {
                        Some(name @ ("tanh" | "relu" | "sigmoid")) => name,
                        Some("elu(1)") => "elu",
                        other => {
                            return Err(Error::value("activation", "one that RTNeural has", other.unwrap_or("none")));
                        }
                    };
                    match layers.last_mut().filter(|last| last["type"] == "dense" && last["activation"] == "") {
                        Some(dense) => dense["activation"] = json!(name),
                        None => {
                            let width = layers.last().map_or(json!(self.inputs), |last| last["shape"][2].clone());
                            layers.push(json!({"type": "activation", "activation": name, "shape": [null, null, width], "weights": []}));
                        }
                    }
                }
                _ => return Err(refused(about, "RTNeural")),
            }
        }
        let mut file = json!({"in_shape": [null, null, self.inputs], "layers": layers});
        if self.skip {
            file["in_skip"] = json!(1);
        }
        for (name, gain) in
            self.gains.into_iter().flat_map(|(before, after)| [("in_gain", before), ("out_gain", after)])
        {
            let decibels = 20.0 * gain.log10();
            if !decibels.is_finite() {
                return Err(Error::value(name, "a factor above 0", gain));
            }
            file[name] = json!(decibels);
        }
        if let Some(rate) = rate {
            file["samplerate"] = json!(rate);
        }
        Ok(file)
    }

    /// The cells at the bottom, all alike, and the linear layer on top.
    fn cells_and_head(&self, format: &str, kinds: &[&str]) -> Result<(&[Layer<'a>], &str), Error> {
        let Some(((head, linear), cells)) = self.layers.split_last().filter(|(_, cells)| !cells.is_empty()) else {
            return Err(Error::value("layers", "cells and a Linear on top", self.layers.len()));
        };
        for (_, about) in cells {
            if !kinds.contains(&about.kind.as_str()) || about.kind != cells[0].1.kind {
                return Err(refused(about, format));
            }
            plain(about, format, &["bias", "activation"])?;
            if !matches!(about.text("activation")?, None | Some("tanh")) {
                return Err(refused(about, format));
            }
            if about.outputs()? != cells[0].1.outputs()? {
                return Err(Error::value("units", format!("{}, as in the first layer", cells[0].1.outputs()?), about));
            }
        }
        if linear.kind == "Linear" { Ok((cells, head)) } else { Err(refused(linear, format)) }
    }

    fn guitarml(&self) -> Result<Value, Error> {
        self.refuse_around("GuitarML", true)?;
        let (cells, head) = self.cells_and_head("GuitarML", &["Lstm", "Gru", "Rnn"])?;
        let mut state_dict = Ordered::default();
        for (layer, (prefix, _)) in cells.iter().enumerate() {
            self.torch_cell(prefix, "rec", layer, &mut state_dict)?;
        }
        self.torch_linear(head, "lin", &mut state_dict)?;
        let unit_type = cells[0].1.kind.to_uppercase();
        let has_bias = self.array(head, "b").is_some();
        Ok(json!({
            "model_data": {
                "model": "SimpleRNN", "input_size": self.inputs, "skip": if self.skip { self.outputs } else { 0 },
                "output_size": self.outputs, "unit_type": unit_type, "num_layers": cells.len(),
                "hidden_size": cells[0].1.outputs()?, "bias_fl": has_bias
            },
            "state_dict": state_dict.into_value()
        }))
    }

    fn state_dict(&self) -> Result<Ordered, Error> {
        self.refuse_around("a state_dict", false)?;
        let mut state_dict = Ordered::default();
        let (mut recurrent, mut linear, mut layer) = (0, 0, 0);
        let mut before: Option<&Describe> = None;
        for (prefix, about) in &self.layers {
            match about.kind.as_str() {
                "Lstm" | "Gru" | "Rnn" => {
                    plain(about, "a state_dict", &["bias", "activation"])?;
                    if !matches!(about.text("activation")?, None | Some("tanh")) {
                        return Err(refused(about, "a state_dict"));
                    }
                    let alike = |below: &&Describe| {
                        let outputs = |about: &Describe| about.sizes.map(|(_, outputs)| outputs);
                        below.kind == about.kind && outputs(below) == outputs(about) && below.settings == about.settings
                    };
                    layer = if before.as_ref().is_some_and(alike) { layer + 1 } else { 0 };
                    recurrent += usize::from(layer == 0);
                    self.torch_cell(prefix, &format!("rec{recurrent}"), layer, &mut state_dict)?;
                }
                "Linear" => {
                    linear += 1;
                    self.torch_linear(prefix, &format!("lin{linear}"), &mut state_dict)?;
                }
                _ => return Err(refused(about, "a state_dict")),
            }
            before = Some(about);
        }
        Ok(state_dict)
    }

    fn torch_cell(&self, prefix: &str, module: &str, layer: usize, to: &mut Ordered) -> Result<(), Error> {
        let (w_x, w_h) = (self.matrix(prefix, "w_x")?, self.matrix(prefix, "w_h")?);
        let width = w_h.ncols();
        let mut put = |stem: &str, value: Value| to.put(format!("{module}.{stem}_l{layer}"), value);
        put("weight_ih", json!(rows(&w_x.reversed_axes())));
        put("weight_hh", json!(rows(&w_h.reversed_axes())));
        if self.array(prefix, "b").is_some() || self.array(prefix, "b_h").is_some() {
            put("bias_ih", json!(self.vector(prefix, "b", width).to_vec()));
            put("bias_hh", json!(self.vector(prefix, "b_h", width).to_vec()));
        }
        Ok(())
    }

    fn torch_linear(&self, prefix: &str, module: &str, to: &mut Ordered) -> Result<(), Error> {
        to.put(format!("{module}.weight"), json!(rows(&self.matrix(prefix, "w")?.reversed_axes())));
        if let Some(bias) = self.array(prefix, "b") {
            to.put(format!("{module}.bias"), json!(bias.iter().collect::<Vec<_>>()));
        }
        Ok(())
    }

    fn nam(&self, rate: Option<f64>) -> Result<Value, Error> {
        Taken { states: None, ..self.shallow() }.refuse_around("NAM", false)?;
        let (cells, head) = self.cells_and_head("NAM", &["Lstm"])?;
        let units = cells[0].1.outputs()?;
        let mut weights: Vec<f64> = Vec::new();
        for (layer, (prefix, _)) in cells.iter().enumerate() {
            let (w_x, w_h) = (self.matrix(prefix, "w_x")?, self.matrix(prefix, "w_h")?);
            for (x, h) in w_x.columns().into_iter().zip(w_h.columns()) {
                weights.extend(x.iter().chain(h));
            }
            weights.extend(self.vector(prefix, "b", 4 * units) + self.vector(prefix, "b_h", 4 * units));
            for array in [2 * layer, 2 * layer + 1] {
                let state = self.states.as_ref().and_then(|states| self.arrays.get(&format!("{states}.{array}")));
                match state {
                    Some(state) => weights.extend(state),
                    None => weights.extend(vec![0.0; units]),
                }
            }
        }
        let w = self.matrix(head, "w")?;
        weights.extend(w.columns().into_iter().flatten());
        weights.extend(self.vector(head, "b", w.ncols()));
        let mut file = json!({
            "version": "0.5.4", "architecture": "LSTM",
            "config": {"input_size": self.inputs, "hidden_size": units, "num_layers": cells.len()},
            "weights": weights
        });
        if self.outputs != 1 {
            file["config"]["output_size"] = json!(self.outputs);
        }
        if let Some(rate) = rate {
            file["sample_rate"] = json!(rate);
        }
        Ok(file)
    }

    fn shallow(&self) -> Taken<'a> {
        let Taken { gains, skip, ref states, inputs, outputs, .. } = *self;
        Taken { gains, skip, states: states.clone(), layers: Vec::new(), arrays: BTreeMap::new(), inputs, outputs }
    }
}

/// An object whose keys stay in the order they came in.
#[derive(Default)]
struct Ordered(Vec<(String, Value)>);

impl Ordered {
    fn put(&mut self, name: String, value: Value) {
        self.0.push((name, value));
    }

    fn into_value(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }
}

impl std::fmt::Display for Ordered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries: Vec<String> = self.0.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        write!(f, "{{{}}}", entries.join(","))
    }
}

/// The layers of stacks inside stacks in one list; those that do nothing outside of training left out.
fn flatten<'a>(about: &'a Describe, prefix: &str, to: &mut Vec<Layer<'a>>) {
    match about.kind.as_str() {
        "Stacked" => about.inner.iter().for_each(|(name, inner)| flatten(inner, &joined(prefix, name), to)),
        "Dropout" => {}
        "WeightDrop" => about.inner.iter().for_each(|(_, inner)| flatten(inner, prefix, to)),
        _ => to.push((prefix.to_string(), about)),
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() || name.is_empty() { format!("{prefix}{name}") } else { format!("{prefix}.{name}") }
}

fn rows(matrix: &Array2<f64>) -> Vec<Vec<f64>> {
    matrix.rows().into_iter().map(|row| row.to_vec()).collect()
}

/// Refuses a cell with settings that a format has not.
fn plain(about: &Describe, format: &str, allowed: &[&str]) -> Result<(), Error> {
    about.expect_settings(allowed).map_err(|_| refused(about, format))
}

fn refused(about: &Describe, format: &str) -> Error {
    Error::value("layer", format!("one that {format} has"), about)
}
