//! Cells from outside pass the checks, alone and stacked with the crate's own, either way up.

use deep_rnn::gradcheck::{Check, assert_cell, assert_layer, check_cell, check_layer};
use deep_rnn::prelude::*;
use deep_rnn::{
    cells::GatedSpec,
    layers::{Last, LearnedState, Reversed},
};
use downstream::{Cifg, Mgu, Residual, Smooth};

fn mgu(units: usize) -> impl Spec<Layer = Mgu<f64>> + Clone {
    move |inputs: usize, init: &mut Init| Ok(Mgu::new(inputs, units, init))
}

fn cifg(units: usize) -> GatedSpec<f64, Cifg> {
    GatedSpec::new(Cifg, units)
}

#[test]
fn alone() {
    let (mgu, cifg) = (Mgu::<f64>::new(3, 4, &mut Init::seeded(1)), cifg(4).build(3, &mut Init::seeded(2)).unwrap());
    println!("MGU: {}", check_cell(&mgu).unwrap_or_else(|violation| panic!("{violation}")));
    println!("CIFG: {}", check_cell(&cifg).unwrap_or_else(|violation| panic!("{violation}")));
    assert_cell(&Smooth::<f64>::new(3));
}

#[test]
fn stacked() {
    let builder = |inputs| Network::<f64>::builder(inputs);
    assert_layer(&builder(3).lstm(5).layer(mgu(4)).seed(1).build().unwrap());
    assert_layer(&builder(3).layer(mgu(5)).lstm(4).seed(2).build().unwrap());
    assert_layer(&builder(3).gru(4).layer(cifg(5)).seed(3).build().unwrap());
    assert_layer(&builder(3).layer(cifg(2)).layer(GruResetBefore::<f64>::spec(4)).seed(4).build().unwrap());
    assert_layer(&Stacked::repeat(3, 3, &mgu(4), 5).unwrap());
    assert_layer(&Stacked::new(vec![Smooth::<f64>::new(4), Smooth::new(4)]).unwrap());
    assert_layer(&builder(3).rnn(4).layer(builder(4).layer(mgu(4)).layer(cifg(3))).seed(6).build().unwrap());
}

#[test]
fn from_tokens_and_rows_of_several_lengths() {
    let holds = |checks: &[Check]| {
        for check in [Check::Tokens, Check::Lengths, Check::Resets] {
            assert!(checks.contains(&check), "{check}");
        }
    };
    let mut init = Init::seeded(3);
    holds(&check_cell(&Mgu::<f64>::new(5, 4, &mut init)).unwrap().checks);
    holds(&check_cell(&cifg(4).build(5, &mut init).unwrap()).unwrap().checks);
    let over = Network::<f64>::builder(5).layer(mgu(4)).gru(3).build().unwrap();
    holds(&check_layer(&over).unwrap().checks);
    let under = Network::<f64>::builder(5).gru(3).layer(mgu(4)).build().unwrap();
    holds(&check_layer(&under).unwrap().checks);
}

#[test]
fn layers_from_outside() {
    let residual = |inputs: usize, init: &mut Init| Residual::new(Lstm::<f64>::spec(inputs).build(inputs, init)?);
    assert_layer(&Residual::new(Mgu::<f64>::new(3, 3, &mut Init::seeded(4))).unwrap());
    assert_layer(&Reversed::new(Mgu::<f64>::new(3, 4, &mut Init::seeded(4))));
    let smooth = |inputs: usize, _: &mut Init| Ok(Smooth::<f64>::new(inputs));
    let network = Network::<f64>::builder(4).layer(residual).layer(smooth).bi(mgu(3)).layer(residual).linear(2);
    assert_layer(&network.seed(5).build().unwrap());
    // What is inside may look ahead, or learn its first state.
    let both_ways = Bidirectional::spec(mgu(2), Merge::Concat).build(4, &mut Init::seeded(6)).unwrap();
    assert_layer(&Residual::new(both_ways).unwrap());
    let learned = LearnedState::new(Mgu::<f64>::new(3, 3, &mut Init::seeded(7))).unwrap();
    assert_layer(&Residual::new(learned).unwrap());
}

#[test]
fn a_refusal_from_outside_comes_through_the_builder() {
    let narrowing = |inputs: usize, init: &mut Init| Residual::new(Lstm::<f64>::spec(2).build(inputs, init)?);
    let error = Network::<f64>::builder(3).layer(narrowing).build().unwrap_err();
    assert_eq!(error.to_string(), "layer 0: output_size: expected 3, as the input, got 2");
    let gathering = |inputs: usize, _: &mut Init| Residual::new(Last::<f64>::new(inputs));
    let error = Network::<f64>::builder(3).layer(gathering).build().unwrap_err();
    assert_eq!(error.to_string(), "layer 0: output_steps: expected 2, as the input, got 1");
}
