//! States in PyTorch's layout and back.

use deep_rnn::infer::Prepare;
use deep_rnn::prelude::*;
use deep_rnn::{
    data::{flat_state, state_from_flat},
    layers::{LearnedState, Residual, Reversed, WeightDrop, Zoneout},
};
use ndarray::{Array3, s};

use crate::arrays::{same, states};
use crate::problems::{build, problem};

/// There and back; the arrays, of so many cells.
#[track_caller]
fn round<N: Recurrent>(name: &str, net: &N, state: &N::State, cells: usize) -> Vec<Array3<N::Elem>> {
    let flat = flat_state(net, state).unwrap();
    assert!(flat.iter().all(|array| array.dim().0 == cells), "{name}");
    let back = state_from_flat(net, &flat).unwrap();
    same(name, &states("state", state), &states("state", &back));
    assert!(net.takes_state(&back, flat.first().map_or(0, |array| array.dim().1)), "{name}");
    flat
}

#[track_caller]
fn there_and_back<L: SeqLayer>(name: &str, net: &L, cells: usize) {
    for b in [0, 1, 3] {
        let state = problem(net, 2, b, 5).state;
        round(name, net, &state, cells);
    }
}

fn wrapped<F: Float>() {
    let lstm = || Lstm::<F>::spec(4);
    there_and_back("a cell", &build(&lstm(), 3, 1), 1);
    there_and_back("of one type", &Stacked::repeat(3, 3, &lstm(), 1).unwrap(), 3);
    there_and_back("gru before", &Stacked::repeat(3, 2, &GruResetBefore::<F>::spec(4), 1).unwrap(), 2);
    let both = Bidirectional::spec(lstm(), Merge::Concat);
    there_and_back("two directions of one type", &Stacked::repeat(3, 2, &both, 1).unwrap(), 4);
    let boxes = Network::<F>::builder(5)
        .embedding(3)
        .dropout(0.1)
        .bi(lstm())
        .layer_norm()
        .layer(Network::part().lstm(4).lstm(4))
        .layer(Residual::spec(lstm()))
        .layer(WeightDrop::spec(lstm(), 0.1))
        .layer(Zoneout::spec(lstm(), &[0.1, 0.1]))
        .layer(move |d: usize, init: &mut Init| LearnedState::new(Lstm::<F>::spec(4).build(d, init)?))
        .layer(move |d: usize, init: &mut Init| Ok(Reversed::new(Lstm::<F>::spec(4).build(d, init)?)))
        .linear(5)
        .build()
        .unwrap();
    there_and_back("boxes", &boxes, 9);
    there_and_back("a language model", &LanguageModel::new(boxes, 1).unwrap(), 9);
    let tied = Network::<F>::builder(5).embedding(4).gru(4).gru(4).tied().build().unwrap();
    there_and_back("tied", &tied, 2);
    let none = Network::<F>::builder(5).embedding(4).linear(3).build().unwrap();
    assert!(round("no cells", &none, &none.zero_state(3), 0).is_empty());
    // Packed, whose states are those of the network.
    let state = problem(&tied, 2, 3, 5).state;
    let packed = round("packed", &tied.prepare(Precision::Full).unwrap(), &state, 2);
    assert_eq!(packed, round("tied", &tied, &state, 2));
}

#[test]
fn there_and_back_of_every_layer() {
    wrapped::<f32>();
    wrapped::<f64>();
}

/// Layer after layer, of each the forward direction first; h, then c.
#[test]
fn in_the_order_of_layers_and_directions() {
    let net = Network::<f64>::builder(3).bi(Lstm::spec(2)).dropout(0.2).bi(Lstm::spec(2)).build().unwrap();
    let mut state = net.zero_state(1);
    let mut number = 0.0;
    state.visit_mut(&mut |mut array| {
        array.fill(number);
        number += 1.0;
    });
    let flat = flat_state(&net, &state).unwrap();
    let of = |array: &Array3<f64>| array.slice(s![.., 0, 0]).to_vec();
    assert_eq!((of(&flat[0]), of(&flat[1])), (vec![0.0, 2.0, 4.0, 6.0], vec![1.0, 3.0, 5.0, 7.0]));
}
