//! JSON of PyTorch's names: GuitarML's and Proteus's, and a bare `state_dict`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::numbers::Numbers;
use super::parts::{Around, Array, Parts, matrix, vector};
use super::{AudioFormat, AudioModel, json};
use crate::{Describe, Error, Float};

#[derive(Deserialize)]
struct File {
    model_data: ModelData,
    state_dict: StateDict,
}

#[derive(Deserialize)]
struct ModelData {
    unit_type: String,
    input_size: usize,
    hidden_size: usize,
    #[serde(default = "one")]
    output_size: usize,
    #[serde(default = "one")]
    num_layers: usize,
    #[serde(default)]
    skip: Skip,
}

fn one() -> usize {
    1
}

/// A number, or true and false for 1 and 0.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(untagged)]
enum Skip {
    Inputs(f64),
    Flag(bool),
    #[default]
    None,
}

/// Arrays in the order of the file, which is that of the modules.
struct StateDict(Vec<(String, Numbers)>);

impl<'de> Deserialize<'de> for StateDict {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = StateDict;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("arrays by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StateDict, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if all.len() == 4 * MOST {
                        return Err(A::Error::custom(format!("more than {} arrays", 4 * MOST)));
                    }
                    all.push(entry);
                }
                Ok(StateDict(all))
            }
        }
        reader.deserialize_map(InOrder)
    }
}

pub(super) fn read<F: Float>(bytes: &[u8]) -> Result<AudioModel<F>, Error> {
    let File { model_data: about, state_dict } = json::parse(bytes)?;
    let (kind, gates) = match about.unit_type.as_str() {
        "LSTM" => ("Lstm", 4),
        "GRU" => ("Gru", 3),
        "RNN" => ("Rnn", 1),
        other => return Err(Error::value("unit_type", "LSTM, GRU, RNN", other)),
    };
    let skip = match about.skip {
        Skip::None | Skip::Flag(false) | Skip::Inputs(0.0) => false,
        Skip::Flag(true) => true,
        // So many inputs are added to as many outputs.
        Skip::Inputs(skip) if skip == about.output_size as f64 => true,
        Skip::Inputs(other) => return Err(Error::value("skip", format!("0 or {}", about.output_size), other)),
    };
    let mut parts = Parts::new(about.input_size);
    let mut arrays = Arrays::new(state_dict);
    let layers = arrays.layers("rec.");
    if layers != about.num_layers {
        return Err(Error::value("num_layers", format!("{layers}, as in the state_dict"), about.num_layers));
    }
    for layer in 0..layers {
        arrays.cell(&mut parts, "rec.", layer, (kind, gates), about.hidden_size)?;
    }
    arrays.linear(&mut parts, "lin.", Some(about.output_size))?;
    arrays.finish()?;
    let network = Around { skip, gains: None }.put(parts.build()?)?;
    Ok(AudioModel { network, format: AudioFormat::GuitarMl, sample_rate: None, self_test: None })
}

/// A `state_dict` alone: recurrent modules and linear ones, in the order of the file.
pub(super) fn read_bare<F: Float>(bytes: &[u8]) -> Result<AudioModel<F>, Error> {
    let state_dict: StateDict = json::parse(bytes).map_err(|error| {
        error.within("no file of RTNeural (\"layers\"), GuitarML (\"model_data\"), NAM (\"architecture\"), nor a bare state_dict")
    })?;
    let mut modules: Vec<String> = Vec::new();
    for (name, _) in &state_dict.0 {
        let prefix = name.rsplit_once('.').map_or(String::new(), |(prefix, _)| format!("{prefix}."));
        if !modules.contains(&prefix) {
            modules.push(prefix);
            if modules.len() > MOST {
                return Err(Error::value("modules", format!("at most {MOST}"), "more"));
            }
        }
    }
    let mut arrays = Arrays::new(state_dict);
    let inputs = modules.first().and_then(|prefix| arrays.inputs(prefix));
    let Some(inputs) = inputs else {
        let expected = "names of PyTorch's, as rec.weight_ih_l0 or lin.weight";
        return Err(Error::value("state_dict", expected, format!("{:?}", arrays.0.keys().next())));
    };
    let mut parts = Parts::new(inputs);
    for prefix in &modules {
        match arrays.layers(prefix) {
            0 => arrays.linear(&mut parts, prefix, None)?,
            layers => {
                for layer in 0..layers {
                    let (kind, units) = arrays.kind(prefix, layer)?;
                    arrays.cell(&mut parts, prefix, layer, kind, units)?;
                }
            }
        }
    }
    arrays.finish()?;
    Ok(AudioModel { network: parts.build()?, format: AudioFormat::StateDict, sample_rate: None, self_test: None })
}

/// The most modules of a file.
const MOST: usize = 1000;

/// What is left of a `state_dict`.
struct Arrays(BTreeMap<String, Numbers>);

impl Arrays {
    fn new(state_dict: StateDict) -> Self {
        Arrays(state_dict.0.into_iter().collect())
    }

    fn take(&mut self, name: &str) -> Result<Numbers, Error> {
        self.0.remove(name).ok_or_else(|| Error::value("state_dict", format!("an array {name:?}"), "none"))
    }

    /// How many layers a recurrent module has.
    fn layers(&self, prefix: &str) -> usize {
        (0..).take_while(|layer| self.0.contains_key(&format!("{prefix}weight_ih_l{layer}"))).count()
    }

    /// How many columns go into a module.
    fn inputs(&self, prefix: &str) -> Option<usize> {
        let weights = ["weight_ih_l0", "weight"].map(|name| self.0.get(&format!("{prefix}{name}")));
        weights.into_iter().flatten().next().and_then(|weight| weight.shape.get(1).copied())
    }

    /// What a layer is, by its shapes.
    fn kind(&self, prefix: &str, layer: usize) -> Result<((&'static str, usize), usize), Error> {
        let name = format!("{prefix}weight_hh_l{layer}");
        let weight =
            self.0.get(&name).ok_or_else(|| Error::value("state_dict", format!("an array {name:?}"), "none"))?;
        let [rows, units] = weight.matrix(&name)?;
        match rows / units {
            1 if rows == units => Ok((("Rnn", 1), units)),
            3 if rows == 3 * units => Ok((("Gru", 3), units)),
            4 if rows == 4 * units => Ok((("Lstm", 4), units)),
            _ => Err(Error::shape(name, "1, 3 or 4 times as many rows as columns", &weight.shape)),
        }
    }

    fn cell(
        &mut self,
        parts: &mut Parts,
        prefix: &str,
        layer: usize,
        (kind, gates): (&str, usize),
        units: usize,
    ) -> Result<(), Error> {
        let (inputs, rows) = (parts.width(), gates * units);
        let name = |stem: &str| format!("{prefix}{stem}_l{layer}");
        let mut arrays: Vec<(&'static str, Array)> = Vec::new();
        for (own, stem, columns) in [("w_x", "weight_ih", inputs), ("w_h", "weight_hh", units)] {
            let shape = [rows, columns];
            let numbers = self.take(&name(stem))?;
            arrays.push((own, matrix(shape, numbers.expect(&name(stem), &shape)?, true)));
        }
        let has_bias = self.0.contains_key(&name("bias_ih"));
        for (own, stem) in [("b", "bias_ih"), ("b_h", "bias_hh")].into_iter().filter(|_| has_bias) {
            arrays.push((own, vector(self.take(&name(stem))?.expect(&name(stem), &[rows])?)));
        }
        let about = Describe::new(kind, inputs, units).setting("bias", if has_bias { "two" } else { "none" });
        parts.push(about, arrays);
        Ok(())
    }

    fn linear(&mut self, parts: &mut Parts, prefix: &str, outputs: Option<usize>) -> Result<(), Error> {
        let (weight, inputs) = (format!("{prefix}weight"), parts.width());
        let numbers = self.take(&weight)?;
        let outputs = outputs.map_or_else(|| numbers.matrix(&weight).map(|[outputs, _]| outputs), Ok)?;
        let shape = [outputs, inputs];
        let mut arrays = vec![("w", matrix(shape, numbers.expect(&weight, &shape)?, true))];
        let bias = format!("{prefix}bias");
        let has_bias = self.0.contains_key(&bias);
        if has_bias {
            arrays.push(("b", vector(self.take(&bias)?.expect(&bias, &[outputs])?)));
        }
        parts.push(Describe::new("Linear", inputs, outputs).setting("bias", has_bias), arrays);
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        match self.0.keys().next() {
            Some(name) => {
                Err(Error::value("state_dict", "the arrays of the modules and no others", format!("{name:?}")))
            }
            None => Ok(()),
        }
    }
}
