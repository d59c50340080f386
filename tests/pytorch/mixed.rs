//! Stacks of mixed kinds and widths.

use deep_rnn::{
    Float, Network, Recurrent, Stacked,
    cells::{Gated, GruGates, LstmGates, RnnGates},
    cpu::Threads,
    data::State,
    layers::{Boxed, BoxedState},
};
use ndarray::Array1;

use crate::fixture::{self, Kind, Part};
use crate::gates::{Cell, Kept};
use crate::pass::{Problem, run_one_by_one};
use crate::tally::Tally;
use crate::threads::with_threads;

/// A cell of a mixed stack.
fn mixed_cell<F: Float, P: Kept<F>>(case: usize, layer: usize, inputs: usize, units: usize) -> Cell<F, P> {
    let stream = |part| fixture::stream(case, fixture::weight_tensor(layer, 0, part));
    let lanes = P::X;
    let weight =
        |part, from| fixture::array2(stream(part), [lanes * units, from], 1.0).reversed_axes().mapv(F::from_f64);
    let bias =
        |part| -> Option<Array1<F>> { Some(fixture::array1(stream(part), lanes * units, 1.0).mapv(F::from_f64)) };
    let (w_x, w_h) = (weight(Part::WeightIh, inputs), weight(Part::WeightHh, units));
    Gated::from_arrays(P::of(Kind::RnnTanh), w_x, w_h, bias(Part::BiasIh), bias(Part::BiasHh)).unwrap()
}

/// Compares a layer's gradients and states.
fn compare_layer<F: Float, P: Kept<F>>(
    tally: &mut Tally,
    name: &str,
    layer: usize,
    grads: &Boxed<F>,
    [state, d_state]: [&BoxedState<F>; 2],
) {
    let grads = grads.downcast_ref::<Cell<F, P>>().unwrap();
    for (stem, end, state) in [("", "_n", state), ("d_", "0", d_state)] {
        let mut lanes = ["h", "c"].into_iter();
        state.visit(&mut |view| {
            let lane = lanes.next().unwrap();
            tally.compare(name, &format!("{stem}{lane}{end}_l{layer}"), view.into_dyn());
        });
    }
    let bias = |b: Option<&Array1<F>>| b.unwrap().clone().into_dyn();
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
fn mixed_problem<F: Float>(net: &Network<F>, case: usize, order: [Kind; 3]) -> Problem<F, Vec<BoxedState<F>>> {
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
            view.assign(&fixture::array2(stream, [rows, columns], 2.0).mapv(Float::from_f64));
        });
    }
    let d_ys = fixture::array3(fixture::stream(case, 3), [7, b, net.output_size()], 2.0).mapv(Float::from_f64);
    let xs = fixture::array3(fixture::stream(case, 0), [7, b, 3], 2.0).mapv(Float::from_f64);
    Problem { xs, state, d_ys, d_state }
}

/// Runs a stack whose layers have these widths, and compares everything.
fn check<F: Float, A: Kept<F>, B: Kept<F>, C: Kept<F>>(
    tally: &mut Tally,
    case: usize,
    name: &str,
    kinds: [Kind; 3],
    units: [usize; 3],
) {
    let threads = Threads::new(2).unwrap();
    let net = Stacked::new(vec![
        Boxed::new(mixed_cell::<F, A>(case, 0, 3, units[0])),
        Boxed::new(mixed_cell::<F, B>(case, 1, units[0], units[1])),
        Boxed::new(mixed_cell::<F, C>(case, 2, units[1], units[2])),
    ])
    .unwrap();
    let problem = mixed_problem(&net, case, kinds);
    for outcome in [with_threads(&net, &problem, &threads), run_one_by_one(&net, &problem)] {
        let before = tally.tensors;
        tally.compare(name, "out", outcome.ys.view().into_dyn());
        tally.compare(name, "d_x", outcome.d_xs.view().into_dyn());
        let (grads, state, d_state) = (outcome.grads.layers(), &outcome.state, &outcome.d_state);
        compare_layer::<F, A>(tally, name, 0, &grads[0], [&state[0], &d_state[0]]);
        compare_layer::<F, B>(tally, name, 1, &grads[1], [&state[1], &d_state[1]]);
        compare_layer::<F, C>(tally, name, 2, &grads[2], [&state[2], &d_state[2]]);
        assert_eq!(tally.tensors - before, fixture::names(name).len());
        tally.runs += 1;
    }
    tally.fixtures += 1;
}

#[test]
fn stacks_of_mixed_kinds_and_widths() {
    mixed::<f64, RnnGates>();
    mixed::<f32, RnnGates>();
}

fn mixed<F: Float, Tanh: Kept<F>>() {
    let (rnn, gru, lstm) = (Kind::RnnTanh, Kind::Gru, Kind::Lstm);
    let mut tally = Tally::of::<F>();
    check::<F, LstmGates, GruGates, Tanh>(&mut tally, 200, "mixed.lstm5_gru3_rnn2", [lstm, gru, rnn], [5, 3, 2]);
    check::<F, Tanh, GruGates, LstmGates>(&mut tally, 201, "mixed.rnn2_gru3_lstm5", [rnn, gru, lstm], [2, 3, 5]);
    tally.print("mixed stacks");
}
