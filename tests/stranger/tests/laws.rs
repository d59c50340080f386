//! The stranger's cells keep the laws, alone and stacked with the crate's own, either way up.

use deep_rnn::gradcheck::{assert_cell, assert_layer, assert_tokens, check_cell};
use deep_rnn::prelude::*;
use deep_rnn::{Bidirectional, Chain, GatedSpec, Linear, Merge, OneHot, Reversed, Spec};
use stranger::{Cifg, Mgu, Residual, Smooth};

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
    assert_cell(&Stacked::builder(3).layer(Lstm::<f64>::spec(5)).layer(mgu(4)).seed(1).build().unwrap());
    assert_cell(&Stacked::builder(3).layer(mgu(5)).layer(Lstm::<f64>::spec(4)).seed(2).build().unwrap());
    assert_cell(&Stacked::builder(3).layer(Gru::<f64>::spec(4)).layer(cifg(5)).seed(3).build().unwrap());
    assert_cell(&Stacked::builder(3).layer(cifg(2)).layer(GruResetBefore::<f64>::spec(4)).seed(4).build().unwrap());
    assert_cell(&Stacked::builder(3).repeat(3, mgu(4)).seed(5).build().unwrap());
    assert_cell(&Stacked::new(vec![Smooth::<f64>::new(4), Smooth::new(4)]).unwrap());
    let inner = Stacked::builder(4).layer(mgu(4)).layer(cifg(3));
    assert_cell(&Stacked::builder(3).layer(Rnn::<f64>::spec(4)).layer(inner).seed(6).build().unwrap());
}

#[test]
fn from_tokens() {
    let mut init = Init::seeded(3);
    assert_tokens(&OneHot::new(Mgu::<f64>::new(5, 4, &mut init)));
    assert_tokens(&cifg(4).build(5, &mut init).unwrap());
    assert_tokens(&OneHot::new(Stacked::builder(5).layer(mgu(4)).layer(Gru::<f64>::spec(3)).build().unwrap()));
    assert_tokens(&Stacked::builder(5).layer(Gru::<f64>::spec(3)).layer(mgu(4)).build().unwrap());
}

#[test]
fn layers_of_the_strangers() {
    let residual = |inputs: usize, init: &mut Init| Residual::new(Lstm::<f64>::spec(inputs).build(inputs, init)?);
    assert_layer(&Residual::new(Mgu::<f64>::new(3, 3, &mut Init::seeded(4))).unwrap());
    assert_layer(&Reversed::new(Mgu::<f64>::new(3, 4, &mut Init::seeded(4))));
    let smooth = |inputs: usize, _: &mut Init| Ok(Smooth::<f64>::new(inputs));
    let both_ways = Bidirectional::spec(mgu(3), Merge::Concat);
    let chain = Chain::builder(4).layer(residual).layer(smooth).layer(both_ways).layer(residual).layer(Linear::spec(2));
    assert_layer(&chain.seed(5).build().unwrap());
}

#[test]
fn a_refusal_of_the_strangers_comes_through_the_builder() {
    let narrowing = |inputs: usize, init: &mut Init| Residual::new(Lstm::<f64>::spec(2).build(inputs, init)?);
    let error = Chain::builder(3).layer(narrowing).build().unwrap_err();
    assert_eq!(error.to_string(), "output_size: expected 3, as the input, got 2");
}
