//! A sequence through what is packed: step by step.

use ndarray::{Array1, ArrayViewMut3, Axis};

use crate::cell::restart;
use crate::kernel::scratch;
use crate::{Causal, Context, Float, Input, State};

/// The numbers of something packed.
macro_rules! numeric {
    ([$($generics:tt)*] $type:ty, $elem:ty) => {
        impl<$($generics)*> crate::Numeric for $type {
            type Elem = $elem;
        }
    };
}
pub(super) use numeric;

/// [`Run`](crate::Run) of what has a step of its own.
macro_rules! forward_by_steps {
    ([$($generics:tt)*] $type:ty, $elem:ty) => {
        impl<$($generics)*> Run for $type {
            fn forward(
                &self,
                cx: Context<'_>,
                xs: Input<'_, $elem>,
                ys: ndarray::ArrayViewMut3<'_, $elem>,
                state: &mut Self::State,
                _: Option<&mut ()>,
            ) {
                super::steps::by_steps(self, cx, xs, ys, state);
            }
            fn is_causal(&self) -> bool {
                true
            }
        }
    };
}
pub(super) use forward_by_steps;

/// Each step of `xs [T, B, D]` by [`Causal`]'s; rows begin and end where the context says.
pub(super) fn by_steps<N: Causal>(
    net: &N,
    cx: Context<'_>,
    xs: Input<'_, N::Elem>,
    mut ys: ArrayViewMut3<'_, N::Elem>,
    state: &mut N::State,
) {
    let ((t, b), d, h) = (xs.dim(), net.input_size(), net.output_size());
    xs.expect(d);
    assert_eq!(ys.dim(), (t, b, h), "ys: [T, B, H] of this input and network");
    let zero: N::Elem = Float::from_f64(0.0);
    scratch::on_stack([b * h, if matches!(xs, Input::Rows(_)) { b * d } else { 0 }], |[y, x]| {
        for t in 0..t {
            restart(net, &cx, t, b, state);
            let at = cx.from_step(t);
            let over = |row: &usize| at.length(*row, 1) == 0;
            let before = at.is_ragged(1).then(|| state.clone());
            match &xs {
                Input::Rows(xs) => {
                    let rows = xs.index_axis(Axis(0), t);
                    for (row, (to, from)) in x.chunks_exact_mut(d).zip(rows.rows()).enumerate() {
                        let skip = over(&row);
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = if skip { zero } else { from.flush() });
                    }
                    net.step_clean(x, y, state);
                }
                Input::Tokens(tokens) => match tokens.index_axis(Axis(0), t).to_slice() {
                    Some(tokens) => net.step_tokens_clean(tokens, y, state),
                    None => {
                        let tokens: Array1<usize> = tokens.index_axis(Axis(0), t).to_owned();
                        net.step_tokens_clean(tokens.as_slice().unwrap_or_default(), y, state);
                    }
                },
            }
            if let Some(before) = before {
                for row in (0..b).filter(over) {
                    state.copy_rows(row, &before, row..row + 1);
                    y[row * h..][..h].fill(zero);
                }
            }
            let mut to = ys.index_axis_mut(Axis(0), t);
            to.iter_mut().zip(&*y).for_each(|(to, from)| *to = *from);
        }
    });
}
