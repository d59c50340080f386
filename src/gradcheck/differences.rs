//! Check 1: gradients against central differences.

use ndarray::{Array1, ArrayD, ArrayViewMutD, IxDyn};

use super::compare::{self, Named};
use super::run::{self, Problem};
use super::{Check, Options, Report, Violation};
use crate::{Float, Init, SeqLayer, State};

/// An array of numbers that the outputs depend on.
#[derive(Clone, Copy)]
enum Source {
    /// Array number so many of the parameters.
    Param(usize),
    X,
    /// Array number so many of the first state.
    State(usize),
}

/// A layer and its inputs, to be moved about.
struct Movable<L: SeqLayer> {
    layer: L,
    problem: Problem<L::Elem, L::State>,
    /// From the layer's first state, not the problem's.
    fresh: bool,
}

impl<L: SeqLayer> Movable<L> {
    /// Calls `f` with the array.
    fn with(&mut self, source: Source, mut f: impl FnMut(ArrayViewMutD<'_, L::Elem>)) {
        let mut at = 0;
        match source {
            Source::X => f(self.problem.xs.view_mut().into_dyn()),
            Source::Param(n) => self.layer.visit_mut(&mut |_, view| {
                if at == n {
                    f(view);
                }
                at += 1;
            }),
            Source::State(n) => self.problem.state.visit_mut(&mut |view| {
                if at == n {
                    f(view.into_dyn());
                }
                at += 1;
            }),
        }
    }

    /// All outputs and the last state, one after the other, with number `index` of the array at `value`.
    fn outputs(&mut self, source: Source, index: &IxDyn, value: L::Elem) -> Vec<f64> {
        let mut kept = value;
        self.with(source, |mut view| kept = std::mem::replace(&mut view[index], value));
        let batch = self.problem.xs.len_of(ndarray::Axis(1));
        let mut state = if self.fresh { self.layer.initial_state(batch) } else { self.problem.state.clone() };
        let (cx, xs) = (self.problem.context(), (&self.problem.xs).into());
        let ys = run::forward(&self.layer, cx, xs, &mut state, None, 0.0);
        self.with(source, |mut view| view[index] = kept);
        let mut all: Vec<f64> = ys.into_iter().map(Float::as_f64).collect();
        state.visit(&mut |view| all.extend(view.iter().map(|x| x.as_f64())));
        all
    }

    /// The five-point central difference of the loss. The loss itself is never formed: the outputs' differences are
    /// taken first, where no large sum has cost digits yet.
    fn difference(&mut self, source: Source, index: &IxDyn, epsilon: f64, cotangent: &[f64]) -> f64 {
        let mut centre = 0.0;
        self.with(source, |view| centre = view[index].as_f64());
        let mut slope = |epsilon: f64| {
            let [above, below] = [centre + epsilon, centre - epsilon].map(L::Elem::from_f64);
            let (up, down) = (self.outputs(source, index, above), self.outputs(source, index, below));
            let sum: f64 = cotangent.iter().zip(up.iter().zip(&down)).map(|(c, (up, down))| c * (up - down)).sum();
            sum / (above.as_f64() - below.as_f64())
        };
        (4.0 * slope(epsilon) - slope(2.0 * epsilon)) / 3.0
    }
}

pub(super) fn differences<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
    options: &Options,
    init: &mut Init,
    report: &mut Report,
) -> Result<(), Violation> {
    let outcome = run::run(layer, problem);
    let params = compare::params("grads", &outcome.grads);
    let states = compare::state("d_state", &outcome.d_state);
    let sources = (0..params.len()).map(Source::Param).chain([Source::X]).chain((0..states.len()).map(Source::State));
    let gradients: Named = params
        .into_iter()
        .chain([("d_x".to_string(), outcome.d_xs.mapv(Float::as_f64).into_dyn())])
        .chain(states)
        .collect();
    let mut movable = Movable { layer: layer.clone(), problem: problem.clone(), fresh: false };
    let check = if problem.lengths.is_some() || problem.resets.is_some() { Check::Lengths } else { Check::Differences };
    hold(&mut movable, sources.zip(gradients), check, case, options, init, report)
}

/// Check 14: from the first state, gradients of the parameters against differences.
pub(super) fn first_state<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    case: &str,
    options: &Options,
    init: &mut Init,
    report: &mut Report,
) -> Result<(), Violation> {
    let first = layer.initial_state(problem.xs.len_of(ndarray::Axis(1)));
    let problem = Problem { state: first, ..problem.clone() };
    let mut outcome = run::run(layer, &problem);
    layer.initial_state_backward(&outcome.d_state, &mut outcome.grads);
    let gradients = compare::params("grads", &outcome.grads);
    let mut movable = Movable { layer: layer.clone(), problem, fresh: true };
    let sources = (0..gradients.len()).map(Source::Param).zip(gradients);
    let case = format!("{case}, from the first state");
    hold(&mut movable, sources, Check::FirstState, &case, options, init, report)
}

fn hold<L: SeqLayer>(
    movable: &mut Movable<L>,
    sources: impl Iterator<Item = (Source, (String, ArrayD<f64>))>,
    check: Check,
    case: &str,
    options: &Options,
    init: &mut Init,
    report: &mut Report,
) -> Result<(), Violation> {
    let problem = &movable.problem;
    let mut cotangent: Vec<f64> = problem.d_ys.iter().map(|x| x.as_f64()).collect();
    problem.d_state.visit(&mut |view| cotangent.extend(view.iter().map(|x| x.as_f64())));

    for (source, (name, gradient)) in sources {
        let largest = gradient.iter().fold(0.0_f64, |largest, g| largest.max(g.abs()));
        for index in chosen(&gradient, options.coordinates, init) {
            let got = gradient[&index];
            let mut error = f64::INFINITY;
            let mut expected = f64::NAN;
            let mut held = false;
            // A kink (relu) may lie between the points, so differences that disagree are taken again, nearer.
            for (nearer, looser) in [(1.0, 1.0), (1.0 / 16.0, 16.0), (1.0 / 256.0, 256.0)] {
                expected = movable.difference(source, &index, options.epsilon * nearer, &cotangent);
                let apart = (expected - got).abs();
                held = apart <= looser * (options.atol + options.rtol * got.abs());
                error = if apart == 0.0 { 0.0 } else { apart / got.abs().max(1e-3 * largest) };
                if held {
                    break;
                }
            }
            if !held {
                return Err(compare::at(check, case, &name, &index, expected, got));
            }
            report.coordinates += 1;
            // Where the whole gradient is 0 there is nothing to be relative to.
            if largest > 0.0 && error > report.worst_error {
                report.worst_error = error;
                report.worst_at = format!("{name}{:?} at {case}", ndarray::Dimension::slice(&index));
            }
        }
    }
    Ok(())
}

/// The places of an array, or so many of them at random.
fn chosen(array: &ArrayD<f64>, count: usize, init: &mut Init) -> Vec<IxDyn> {
    let mut places: Vec<IxDyn> = array.indexed_iter().map(|(index, _)| index).collect();
    if places.len() > count {
        let keys: Array1<f64> = init.uniform(places.len(), 1.0);
        let mut keyed: Vec<(f64, IxDyn)> = keys.into_iter().zip(places).collect();
        keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        places = keyed.into_iter().take(count).map(|(_, place)| place).collect();
    }
    places
}
