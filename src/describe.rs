//! What a layer is, in words: for summaries and errors.

use std::fmt;

/// A layer's kind, sizes and options, and what is inside it.
///
/// It is displayed as `Lstm(28 → 256)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Describe {
    /// What it is called.
    pub kind: String,
    /// D and H; none where they say nothing, as for a layer that leaves widths as they are.
    pub sizes: Option<(usize, usize)>,
    /// The settings that are not the usual ones, as they are to be read.
    pub options: Vec<String>,
    /// The layers inside, each with the name its parameters are under.
    pub inner: Vec<(String, Describe)>,
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
        Describe { kind: kind.into(), sizes: Some((inputs, outputs)), options: Vec::new(), inner: Vec::new() }
    }

    /// Without sizes.
    #[must_use]
    pub fn without_sizes(mut self) -> Self {
        self.sizes = None;
        self
    }

    /// With one more option.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// With one more layer inside.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, inner: Describe) -> Self {
        self.inner.push((name.into(), inner));
        self
    }
}

impl fmt::Display for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.sizes.map(|(inputs, outputs)| format!("{inputs} → {outputs}"));
        let all: Vec<String> = sizes.into_iter().chain(self.options.iter().cloned()).collect();
        f.pad(&if all.is_empty() { self.kind.clone() } else { format!("{}({})", self.kind, all.join(", ")) })
    }
}
