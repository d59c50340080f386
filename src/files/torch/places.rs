//! Which of PyTorch's names an array of ours has.

use super::super::names::{is_cell, leaves};
use super::modules::Module;
use crate::{Describe, Error};

/// For what names in our files begin with, what PyTorch's are.
#[derive(Debug)]
pub(super) struct Places(Vec<(String, Theirs)>);

#[derive(Debug)]
struct Theirs {
    /// What names begin with.
    prefix: String,
    /// What stands for our `_l0` in the names of a cell.
    layer: String,
}

/// The places of a network's layers in modules.
pub(super) fn of(about: &Describe, modules: &[Module]) -> Result<Places, Error> {
    let units: Vec<(Theirs, &Describe)> = modules.iter().flat_map(units).collect();
    let mut ours: Vec<(String, &Describe)> = Vec::new();
    for leaf in leaves(about) {
        let has_arrays =
            is_cell(&leaf.about.kind) || matches!(leaf.about.kind.as_str(), "Linear" | "Embedding" | "LayerNorm");
        // Both directions of a layer are in one place.
        if has_arrays && ours.last().is_none_or(|(prefix, _)| *prefix != leaf.file()) {
            ours.push((leaf.file().to_string(), leaf.about));
        }
    }
    if ours.len() != units.len() {
        let layers: Vec<String> = units.iter().map(|(_, about)| about.to_string()).collect();
        let expected = format!("{} layers, as in the modules: {}", units.len(), layers.join(", "));
        let got: Vec<String> = ours.iter().map(|(_, about)| about.to_string()).collect();
        return Err(Error::value("layers of the network", expected, format!("{}: {}", got.len(), got.join(", "))));
    }
    let mut places = Vec::new();
    for ((prefix, own), (theirs, about)) in ours.into_iter().zip(units) {
        let first =
            if about.kind == "Bidirectional" { about.inner.first().map_or(about, |(_, inner)| inner) } else { about };
        let there = leaves(first).into_iter().map(|leaf| leaf.about).find(|leaf| leaf.kind == own.kind);
        if there.is_none() {
            return Err(Error::value(format!("module {:?}", theirs.prefix), own, about));
        }
        places.push((prefix, theirs));
    }
    Ok(Places(places))
}

fn units(module: &Module) -> impl Iterator<Item = (Theirs, &Describe)> {
    module.layers.iter().enumerate().map(move |(i, about)| {
        let layer = if module.is_cell { String::new() } else { format!("_l{i}") };
        (Theirs { prefix: module.dotted(), layer }, about)
    })
}

impl Places {
    /// The name of PyTorch's for one of our files'; none of an array that it has not.
    pub(super) fn theirs(&self, name: &str) -> Option<String> {
        let fitting = self.0.iter().filter_map(|(prefix, theirs)| Some((theirs, name.strip_prefix(prefix.as_str())?)));
        let (theirs, local) = fitting.min_by_key(|(_, local)| local.len())?;
        let local = match local.split_once("_l0") {
            Some((stem, suffix)) => format!("{stem}{}{suffix}", theirs.layer),
            None => local.to_string(),
        };
        Some(format!("{}{local}", theirs.prefix))
    }
}
