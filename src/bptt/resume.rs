//! All that an engine's next window rests on.

use super::{Bptt, Report};
use crate::optim::Optimizer;
use crate::part::{Part, Resume};
use crate::{Describe, Error, LossSum, SeqLayer};

/// Weights, what the optimiser keeps and its settings, the carried state, counters, the key of random layers, and gradients that wait for an
/// update. Loss, clip, window, accumulation, schedule and threads are the program's.
impl<N: SeqLayer, L, O: Optimizer<N>> Resume for Bptt<N, L, O> {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("model kind", kind(&self.model.describe()));
        part.set_params("model", &self.model);
        let mut optimizer = Part::new();
        self.optimizer.save(&mut optimizer)?;
        part.add("optimizer", optimizer);
        part.set("seed", self.seed);
        part.set("steps", self.steps);
        part.set("windows", self.windows);
        part.set("updates", self.updates);
        if let Some((state, batch)) = &self.state {
            part.set("batch", batch);
            part.set_state("state", state);
        }
        part.set("waiting", self.waiting);
        if self.waiting > 0 {
            part.set("weight", self.weight);
            part.set_params("gradients", &self.grads);
        }
        Ok(part)
    }

    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        let (kept, own): (String, _) = (part.get("model kind")?, kind(&self.model.describe()));
        if kept != own {
            return Err(Error::value("model", own, kept));
        }
        // All of it first, then the change.
        let mut model = self.model.clone();
        part.fill_params("model", &mut model)?;
        let state = match part.has("batch") {
            true => {
                let batch: usize = part.get("batch")?;
                let mut state = zero_state(&model, part, batch)?;
                part.fill_state("state", &mut state)?;
                Some((state, batch))
            }
            false => None,
        };
        let (seed, steps, windows) = (part.get("seed")?, part.get("steps")?, part.get("windows")?);
        let (updates, waiting) = (part.get("updates")?, part.get("waiting")?);
        let mut weight = 0.0;
        let mut grads = model.zeros_like();
        if waiting > 0 {
            weight = part.get("weight")?;
            part.fill_params("gradients", &mut grads)?;
        }
        // It changes nothing itself if it refuses.
        self.optimizer.restore(&model, &part.part("optimizer"))?;
        self.backprop.forget();
        (self.model, self.grads, self.state) = (model, grads, state);
        (self.seed, self.steps, self.windows, self.updates) = (seed, steps, windows, updates);
        (self.waiting, self.weight) = (waiting, weight);
        (self.next, self.d_state) = (None, None);
        Ok(())
    }
}

/// What a network is, in all its layers; but for how much is left out in training, which may be another on the way.
fn kind(about: &Describe) -> String {
    let mut text = about.kind.clone();
    if let Some((inputs, outputs)) = about.sizes {
        text += &format!(" {inputs} → {outputs}");
    }
    let left_out = ["rate", "rates", "locked", "word_dropout"];
    for (name, value) in about.settings.iter().filter(|(name, _)| !left_out.contains(&name.as_str())) {
        text += &format!(", {name} {value}");
    }
    let inside: Vec<String> = about.inner.iter().map(|(_, inner)| kind(inner)).collect();
    if inside.is_empty() { text } else { format!("{text} ({})", inside.join("; ")) }
}

/// A state for so many rows, if there are arrays of so many: nothing is made for a number that is only said.
fn zero_state<N: SeqLayer>(model: &N, part: &Part, batch: usize) -> Result<N::State, Error> {
    match part.rows("state/0") {
        Some(rows) if rows == batch => Ok(model.zero_state(batch)),
        // A network without a state has no arrays.
        None if crate::State::shapes(&model.zero_state(1)).is_empty() => Ok(model.zero_state(0)),
        rows => Err(Error::value("state", format!("arrays of {batch} rows"), format!("{rows:?}"))),
    }
}

/// The sums so far.
impl Resume for Report {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        let (sum, weight, mean) = self.losses.parts();
        for (name, value) in [
            ("loss sum", sum),
            ("loss weight", weight),
            ("loss mean", mean),
            ("norm sum", self.norm_sum),
            ("largest norm", self.largest_norm),
            ("mean norm", self.mean_norm),
            ("seconds", self.seconds),
        ] {
            part.set(name, value);
        }
        for (name, value) in [("tokens", self.tokens), ("updates", self.updates), ("clipped", self.clipped)] {
            part.set(name, value);
        }
        Ok(part)
    }

    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        *self = Report {
            products: self.products,
            losses: LossSum::of_parts(part.get("loss sum")?, part.get("loss weight")?, part.get("loss mean")?),
            tokens: part.get("tokens")?,
            updates: part.get("updates")?,
            clipped: part.get("clipped")?,
            norm_sum: part.get("norm sum")?,
            largest_norm: part.get("largest norm")?,
            seconds: part.get("seconds")?,
            mean_norm: part.get("mean norm")?,
        };
        Ok(())
    }
}
