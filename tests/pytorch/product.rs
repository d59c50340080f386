//! The full product: kinds, layers, directions, steps, rows.

use deep_rnn::{
    Float, SeqLayer, Stacked,
    cells::{Gated, GruGates, LstmGates, RnnGates},
    cpu::Threads,
    data::{flat_state, state_from_flat},
    layers::{Bidirectional, Merge},
};
use ndarray::Array3;

use crate::fixture::{self, Case, Kind, Part};
use crate::gates::{Cell, Kept};
use crate::pass::{Outcome, Problem, run_one_by_one};
use crate::tally::Tally;
use crate::threads::with_threads;

fn cell<F: Float, P: Kept<F>>(case: &Case, layer: usize, direction: usize) -> Cell<F, P> {
    let weight = |part| case.weight(layer, direction, part).reversed_axes().mapv(F::from_f64);
    let bias = |part| Some(case.bias(layer, direction, part).mapv(F::from_f64));
    let (w_x, w_h) = (weight(Part::WeightIh), weight(Part::WeightHh));
    Gated::from_arrays(P::of(case.kind), w_x, w_h, bias(Part::BiasIh), bias(Part::BiasHh)).unwrap()
}

fn states(case: &Case) -> [Vec<Array3<f64>>; 2] {
    if case.kind == Kind::Lstm {
        [vec![case.h0(), case.c0()], vec![case.cot_h(), case.cot_c()]]
    } else {
        [vec![case.h0()], vec![case.cot_h()]]
    }
}

/// What a run of any number of layers and directions gave, as PyTorch names it.
fn compare<L: SeqLayer, P: Kept<L::Elem>>(
    tally: &mut Tally,
    case: &Case,
    net: &L,
    outcome: &Outcome<L>,
    grads: &[&Cell<L::Elem, P>],
) {
    let name = case.to_string();
    let before = tally.tensors;
    tally.compare(&name, "out", outcome.ys.view().into_dyn());
    tally.compare(&name, "d_x", outcome.d_xs.view().into_dyn());
    let [last, first] = [&outcome.state, &outcome.d_state].map(|state| flat_state(net, state).unwrap());
    assert_eq!(last.len(), if case.kind == Kind::Lstm { 2 } else { 1 });
    for (lane, (last, first)) in ["h", "c"].into_iter().zip(last.iter().zip(&first)) {
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

fn problem<L: SeqLayer>(layer: &L, case: &Case) -> Problem<L::Elem, L::State> {
    let [state, d_state] = states(case).map(|arrays| {
        let arrays: Vec<_> = arrays.iter().map(|array| array.mapv(Float::from_f64)).collect();
        state_from_flat(layer, &arrays).unwrap()
    });
    Problem { xs: case.x().mapv(Float::from_f64), state, d_ys: case.cot_out().mapv(Float::from_f64), d_state }
}

fn one_direction<F: Float, P: Kept<F>>(tally: &mut Tally, case: &Case, threads: &Threads) {
    let net = Stacked::new((0..case.layers).map(|layer| cell::<F, P>(case, layer, 0)).collect::<Vec<_>>()).unwrap();
    let problem = problem(&net, case);
    for outcome in [with_threads(&net, &problem, threads), run_one_by_one(&net, &problem)] {
        let grads: Vec<&Cell<F, P>> = outcome.grads.layers().iter().collect();
        compare(tally, case, &net, &outcome, &grads);
    }
}

fn two_directions<F: Float, P: Kept<F>>(tally: &mut Tally, case: &Case, threads: &Threads) {
    let layers = (0..case.layers).map(|layer| {
        Bidirectional::new(cell::<F, P>(case, layer, 0), cell::<F, P>(case, layer, 1), Merge::Concat).unwrap()
    });
    let net = Stacked::new(layers.collect::<Vec<_>>()).unwrap();
    let outcome = with_threads(&net, &problem(&net, case), threads);
    let grads: Vec<&Cell<F, P>> =
        outcome.grads.layers().iter().flat_map(|layer| [layer.forward_layer(), layer.backward_layer()]).collect();
    compare(tally, case, &net, &outcome, &grads);
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
            (Kind::RnnTanh | Kind::RnnRelu, 1) => one_direction::<F, RnnGates>,
            (Kind::RnnTanh | Kind::RnnRelu, _) => two_directions::<F, RnnGates>,
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
