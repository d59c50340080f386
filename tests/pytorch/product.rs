//! The full product: kinds, layers, directions, steps, rows.

use deep_rnn::{Bidirectional, Float, Gated, GruGates, LstmGates, Merge, RnnGates, SeqLayer, Stacked, State, Threads};
use ndarray::{Array2, Array3, ArrayView3, Axis, concatenate};

use crate::fixture::{self, Case, Kind, Part};
use crate::gates::{Cell, Kept};
use crate::pass::{Problem, run_one_by_one};
use crate::tally::Tally;
use crate::threads::with_threads;

fn cell<F: Float, P: Kept<F>>(case: &Case, layer: usize, direction: usize) -> Cell<F, P> {
    let weight = |part| case.weight(layer, direction, part).reversed_axes().mapv(F::from_f64);
    let bias = |part| Some(case.bias(layer, direction, part).mapv(F::from_f64));
    let (w_x, w_h) = (weight(Part::WeightIh), weight(Part::WeightHh));
    Gated::from_arrays(P::of(case.kind), w_x, w_h, bias(Part::BiasIh), bias(Part::BiasHh)).unwrap()
}

/// The state of layer and direction number `at`, from PyTorch's arrays: h, and c where there is one.
fn fill<F: Float, S: State<F>>(state: &mut S, parts: &[Array3<f64>], at: usize) {
    let mut lane = 0;
    state.visit_mut(&mut |mut view| {
        view.assign(&parts[lane].index_axis(Axis(0), at).mapv(F::from_f64));
        lane += 1;
    });
    assert_eq!(lane, parts.len());
}

fn states(case: &Case) -> [Vec<Array3<f64>>; 2] {
    if case.kind == Kind::Lstm {
        [vec![case.h0(), case.c0()], vec![case.cot_h(), case.cot_c()]]
    } else {
        [vec![case.h0()], vec![case.cot_h()]]
    }
}

/// The lanes of the states of all layers and directions, in PyTorch's shape `[layers * directions, B, H]`.
fn lanes<F: Float, S: State<F>>(case: &Case, each: &[&S]) -> Vec<Array3<f64>> {
    let mut lanes: Vec<Vec<Array2<f64>>> = Vec::new();
    for state in each {
        let mut lane = 0;
        state.visit(&mut |view| {
            if lanes.len() == lane {
                lanes.push(Vec::new());
            }
            lanes[lane].push(view.mapv(F::as_f64));
            lane += 1;
        });
    }
    let stack = |arrays: &Vec<Array2<f64>>| {
        assert_eq!(arrays.len(), case.layers * case.directions);
        let views: Vec<ArrayView3<'_, f64>> = arrays.iter().map(|a| a.view().insert_axis(Axis(0))).collect();
        concatenate(Axis(0), &views).unwrap()
    };
    lanes.iter().map(stack).collect()
}

/// What a run of any number of layers and directions gave, as PyTorch names it.
fn compare<F: Float, P: Kept<F>>(
    tally: &mut Tally,
    case: &Case,
    ys: &Array3<F>,
    d_xs: &Array3<F>,
    [state, d_state]: [Vec<Array3<f64>>; 2],
    grads: &[&Cell<F, P>],
) {
    let name = case.to_string();
    let before = tally.tensors;
    tally.compare(&name, "out", ys.view().into_dyn());
    tally.compare(&name, "d_x", d_xs.view().into_dyn());
    for (lane, (last, first)) in ["h", "c"].into_iter().zip(state.iter().zip(&d_state)) {
        tally.compare(&name, &format!("{lane}_n"), last.view().into_dyn());
        tally.compare(&name, &format!("d_{lane}0"), first.view().into_dyn());
    }
    for (at, grad) in grads.iter().enumerate() {
        let (layer, direction) = (at / case.directions, at % case.directions);
        let arrays = [
            grad.w_x().reversed_axes().into_dyn(),
            grad.w_h().reversed_axes().into_dyn(),
            grad.b().unwrap().view().into_dyn(),
            grad.b_h().unwrap().view().into_dyn(),
        ];
        for (part, array) in Part::ALL.into_iter().zip(arrays) {
            tally.compare(&name, &format!("d_{}", part.name(layer, direction)), array);
        }
    }
    assert_eq!(tally.tensors - before, fixture::names(&name).len(), "{name}: every stored tensor is compared");
    tally.runs += 1;
}

fn problem<L: SeqLayer>(
    layer: &L,
    case: &Case,
    set: impl Fn(&mut L::State, &[Array3<f64>]),
) -> Problem<L::Elem, L::State> {
    let [first, cotangent] = states(case);
    let (mut state, mut d_state) = (layer.zero_state(case.b), layer.zero_state(case.b));
    set(&mut state, &first);
    set(&mut d_state, &cotangent);
    Problem { xs: case.x().mapv(Float::from_f64), state, d_ys: case.cot_out().mapv(Float::from_f64), d_state }
}

fn one_direction<F: Float, P: Kept<F>>(tally: &mut Tally, case: &Case, threads: &Threads) {
    let net = Stacked::new((0..case.layers).map(|layer| cell::<F, P>(case, layer, 0)).collect::<Vec<_>>()).unwrap();
    let problem = problem(&net, case, |states, parts| {
        states.iter_mut().enumerate().for_each(|(at, state)| fill(state, parts, at));
    });
    for outcome in [with_threads(&net, &problem, threads), run_one_by_one(&net, &problem)] {
        let each = |state: &Vec<_>| lanes(case, &state.iter().collect::<Vec<_>>());
        let grads: Vec<&Cell<F, P>> = outcome.grads.layers().iter().collect();
        compare(tally, case, &outcome.ys, &outcome.d_xs, [each(&outcome.state), each(&outcome.d_state)], &grads);
    }
}

fn two_directions<F: Float, P: Kept<F>>(tally: &mut Tally, case: &Case, threads: &Threads) {
    let layers = (0..case.layers).map(|layer| {
        Bidirectional::new(cell::<F, P>(case, layer, 0), cell::<F, P>(case, layer, 1), Merge::Concat).unwrap()
    });
    let net = Stacked::new(layers.collect::<Vec<_>>()).unwrap();
    let problem = problem(&net, case, |states, parts| {
        for (layer, (ahead, behind)) in states.iter_mut().enumerate() {
            fill(ahead, parts, 2 * layer);
            fill(behind, parts, 2 * layer + 1);
        }
    });
    let outcome = with_threads(&net, &problem, threads);
    let each = |state: &Vec<(_, _)>| lanes(case, &state.iter().flat_map(|(a, b)| [a, b]).collect::<Vec<_>>());
    let grads: Vec<&Cell<F, P>> =
        outcome.grads.layers().iter().flat_map(|layer| [layer.forward_layer(), layer.backward_layer()]).collect();
    compare(tally, case, &outcome.ys, &outcome.d_xs, [each(&outcome.state), each(&outcome.d_state)], &grads);
}

#[test]
fn all_192_cases_of_the_product() {
    all_cases::<f64>();
}

#[test]
fn all_192_cases_of_the_product_in_f32() {
    all_cases::<f32>();
}

fn all_cases<F: Float>() {
    let threads = Threads::new(2).unwrap();
    let mut tally = Tally::of::<F>();
    for case in fixture::cases() {
        let check = match (case.kind, case.directions) {
            (Kind::RnnTanh | Kind::RnnRelu, 1) => one_direction::<F, RnnGates<F>>,
            (Kind::RnnTanh | Kind::RnnRelu, _) => two_directions::<F, RnnGates<F>>,
            (Kind::Gru, 1) => one_direction::<F, GruGates>,
            (Kind::Gru, _) => two_directions::<F, GruGates>,
            (Kind::Lstm, 1) => one_direction::<F, LstmGates>,
            (Kind::Lstm, _) => two_directions::<F, LstmGates>,
        };
        check(&mut tally, &case, &threads);
        tally.fixtures += 1;
    }
    tally.print("rnn, gru, lstm");
}
