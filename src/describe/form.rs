//! A description as text: JSON, TOML, whatever serde writes.
//!
//! ```toml
//! kind = "Stacked"
//! inputs = 28
//! [[layers]]
//! kind = "Lstm"
//! outputs = 256
//! bias = "two"
//! ```

use std::collections::BTreeMap;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Describe, Value};

/// The layout: settings stand beside kind and sizes.
#[derive(Serialize, Deserialize)]
struct Form {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inputs: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outputs: Option<usize>,
    #[serde(flatten)]
    settings: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Form>,
}

/// Names that are no settings.
const TAKEN: [&str; 4] = ["kind", "inputs", "outputs", "layers"];

impl From<&Describe> for Form {
    fn from(about: &Describe) -> Self {
        let known = |size: usize| Some(size).filter(|size| *size > 0);
        let (inputs, outputs) = about.sizes.unwrap_or_default();
        Form {
            kind: about.kind.clone(),
            inputs: known(inputs),
            outputs: known(outputs),
            settings: about.settings.iter().cloned().collect(),
            layers: about.inner.iter().map(|(_, inner)| Form::from(inner)).collect(),
        }
    }
}

impl From<Form> for Describe {
    fn from(form: Form) -> Self {
        let sizes = (form.inputs.unwrap_or(0), form.outputs.unwrap_or(0));
        Describe {
            kind: form.kind,
            sizes: Some(sizes).filter(|sizes| *sizes != (0, 0)),
            options: Vec::new(),
            settings: form.settings.into_iter().collect(),
            inner: form.layers.into_iter().map(|inner| (String::new(), Describe::from(inner))).collect(),
        }
    }
}

impl Serialize for Describe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((name, _)) = self.settings.iter().find(|(name, _)| TAKEN.contains(&name.as_str())) {
            return Err(S::Error::custom(format!("a setting of {} may not be called {name}", self.kind)));
        }
        Form::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Describe {
    /// Without options and names, which the layer has once it is built.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Form::deserialize(deserializer).map(Describe::from)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Number(number) if !number.is_finite() => Err(S::Error::custom(format!("a setting is {number}"))),
            // Whole numbers as such: an `f64` has them up to 2⁵³.
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 && !is_negative_zero(*number) => {
                serializer.serialize_i64(*number as i64)
            }
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Numbers(numbers) => serializer.collect_seq(numbers.iter().map(|number| Value::Number(*number))),
        }
    }
}

fn is_negative_zero(number: f64) -> bool {
    number == 0.0 && number.is_sign_negative()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyValue {
    Flag(bool),
    Number(f64),
    Text(String),
    Numbers(Vec<f64>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match AnyValue::deserialize(deserializer)? {
            AnyValue::Flag(flag) => Value::Flag(flag),
            AnyValue::Number(number) => Value::Number(number),
            AnyValue::Text(text) => Value::Text(text),
            AnyValue::Numbers(numbers) => Value::Numbers(numbers),
        })
    }
}
