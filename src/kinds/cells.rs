//! The cells.

use std::str::FromStr;

use super::relatives;
use crate::cells::{Activation, Bias};
use crate::gates::RowCell;
use crate::{Boxed, Describe, Error, Float, Gated, GatedSpec, Gru, GruResetBefore, Init, Lstm, Rnn, RnnCell};

/// What is to become of a cell, whatever its type.
pub(super) trait Use<F> {
    fn cell<C: RnnCell<Elem = F> + 'static>(self, cell: C) -> Result<Boxed<F>, Error>;
}

/// A layer as it is.
pub(super) struct InBox;

impl<F: Float> Use<F> for InBox {
    fn cell<C: RnnCell<Elem = F> + 'static>(self, cell: C) -> Result<Boxed<F>, Error> {
        Ok(Boxed::new(cell))
    }
}

const COMMON: [&str; 3] = ["bias", "units", "projection_clip"];
/// Settings that only relatives of a cell have.
const RELATIVES: [&str; 5] =
    ["gate_activation", "candidate_activation", "output_activation", "clip_gates", "clip_cell"];

/// The cell of a description, if it is of a kind of ours.
pub(super) fn build<F: Float>(
    about: &Describe,
    inputs: usize,
    init: &mut Init,
    then: impl Use<F>,
) -> Result<Option<Boxed<F>>, Error> {
    let expect = |names: &[&str]| about.expect_settings(&[&COMMON, names].concat());
    let is_relative = RELATIVES.iter().any(|name| about.get(name).is_some());
    Ok(Some(match about.kind.as_str() {
        "Rnn" => {
            expect(&["activation", "clip_gates"])?;
            let spec = Rnn::<F>::spec(1).activation(activation(about, "activation")?.unwrap_or(Activation::Tanh));
            let spec = if let Some(clip) = about.number("clip_gates")? { spec.clip_gates(clip) } else { spec };
            then.cell(built(spec, about, inputs, init)?)?
        }
        "Gru" | "GruResetBefore" => {
            expect(&["gate_activation", "candidate_activation", "clip_gates"])?;
            match about.kind.as_str() {
                _ if is_relative => relatives::build(about, inputs, init, then)?,
                "Gru" => then.cell(built(Gru::<F>::spec(1), about, inputs, init)?)?,
                _ => then.cell(built(GruResetBefore::<F>::spec(1), about, inputs, init)?)?,
            }
        }
        "Lstm" | "PeepholeLstm" | "CoupledLstm" | "CoupledPeepholeLstm" => {
            let forget: &[&str] = if about.kind.starts_with("Coupled") { &[] } else { &["forget_bias"] };
            expect(&[&RELATIVES[..], forget].concat())?;
            if is_relative || about.kind != "Lstm" {
                return relatives::build(about, inputs, init, then).map(Some);
            }
            let spec = Lstm::<F>::spec(1);
            let spec = if let Some(bias) = about.number("forget_bias")? { spec.forget_bias(bias) } else { spec };
            then.cell(built(spec, about, inputs, init)?)?
        }
        _ => return Ok(None),
    }))
}

/// The activation under a name.
pub(super) fn activation(about: &Describe, name: &str) -> Result<Option<Activation>, Error> {
    let within = |error: Error| error.within(format!("{name} of {}", about.kind));
    about.text(name)?.map(|text| Activation::from_str(text).map_err(within)).transpose()
}

/// A cell of these gates.
pub(super) fn gated<F: Float, P: RowCell>(
    gates: P,
    about: &Describe,
    inputs: usize,
    init: &mut Init,
) -> Result<Gated<F, P>, Error> {
    built(GatedSpec::new(gates, 1), about, inputs, init)
}

/// The cell of this spec, of the sizes and biases of the description.
pub(super) fn built<F: Float, P: RowCell>(
    spec: GatedSpec<F, P>,
    about: &Describe,
    inputs: usize,
    init: &mut Init,
) -> Result<Gated<F, P>, Error> {
    let (outputs, units) = (about.outputs()?, about.count("units")?);
    let spec = spec.units(units.unwrap_or(outputs));
    let spec = if units.is_some() { spec.projection(outputs) } else { spec };
    let spec = match about.number("projection_clip")? {
        Some(clip) if units.is_some() => spec.projection_clip(clip),
        Some(_) => return Err(Error::value("projection_clip", "a cell with `units`, which is projected", about)),
        None => spec,
    };
    match about.text("bias")? {
        None => spec.build(inputs, init),
        Some("none") => spec.bias(Bias::None).build(inputs, init),
        Some("one") => spec.bias(Bias::One).build(inputs, init),
        Some("two") => spec.bias(Bias::Two).build(inputs, init),
        Some("recurrent") => Ok(spec.bias(Bias::Two).build(inputs, init)?.without_input_bias()),
        Some(other) => Err(Error::value(format!("bias of {}", about.kind), "none, one, two or recurrent", other)),
    }
}
