//! One network of each kind of layer, and some of many.

use deep_rnn::cells::{Activation, GatedArrays, GruGates, LstmVariant};
use deep_rnn::layers::{Boxed, Embedding, LearnedState, Residual, Reversed, Scale, Tied, WeightDrop, Zoneout};
use deep_rnn::prelude::*;

/// By name, networks of 4 inputs (or 4 tokens).
pub(crate) fn all<F: Float>() -> Vec<(String, Network<F>)> {
    let mut all = Vec::new();
    let mut add = |name: &str, builder: deep_rnn::layers::Builder<F>| {
        let mut net = builder.seed(all.len() as u64).build().unwrap();
        // No bias of 0, no norm of 1: what is not kept shows.
        let mut next = 0.0;
        net.visit_mut(&mut |_, mut array| {
            array.map_inplace(|x| {
                next += 1.0;
                *x += F::from_f64(0.01 * f64::sin(next));
            });
        });
        all.push((name.to_string(), net));
    };
    let net = || Network::<F>::builder(4);
    for bias in [Bias::None, Bias::One, Bias::Two] {
        let of = |name: &str| format!("{name} {bias:?}");
        add(&of("rnn"), net().layer(Rnn::spec(3).bias(bias)));
        add(&of("gru"), net().layer(Gru::spec(3).bias(bias)));
        add(&of("gru reset before"), net().layer(GruResetBefore::spec(3).bias(bias)));
        add(&of("lstm"), net().layer(Lstm::spec(3).bias(bias)));
        add(&of("lstm of peepholes"), net().layer(Lstm::spec(3).peepholes().bias(bias)));
    }
    let elu = Activation::Elu(0.7);
    add("relu", net().layer(Rnn::spec(3).activation(Activation::Relu).clip_gates(0.3)));
    add("leaky", net().layer(Rnn::spec(3).activation(Activation::LeakyRelu(0.1 + 0.2))));
    add("gru, other activations", net().layer(Gru::spec(3).activations(Activation::HARD_SIGMOID, elu)));
    add("gru clipped", net().layer(Gru::spec(3).clip_gates(0.25)));
    add("before, other", net().layer(GruResetBefore::spec(3).activations(Activation::Sigmoid, Activation::Softsign)));
    let lstm = || Lstm::<F>::spec(3);
    add("projection", net().layer(lstm().projection(2).projection_clip(0.4).bias(Bias::Two)));
    add("projected rnn", net().layer(Rnn::spec(3).projection(2)));
    add("lstm clipped", net().layer(lstm().clip_cell(-0.5, 0.75).clip_gates(0.5)));
    add(
        "hard lstm",
        net().layer(lstm().activations(Activation::HARD_SIGMOID_6, Activation::Tanh, Activation::Softsign)),
    );
    add("coupled", net().layer(lstm().coupled().projection(2)));
    add("coupled, peepholes", net().layer(lstm().coupled().peepholes()));
    add("linear", net().layer(Linear::spec(3)).layer(Linear::spec(2).bias(false)));
    add("embedding", net().layer(Embedding::spec(3).word_dropout(0.25)).lstm(2).layer_norm().linear(4));
    add("dropouts", net().lstm(3).dropout(0.3).locked_dropout(0.1 + 0.2).last().linear(2));
    add("both", net().bi(Lstm::spec(3)).bi(Gru::spec(2)).linear(2));
    add("both of peepholes", net().bi(Lstm::spec(3).peepholes()).bi(Rnn::spec(2)));
    add("sum", net().layer(Bidirectional::spec(Gru::spec(3), Merge::Sum)));
    add("weight drop in both", net().bi(WeightDrop::spec(Gru::spec(3), 0.4)));
    add("both of a part", net().bi(Network::part().gru(3).linear(2)));
    add("weight drop", net().layer(WeightDrop::spec(Network::part().gru(3).lstm(2), 0.5)));
    add("residual", net().layer(Residual::spec(Network::part().lstm(4).linear(4))));
    add("zoneout", net().layer(Zoneout::spec(Lstm::spec(3), &[0.1, 0.2])).layer(Zoneout::spec(Gru::spec(2), &[0.5])));
    add("zoneout of a relative", net().layer(Zoneout::spec(lstm().peepholes(), &[0.1, 0.2])));
    add("tied", net().embedding(3).lstm(3).dropout(0.2).lstm(3).tied());
    add("tied to a cell", net().layer(Tied::spec(Embedding::spec(3), Lstm::spec(3))));
    add("activations", net().linear(3).activation(Activation::Relu).gru(2).linear(1).activation(elu));
    add("scale", net().layer(Scale::spec(0.1)).lstm(2));
    add("in each other", net().layer(Network::part().gru(3).layer(Network::part().lstm(2).linear(2))));
    let init = &mut Init::seeded(7);
    let mut made = |name: &str, layer: Boxed<F>| all.push((name.to_string(), Stacked::new(vec![layer]).unwrap()));
    let cell = lstm().build(4, init).unwrap();
    made("learned state", Boxed::new(LearnedState::new(cell.clone()).unwrap()));
    let net = Network::<F>::builder(4).lstm(3).gru(2).build().unwrap();
    made("learned states", Boxed::new(LearnedState::new(net).unwrap()));
    made("reversed", Boxed::new(Reversed::new(cell.clone())));
    let different = Bidirectional::new(cell, Gru::<F>::spec(2).build(4, init).unwrap(), Merge::Concat).unwrap();
    made("different directions", Boxed::new(different));
    let first = Network::<F>::builder(4).lstm(3).linear(1).build().unwrap();
    made("first column", Boxed::new(Residual::of_first_columns(first).unwrap()));
    let gru = Gru::<F>::spec(3).build(4, init).unwrap();
    let arrays = GatedArrays::new(gru.w_x().to_owned(), gru.w_h().to_owned());
    let b_h = gru.b_h().cloned();
    made("recurrent bias", Boxed::new(GatedArrays { b_h, ..arrays }.into_cell(GruGates).unwrap()));
    all
}

/// A type for the gates of a relative, to see that it is the same after all.
pub(crate) type Peepholes = LstmVariant<deep_rnn::cells::Peepholes>;
