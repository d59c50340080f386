//! Named parts.

use std::collections::BTreeMap;

use crate::Error;
use crate::part::{Part, Resume};

/// All that a training rests on at one moment, as named parts, each with its version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub(super) parts: BTreeMap<String, (u32, Part)>,
}

impl Snapshot {
    /// One of nothing.
    #[must_use]
    pub fn new() -> Self {
        Snapshot::default()
    }

    /// Keeps something under a name; what was under it goes.
    ///
    /// # Errors
    /// If it can't say what it takes to go on, or the name is empty or has a `/` in it.
    pub fn add<R: Resume>(&mut self, name: &str, thing: &R) -> Result<(), Error> {
        if name.is_empty() || name.contains('/') {
            return Err(Error::value("name of a part", "a word without /", format!("{name:?}")));
        }
        let part = thing.save().map_err(|error| error.within(name))?;
        self.parts.insert(name.to_string(), (R::VERSION, part));
        Ok(())
    }

    /// Whether there is something under a name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// Makes something go on from what was kept under a name.
    ///
    /// # Errors
    /// If there is nothing of that name, it is of a later version, or of something else. Nothing is changed then.
    pub fn restore<R: Resume>(&self, name: &str, thing: &mut R) -> Result<(), Error> {
        let Some((version, part)) = self.parts.get(name) else {
            let names: Vec<&str> = self.names().collect();
            return Err(Error::value("part of the snapshot", names.join(", "), format!("{name:?}")));
        };
        if *version > R::VERSION {
            return Err(Error::value(format!("version of {name}"), format!("at most {}", R::VERSION), version));
        }
        thing.restore(part).map_err(|error| error.within(name))
    }
}
