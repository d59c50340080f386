//! Layers made of layers: reversed, bidirectional, stacked.

use deep_rnn::{
    Context, Float, Network, RnnCell, Stacked,
    cells::{Gru, Lstm},
    custom::{Params, SeqGradIo},
    data::Input,
    layers::{Bidirectional, Boxed, Merge, Reversed},
};
use ndarray::{Array2, Array3, Axis, concatenate, s};
use proptest::prelude::*;

use crate::arrays::{params, same, states, wide};
use crate::pass::{Outcome, Problem, nan, run};
use crate::problems::{build, config, problem};

fn flipped<F: Float>(array: &Array3<F>) -> Array3<F> {
    array.slice(s![..;-1, .., ..]).to_owned()
}

fn flip<F: Float, S: Clone>(problem: &Problem<F, S>) -> Problem<F, S> {
    Problem { xs: flipped(&problem.xs), d_ys: flipped(&problem.d_ys), ..problem.clone() }
}

fn reversed<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    let inner = build(&Lstm::<F>::spec(h), d, seed);
    let layer = Reversed::new(inner.clone());
    let problem = problem(&layer, t, b, seed);
    let (other, ours) = (run(&inner, &flip(&problem)), run(&layer, &problem));
    let turned = Outcome { ys: flipped(&other.ys), d_xs: flipped(&other.d_xs), ..other };
    same("reversed", &turned.arrays(), &ours.arrays());
}

fn bidirectional<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    let (ahead, behind) = (build(&Lstm::<F>::spec(h), d, seed), build(&Gru::<F>::spec(h), d, seed + 1));
    for merge in [Merge::Concat, Merge::Sum] {
        let layer = Bidirectional::new(ahead.clone(), behind.clone(), merge).unwrap();
        let whole = problem(&layer, t, b, seed);
        let ours = run(&layer, &whole);
        let side = |range: std::ops::Range<usize>| match merge {
            Merge::Concat => whole.d_ys.slice(s![.., .., range]).to_owned(),
            Merge::Sum => whole.d_ys.clone(),
            other => panic!("{other:?} is not in the list above"),
        };
        let first = run(
            &ahead,
            &Problem {
                xs: whole.xs.clone(),
                state: whole.state.0.clone(),
                d_ys: side(0..h),
                d_state: whole.d_state.0.clone(),
            },
        );
        let second = run(
            &behind,
            &flip(&Problem {
                xs: whole.xs.clone(),
                state: whole.state.1.clone(),
                d_ys: side(h..2 * h),
                d_state: whole.d_state.1.clone(),
            }),
        );
        let back = flipped(&second.ys);
        let ys = match merge {
            Merge::Concat => concatenate![Axis(2), first.ys, back],
            Merge::Sum => &first.ys + &back,
            other => panic!("{other:?} is not in the list above"),
        };
        let mut expected = vec![wide("y", &ys), wide("d_x", &(&first.d_xs + &flipped(&second.d_xs)))];
        for (name, one, other) in [
            ("state", states("", &first.state), states("", &second.state)),
            ("d_state", states("", &first.d_state), states("", &second.d_state)),
            ("grads", params(&first.grads), params(&second.grads)),
        ] {
            expected.extend(one.into_iter().chain(other).map(|(_, array)| (name.to_string(), array)));
        }
        same(&format!("bidirectional, {merge:?}"), &expected, &ours.arrays());
    }
}

fn stacked<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    let (bottom, top) = (build(&Lstm::<F>::spec(h), d, seed), build(&Gru::<F>::spec(h + 2), h, seed + 1));
    let boxed = |bottom: &Lstm<F>, top: &Gru<F>| -> Network<F> {
        Stacked::new(vec![Boxed::new(bottom.clone()), Boxed::new(top.clone())]).unwrap()
    };
    let net = boxed(&bottom, &top);
    let whole = problem(&net, t, b, seed);
    let ours = run(&net, &whole);

    let (mut state, mut d_state) = (whole.state.clone(), whole.d_state.clone());
    let (mut tape_0, mut tape_1) = (Default::default(), Default::default());
    let (mut g_0, mut g_1) = (bottom.zeros_like(), top.zeros_like());
    let (mut between, mut ys) = (nan(t, b, h), nan(t, b, h + 2));
    let (mut d_between, mut d_xs) = (nan(t, b, h), nan(t, b, d));
    let (cx, xs) = (Context::default(), Input::Rows(whole.xs.view()));
    let h_c = state[0].downcast_mut::<[Array2<F>; 2]>().unwrap();
    bottom.scan(cx, xs.reborrow(), between.view_mut(), h_c, Some(&mut tape_0));
    let h_top = state[1].downcast_mut::<[Array2<F>; 1]>().unwrap();
    top.scan(cx, (&between).into(), ys.view_mut(), h_top, Some(&mut tape_1));
    let d_x = Some(d_between.view_mut());
    let io = SeqGradIo { x: (&between).into(), y: ys.view(), d_y: whole.d_ys.view(), d_x };
    top.scan_backward(cx, io, &mut tape_1, d_state[1].downcast_mut().unwrap(), &mut g_1);
    let io = SeqGradIo { x: xs, y: between.view(), d_y: d_between.view(), d_x: Some(d_xs.view_mut()) };
    bottom.scan_backward(cx, io, &mut tape_0, d_state[0].downcast_mut().unwrap(), &mut g_0);
    let theirs = Outcome { ys, state, d_xs, d_state, grads: boxed(&g_0, &g_1) };
    same("a stack", &theirs.arrays(), &ours.arrays());
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn reversed_is_flip_run_flip(t in 1_usize..8, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        reversed::<f32>(t, b, d, h, seed);
        reversed::<f64>(t, b, d, h, seed);
    }

    #[test]
    fn bidirectional_is_two_runs(t in 1_usize..8, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        bidirectional::<f32>(t, b, d, h, seed);
        bidirectional::<f64>(t, b, d, h, seed);
    }

    #[test]
    fn a_stack_is_its_layers_one_after_another(
        t in 1_usize..8, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000,
    ) {
        stacked::<f32>(t, b, d, h, seed);
        stacked::<f64>(t, b, d, h, seed);
    }
}
