//! Outputs of whole sequences, from data that may not fit.

use ndarray::Array3;

use super::{Run, wrong_state};
use crate::{Context, Error, Float, Input};

pub(super) fn predict_with<N: Run>(
    net: &N,
    cx: Context<'_>,
    xs: Input<'_, N::Elem>,
    state: &mut N::State,
) -> Result<Array3<N::Elem>, Error> {
    let (t, b) = xs.dim();
    xs.check(net.input_size())?;
    cx.check(t, b)?;
    check_finite(&cx, &xs)?;
    if !net.takes_state(state, b) {
        return Err(wrong_state(net, state, b));
    }
    let mut ys = Array3::zeros((net.output_steps(t), b, net.output_size()));
    if t * b > 0 {
        // Of its own, so that a panic on the way leaves the caller's as it was.
        let mut moving = state.clone();
        net.carry(&mut moving, false);
        net.forward(cx, xs, ys.view_mut(), &mut moving, None);
        if net.output_steps(t) == t {
            cx.clear_padding(&mut ys.view_mut());
        }
        *state = moving;
    }
    Ok(ys)
}

/// Refuses a number that is none, before the end of its row.
fn check_finite<F: Float>(cx: &Context<'_>, xs: &Input<'_, F>) -> Result<(), Error> {
    let Input::Rows(xs) = xs else { return Ok(()) };
    let (t, b, _) = xs.dim();
    let counts = |step: usize, row: usize| step < cx.length(row, t);
    let wrong = xs.indexed_iter().find(|((step, row, _), x)| !x.is_finite() && *row < b && counts(*step, *row));
    match wrong {
        Some(((step, row, column), x)) => {
            Err(Error::not_finite(format!("inputs[{step}, {row}, {column}]"), x.as_f64()))
        }
        None => Ok(()),
    }
}
