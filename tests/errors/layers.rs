//! Layers: their sizes, arrays and options, and how they fit together.

use deep_rnn::ndarray::{Array1, Array2};
use deep_rnn::prelude::*;
use deep_rnn::{
    cells::LstmGates,
    layers::{Boxed, Embedding, Tied},
};

use crate::refused;
use crate::small_model::{HUGE, V, seeded, spec};

#[test]
fn layers_that_do_not_fit() {
    let lstm = |inputs, units| spec(units).build(inputs, &mut seeded()).unwrap();
    let gru = |inputs, units| Gru::<f64>::spec(units).build(inputs, &mut seeded()).unwrap();
    let parts = |kind: &str| {
        format!("layer 1, {kind}(5 → 2): expected inputs of 4 columns, the width of layer 0 below it, got 5")
    };
    refused(Stacked::new(vec![lstm(3, 4), lstm(5, 2)]), &[&parts("Lstm")]);
    refused(Stacked::new(vec![Boxed::new(lstm(3, 4)), Boxed::new(gru(5, 2))]), &[&parts("Gru")]);
    let three = vec![Boxed::new(lstm(3, 4)), Boxed::new(gru(4, 6)), Boxed::new(lstm(1, 1))];
    refused(Stacked::new(three), &["layer 2, Lstm(1 → 1): expected inputs of 6 columns", "got 1"]);
    refused(Stacked::new(Vec::<Lstm<f64>>::new()), &["layers: expected at least 1, got 0"]);
    refused(Stacked::new(Vec::<Boxed<f64>>::new()), &["layers: expected at least 1, got 0"]);
    refused(Network::<f64>::builder(3).build(), &["layers: expected 1 to 10000, got 0"]);
    refused(
        Bidirectional::new(lstm(3, 4), gru(2, 4), Merge::Concat),
        &["input_size of the backward", "expected 3", "got 2"],
    );
    refused(
        Bidirectional::new(lstm(3, 4), gru(3, 5), Merge::Sum),
        &["output_size of the backward", "expected 4", "got 5"],
    );
    let head = Linear::spec(V).build(4, &mut seeded()).unwrap();
    refused(LanguageModel::from_parts(lstm(V, 3), head), &["head.w: expected shape [3, 5], got [4, 5]"]);
    refused(LanguageModel::with_head(lstm(V, 3), &Linear::spec(7), 1), &["head.w: expected shape [3, 5], got [3, 7]"]);
}

/// What a builder within a builder was told itself is not dropped in silence.
#[test]
fn a_network_within_a_network() {
    let within = |part| Network::<f64>::builder(3).lstm(4).layer(part).build();
    assert_eq!(within(Network::part().gru(2)).unwrap().output_size(), 2);
    assert_eq!(within(Network::builder(4).gru(2)).unwrap().output_size(), 2);
    refused(within(Network::builder(5).gru(2)), &["layer 1", "input_size: expected 4", "Network::part()", "got 5"]);
    refused(within(Network::part().gru(2).seed(7)), &["layer 1", "seed: expected none in a part", "got 7"]);
    refused(Network::<f64>::part().gru(2).build(), &["input_size: expected", "Network::builder(width)"]);
    let both = Bidirectional::spec(Network::<f64>::part().gru(2).seed(0), Merge::Sum);
    refused(both.build(3, &mut seeded()), &["seed"]);
}

#[test]
fn a_first_state_that_cannot_be_learned() {
    let once = deep_rnn::layers::LearnedState::new(spec(4).build(3, &mut seeded()).unwrap()).unwrap();
    let expected = "inner: expected a layer whose first state is not learned yet";
    refused(deep_rnn::layers::LearnedState::new(once.clone()), &[expected]);
    refused(deep_rnn::layers::LearnedState::new(Boxed::new(once)), &[expected]);
    let ahead = Bidirectional::spec(spec(4), Merge::Sum).build(3, &mut seeded()).unwrap();
    refused(
        deep_rnn::layers::LearnedState::new(ahead),
        &["inner: expected a layer whose outputs depend on no later input"],
    );
}

#[test]
fn ties_that_do_not_hold() {
    let net = || Network::<f64>::builder(7);
    let first = "layer 0: tied: expected an embedding as the first layer, got Lstm(7 → 3)";
    refused(net().lstm(3).lstm(3).tied().build(), &[first]);
    refused(net().embedding(3).tied().build(), &["layer 0: tied: expected a layer above the embedding, got none"]);
    refused(net().tied().build(), &["layer 0: layers: expected 1 to 10000, got 0"]);
    let width = "outputs of 3 columns, the width of the embedding, got 4";
    refused(net().embedding(3).lstm(4).tied().linear(2).build(), &["layer 0: tied: Stacked(3 → 4", width]);
    let last = net().embedding(3).lstm(3).last().tied().build();
    refused(last, &["layer 0: tied: Stacked(3 → 3", "expected an output for each step, got 1 for 2"]);
    refused(net().embedding(3).lstm(0).tied().build(), &["layer 0: layer 1: units: expected at least 1, got 0"]);
    refused(net().embedding(3).repeat(10_000, Gru::spec(3)).tied().build(), &["layer 0: layers: expected 1 to 10000"]);
    let words = || Embedding::from_array(Array2::<f64>::zeros((7, 3))).unwrap();
    let gru = |inputs| Gru::<f64>::spec(3).build(inputs, &mut seeded()).unwrap();
    refused(
        Tied::new(words(), gru(2)),
        &["tied: Gru(2 → 3): expected inputs of 3 columns, the width of the embedding"],
    );
    refused(Tied::from_parts(words(), gru(3), Array1::zeros(6)), &["b: expected shape [7], got [6]"]);
    let scheme = Embedding::<f64>::spec(3).init(Scheme::Normal(-1.0));
    refused(scheme.build(7, &mut seeded()), &["scheme: expected a finite standard deviation"]);
}

#[test]
fn sizes_of_zero() {
    for repeat in [0, 10_001, usize::MAX] {
        let got = format!("layers: expected 1 to 10000, got {repeat}");
        refused(Stacked::repeat(3, repeat, &spec(4), 0), &[&got]);
        refused(Network::builder(3).repeat(repeat, spec(4)).build(), &[&got]);
    }
    let (units, inputs) = (["units: expected at least 1, got 0"], ["input_size: expected at least 1, got 0"]);
    fn both(spec: impl Spec, units: &[&str]) {
        refused(spec.build(3, &mut seeded()), units);
    }
    both(spec(0), &units);
    both(Gru::<f64>::spec(0), &units);
    both(Rnn::<f64>::spec(0), &units);
    both(GruResetBefore::<f64>::spec(0), &units);
    both(Bidirectional::spec(spec(0), Merge::Sum), &units);
    both(Linear::<f64>::spec(0), &["outputs: expected at least 1, got 0"]);
    both(Network::part().layer(spec(2)).layer(spec(0)), &["layer 1: units: expected at least 1, got 0"]);
    both(Network::part().repeat(0, spec(2)), &["layers: expected 1 to 10000, got 0"]);
    refused(spec(4).build(0, &mut seeded()), &inputs);
    refused(GruResetBefore::<f64>::spec(4).build(0, &mut seeded()), &inputs);
    refused(Linear::<f64>::spec(4).build(0, &mut seeded()), &inputs);
    let inputs = ["layer 0: input_size: expected at least 1, got 0"];
    refused(Stacked::repeat(0, 1, &spec(4), 0), &inputs);
    refused(Network::builder(0).layer(spec(4)).build(), &inputs);
    refused(Network::<f64>::builder(0).linear(4).build(), &inputs);
}

#[test]
fn sizes_beyond_memory() {
    let parts = ["units: expected a matrix that memory can hold, got"];
    for n in HUGE {
        refused(spec(n).build(3, &mut seeded()), &parts);
        refused(Lstm::<f32>::spec(n).build(3, &mut seeded()), &parts);
        refused(spec(1 << 22).build(n, &mut seeded()), &parts);
        refused(Gru::<f64>::spec(n).init(Scheme::XavierOrthogonal).build(3, &mut seeded()), &parts);
        refused(Rnn::<f64>::spec(n).build(n, &mut seeded()), &parts);
        refused(GruResetBefore::<f64>::spec(n).build(1, &mut seeded()), &parts);
        refused(
            Linear::<f64>::spec(n).build(1 << 24, &mut seeded()),
            &["outputs: expected a matrix that memory can hold"],
        );
        refused(Stacked::repeat(n, 2, &spec(1 << 24), 0), &parts);
        refused(Network::builder(n).repeat(2, spec(1 << 24)).build(), &parts);
    }
}

#[test]
fn arrays_of_a_cell() {
    let cell = |w_x: [usize; 2], w_h: [usize; 2], b: Option<usize>, b_h: Option<usize>| {
        let (w_x, w_h) = (Array2::<f64>::zeros(w_x), Array2::zeros(w_h));
        Lstm::from_arrays(LstmGates, w_x, w_h, b.map(Array1::zeros), b_h.map(Array1::zeros))
    };
    assert!(cell([3, 8], [2, 8], Some(8), None).is_ok());
    for shape in [[3, 7], [3, 0], [0, 8], [3, 3]] {
        let got = format!("got {shape:?}");
        refused(cell(shape, [2, 8], None, None), &["w_x: expected shape [D, 4 H], D and H at least 1", &got]);
    }
    refused(cell([3, 8], [8, 2], None, None), &["w_h: expected shape [2, 8], got [8, 2]"]);
    refused(cell([3, 8], [2, 8], Some(2), None), &["b: expected shape [8], got [2]"]);
    refused(cell([3, 8], [2, 8], None, Some(9)), &["b_h: expected shape [8], got [9]"]);
    refused(Linear::from_arrays(Array2::<f64>::zeros((0, 3)), None), &["w: expected shape [D, V]", "got [0, 3]"]);
    refused(
        Linear::from_arrays(Array2::<f64>::zeros((2, 3)), Some(Array1::zeros(2))),
        &["b: expected shape [3], got [2]"],
    );
}

#[test]
fn options_of_a_spec() {
    for sigma in [f64::NAN, f64::INFINITY, -1.0] {
        let parts = ["scheme: expected a finite standard deviation of 0 or more", &format!("got {sigma}")];
        refused(spec(2).init(Scheme::Normal(sigma)).build(3, &mut seeded()), &parts);
        refused(Linear::<f64>::spec(2).init(Scheme::Normal(sigma)).build(3, &mut seeded()), &parts);
    }
    // Finite, but not in f32.
    let single = || Lstm::<f32>::spec(2);
    for sigma in [1e300, 1e38, 1e-50, 1e-40] {
        let parts = ["scheme: expected a finite standard deviation of 0 or more", "in f32"];
        refused(single().init(Scheme::Normal(sigma)).build(3, &mut seeded()), &parts);
        refused(Linear::<f32>::spec(2).init(Scheme::Normal(sigma)).build(3, &mut seeded()), &parts);
        refused(GruResetBefore::<f32>::spec(2).init(Scheme::Normal(sigma)).build(3, &mut seeded()), &parts);
        assert!(spec(2).init(Scheme::Normal(sigma)).build(3, &mut seeded()).is_ok());
    }
    for sigma in [0.0, 1e-37, 3e37] {
        let lstm = single().init(Scheme::Normal(sigma)).build(50, &mut seeded()).unwrap();
        assert!(lstm.is_finite());
    }
    for bias in [1e300, -1e39, 1e-50, 1e-40] {
        let parts = ["lane_bias: expected a finite value for a lane below 4 (in f32"];
        refused(single().forget_bias(bias).build(3, &mut seeded()), &parts);
        assert!(spec(2).forget_bias(bias).build(3, &mut seeded()).is_ok());
    }
    assert!(single().forget_bias(0.0).build(3, &mut seeded()).is_ok());
    for factor in [f64::INFINITY, f64::NAN, 1e-40, 1e39] {
        for activation in [Activation::Elu(factor), Activation::LeakyRelu(factor)] {
            let parts = ["activation: expected finite parameters in f32", &format!("got {activation:?}")];
            refused(Rnn::<f32>::spec(2).activation(activation).build(3, &mut seeded()), &parts);
        }
    }
    let lane = ["lane_bias: expected a finite value for a lane below 4"];
    refused(spec(2).lane_bias(4, 1.0).build(3, &mut seeded()), &[lane[0], "got 1 for 4"]);
    refused(spec(2).lane_bias(usize::MAX, 1.0).build(3, &mut seeded()), &lane);
    refused(spec(2).forget_bias(f64::NAN).build(3, &mut seeded()), &[lane[0], "got NaN for 1"]);
    refused(
        spec(2).bias(Bias::None).forget_bias(1.0).build(3, &mut seeded()),
        &["lane_bias: expected a cell with a bias, got Bias::None"],
    );
    for name in ["tanhh", "", "TANH "] {
        refused(name.parse::<Activation>(), &["activation: expected tanh, relu,", &format!("got {name}")]);
    }
    assert!("tanh".parse::<Activation>().is_ok());
}
