//! Names that are others in a file.

/// Pairs: what a name begins with in the file, and what is to stand in its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Renames(Vec<(String, String)>);

impl Renames {
    pub(super) fn push(&mut self, from: &str, to: &str) {
        self.0.push((from.to_string(), to.to_string()));
    }

    /// These and, where none of them fits, others.
    pub(super) fn and(&self, others: &Renames) -> Renames {
        Renames(self.0.iter().chain(&others.0).cloned().collect())
    }

    /// A name of the file as it is to be read: by the first pair that fits.
    pub(super) fn read(&self, name: &str) -> String {
        replaced(name, self.0.iter().map(|(from, to)| (from.as_str(), to.as_str())))
    }

    /// The way back.
    pub(super) fn written(&self, name: &str) -> String {
        replaced(name, self.0.iter().map(|(from, to)| (to.as_str(), from.as_str())))
    }
}

fn replaced<'a>(name: &str, mut pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    match pairs.find_map(|(from, to)| Some((name.strip_prefix(from)?, to))) {
        Some((rest, to)) => format!("{to}{rest}"),
        None => name.to_string(),
    }
}
