//! What an engine, a model and a sampler are given: tokens, numbers, targets, states, batches, logits.

use deep_rnn::data::{flat_state, state_from_flat};
use deep_rnn::ndarray::{Array1, Array2, Array3};
use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::refused;
use crate::small_model::{HUGE, V, model, spec, text};

#[test]
fn tokens_and_targets() {
    let mut bptt = Bptt::builder(model()).window(2).build().unwrap();
    let (good, before) = (text(4, 3), weights(bptt.model()));
    for token in [V, V + 1, usize::MAX] {
        let mut bad = good.clone();
        bad[[3, 2]] = token;
        let got = format!("got {token}");
        refused(bptt.train_next(&bad, &good), &["tokens: expected below 5", &got]);
        refused(bptt.train_next(&good, &bad), &["targets: expected tokens below 5, the width of the output", &got]);
        let batch = Batch::new(bad.clone(), good.clone());
        refused(bptt.evaluate([batch]), &["tokens: expected below 5", &got]);
        refused(
            bptt.predict_with(deep_rnn::Context::default(), &bad, &mut bptt.model().zero_state(3)),
            &["tokens: expected below 5", &got],
        );
        let model = bptt.model();
        let (mut state, mut logits) = (model.zero_state(1), [0.0; V]);
        refused(model.step_tokens(&[token], &mut logits, &mut state), &["tokens: expected below 5", &got]);
        for prefix in [&[0, token][..], &[token, 0], &[token]] {
            refused(model.generate(prefix, 3, &mut Sampler::greedy()), &["token", "below 5", &got]);
        }
        refused(model.generate(&[token], 0, &mut Sampler::greedy()), &["prefix: expected tokens below 5", &got]);
    }
    for (t, b) in [(3, 3), (5, 3), (4, 2), (3, 4), (0, 3), (4, 0)] {
        let parts = ["targets: expected shape [4, 3, ..] as the inputs", &format!("got [{t}, {b}]")];
        refused(bptt.train_next(&good, &text(t, b)), &parts);
        refused(bptt.evaluate([Batch::new(good.clone(), text(t, b))]), &parts);
    }
    refused(bptt.model().generate(&[], 3, &mut Sampler::greedy()), &["prefix: expected at least one token, got none"]);
    assert_eq!(weights(bptt.model()), before);
    assert!(bptt.state().is_none());
}

#[test]
fn numbers_and_targets() {
    let net = Network::builder(3).layer(spec(4)).layer(Linear::spec(2)).build().unwrap();
    let mut bptt = Bptt::builder(net).loss(MeanSquared).build().unwrap();
    let (x, y) = (Array3::zeros((4, 2, 3)), Array3::zeros((4, 2, 2)));
    for width in [0, 2, 4] {
        let (bad, parts) =
            (Array3::zeros((4, 2, width)), ["inputs: expected shape [T, B, 3]", &format!("got [4, 2, {width}]")]);
        refused(bptt.train_next(&bad, &y), &parts);
        refused(bptt.predict_with(deep_rnn::Context::default(), &bad, &mut bptt.model().zero_state(2)), &parts);
    }
    refused(bptt.train_next(&x, &Array3::zeros((4, 2, 3))), &["targets: expected shape [4, 2, 2], got [4, 2, 3]"]);
    refused(
        bptt.train_next(&x, &Array3::zeros((2, 4, 2))),
        &["targets: expected shape [4, 2, ..] as the inputs", "got [2, 4]"],
    );
    let classes = Network::builder(3).layer(spec(4)).layer(Linear::spec(2)).build().unwrap();
    let mut bptt = Bptt::builder(classes).build().unwrap();
    refused(bptt.train_next(&x, &Array2::from_elem((4, 2), 2)), &["targets: expected tokens below 2", "got 2"]);
}

#[test]
fn what_outputs_of_every_layer_are_asked_of() {
    let net = Network::<f64>::builder(3).lstm(4).linear(2).build().unwrap();
    let of = |cx: Context<'_>, dim: (usize, usize, usize), rows: usize| {
        net.layer_outputs(cx, &Array3::zeros(dim), &mut net.zero_state(rows))
    };
    refused(of(Context::default(), (4, 2, 5), 2), &["inputs: expected shape [T, B, 3], got [4, 2, 5]"]);
    refused(of(Context::default(), (4, 2, 3), 1), &["state: expected arrays of shapes [[2, 4], [2, 4]], got [[1, 4]"]);
    refused(of(Context::default().with_lengths(&[4]), (4, 2, 3), 2), &["lengths: expected 2, one for each row, got 1"]);
    refused(of(Context::default().with_lengths(&[5, 1]), (4, 2, 3), 2), &["lengths: expected at most 4 steps, got 5"]);
    let tokens = Array2::from_elem((4, 2), 3);
    let result = net.layer_outputs(Context::default(), &tokens, &mut net.zero_state(2));
    refused(result, &["tokens: expected below 3, got 3"]);
    let other = Network::<f64>::builder(3).gru(4).gru(4).build().unwrap();
    let result = net.layer_outputs(Context::default(), &Array3::zeros((4, 2, 3)), &mut other.zero_state(2));
    refused(result, &["state: expected one of this network, got that of a network of other kinds of layers"]);
}

#[test]
fn states() {
    let mut bptt = Bptt::builder(model()).build().unwrap();
    let wider = LanguageModel::new(Stacked::repeat(V, 2, &spec(5), 0).unwrap(), 1).unwrap();
    let deeper = LanguageModel::new(Stacked::repeat(V, 3, &spec(4), 0).unwrap(), 1).unwrap();
    let expected = "state: expected arrays of shapes [[2, 4], [2, 4], [2, 4], [2, 4]], got [[";
    for wrong in [model().zero_state(3), wider.zero_state(2), deeper.zero_state(2), Vec::new()] {
        let got = format!("got {:?}", wrong.shapes());
        let parts = [&expected[..expected.len() - 2], &got];
        refused(bptt.set_state(wrong.clone(), 2), &parts);
        refused(bptt.predict_with(deep_rnn::Context::default(), &text(3, 2), &mut wrong.clone()), &parts);
    }
    for batch in HUGE {
        refused(bptt.set_state(model().zero_state(2), batch), &["state: expected arrays of shapes", "got [[2, 4]"]);
    }
    assert!(bptt.state().is_none());
    let model = model();
    let mut logits = [0.0; V];
    for (mut state, got) in [
        (model.zero_state(2), "[2, 4]"),
        (model.zero_state(0), "[0, 4]"),
        (wider.zero_state(1), "[1, 5]"),
        (deeper.zero_state(1), "[1, 4]"),
        (Vec::new(), "[]"),
    ] {
        refused(model.step_tokens(&[0], &mut logits, &mut state), &["state: expected", got]);
    }
    for wrong in [V - 1, V + 1, 0] {
        let (mut logits, got) = (vec![0.0; wrong], format!("got 1 for {wrong}"));
        let result = model.step_tokens(&[0], &mut logits, &mut model.zero_state(1));
        refused(result, &["tokens: expected B·1 numbers of tokens for B·5 of y", &got]);
    }
}

#[test]
fn states_in_pytorchs_layout() {
    let flat_of = |net: &Network<f64>| flat_state(net, &net.zero_state(2));
    let net = || Network::<f64>::builder(3);
    let mixed = net().lstm(4).gru(4).build().unwrap();
    let kinds = ["cells: expected all of one kind and width, as Lstm(3 → 4), got Gru(4 → 4)"];
    refused(flat_of(&mixed), &kinds);
    refused(state_from_flat(&mixed, &[Array3::zeros((2, 2, 4))]), &kinds);
    let widths = ["cells: expected all of one kind and width, as Gru(3 → 4), got Gru(4 → 5)"];
    refused(flat_of(&net().gru(4).linear(4).gru(5).build().unwrap()), &widths);
    let lstm = net().lstm(4).dropout(0.1).lstm(4).build().unwrap();
    refused(
        flat_state(&lstm, &mixed.zero_state(2)),
        &["state: expected arrays of shapes [[2, 4], [2, 4], [2, 4], [2, 4]]"],
    );
    let arrays = |shapes: &[[usize; 3]]| shapes.iter().map(|shape| Array3::<f64>::zeros(*shape)).collect::<Vec<_>>();
    let to = |shapes: &[[usize; 3]]| state_from_flat(&lstm, &arrays(shapes));
    assert!(to(&[[2, 5, 4], [2, 5, 4]]).is_ok());
    let number = "arrays of the state: expected 2, one for each array of a cell's state, got ";
    for shapes in [&[][..], &[[2, 5, 4]], &[[2, 5, 4]; 3]] {
        refused(to(shapes), &[&format!("{number}{}", shapes.len())]);
    }
    refused(to(&[[1, 5, 4], [2, 5, 4]]), &["state[0]: expected shape [2, B, 4], got [1, 5, 4]"]);
    refused(to(&[[2, 5, 4], [2, 5, 3]]), &["state[1]: expected shape [2, 5, 4], got [2, 5, 3]"]);
    refused(to(&[[2, 5, 4], [2, 1, 4]]), &["state[1]: expected shape [2, 5, 4], got [2, 1, 4]"]);
}

#[test]
fn the_batch_size_between_batches_that_continue() {
    let batch = |b, continues| Batch::new(text(3, b), text(3, b)).continues(continues);
    let mut bptt = Bptt::builder(model()).build().unwrap();
    let parts = ["batch: expected 2 rows, as in the batch it continues", "got 3"];
    refused(bptt.epoch([batch(2, false), batch(3, true)]), &parts);
    refused(bptt.evaluate([batch(2, false), batch(3, true)]), &parts);
    refused(bptt.train_next(&text(3, 3), &text(3, 3)), &parts);
    bptt.epoch([batch(2, true), batch(3, false), batch(3, true)]).unwrap();
    bptt.set_state(model().zero_state(7), 7).unwrap();
    refused(bptt.train_next(&text(3, 3), &text(3, 3)), &["batch: expected 7 rows", "got 3"]);
}

#[test]
fn logits_for_a_sampler() {
    for mut sampler in [Sampler::greedy(), Sampler::temperature(1.0, 1).unwrap()] {
        let mut choose = |logits: &[f64]| sampler.choose(Array1::from_vec(logits.to_vec()).view());
        refused(choose(&[]), &["logits: expected shape [V], at least 1, got [0]"]);
        refused(choose(&[0.0, f64::NAN]), &["logits: expected numbers below infinity, got NaN"]);
        refused(choose(&[f64::INFINITY, 0.0]), &["logits: expected numbers below infinity, got inf"]);
        assert_eq!(choose(&[f64::NEG_INFINITY, 0.0]).unwrap(), 1);
        refused(choose(&[f64::NEG_INFINITY; 3]), &["logits: expected at least one above -∞, got -∞ for every token"]);
        assert_eq!(choose(&[-f64::MAX, f64::MAX, f64::MIN_POSITIVE]).unwrap(), 1);
    }
    // The colder, the surer, down to the least temperature there is.
    for temperature in [1e-3, 1e-308, f64::MIN_POSITIVE, 5e-324] {
        for seed in 0..50 {
            let mut cold = Sampler::temperature(temperature, seed).unwrap();
            assert_eq!(cold.choose(Array1::from_vec(vec![1.0, 2.0, 0.5]).view()).unwrap(), 1, "{temperature:e}");
            assert_eq!(cold.choose(Array1::from_vec(vec![-1e300, f64::MAX, 3.0]).view()).unwrap(), 1);
            assert_eq!(cold.choose(Array1::from_vec(vec![f64::NEG_INFINITY, -1e308, -f64::MAX]).view()).unwrap(), 1);
        }
    }
    let mut hot = Sampler::temperature(f64::MAX, 1).unwrap();
    let logits = Array1::from_vec(vec![1e308, f64::NEG_INFINITY, -1e308]);
    let seen: Vec<usize> = (0..50).map(|_| hot.choose(logits.view()).unwrap()).collect();
    assert!(seen.contains(&0) && seen.contains(&2) && !seen.contains(&1), "{seen:?}");
}

/// The way to say what was meant stands in the message.
#[test]
fn the_remedy_is_named() {
    let net = || Network::<f64>::builder(3).lstm(4).linear(2).build().unwrap();
    let mut bptt = Bptt::builder(net()).loss(MeanSquared).build().unwrap();
    // Batch first: 2 rows of 5 steps.
    let (xs, ys) = (Array3::zeros((2, 5, 3)), Array3::zeros((5, 2, 2)));
    refused(bptt.train(&xs, &ys), &["targets", "batch_major(&x)"]);
    bptt.train(&deep_rnn::data::batch_major(&xs), &ys).unwrap();
    // The state of two rows goes on with three.
    let (xs, ys) = (Array3::zeros((5, 3, 3)), Array3::zeros((5, 3, 2)));
    refused(
        bptt.train_next(&xs, &ys),
        &["2 rows, as in the batch it continues", "its state is carried in", "train", "got 3"],
    );
    bptt.train(&xs, &ys).unwrap();
    let batch = || Batch::new(xs.clone(), ys.clone());
    bptt.epoch([batch()]).unwrap();
    refused(
        bptt.epoch([Batch::new(Array3::zeros((5, 2, 3)), Array3::zeros((5, 2, 2))).continues(true)]),
        &["continue"],
    );
}

/// Sequences that have nothing to do with each other do not see each other's state.
#[test]
fn sequences_start_afresh_unless_they_go_on() {
    let net = || Network::<f64>::builder(3).lstm(4).linear(2).seed(1).build().unwrap();
    let engine = || Bptt::builder(net()).loss(MeanSquared).optimizer(Sgd::new(0.1)).build().unwrap();
    let (xs, ys) = (Array3::from_elem((5, 2, 3), 0.3), Array3::from_elem((5, 2, 2), 0.8));
    let (mut fresh, mut reset, mut carried) = (engine(), engine(), engine());
    for call in 0..3 {
        reset.reset_state();
        let losses = [fresh.train(&xs, &ys), reset.train_next(&xs, &ys), carried.train_next(&xs, &ys)]
            .map(|report| report.unwrap().loss());
        assert_eq!(losses[0], losses[1]);
        assert_eq!(losses[0] == losses[2], call == 0);
    }
}

#[test]
fn predictions_from_no_numbers() {
    let net = Network::<f64>::builder(2).lstm(4).bi(Gru::spec(3)).linear(2).seed(1).build().unwrap();
    let packed = net.prepare(Precision::Full).unwrap();
    let bptt = Bptt::builder(net.clone()).loss(MeanSquared).build().unwrap();
    let mut xs = Array3::from_elem((5, 3, 2), 0.5);
    let good = net.predict(&xs).unwrap();
    assert_eq!((packed.predict(&xs).unwrap(), bptt.predict(&xs).unwrap()), (good.clone(), good.clone()));
    for wrong in [f64::NAN, f64::INFINITY] {
        xs[[4, 1, 1]] = wrong;
        let parts = ["inputs[4, 1, 1]", &wrong.to_string()];
        refused(net.predict(&xs), &parts);
        refused(packed.predict(&xs), &parts);
        refused(bptt.predict(&xs), &parts);
        // Past the end of its row it counts for nothing.
        let lengths = [5, 4, 5];
        let cx = Context::default().with_lengths(&lengths);
        let ragged = net.predict_with(cx, &xs, &mut net.initial_state(3)).unwrap();
        assert!(ragged.iter().all(|y| y.is_finite()));
    }
    for (width, t, b) in [(3, 5, 3), (0, 5, 3)] {
        refused(net.predict(&Array3::zeros((t, b, width))), &["inputs: expected shape [T, B, 2]"]);
    }
    for (t, b) in [(0, 3), (5, 0), (0, 0)] {
        assert_eq!(net.predict(&Array3::zeros((t, b, 2))).unwrap().dim(), (t, b, 2));
    }
    refused(net.predict_with(Context::default(), &Array3::zeros((5, 3, 2)), &mut net.zero_state(2)), &["state"]);
}
