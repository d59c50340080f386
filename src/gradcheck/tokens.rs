//! Check 11: tokens are rows with a one, to the bit.

use ndarray::{Array2, Array3};

use super::compare::{self, Named, same};
use super::run::{self, Problem};
use super::{Check, Violation};
use crate::{Context, Float, Init, Input, SeqGradIo, SeqLayer, Tape};

/// Random tokens, or, so that gradients meet in one row, all the same one.
pub(super) fn some(layer: &impl SeqLayer, dim: (usize, usize), alike: bool, init: &mut Init) -> Array2<usize> {
    let d = layer.input_size();
    let numbers: Array2<f64> = init.uniform(dim, 0.5);
    numbers.mapv(|x| if alike { d - 1 } else { (((x + 0.5) * d as f64) as usize).min(d - 1) })
}

pub(super) fn tokens<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    tokens: &Array2<usize>,
    case: &str,
    start: &L,
) -> Result<(), Violation> {
    let (t, b) = tokens.dim();
    let mut rows = Array3::zeros((t, b, layer.input_size()));
    for ((t, b), token) in tokens.indexed_iter() {
        rows[[t, b, *token]] = Float::from_f64(1.0);
    }
    let by = |x: Input<'_, L::Elem>| {
        let (mut tape, mut state, mut d_state) = (L::Tape::default(), problem.state.clone(), problem.d_state.clone());
        let ys = run::forward(layer, Context::default(), x, &mut state, Some(&mut tape), f64::NAN);
        let mut grads = start.clone();
        let io = SeqGradIo { x: x.reborrow(), y: ys.view(), d_y: problem.d_ys.view(), d_x: None };
        layer.backward(Context::default(), io, &mut tape, &mut d_state, &mut grads);
        (all::<L>(ys, &state, &d_state, &grads), tape.is_drained())
    };
    let (expected, _) = by((&rows).into());
    let (got, drained) = by(tokens.into());
    same(Check::Tokens, case, 0.0, &expected, &got)?;
    let (mut state, case) = (problem.state.clone(), format!("{case}, without a tape"));
    let ys = run::forward(layer, Context::default(), tokens.into(), &mut state, None, f64::NAN);
    let mut untaped = got;
    untaped[0].1 = ys.mapv(Float::as_f64).into_dyn();
    let states = compare::state("state", &state);
    untaped.splice(1..1 + states.len(), states);
    same(Check::Tokens, &case, 0.0, &expected, &untaped)?;
    if drained { Ok(()) } else { Err(Violation::of(Check::Drains, &case, "tape", "drained", "not drained")) }
}

fn all<L: SeqLayer>(ys: Array3<L::Elem>, state: &L::State, d_state: &L::State, grads: &L) -> Named {
    let mut named = vec![("y".to_string(), ys.mapv(Float::as_f64).into_dyn())];
    named.extend(compare::state("state", state));
    named.extend(compare::state("d_state", d_state));
    named.extend(compare::params("grads", grads));
    named
}
