//! The relatives of cells: peepholes, coupled gates, other activations, clips.

use super::cells::{Use, activation, built};
use crate::cells::Activation;
use crate::{Boxed, Describe, Error, Float, Gru, GruResetBefore, Init, Lstm};

/// The relative of a description whose kind is a cell's.
pub(super) fn build<F: Float>(
    about: &Describe,
    inputs: usize,
    init: &mut Init,
    then: impl Use<F>,
) -> Result<Boxed<F>, Error> {
    let clip = about.number("clip_gates")?;
    let gate = activation(about, "gate_activation")?.unwrap_or(Activation::Sigmoid);
    let candidate = activation(about, "candidate_activation")?.unwrap_or(Activation::Tanh);
    macro_rules! gru {
        ($cell:ident) => {{
            let spec = $cell::<F>::spec(1).activations(gate, candidate);
            let spec = if let Some(clip) = clip { spec.clip_gates(clip) } else { spec };
            then.cell(built(spec, about, inputs, init)?)
        }};
    }
    macro_rules! lstm {
        ($spec:expr) => {{
            let output = activation(about, "output_activation")?.unwrap_or(Activation::Tanh);
            let spec = $spec.activations(gate, candidate, output);
            let spec = if let Some(clip) = clip { spec.clip_gates(clip) } else { spec };
            let spec = match about.numbers("clip_cell")?.as_deref() {
                None => spec,
                Some([low, high]) => spec.clip_cell(*low, *high),
                Some(other) => return Err(Error::value("clip_cell", "two bounds", other.len())),
            };
            // Coupled ones, which have no gate f, have no such setting.
            let spec = if let Some(bias) = about.number("forget_bias")? { spec.lane_bias(1, bias) } else { spec };
            then.cell(built(spec, about, inputs, init)?)
        }};
    }
    let lstm = Lstm::<F>::spec(1);
    match about.kind.as_str() {
        "Gru" => gru!(Gru),
        "GruResetBefore" => gru!(GruResetBefore),
        "PeepholeLstm" => lstm!(lstm.peepholes()),
        "CoupledLstm" => lstm!(lstm.coupled()),
        "CoupledPeepholeLstm" => lstm!(lstm.coupled().peepholes()),
        _ => lstm!(lstm),
    }
}
