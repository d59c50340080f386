//! Several networks as one, and networks that go on learning while they are tested.

use deep_rnn::custom::Params;
use deep_rnn::ndarray::{ArrayView1, ArrayView3};
use deep_rnn::optim::Optimizer;
use deep_rnn::prelude::*;
use deep_rnn::text::Corpus;

use crate::learn::windows;
use crate::recipe::{Model, Recipe};

/// Steps between two updates of a network that is tested.
const STEPS: usize = 20;
/// Windows of the training text whose gradients tell how far a weight may go.
const LOOKED_AT: usize = 500;
/// ε.
const EPSILON: f32 = 1.0;

/// The probability that a network gives each character of a text but the first, read as one sequence.
pub(crate) fn still(model: &Model, text: &Corpus) -> Result<Vec<f64>, Error> {
    let mut state = model.initial_state(1);
    let mut all = Vec::with_capacity(text.len());
    for batch in windows(text.tokens(), 100) {
        let outputs = model.predict_with(Context::default(), &batch.x, &mut state)?;
        add_probabilities(outputs.view(), batch.y.column(0), &mut all);
    }
    Ok(all)
}

fn add_probabilities(outputs: ArrayView3<'_, f32>, targets: ArrayView1<'_, usize>, to: &mut Vec<f64>) {
    for (logits, target) in outputs.outer_iter().zip(targets) {
        let logits = logits.row(0);
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let of = |logit: f32| f64::from(logit - highest).exp();
        to.push(of(logits[*target]) / logits.iter().map(|logit| of(*logit)).sum::<f64>());
    }
}

/// Of networks whose probabilities are averaged.
pub(crate) fn perplexity(members: &[Vec<f64>]) -> f64 {
    let length = members.iter().map(Vec::len).min().unwrap_or(0);
    let mean = |i: usize| members.iter().map(|member| member[i]).sum::<f64>() / members.len() as f64;
    (-(0..length).map(|i| mean(i).ln()).sum::<f64>() / length as f64).exp()
}

/// A network that learns from each piece of a text once it has been tested on it (dynamic evaluation, Krause et al. 2018):
/// w ← w - η g/(s + ε) + λ (w₀ - w), where s is the root mean square of the weight's gradients on the text it was trained on, in units of
/// the mean of all s, and w₀ the weight at the end of training.
pub(crate) struct Dynamic {
    /// w₀, in a network without dropout.
    trained: Model,
    /// 1/(s + ε).
    scale: Model,
}

impl Dynamic {
    /// Looks at gradients on `text`, which `model` was trained on.
    pub(crate) fn new(recipe: &Recipe, model: &Model, text: &Corpus) -> Result<Self, Error> {
        let mut trained = Recipe { dropout: 0.0, weight_drop: 0.0, ..recipe.clone() }.model(model.vocabulary())?;
        let mut weights = Vec::new();
        model.visit(&mut |_, view| weights.push(view));
        let mut weights = weights.into_iter();
        trained.visit_mut(&mut |_, mut view| {
            if let Some(weights) = weights.next() {
                view.assign(&weights);
            }
        });
        let squares = Squares(trained.zeros_like());
        let mut engine = Bptt::builder(trained.clone()).optimizer(squares).build()?;
        let mut batches = text.sequential(1, STEPS, 0)?;
        let every = (text.len() / STEPS / LOOKED_AT).max(1);
        for batch in batches.epoch().step_by(every) {
            engine.train(&batch.x, &batch.y)?;
        }
        let mut scale = engine.optimizer().0.clone();
        let (mut sum, count) = (0.0, scale.num_params() as f64);
        scale.visit_mut(&mut |_, mut view| {
            view.mapv_inplace(f32::sqrt);
            sum += view.iter().map(|s| f64::from(*s)).sum::<f64>();
        });
        let mean = (sum / count) as f32;
        scale.visit_mut(&mut |_, mut view| view.mapv_inplace(|s| 1.0 / (s / mean + EPSILON)));
        Ok(Dynamic { trained, scale })
    }

    /// As [`still`], by weights that follow what they read.
    pub(crate) fn probabilities(&self, eta: f64, lambda: f64, text: &Corpus) -> Result<Vec<f64>, Error> {
        let rule = Rule { about: self, eta: eta as f32, lambda: lambda as f32 };
        let mut engine = Bptt::builder(self.trained.clone()).optimizer(rule).build()?;
        let mut all = Vec::with_capacity(text.len());
        for batch in windows(text.tokens(), STEPS) {
            engine.train_batch(&batch)?;
            // From before the update.
            add_probabilities(engine.outputs(), batch.y.column(0), &mut all);
        }
        Ok(all)
    }
}

/// Changes nothing, and sums the squares of gradients.
struct Squares(Model);

impl Optimizer<Model> for Squares {
    fn step(&mut self, _: &mut Model, gradients: &Model) -> Result<(), Error> {
        self.0.zip_mut(gradients, &mut |_, mut sum, g| sum.zip_mut_with(&g, |sum, g| *sum += g * g));
        Ok(())
    }
}

struct Rule<'a> {
    about: &'a Dynamic,
    eta: f32,
    lambda: f32,
}

impl Optimizer<Model> for Rule<'_> {
    fn step(&mut self, weights: &mut Model, gradients: &Model) -> Result<(), Error> {
        let mut step = gradients.clone();
        step.zip_mut(&self.about.scale, &mut |_, mut step, scale| step *= &scale);
        weights.add_scaled(&step, -self.eta);
        let lambda = self.lambda;
        weights.zip_mut(&self.about.trained, &mut |_, mut w, w0| w.zip_mut_with(&w0, |w, w0| *w += lambda * (w0 - *w)));
        Ok(())
    }
}
