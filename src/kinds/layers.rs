//! Layers without steps of their own, and those around others.

use super::{Kinds, cells};
use crate::layers::{Activate, LearnedState, Residual, Reversed, Scale, WeightDrop, Zoneout};
use crate::{
    Bidirectional, Boxed, Describe, Dropout, Embedding, Error, Float, Init, Last, LayerNorm, Linear, Merge, Recurrent,
    RnnCell, Spec, Tied,
};

impl<F: Float> Kinds<F> {
    /// The layer of a description, if it is of a kind of ours and no cell.
    pub(super) fn wrapper(&self, about: &Describe, inputs: usize, init: &mut Init) -> Result<Option<Boxed<F>>, Error> {
        let expect = |names: &[&str]| about.expect_settings(names);
        let rate = || about.number("rate")?.ok_or_else(|| Error::value("rate", "a probability", "none"));
        let inner = |init: &mut Init| self.layer(about.only_inner()?, inputs, init);
        Ok(Some(match about.kind.as_str() {
            "Linear" => Boxed::new(linear::<F>(about, inputs, init)?),
            "Embedding" => Boxed::new(embedding::<F>(about, inputs, init)?),
            "Dropout" => {
                expect(&["rate", "locked"])?;
                let spec = if about.flag("locked")? == Some(true) { Dropout::locked } else { Dropout::spec };
                Boxed::new(spec(rate()?).build(inputs, init)?)
            }
            "LayerNorm" => {
                expect(&["epsilon"])?;
                let norm = LayerNorm::<F>::new(inputs)?;
                Boxed::new(if let Some(epsilon) = about.number("epsilon")? { norm.epsilon(epsilon)? } else { norm })
            }
            "Scale" => {
                expect(&["factor"])?;
                let factor = about.number("factor")?;
                Boxed::new(Scale::<F>::new(inputs, factor.ok_or_else(|| Error::value("factor", "a number", "none"))?)?)
            }
            "Activate" => {
                expect(&["activation"])?;
                let Some(activation) = cells::activation(about, "activation")? else {
                    return Err(Error::value("activation", "the name of a function", "none"));
                };
                Boxed::new(Activate::<F>::new(inputs, activation)?)
            }
            "Last" => {
                expect(&[])?;
                Boxed::new(Last::<F>::new(inputs))
            }
            "Stacked" => Boxed::new(self.stacked(about, inputs, init)?),
            "Bidirectional" => {
                expect(&["merge"])?;
                let merge = match about.text("merge")? {
                    None | Some("concat") => Merge::Concat,
                    Some("sum") => Merge::Sum,
                    Some(other) => return Err(Error::value("merge", "concat or sum", other)),
                };
                let (forward, backward) = match &about.inner[..] {
                    [(_, both)] => (both, both),
                    [(_, forward), (_, backward)] => (forward, backward),
                    others => return Err(Error::value("layers inside Bidirectional", "1 or 2", others.len())),
                };
                let forward = self.layer(forward, inputs, init)?;
                Boxed::new(Bidirectional::new(forward, self.layer(backward, inputs, init)?, merge)?)
            }
            "Reversed" => {
                expect(&[])?;
                Boxed::new(Reversed::new(inner(init)?))
            }
            "Residual" => {
                expect(&["first_columns"])?;
                let inner = inner(init)?;
                Boxed::new(match about.flag("first_columns")? {
                    Some(true) => Residual::of_first_columns(inner)?,
                    _ => Residual::new(inner)?,
                })
            }
            "LearnedState" => {
                expect(&[])?;
                Boxed::new(LearnedState::new(inner(init)?)?)
            }
            "WeightDrop" => {
                expect(&["array", "rate"])?;
                let array = about.text("array")?.unwrap_or("w_h");
                Boxed::new(WeightDrop::of(inner(init)?, array, rate()?)?)
            }
            "Zoneout" => {
                expect(&["rates"])?;
                let rates = about.numbers("rates")?.unwrap_or_default();
                let cell = about.only_inner()?;
                return match cells::build(cell, inputs, init, InZoneout(rates))? {
                    Some(layer) => Ok(Some(layer)),
                    None => Err(Error::value("layer inside Zoneout", "a cell of this crate", &cell.kind)),
                };
            }
            "Tied" => {
                expect(&[])?;
                let [(_, below), (_, inner)] = &about.inner[..] else {
                    let expected = "2: the embedding and what is above it";
                    return Err(Error::value("layers inside Tied", expected, about.inner.len()));
                };
                let embedding = embedding::<F>(below, inputs, init)?;
                let inner = self.layer(inner, embedding.output_size(), init)?;
                Boxed::new(Tied::new(embedding, inner)?)
            }
            _ => return Ok(None),
        }))
    }
}

/// The linear layer of a description.
pub(super) fn linear<F: Float>(about: &Describe, inputs: usize, init: &mut Init) -> Result<Linear<F>, Error> {
    expect_kind(about, "Linear", inputs)?;
    about.expect_settings(&["bias"])?;
    Linear::spec(about.outputs()?).bias(about.flag("bias")?.unwrap_or(true)).build(inputs, init)
}

fn embedding<F: Float>(about: &Describe, inputs: usize, init: &mut Init) -> Result<Embedding<F>, Error> {
    expect_kind(about, "Embedding", inputs)?;
    about.expect_settings(&["word_dropout"])?;
    let settings = Embedding::<F>::spec(about.outputs()?);
    settings.word_dropout(about.number("word_dropout")?.unwrap_or(0.0)).build(inputs, init)
}

fn expect_kind(about: &Describe, kind: &str, inputs: usize) -> Result<(), Error> {
    if about.kind != kind || about.sizes.is_some_and(|(own, _)| own > 0 && own != inputs) {
        return Err(Error::value("layer", format!("{kind} of {inputs} columns"), about));
    }
    Ok(())
}

/// A cell in a zoneout.
struct InZoneout(Vec<f64>);

impl<F: Float> cells::Use<F> for InZoneout {
    fn cell<C: RnnCell<Elem = F> + 'static>(self, cell: C) -> Result<Boxed<F>, Error> {
        Ok(Boxed::new(Zoneout::new(cell, &self.0)?))
    }
}
