//! PyTorch's modules: found in a file, or for a network to go into.

use std::collections::{BTreeMap, BTreeSet};

use super::super::names::{cell, is_cell, leaves};
use super::super::tensors::Entry;
use super::{Named, Names};
use crate::{Describe, Error};

/// A module of one or more layers.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) prefix: String,
    /// What each of its layers is.
    pub(super) layers: Vec<Describe>,
    /// Whether its names have no number of a layer, as those of `nn.LSTMCell`.
    pub(super) is_cell: bool,
}

impl Module {
    /// What its tensors' names begin with.
    pub(super) fn dotted(&self) -> String {
        dotted(&self.prefix)
    }
}

fn dotted(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!("{prefix}.") }
}

/// Tensors by the names that are to be read.
type Shapes<'a> = BTreeMap<String, &'a [usize]>;

/// The modules in a file.
pub(super) fn find(entries: &BTreeMap<String, Entry>, names: &Names) -> Result<Vec<Module>, Error> {
    let shapes: Shapes<'_> =
        entries.iter().map(|(name, entry)| (names.renames.read(name), entry.shape.as_slice())).collect();
    if names.modules.is_empty() {
        return guess(&shapes);
    }
    let mut modules: Vec<Module> = Vec::new();
    for named in &names.modules {
        let width = modules.last().map(|module| width(&module.layers));
        modules.push(module(&shapes, named, width)?);
    }
    Ok(modules)
}

/// How wide the last layer's outputs are.
fn width(layers: &[Describe]) -> Option<usize> {
    layers.last().and_then(|about| about.sizes).map(|(_, outputs)| outputs)
}

/// The module of this name, above one of this width, if there is one.
fn module(shapes: &Shapes<'_>, named: &Named, below: Option<Option<usize>>) -> Result<Module, Error> {
    let prefix = dotted(&named.prefix);
    let shape = |name: &str| shapes.get(&format!("{prefix}{name}")).copied();
    let made = |layers, is_cell| Ok(Module { prefix: named.prefix.clone(), layers, is_cell });
    if shape("weight_ih_l0").is_some() {
        let mut layers = Vec::new();
        while shape(&format!("weight_ih_l{}", layers.len())).is_some() {
            layers.push(layer(shapes, &prefix, &format!("_l{}", layers.len()), named.relu)?);
        }
        return made(layers, false);
    }
    if shape("weight_ih").is_some() {
        return made(vec![layer(shapes, &prefix, "", named.relu)?], true);
    }
    let (weight, bias) = (shape("weight"), shape("bias"));
    let about = match (weight, bias) {
        (Some([n]), Some(_)) => Describe::new("LayerNorm", *n, *n),
        // Without a bias it may be either; the first one is an embedding unless something fits it from below.
        (Some([tokens, width]), None) if below.is_none() => Describe::new("Embedding", *tokens, *width),
        (Some([outputs, inputs]), bias) => Describe::new("Linear", *inputs, *outputs).setting("bias", bias.is_some()),
        _ => {
            let expected = "the name of an RNN, GRU, LSTM, a cell of these, Linear, Embedding or LayerNorm";
            let got = format!("{:?}; the file has {}", named.prefix, prefixes(shapes));
            return Err(Error::value("module", expected, got));
        }
    };
    if let (Some(Some(below)), Some((inputs, _))) = (below, about.sizes)
        && below != inputs
    {
        let expected = format!("inputs of {below} columns, as is below");
        return Err(Error::value(format!("module {:?}", named.prefix), expected, inputs));
    }
    made(vec![about], false)
}

/// A layer of a recurrent module, of both directions where there are two.
fn layer(shapes: &Shapes<'_>, prefix: &str, layer: &str, relu: bool) -> Result<Describe, Error> {
    let forward = direction(shapes, prefix, layer, relu)?;
    let reverse = format!("{layer}_reverse");
    if !shapes.contains_key(&format!("{prefix}weight_ih{reverse}")) {
        return Ok(forward);
    }
    let backward = direction(shapes, prefix, &reverse, relu)?;
    let (inputs, outputs) = forward.sizes.unwrap_or_default();
    let all = Describe::new("Bidirectional", inputs, 2 * outputs).setting("merge", "concat");
    Ok(all.with("forward", forward).with("backward", backward))
}

fn direction(shapes: &Shapes<'_>, prefix: &str, suffix: &str, relu: bool) -> Result<Describe, Error> {
    let name = |stem: &str| format!("{prefix}{stem}{suffix}");
    let shape = |stem: &str| shapes.get(&name(stem)).copied();
    let matrix = |stem: &str| match shape(stem) {
        Some([rows, columns]) if *rows > 0 && *columns > 0 => Ok([*rows, *columns]),
        Some(other) => Err(Error::shape(format!("tensor {:?}", name(stem)), "[rows, columns]", other)),
        None => Err(Error::value("tensors", format!("also {:?}", name(stem)), "none")),
    };
    let ([rows, inputs], [_, outputs]) = (matrix("weight_ih")?, matrix("weight_hh")?);
    let units = if shape("weight_hr").is_some() { matrix("weight_hr")?[1] } else { outputs };
    let (kind, gates) = match rows / units {
        1 => ("Rnn", 1),
        3 => ("Gru", 3),
        4 => ("Lstm", 4),
        _ => ("", 0),
    };
    if rows != gates * units {
        let expected = format!("1, 3 or 4 times {units} rows, by the units of the others");
        return Err(Error::value(format!("tensor {:?}", name("weight_ih")), expected, rows));
    }
    let bias = match (shape("bias_ih"), shape("bias_hh")) {
        (None, None) => "none",
        (Some(_), Some(_)) => "two",
        (Some(_), None) => return Err(Error::value("tensors", format!("also {:?}", name("bias_hh")), "none")),
        (None, Some(_)) => return Err(Error::value("tensors", format!("also {:?}", name("bias_ih")), "none")),
    };
    if relu && kind != "Rnn" {
        return Err(Error::value(format!("module {prefix:?}"), "an RNN, for relu", kind));
    }
    let about = Describe::new(kind, inputs, outputs).setting("bias", bias);
    let about = if relu { about.setting("activation", "relu") } else { about };
    Ok(if shape("weight_hr").is_some() { about.setting("units", units) } else { about })
}

/// What modules there seem to be in a file.
fn prefixes(shapes: &Shapes<'_>) -> String {
    let all: BTreeSet<&str> =
        shapes.keys().map(|name| name.rsplit_once('.').map_or("", |(prefix, _)| prefix)).collect();
    let shown: Vec<String> = all.iter().take(12).map(|prefix| format!("{prefix:?}")).collect();
    let more = if all.len() > shown.len() { format!(" and {} more", all.len() - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// The only order that a file's modules can be in.
fn guess(shapes: &Shapes<'_>) -> Result<Vec<Module>, Error> {
    let prefixes: BTreeSet<&str> =
        shapes.keys().map(|name| name.rsplit_once('.').map_or("", |(prefix, _)| prefix)).collect();
    let unclear = |got: String| {
        let expected = "modules that fit in one order only (otherwise name them: Names::prefix(..).and(..))";
        Error::value("modules", expected, got)
    };
    let named = |prefix: &str| Named { prefix: prefix.to_string(), relu: false, layers: None };
    let has = |prefix: &str, name: &str| shapes.contains_key(&format!("{}{name}", dotted(prefix)));
    let (recurrent, mut rest): (Vec<&str>, Vec<&str>) =
        prefixes.into_iter().partition(|prefix| has(prefix, "weight_ih_l0") || has(prefix, "weight_ih"));
    let [first] = recurrent[..] else {
        return Err(unclear(format!("recurrent ones {recurrent:?}")));
    };
    let mut modules = vec![module(shapes, &named(first), None)?];
    let inputs = modules[0].layers.first().and_then(|about| about.sizes).map_or(0, |(inputs, _)| inputs);
    let shape = |prefix: &str| shapes.get(&format!("{}weight", dotted(prefix))).copied();
    let embeddings: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|prefix| !has(prefix, "bias") && matches!(shape(prefix), Some([_, width]) if *width == inputs))
        .collect();
    let above = width(&modules[0].layers);
    match embeddings[..] {
        [] => {}
        // It could as well be a head without a bias.
        [_] if above == Some(inputs) => return Err(unclear(format!("{embeddings:?} that fit below and above"))),
        [embedding] => {
            rest.retain(|prefix| *prefix != embedding);
            modules.insert(0, module(shapes, &named(embedding), None)?);
        }
        _ => return Err(unclear(format!("embeddings {embeddings:?}"))),
    }
    while !rest.is_empty() {
        let width = modules.last().and_then(|module| width(&module.layers));
        let fits = |prefix: &&str| match shape(prefix) {
            Some([_, inputs]) | Some([inputs]) => Some(*inputs) == width,
            _ => false,
        };
        let fitting: Vec<&str> = rest.iter().copied().filter(fits).collect();
        let [next] = fitting[..] else {
            return Err(unclear(format!(
                "{fitting:?} of {rest:?} that fit above {:?}",
                modules[modules.len() - 1].prefix
            )));
        };
        rest.retain(|prefix| *prefix != next);
        modules.push(module(shapes, &named(next), Some(width))?);
    }
    Ok(modules)
}

/// The network of these modules.
pub(super) fn describe(modules: &[Module]) -> Result<Describe, Error> {
    let layers: Vec<&Describe> = modules.iter().flat_map(|module| &module.layers).collect();
    let sizes = |about: &Describe| about.sizes.unwrap_or_default();
    let (inputs, outputs) = (layers.first().map_or(0, |a| sizes(a).0), layers.last().map_or(0, |a| sizes(a).1));
    let all = Describe::new("Stacked", inputs, outputs);
    Ok(layers.into_iter().enumerate().fold(all, |all, (i, layer)| all.with(i.to_string(), layer.clone())))
}

/// The modules that a network goes into.
pub(super) fn fit(about: &Describe, names: &Names) -> Result<Vec<Module>, Error> {
    let layers = layers(about)?;
    let mut left = &layers[..];
    let mut modules = Vec::new();
    for named in &names.modules {
        let Some(first) = left.first() else {
            let expected = format!("{}, as many as there are layers for", modules.len());
            return Err(Error::value("modules", expected, names.modules.len()));
        };
        let most = if cell_of(first).is_some() { named.layers.unwrap_or(left.len()) } else { 1 };
        let like = left.iter().zip(left.iter().skip(1)).take_while(|(below, above)| goes_on(below, above)).count();
        let (own, rest) = left.split_at(most.clamp(1, 1 + like));
        if named.layers.is_some_and(|layers| layers != own.len()) {
            let expected = format!("at most {} layers alike", own.len());
            return Err(Error::value(format!("module {:?}", named.prefix), expected, format!("{:?}", named.layers)));
        }
        modules.push(Module { prefix: named.prefix.clone(), layers: own.to_vec(), is_cell: false });
        left = rest;
    }
    match left.first() {
        Some(layer) => Err(Error::value("modules", format!("one for {layer} too"), names.modules.len())),
        None => Ok(modules),
    }
}

/// The cell of a layer, or of its forward direction.
fn cell_of(about: &Describe) -> Option<&Describe> {
    match (about.kind.as_str(), &about.inner[..]) {
        ("Bidirectional", [(_, forward), _]) => cell(forward),
        _ => cell(about),
    }
}

/// Whether a layer can be the next one of the same module.
fn goes_on(below: &Describe, above: &Describe) -> bool {
    let (Some(a), Some(b)) = (cell_of(below), cell_of(above)) else { return false };
    let outputs = |about: &Describe| about.sizes.map(|(_, outputs)| outputs);
    below.kind == above.kind && a.kind == b.kind && outputs(a) == outputs(b) && a.settings == b.settings
}

/// The layers with arrays, as PyTorch has them.
fn layers(about: &Describe) -> Result<Vec<Describe>, Error> {
    let mut all = Vec::new();
    if about.kind == "Stacked" {
        for (_, inner) in &about.inner {
            all.extend(layers(inner)?);
        }
        return Ok(all);
    }
    let both = about.kind == "Bidirectional" && matches!(about.text("merge"), Ok(Some("concat")));
    let cells: Vec<&Describe> = leaves(about).into_iter().map(|leaf| leaf.about).filter(|a| is_cell(&a.kind)).collect();
    let known = match about.kind.as_str() {
        "Dropout" | "Last" | "Scale" => return Ok(all),
        "Linear" | "Embedding" | "LayerNorm" => true,
        _ => {
            let of_torch = |cell: &&Describe| {
                let usual = |name: &str, value| cell.text(name).ok().flatten().is_none_or(|text| text == value);
                let activation = matches!(cell.text("activation"), Ok(None | Some("tanh" | "relu")));
                let plain = ["clip_gates", "clip_cell", "projection_clip"].iter().all(|name| cell.get(name).is_none());
                let gates = usual("gate_activation", "sigmoid") && usual("candidate_activation", "tanh");
                let bias = !matches!(cell.text("bias"), Ok(Some("recurrent")));
                matches!(cell.kind.as_str(), "Rnn" | "Gru" | "Lstm")
                    && activation
                    && plain
                    && gates
                    && bias
                    && usual("output_activation", "tanh")
            };
            !cells.is_empty() && cells.iter().all(of_torch) && (both || cell(about).is_some())
        }
    };
    if !known {
        return Err(Error::value("layer", "one that PyTorch has", about));
    }
    all.push(about.clone());
    Ok(all)
}
