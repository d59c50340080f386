//! Layers other than cells, and layers around others.

use std::str::FromStr;

use super::super::{functions, gates};
use super::cells::Cell;
use super::graph::{float, int};
use super::{Exporter, Way, joined};
use crate::cells::Activation;
use crate::{Describe, Error, Float};

impl<F: Float> Exporter<'_, F> {
    /// Writes a layer that reads `x`; the name of what it gives. `prefix` is in front of the names of its arrays.
    pub(super) fn layer(&mut self, about: &Describe, prefix: &str, x: &str, way: Way) -> Result<String, Error> {
        let label = if prefix.is_empty() { about.kind.clone() } else { format!("{} at {prefix:?}", about.kind) };
        self.known(about, prefix, x, way).map_err(|error| match prefix {
            // Of what is inside the message has the place already.
            _ if about.inner.is_empty() || gates::of_kind(&about.kind).is_some() => error.within(label),
            _ => error,
        })
    }

    fn known(&mut self, about: &Describe, prefix: &str, x: &str, way: Way) -> Result<String, Error> {
        let name = if prefix.is_empty() { "network" } else { prefix };
        let after = Way { tokens: false, ..way };
        if gates::of_kind(&about.kind).is_some() || about.kind == "LearnedState" {
            let cell = Cell::of(about, prefix, way.reversed)?;
            return self.cells(&[cell], name, x, way);
        }
        match about.kind.as_str() {
            "Stacked" | "LanguageModel" => {
                let (mut x, mut way) = (x.to_string(), way);
                for (own, inner) in &about.inner {
                    x = self.layer(inner, &joined(prefix, own), &x, way)?;
                    way = after;
                }
                Ok(x)
            }
            "Reversed" | "WeightDrop" => {
                let (own, inner) = only(about)?;
                let way = Way { reversed: way.reversed != (about.kind == "Reversed"), ..way };
                self.layer(inner, &joined(prefix, own), x, way)
            }
            "Bidirectional" => self.bidirectional(about, prefix, x, way),
            "Residual" if about.flag("first_columns")? != Some(true) => {
                let (own, inner) = only(about)?;
                let y = self.layer(inner, &joined(prefix, own), x, way)?;
                Ok(self.writer.one("Add", name, &[x, &y], Vec::new()))
            }
            "Dropout" => Ok(x.to_string()),
            "Embedding" => {
                let w = self.array(prefix, "w", 2)?;
                let op = if way.tokens { "Gather" } else { "MatMul" };
                Ok(self.writer.one(op, name, if way.tokens { [&*w, x] } else { [x, &*w] }.as_slice(), Vec::new()))
            }
            "Linear" => {
                let w = self.array(prefix, "w", 2)?;
                let y = self.writer.one("MatMul", name, &[x, &w], Vec::new());
                self.plus_bias(prefix, name, y)
            }
            "Tied" => self.tied(about, prefix, x, way),
            "Last" if !way.reversed => {
                let start = self.writer.ints(&joined(prefix, "start"), &[1], &[-1]);
                let end = self.writer.ints(&joined(prefix, "end"), &[1], &[i64::MAX]);
                let axis = self.writer.ints(&joined(prefix, "axis"), &[1], &[0]);
                Ok(self.writer.one("Slice", name, &[x, &start, &end, &axis], Vec::new()))
            }
            "LayerNorm" => {
                self.needs_norm = true;
                let (g, b) = (self.array(prefix, "g", 1)?, self.array(prefix, "b", 1)?);
                let epsilon = about.number("epsilon")?.unwrap_or(1e-5);
                let settings = vec![int("axis", -1), float("epsilon", epsilon)];
                Ok(self.writer.one("LayerNormalization", name, &[x, &g, &b], settings))
            }
            "Activate" => {
                let text = about.text("activation")?.unwrap_or_default();
                let (op, alpha, beta) = functions::name(Activation::from_str(text)?)?;
                if !matches!(op, "Affine" | "ScaledTanh") {
                    let settings = [("alpha", alpha), ("beta", beta)].map(|(name, x)| x.map(|x| float(name, x)));
                    return Ok(self.writer.one(op, name, &[x], settings.into_iter().flatten().collect()));
                }
                Err(Error::value("activation", "one that is an operator of ONNX", text))
            }
            "Scale" => {
                let factor = about.number("factor")?.unwrap_or(1.0);
                let k = self.writer.constant(&joined(prefix, "factor"), &[], &[F::from_f64(factor)]);
                Ok(self.writer.one("Mul", name, &[x, &k], Vec::new()))
            }
            _ => Err(Error::value("layer", "one that ONNX has (see deep_rnn::onnx)", about)),
        }
    }

    /// y + b, where there is a bias.
    fn plus_bias(&mut self, prefix: &str, name: &str, y: String) -> Result<String, Error> {
        if !self.arrays.contains_key(&joined(prefix, "b")) {
            return Ok(y);
        }
        let b = self.array(prefix, "b", 1)?;
        Ok(self.writer.one("Add", name, &[&y, &b], Vec::new()))
    }

    fn tied(&mut self, about: &Describe, prefix: &str, x: &str, way: Way) -> Result<String, Error> {
        let name = if prefix.is_empty() { "network" } else { prefix };
        let [_, (_, inner)] = &about.inner[..] else {
            return Err(Error::value("layers inside Tied", 2, about.inner.len()));
        };
        let w = self.array(prefix, "embedding.w", 2)?;
        let op = if way.tokens { "Gather" } else { "MatMul" };
        let inputs = if way.tokens { [&*w, x] } else { [x, &*w] };
        let embedded = self.writer.one(op, name, &inputs, Vec::new());
        let inside = self.layer(inner, &joined(prefix, "inner"), &embedded, Way { tokens: false, ..way })?;
        let turned = self.writer.one("Transpose", name, &[&w], vec![super::graph::ints("perm", &[1, 0])]);
        let y = self.writer.one("MatMul", name, &[&inside, &turned], Vec::new());
        self.plus_bias(prefix, name, y)
    }

    /// Two directions: one node where both are cells of one kind.
    fn bidirectional(&mut self, about: &Describe, prefix: &str, x: &str, way: Way) -> Result<String, Error> {
        let name = if prefix.is_empty() { "network" } else { prefix };
        let [(first, forward), (second, backward)] = &about.inner[..] else {
            return Err(Error::value("layers inside Bidirectional", 2, about.inner.len()));
        };
        let (first, second) = (joined(prefix, first), joined(prefix, second));
        let sum = about.text("merge")? == Some("sum");
        let is_cell = |about: &Describe| gates::of_kind(&about.kind).is_some();
        if !way.reversed && is_cell(forward) && is_cell(backward) {
            let both = [Cell::of(forward, &first, false)?, Cell::of(backward, &second, true)?];
            if both[0].goes_with(&both[1]) {
                return self.cells(&both, name, x, Way { sum, ..way });
            }
        }
        let ahead = self.layer(forward, &first, x, way)?;
        let back = self.layer(backward, &second, x, Way { reversed: !way.reversed, ..way })?;
        Ok(match sum {
            true => self.writer.one("Add", name, &[&ahead, &back], Vec::new()),
            false => self.writer.one("Concat", name, &[&ahead, &back], vec![int("axis", 2)]),
        })
    }

    /// A constant of one of the layer's arrays.
    fn array(&mut self, prefix: &str, name: &str, rank: usize) -> Result<String, Error> {
        let full = joined(prefix, name);
        let array = match self.arrays.get(&full) {
            Some(array) if array.ndim() == rank => array,
            _ => return Err(Error::value("arrays", format!("{full:?} with {rank} axes"), "none")),
        };
        let (dims, numbers) = (array.shape().to_vec(), array.iter().copied().collect::<Vec<F>>());
        Ok(self.writer.constant(&full, &dims, &numbers))
    }
}

/// The layer inside, with the name its arrays are under.
pub(super) fn only(about: &Describe) -> Result<(&str, &Describe), Error> {
    match &about.inner[..] {
        [(name, inner)] => Ok((name, inner)),
        others => Err(Error::value(format!("layers inside {}", about.kind), 1, others.len())),
    }
}
