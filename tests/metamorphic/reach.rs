//! What depends on what: outputs on inputs, gradients on outputs, the loss on every parameter.

use deep_rnn::{
    Network, SeqLayer, Stacked,
    cells::{Bias, Gru, GruResetBefore, Lstm, Rnn},
    data::State,
    layers::{Bidirectional, Linear, Merge, Reversed},
};
use ndarray::{Array2, Axis, s};

use crate::arrays::{params, states};
use crate::pass::run;
use crate::problems::{build, problem};

/// Which outputs a change of x at step `s` reaches, and which x the loss at step `s` reaches back to.
fn reach<L: SeqLayer<Elem = f64>>(layer: &L, t: usize, b: usize) -> (Array2<bool>, Array2<bool>) {
    let problem = problem(layer, t, b, 4);
    let plain = run(layer, &problem).ys;
    let (mut there, mut back) = (Array2::from_elem((t, t), false), Array2::from_elem((t, t), false));
    for s in 0..t {
        let mut other = problem.clone();
        other.xs.slice_mut(s![s, .., ..]).mapv_inplace(|x| x + 0.5);
        let ys = run(layer, &other).ys;
        let mut other = problem.clone();
        other.d_state.set_zero();
        other.d_ys.fill(0.0);
        other.d_ys.index_axis_mut(Axis(0), s).fill(1.0);
        let d_xs = run(layer, &other).d_xs;
        for k in 0..t {
            // Every row of the batch is reached, or none.
            let changed: Vec<bool> = (0..b).map(|b| ys.slice(s![k, b, ..]) != plain.slice(s![k, b, ..])).collect();
            assert!(changed.iter().all(|c| *c == changed[0]));
            there[[s, k]] = changed[0];
            back[[s, k]] = d_xs.index_axis(Axis(0), k).iter().any(|d| *d != 0.0);
        }
    }
    (there, back)
}

/// burn #2701, Flux #1209: a state that is not carried, or a gradient that stops on the way.
#[test]
fn outputs_depend_on_all_inputs_before_and_on_none_after() {
    let t = 6;
    let lower = Array2::from_shape_fn((t, t), |(from, to)| from <= to);
    fn causal<L: SeqLayer<Elem = f64>>(name: &str, layer: &L, expected: &Array2<bool>) {
        let (there, back) = reach(layer, expected.nrows(), 3);
        assert_eq!(there, expected, "{name}: outputs");
        assert_eq!(back, expected.t(), "{name}: gradients");
    }
    causal("rnn", &build(&Rnn::<f64>::spec(5), 3, 1), &lower);
    causal("gru", &build(&Gru::<f64>::spec(5), 3, 1), &lower);
    causal("gru before", &build(&GruResetBefore::<f64>::spec(5), 3, 1), &lower);
    causal("lstm", &build(&Lstm::<f64>::spec(5), 3, 1), &lower);
    causal("a stack", &Stacked::repeat(3, 3, &Lstm::<f64>::spec(5), 0).unwrap(), &lower);
    let upper = lower.t().to_owned();
    causal("reversed", &Reversed::new(build(&Gru::<f64>::spec(5), 3, 1)), &upper);
    let all = Array2::from_elem((t, t), true);
    causal("bidirectional", &build(&Bidirectional::spec(Gru::<f64>::spec(5), Merge::Concat), 3, 1), &all);
    causal("bidirectional", &build(&Bidirectional::spec(Gru::<f64>::spec(5), Merge::Sum), 3, 1), &all);
    causal("linear", &build(&Linear::<f64>::spec(4), 3, 1), &Array2::from_shape_fn((t, t), |(s, k)| s == k));
}

/// burn #1098: every parameter has a gradient on random data.
fn all_moving<L: SeqLayer<Elem = f64>>(name: &str, layer: &L) {
    let outcome = run(layer, &problem(layer, 4, 3, 6));
    for (array, gradient) in params(&outcome.grads) {
        assert!(gradient.iter().all(|g| *g != 0.0 && g.is_finite()), "{name}: {array}");
    }
    for (array, gradient) in states("d_state", &outcome.d_state) {
        assert!(gradient.iter().all(|g| *g != 0.0), "{name}: {array}");
    }
}

#[test]
fn every_parameter_has_a_gradient() {
    all_moving("rnn", &build(&Rnn::<f64>::spec(5).bias(Bias::Two), 3, 1));
    all_moving("gru", &build(&Gru::<f64>::spec(5).bias(Bias::Two), 3, 1));
    all_moving("gru before", &build(&GruResetBefore::<f64>::spec(5).bias(Bias::Two), 3, 1));
    all_moving("lstm", &build(&Lstm::<f64>::spec(5).bias(Bias::Two), 3, 1));
    all_moving("linear", &build(&Linear::<f64>::spec(5), 3, 1));
    let deep = Network::<f64>::builder(3).lstm(4).gru(3).rnn(2);
    all_moving("a stack", &deep.build().unwrap());
    let both = Network::<f64>::builder(3).bi(Lstm::spec(4)).bi(Lstm::spec(4)).build().unwrap();
    all_moving("bidirectional", &both);
}
