//! Law 11: tokens are rows with a one, to the bit.

use ndarray::{Array2, Array3};

use super::compare::{self, Named, same};
use super::run::{self, Problem};
use super::{Law, Violation};
use crate::{Float, GradIo, Init, Tape, TokenInput, TokenIo};

/// Random tokens, or, so that gradients meet in one row, all the same one.
pub(super) fn some(layer: &impl TokenInput, dim: (usize, usize), alike: bool, init: &mut Init) -> Array2<usize> {
    let d = layer.input_size();
    let numbers: Array2<f64> = init.uniform(dim, 0.5);
    numbers.mapv(|x| if alike { d - 1 } else { (((x + 0.5) * d as f64) as usize).min(d - 1) })
}

pub(super) fn tokens<L: TokenInput>(
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

    let (mut tape, mut state, mut d_state) = (L::Tape::default(), problem.state.clone(), problem.d_state.clone());
    let ys = run::forward(layer, rows.view(), &mut state, Some(&mut tape), 0.0);
    let (mut grads, mut d_xs) = (start.clone(), Array3::zeros(rows.dim()));
    let io = GradIo { x: rows.view(), y: ys.view(), d_y: problem.d_ys.view(), d_x: d_xs.view_mut() };
    layer.backward(io, &mut tape, &mut d_state, &mut grads);
    let expected = all::<L>(ys, &state, &d_state, &grads);

    let (mut tape, mut state, mut d_state) = (L::Tape::default(), problem.state.clone(), problem.d_state.clone());
    let (mut untaped, mut untaped_state) =
        (Array3::from_elem(expected_dim(&expected), Float::from_f64(f64::NAN)), problem.state.clone());
    let mut ys = untaped.clone();
    layer.forward_tokens(tokens.view(), untaped.view_mut(), &mut untaped_state, None);
    layer.forward_tokens(tokens.view(), ys.view_mut(), &mut state, Some(&mut tape));
    let mut grads = start.clone();
    let io = TokenIo { tokens: tokens.view(), y: ys.view(), d_y: problem.d_ys.view() };
    layer.backward_tokens(io, &mut tape, &mut d_state, &mut grads);
    same(Law::Tokens, case, 0.0, &expected, &all::<L>(ys, &state, &d_state, &grads))?;
    let case = format!("{case}, without a tape");
    same(Law::Tokens, &case, 0.0, &expected, &all::<L>(untaped, &untaped_state, &d_state, &grads))?;
    if tape.is_drained() { Ok(()) } else { Err(Violation::of(Law::Drains, &case, "tape", "drained", "not drained")) }
}

/// The shape of y.
fn expected_dim(named: &Named) -> (usize, usize, usize) {
    let shape = named[0].1.shape();
    (shape[0], shape[1], shape[2])
}

fn all<L: TokenInput>(ys: Array3<L::Elem>, state: &L::State, d_state: &L::State, grads: &L) -> Named {
    let mut named = vec![("y".to_string(), ys.mapv(Float::as_f64).into_dyn())];
    named.extend(compare::state("state", state));
    named.extend(compare::state("d_state", d_state));
    named.extend(compare::params("grads", grads));
    named
}
