//! What a layer is: in words, for summaries and errors, and by its settings, from which it can be built again.

#[cfg(feature = "serde")]
mod form;

use std::fmt;

use crate::Error;

/// A layer's kind, sizes and settings, and what is inside it.
///
/// It is displayed as `Lstm(28 → 256)`. With the feature `serde` it is `serde::Serialize` and `Deserialize`, so a network can stand in a
/// configuration or a file: [`Kinds`](crate::layers::Kinds) builds it again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Describe {
    /// What it is called.
    pub kind: String,
    /// D and H; none where they say nothing, as for a layer that leaves widths as they are.
    pub sizes: Option<(usize, usize)>,
    /// What of it is to be read besides kind and sizes.
    pub options: Vec<String>,
    /// By name, what it has to be told besides sizes to be built again.
    pub settings: Vec<(String, Value)>,
    /// The layers inside, each with the name its parameters are under.
    pub inner: Vec<(String, Describe)>,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(f64),
    /// Words.
    Text(String),
    /// Numbers.
    Numbers(Vec<f64>),
}

impl Describe {
    /// Of a type, by its name without modules and generics.
    #[must_use]
    pub fn of<T: ?Sized>(inputs: usize, outputs: usize) -> Self {
        let name = std::any::type_name::<T>();
        let name = name.split('<').next().unwrap_or(name);
        Describe::new(name.rsplit("::").next().unwrap_or(name), inputs, outputs)
    }

    /// Of a kind.
    #[must_use]
    pub fn new(kind: impl Into<String>, inputs: usize, outputs: usize) -> Self {
        let sizes = Some((inputs, outputs));
        Describe { kind: kind.into(), sizes, options: Vec::new(), settings: Vec::new(), inner: Vec::new() }
    }

    /// Of a kind of layer around another one, of the same sizes, under whose name its parameters are.
    #[must_use]
    pub fn around(kind: impl Into<String>, name: impl Into<String>, inner: Describe) -> Self {
        let shown = inner.kind.clone();
        let all = Describe { kind: kind.into(), sizes: inner.sizes, ..Describe::new("", 0, 0) };
        all.option(shown).with(name, inner)
    }

    /// Without sizes.
    #[must_use]
    pub fn without_sizes(mut self) -> Self {
        self.sizes = None;
        self
    }

    /// With one more thing to be read.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// With one more setting, which is not displayed.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// With one more layer inside.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, inner: Describe) -> Self {
        self.inner.push((name.into(), inner));
        self
    }

    /// The setting of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.settings.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The setting of this name as yes or no.
    ///
    /// # Errors
    /// If it is none.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        self.read(name, "true or false", |value| if let Value::Flag(flag) = value { Some(*flag) } else { None })
    }

    /// The setting of this name as a number.
    ///
    /// # Errors
    /// If it is none.
    pub fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        self.read(name, "a number", |value| if let Value::Number(number) = value { Some(*number) } else { None })
    }

    /// The setting of this name as a number of things.
    ///
    /// # Errors
    /// If it is none.
    pub fn count(&self, name: &str) -> Result<Option<usize>, Error> {
        self.read(name, "a whole number from 0 on", |value| match value {
            // Beyond 2⁵³ not every whole number is an `f64`.
            Value::Number(number) if number.fract() == 0.0 && (0.0..9e15).contains(number) => Some(*number as usize),
            _ => None,
        })
    }

    /// The setting of this name as numbers.
    ///
    /// # Errors
    /// If it is none.
    pub fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>, Error> {
        self.read(name, "a list of numbers", |value| match value {
            Value::Numbers(numbers) => Some(numbers.clone()),
            _ => None,
        })
    }

    /// The setting of this name as words.
    ///
    /// # Errors
    /// If it is none.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        self.read(name, "a text", |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    /// H, which the description has to have.
    ///
    /// # Errors
    /// If it has none.
    pub fn outputs(&self) -> Result<usize, Error> {
        match self.sizes {
            Some((_, outputs)) => Ok(outputs),
            None => Err(Error::value(format!("outputs of {}", self.kind), "how many columns it gives", "none")),
        }
    }

    /// The only layer inside.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn only_inner(&self) -> Result<&Describe, Error> {
        match &self.inner[..] {
            [(_, inner)] => Ok(inner),
            others => Err(Error::value(format!("layers inside {}", self.kind), "1", others.len())),
        }
    }

    /// Refuses settings other than these: misspelt ones would be left out in silence.
    ///
    /// # Errors
    /// If there is one, or one twice.
    pub fn expect_settings(&self, names: &[&str]) -> Result<(), Error> {
        for (i, (name, _)) in self.settings.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let expected = if names.is_empty() { "none".to_string() } else { names.join(", ") };
                return Err(Error::value(format!("settings of {}", self.kind), expected, name));
            }
            if self.settings[..i].iter().any(|(other, _)| other == name) {
                return Err(Error::value(format!("settings of {}", self.kind), "each once", format!("{name} twice")));
            }
        }
        Ok(())
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::value(format!("{name} of {}", self.kind), expected, value)),
        }
    }
}

impl fmt::Display for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.sizes.map(|(inputs, outputs)| format!("{inputs} → {outputs}"));
        let all: Vec<String> = sizes.into_iter().chain(self.options.iter().cloned()).collect();
        f.pad(&if all.is_empty() { self.kind.clone() } else { format!("{}({})", self.kind, all.join(", ")) })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Numbers(numbers) => write!(f, "{numbers:?}"),
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Value::Number(count as f64)
    }
}

impl From<Vec<f64>> for Value {
    fn from(numbers: Vec<f64>) -> Self {
        Value::Numbers(numbers)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_string())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}
