//! What arrays are called in a file, and how they lie there: as PyTorch has it, where PyTorch has such a layer.
//!
//! | layer | ours | in the file |
//! | --- | --- | --- |
//! | cells | `w_x [D, G·H]`, `w_h [H, G·H]`, `w_p [H, P]` | `weight_ih_l0`, `weight_hh_l0`, `weight_hr_l0`, transposed |
//! | | `b`, `b_h` `[G·H]` | `bias_ih_l0`, `bias_hh_l0` |
//! | `Linear` | `w [D, V]`, `b [V]` | `weight` transposed, `bias` |
//! | `Embedding` | `w [V, E]` | `weight` |
//! | `LayerNorm` | `g`, `b` | `weight`, `bias` |
//! | `Tied` | `b` | `bias` |
//!
//! All else is as it is. The names of both directions of a layer of cells differ by `_reverse` at the end of the second's.

use ndarray::ArrayViewD;

use crate::{Describe, Float, Params, Recurrent};

/// Where an array is in a file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its name among the parameters.
    pub(super) own: String,
    /// Its name in the file.
    pub(super) file: String,
    /// Whether it lies there as columns.
    pub(super) transposed: bool,
    /// Where PyTorch has a second bias that is added and ours has one: zeros when written; what is read there is added.
    pub(super) second: Option<String>,
    /// Its shape in the file.
    pub(super) shape: Vec<usize>,
}

/// Whether a kind of cell lies in a file as PyTorch's cells do.
pub(super) fn is_cell(kind: &str) -> bool {
    matches!(kind, "Rnn" | "Gru" | "GruResetBefore" | "Lstm" | "PeepholeLstm" | "CoupledLstm" | "CoupledPeepholeLstm")
}

/// The cell that a layer is, or is around.
pub(super) fn cell(about: &Describe) -> Option<&Describe> {
    match &about.inner[..] {
        [] => is_cell(&about.kind).then_some(about),
        [(name, inner)] if name.is_empty() => cell(inner),
        _ => None,
    }
}

/// A layer that has arrays of its own.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    /// What its arrays' names begin with, with a dot.
    pub(super) own: String,
    file: String,
    suffix: &'static str,
    pub(super) about: &'a Describe,
}

impl Leaf<'_> {
    /// What its arrays' names in a file begin with, with a dot.
    pub(super) fn file(&self) -> &str {
        &self.file
    }
}

/// The layers with arrays of their own, wherever they are inside.
pub(super) fn leaves(about: &Describe) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    collect(about, (String::new(), String::new(), ""), &mut leaves);
    leaves
}

fn collect<'a>(about: &'a Describe, (own, file, suffix): (String, String, &'static str), leaves: &mut Vec<Leaf<'a>>) {
    let both = about.kind == "Bidirectional" && about.inner.iter().all(|(_, inner)| cell(inner).is_some());
    for (name, inner) in &about.inner {
        let part = |prefix: &str| if name.is_empty() { prefix.to_string() } else { format!("{prefix}{name}.") };
        let place = match name.as_str() {
            "forward" if both => (part(&own), file.clone(), ""),
            "backward" if both => (part(&own), file.clone(), "_reverse"),
            _ => (part(&own), part(&file), suffix),
        };
        collect(inner, place, leaves);
    }
    if about.inner.iter().all(|(name, _)| !name.is_empty()) {
        leaves.push(Leaf { own, file, suffix, about });
    }
}

/// Where each array of a network is, in the order of its walk.
pub(super) fn places<N: Recurrent + Params>(net: &N) -> Vec<Place> {
    let about = net.describe();
    let leaves = leaves(&about);
    let mut places = Vec::new();
    net.visit(&mut |name, array| places.push(place(&leaves, name, &array)));
    places
}

fn place<F: Float>(leaves: &[Leaf<'_>], name: &str, array: &ArrayViewD<'_, F>) -> Place {
    let shape = array.shape().to_vec();
    let fitting = leaves.iter().filter_map(|leaf| Some((leaf, name.strip_prefix(leaf.own.as_str())?)));
    let Some((leaf, local)) = fitting.min_by_key(|(_, local)| local.len()) else {
        // Of a layer that does not say what is inside: as it is.
        return Place { own: name.into(), file: name.into(), transposed: false, second: None, shape };
    };
    let (kind, of_cell) = (leaf.about.kind.as_str(), is_cell(&leaf.about.kind));
    let (there, transposed) = match (kind, local) {
        (_, "w_x") if of_cell => ("weight_ih_l0", true),
        (_, "w_h") if of_cell => ("weight_hh_l0", true),
        (_, "w_p") if of_cell => ("weight_hr_l0", true),
        (_, "b") if of_cell => ("bias_ih_l0", false),
        (_, "b_h") if of_cell => ("bias_hh_l0", false),
        ("Linear", "w") => ("weight", true),
        ("Embedding", "w") | ("LayerNorm", "g") => ("weight", false),
        ("Linear" | "LayerNorm" | "Tied", "b") => ("bias", false),
        (_, local) => (local, false),
    };
    let in_file = |there: &str| format!("{}{there}{}", leaf.file, leaf.suffix);
    let one_bias = matches!(leaf.about.text("bias"), Ok(Some("one")));
    let second = (one_bias && local == "b" && matches!(kind, "Lstm" | "Rnn")).then(|| in_file("bias_hh_l0"));
    let shape = if transposed { shape.into_iter().rev().collect() } else { shape };
    Place { own: name.to_string(), file: in_file(there), transposed, second, shape }
}
