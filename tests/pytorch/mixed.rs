//! Stacks of mixed kinds and widths.

use deep_rnn::{Gated, GruGates, Layers, LstmGates, Recurrent, RnnGates, Stacked, State, Threads};
use ndarray::{Array1, Array2};

use crate::fixture::{self, Kind, Part};
use crate::gates::{Cell, Kept};
use crate::pass::{Problem, run_steps};
use crate::tally::Tally;
use crate::threads::with_threads;

/// A cell of a mixed stack.
fn mixed_cell<P: Kept>(case: usize, layer: usize, inputs: usize, units: usize) -> Cell<P> {
    let stream = |part| fixture::stream(case, fixture::weight_tensor(layer, 0, part));
    let lanes = <P::X as deep_rnn::Lanes<f64>>::N;
    let weight = |part, from| fixture::array2(stream(part), [lanes * units, from], 1.0).reversed_axes();
    let bias = |part| -> Option<Array1<f64>> { Some(fixture::array1(stream(part), lanes * units, 1.0)) };
    let (w_x, w_h) = (weight(Part::WeightIh, inputs), weight(Part::WeightHh, units));
    Gated::from_arrays(P::of(Kind::RnnTanh), w_x, w_h, bias(Part::BiasIh), bias(Part::BiasHh)).unwrap()
}

/// Compares a layer's gradients and states; `state` has one array for each lane.
fn compare_layer<P: Kept>(tally: &mut Tally, name: &str, layer: usize, grads: &Cell<P>, states: [&[Array2<f64>]; 2]) {
    for (lane, (last, first)) in ["h", "c"].into_iter().zip(states[0].iter().zip(states[1])) {
        tally.compare(name, &format!("{lane}_n_l{layer}"), last.view().into_dyn());
        tally.compare(name, &format!("d_{lane}0_l{layer}"), first.view().into_dyn());
    }
    let bias = |b: Option<&Array1<f64>>| b.unwrap().clone().into_dyn();
    let arrays = [
        grads.w_x().reversed_axes().into_owned().into_dyn(),
        grads.w_h().reversed_axes().into_owned().into_dyn(),
        bias(grads.b()),
        bias(grads.b_h()),
    ];
    for (part, array) in Part::ALL.into_iter().zip(&arrays) {
        tally.compare(name, &format!("d_{}", part.name(layer, 0)), array.view());
    }
}

/// A stack of three kinds; PyTorch's first states and cotangents for it.
fn mixed_problem<L: Layers<Elem = f64> + deep_rnn::Cells>(
    net: &Stacked<L>,
    case: usize,
    order: [Kind; 3],
) -> Problem<f64, L::States> {
    let b = 3;
    let (mut state, mut d_state) = (net.zero_state(b), net.zero_state(b));
    // Tensors in the order in which the states' arrays are visited.
    let list: Vec<usize> = order
        .into_iter()
        .enumerate()
        .flat_map(|(layer, kind)| (0..if kind == Kind::Lstm { 2 } else { 1 }).map(move |lane| 32 + 4 * layer + lane))
        .collect();
    for (state, offset) in [(&mut state, 0), (&mut d_state, 2)] {
        let mut tensors = list.iter();
        state.visit_mut(&mut |mut view| {
            let stream = fixture::stream(case, tensors.next().unwrap() + offset);
            let (rows, columns) = view.dim();
            view.assign(&fixture::array2(stream, [rows, columns], 2.0));
        });
    }
    let d_ys = fixture::array3(fixture::stream(case, 3), [7, b, net.output_size()], 2.0);
    Problem { xs: fixture::array3(fixture::stream(case, 0), [7, b, 3], 2.0), state, d_ys, d_state }
}

#[test]
fn stacks_of_mixed_kinds_and_widths() {
    let threads = Threads::new(2).unwrap();
    let mut tally = Tally::default();

    let name = "mixed.lstm5_gru3_rnn2";
    let net = Stacked::new((
        mixed_cell::<LstmGates>(200, 0, 3, 5),
        mixed_cell::<GruGates>(200, 1, 5, 3),
        mixed_cell::<RnnGates<f64>>(200, 2, 3, 2),
    ))
    .unwrap();
    let problem = mixed_problem(&net, 200, [Kind::Lstm, Kind::Gru, Kind::RnnTanh]);
    for outcome in [with_threads(&net, &problem, &threads), run_steps(&net, &problem)] {
        let before = tally.tensors;
        tally.compare(name, "out", outcome.ys.view().into_dyn());
        tally.compare(name, "d_x", outcome.d_xs.view().into_dyn());
        let (grads, state, d_state) = (outcome.grads.layers(), &outcome.state, &outcome.d_state);
        compare_layer(&mut tally, name, 0, &grads.0, [&state.0, &d_state.0]);
        compare_layer(&mut tally, name, 1, &grads.1, [&state.1, &d_state.1]);
        compare_layer(&mut tally, name, 2, &grads.2, [&state.2, &d_state.2]);
        assert_eq!(tally.tensors - before, fixture::names(name).len());
        tally.runs += 1;
    }
    tally.fixtures += 1;

    let name = "mixed.rnn2_gru3_lstm5";
    let net = Stacked::new((
        mixed_cell::<RnnGates<f64>>(201, 0, 3, 2),
        mixed_cell::<GruGates>(201, 1, 2, 3),
        mixed_cell::<LstmGates>(201, 2, 3, 5),
    ))
    .unwrap();
    let problem = mixed_problem(&net, 201, [Kind::RnnTanh, Kind::Gru, Kind::Lstm]);
    for outcome in [with_threads(&net, &problem, &threads), run_steps(&net, &problem)] {
        let before = tally.tensors;
        tally.compare(name, "out", outcome.ys.view().into_dyn());
        tally.compare(name, "d_x", outcome.d_xs.view().into_dyn());
        let (grads, state, d_state) = (outcome.grads.layers(), &outcome.state, &outcome.d_state);
        compare_layer(&mut tally, name, 0, &grads.0, [&state.0, &d_state.0]);
        compare_layer(&mut tally, name, 1, &grads.1, [&state.1, &d_state.1]);
        compare_layer(&mut tally, name, 2, &grads.2, [&state.2, &d_state.2]);
        assert_eq!(tally.tensors - before, fixture::names(name).len());
        tally.runs += 1;
    }
    tally.fixtures += 1;
    tally.print("mixed stacks");
}
