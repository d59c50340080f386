//! The cells.

use std::str::FromStr;

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
const ACTIVATIONS: [&str; 3] = ["gate_activation", "candidate_activation", "output_activation"];

/// The cell of a description, if it is of a kind of ours.
pub(super) fn build<F: Float>(
    about: &Describe,
    inputs: usize,
    init: &mut Init,
    then: impl Use<F>,
) -> Result<Option<Boxed<F>>, Error> {
    let activation = |name: &str, usual| Ok::<_, Error>(activation(about, name)?.unwrap_or(usual));
    let gates =
        [activation("gate_activation", Activation::Sigmoid)?, activation("candidate_activation", Activation::Tanh)?];
    let [gate, candidate] = gates;
    let (clip, is_variant) = (about.number("clip_gates")?, about.get("gate_activation").is_some());
    let is_variant = is_variant || about.get("candidate_activation").is_some() || clip.is_some();
    let expect = |names: &[&str]| about.expect_settings(&[&COMMON, names].concat());
    macro_rules! made {
        ($spec:expr) => {
            then.cell(built($spec, about, inputs, init)?)?
        };
    }
    macro_rules! gru {
        ($cell:ident) => {{
            expect(&["gate_activation", "candidate_activation", "clip_gates"])?;
            if is_variant {
                let spec = $cell::<F>::spec(1).activations(gate, candidate);
                match clip {
                    Some(clip) => made!(spec.clip_gates(clip)),
                    None => made!(spec),
                }
            } else {
                made!($cell::<F>::spec(1))
            }
        }};
    }
    macro_rules! lstm {
        ($spec:expr) => {{
            let spec = $spec.activations(gate, candidate, activation("output_activation", Activation::Tanh)?);
            let spec = if let Some(clip) = clip { spec.clip_gates(clip) } else { spec };
            match about.numbers("clip_cell")?.as_deref() {
                None => made!(spec),
                Some([low, high]) => made!(spec.clip_cell(*low, *high)),
                Some(other) => return Err(Error::value("clip_cell", "two bounds", other.len())),
            }
        }};
    }
    Ok(Some(match about.kind.as_str() {
        "Rnn" => {
            expect(&["activation", "clip_gates"])?;
            let spec = Rnn::<F>::spec(1).activation(activation("activation", Activation::Tanh)?);
            if let Some(clip) = clip { made!(spec.clip_gates(clip)) } else { made!(spec) }
        }
        "Gru" => gru!(Gru),
        "GruResetBefore" => gru!(GruResetBefore),
        "Lstm" | "PeepholeLstm" | "CoupledLstm" | "CoupledPeepholeLstm" => {
            let own = ["clip_gates", "clip_cell", "forget_bias"];
            expect(&[&ACTIVATIONS, &own[..]].concat())?;
            let is_variant = is_variant || about.get("output_activation").is_some() || about.get("clip_cell").is_some();
            let spec = || Lstm::<F>::spec(1);
            match about.kind.as_str() {
                "Lstm" if !is_variant => match about.number("forget_bias")? {
                    Some(bias) => made!(spec().forget_bias(bias)),
                    None => made!(spec()),
                },
                "Lstm" => lstm!(spec()),
                "PeepholeLstm" => lstm!(spec().peepholes()),
                "CoupledLstm" => lstm!(spec().coupled()),
                _ => lstm!(spec().coupled().peepholes()),
            }
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
fn built<F: Float, P: RowCell>(
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
