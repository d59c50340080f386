//! Layers of Keras with other activations, with masks.

use deep_rnn::cells::Activation;
use deep_rnn::cpu::Threads;
use deep_rnn::prelude::*;

use crate::case::{Case, H, Layout, SORTED_OTHERWISE, WITH_NONE, layer};
use crate::fixture;
use crate::tally::Tally;

fn function(name: &str) -> Activation {
    match name {
        "hard_sigmoid" => Activation::HARD_SIGMOID_6,
        "leaky_relu" => Activation::LeakyRelu(0.2),
        "linear" => Activation::Identity,
        other => other.parse().unwrap(),
    }
}

fn case(index: usize, name: &str, gates: usize, two_biases: bool) -> Case {
    let kept: &'static [usize] = &[0, 1, 2, 3];
    let layout = Layout { gates, kept: &kept[..gates], peepholes: &[] };
    let lengths = if index.is_multiple_of(2) { WITH_NONE } else { SORTED_OTHERWISE };
    let scale = if name.contains("hard_sigmoid") { 4.0 } else { 1.0 };
    let (layers, directions, projected) = (1, 1, false);
    let name = format!("keras.{name}");
    Case { index, name, layout, layers, directions, projected, scale, lengths, two_biases }
}

fn check<F: Float>(tally: &mut Tally, case: &Case, net: deep_rnn::layers::Boxed<F>) {
    let net = Stacked::new(vec![net]).unwrap();
    let before = tally.tensors;
    case.check(&net, tally, "", &Threads::new(1).unwrap());
    assert_eq!(tally.tensors - before, fixture::names(&case.name).len(), "{}", case.name);
    tally.fixtures += 1;
}

fn activations<F: Float>() {
    let mut tally = Tally::of::<F>();
    let names = ["relu", "elu", "softsign", "leaky_relu", "linear", "sigmoid", "hard_sigmoid"];
    for (k, name) in names.into_iter().enumerate() {
        let case = case(140 + k, &format!("rnn.{name}"), 1, false);
        let spec = Rnn::<F>::spec(H).activation(function(name));
        check(&mut tally, &case, layer(&case, [&spec; 2], 0, false));
    }
    let pairs =
        [("tanh", "hard_sigmoid"), ("relu", "sigmoid"), ("softsign", "hard_sigmoid"), ("leaky_relu", "sigmoid")];
    for (k, (activation, gate)) in pairs.into_iter().enumerate() {
        let case = case(147 + k, &format!("lstm.{activation}.{gate}"), 4, false);
        let [f, g] = [gate, activation].map(function);
        let spec = Lstm::<F>::spec(H).activations(f, g, g);
        check(&mut tally, &case, layer(&case, [&spec; 2], 0, false));
    }
    let pairs = [("tanh", "hard_sigmoid"), ("elu", "sigmoid"), ("softsign", "hard_sigmoid"), ("linear", "softsign")];
    for (k, (activation, gate)) in pairs.into_iter().enumerate() {
        let [f, g] = [gate, activation].map(function);
        let after = case(151 + k, &format!("gru_after.{activation}.{gate}"), 3, true);
        let spec = Gru::<F>::spec(H).activations(f, g);
        check(&mut tally, &after, layer(&after, [&spec; 2], 0, false));
        let before = case(155 + k, &format!("gru_before.{activation}.{gate}"), 3, false);
        let spec = GruResetBefore::<F>::spec(H).activations(f, g);
        check(&mut tally, &before, layer(&before, [&spec; 2], 0, false));
    }
    tally.print("Keras");
}

#[test]
fn activations_of_keras() {
    activations::<f64>();
}
