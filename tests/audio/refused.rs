//! What these formats have and we have not, and the other way round.

use deep_rnn::cells::Activation;
use deep_rnn::files::{AudioFormat, AudioModel};
use deep_rnn::prelude::*;

use crate::folder::Folder;

#[test]
fn files_that_say_something_else() {
    let dense = |layer: &str| format!(r#"{{"in_shape": [null, null, 1], "layers": [{layer}]}}"#);
    let guitar = |about: &str, dict: &str| format!(r#"{{"model_data": {{{about}}}, "state_dict": {{{dict}}}}}"#);
    let about =
        r#""unit_type": "GRU", "input_size": 1, "hidden_size": 1, "num_layers": 1, "output_size": 1, "skip": 0"#;
    let rnn = about.replace("GRU", "RNN");
    let dict = r#""rec.weight_ih_l0": [[1]], "rec.weight_hh_l0": [[1]], "lin.weight": [[1]], "lin.bias": [0]"#;
    assert!(AudioModel::<f32>::from_bytes(guitar(&rnn, dict).as_bytes()).is_ok());
    let nam = |config: &str, weights: usize| {
        let weights = vec!["0.5"; weights].join(",");
        format!(r#"{{"architecture": "LSTM", "config": {{{config}}}, "weights": [{weights}], "sample_rate": 48000}}"#)
    };
    let config = r#""input_size": 1, "hidden_size": 1, "num_layers": 1"#;
    assert!(AudioModel::<f32>::from_bytes(nam(config, 16).as_bytes()).is_ok());
    let lstm = r#""type": "lstm", "activation": "", "shape": [null, null, 1]"#;
    let weights = r#""weights": [[[1, 1, 1, 1]], [[1, 1, 1, 1]], [1, 1, 1, 1]]"#;
    assert!(AudioModel::<f32>::from_bytes(dense(&format!("{{{lstm}, {weights}}}")).as_bytes()).is_ok());
    for (text, message) in [
        ("{}".to_string(), "state_dict: expected names of PyTorch's"),
        ("[]".to_string(), "JSON"),
        (r#"{"a.b": 1}"#.to_string(), "state_dict: expected names of PyTorch's"),
        (dense(r#"{"type": "conv1d", "shape": [null, null, 1]}"#), "layer 0: type: expected lstm, gru, dense"),
        (dense(r#"{"type": "conv2d", "weights": [[[[[[1]]]]], "x"]}"#), "got conv2d"),
        (dense(r#"{"type": "prelu", "shape": [null, null, 1]}"#), "got prelu"),
        (dense(r#"{"type": "batchnorm", "shape": [null, null, 1]}"#), "got batchnorm"),
        (
            dense(r#"{"type": "dense", "shape": [null, null, 1], "weights": [[[1]]]}"#),
            "weights: expected 2 arrays, got 1",
        ),
        (dense(r#"{"type": "dense", "shape": [null, null], "weights": [[[1]], [1]]}"#), "the layer's units at its end"),
        (dense(r#"{"type": "dense", "shape": [1], "activation": "softmax", "weights": [[[1]], [1]]}"#), "got softmax"),
        (
            dense(r#"{"type": "dense", "shape": [1], "weights": [[[1], [2]], [1]]}"#),
            "expected shape [1, 1], got [2, 1]",
        ),
        (dense(r#"{"type": "dense", "shape": [1], "weights": [[[1, 2], [3]], [1]]}"#), "lists of different lengths"),
        (dense(r#"{"type": "dense", "shape": [1], "weights": [[[[1]]], [1]]}"#), "lists of lists of lists"),
        (dense(r#"{"type": "dense", "shape": [1], "weights": [[["1"]], [1]]}"#), "expected a number"),
        (dense(r#"{"type": "dense", "shape": [1], "weights": [[[1e999]], [1]]}"#), "number out of range"),
        (
            dense(r#"{"type": "dense", "shape": [1], "weights": [[[1e300]], [1]]}"#),
            "0.w: expected finite numbers in f32",
        ),
        (dense(r#"{"type": "dense", "shape": [1], "weights": [[[NaN]], [1]]}"#), "JSON"),
        (dense(r#"{"type": "dense", "shape": [18446744073709551615], "weights": [[[1]], [1]]}"#), "expected shape"),
        (dense(r#"{"type": "dense", "shape": [1], "shape": [1], "weights": [[[1]], [1]]}"#), "\"shape\" comes twice"),
        (
            dense(&format!(r#"{{{lstm}, "weights": [[[1, 1, 1]], [[1, 1, 1]], [1, 1, 1]]}}"#)),
            "expected shape [1, 4], got [1, 3]",
        ),
        (
            dense(&format!("{{{}, {weights}}}", lstm.replace("\"\"", "\"relu\""))),
            "activation: expected tanh, or none, got relu",
        ),
        (dense(""), "layers"),
        (dense("").replace("1]", "0]"), "in_shape"),
        (dense("").replace("\"in_shape\"", "\"shape\""), "in_shape"),
        (r#"{"in_shape": [1], "in_skip": 2, "layers": []}"#.to_string(), "in_skip: expected 0 or 1, got 2"),
        (r#"{"in_shape": [1], "in_gain": 1e9, "layers": []}"#.to_string(), "in_gain"),
        (guitar(&about.replace("GRU", "TCN"), dict), "unit_type: expected LSTM, GRU, RNN, got TCN"),
        (guitar(about, dict), "rec.weight_ih_l0: expected shape [3, 1], got [1, 1]"),
        (
            guitar(&rnn.replace("\"num_layers\": 1", "\"num_layers\": 2"), dict),
            "num_layers: expected 1, as in the state_dict",
        ),
        (guitar(&rnn.replace("\"skip\": 0", "\"skip\": 3"), dict), "skip: expected 0 or 1, got 3"),
        (guitar(&rnn, &dict.replace("lin.weight", "out.weight")), "an array \"lin.weight\""),
        (guitar(&rnn, &format!("{dict}, \"more.bias\": [1]")), "no others, got \"more.bias\""),
        (guitar(&rnn, &format!("{dict}, \"rec.bias_ih_l0\": [1]")), "an array \"rec.bias_hh_l0\""),
        (nam(config, 15), "weights: expected 16 numbers, by the config, got 15"),
        (nam(config, 17), "weights: expected 16 numbers, by the config, got 17"),
        (nam(&config.replace("\"hidden_size\": 1", "\"hidden_size\": 4294967296"), 16), "more than could be counted"),
        (
            nam(&config.replace("\"num_layers\": 1", "\"num_layers\": 18446744073709551615"), 16),
            "more than could be counted",
        ),
        (nam(&config.replace("\"hidden_size\": 1", "\"hidden_size\": 0"), 16), "hidden_size: expected at least 1"),
        (
            nam(config, 16).replace("LSTM", "WaveNet"),
            "architecture: expected LSTM (no other is there here), got WaveNet",
        ),
        (nam(config, 16).replace("48000", "-1"), "sample_rate"),
    ] {
        let error =
            AudioModel::<f32>::from_bytes(text.as_bytes()).err().unwrap_or_else(|| panic!("{text}")).to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn networks_that_a_format_cannot_hold() {
    use AudioFormat::{GuitarMl, Nam, RtNeural, StateDict};
    let folder = Folder::new();
    let path = folder.join("model.json");
    let one = || Network::<f32>::builder(1);
    for (net, format, message) in [
        (one().rnn(2).linear(1), RtNeural, "layer: expected one that RTNeural has, got Rnn(1 → 2)"),
        (one().bi(Lstm::spec(2)).linear(1), RtNeural, "got Bidirectional"),
        (one().layer(Lstm::spec(2).peepholes()), RtNeural, "got PeepholeLstm"),
        (one().layer(Lstm::spec(2).clip_gates(1.0)), RtNeural, "got Lstm(1 → 2, gates clipped at 1)"),
        (one().layer(Lstm::spec(2).projection(1)), RtNeural, "got Lstm(1 → 1, 2 units projected)"),
        (one().linear(2).activation(Activation::Softplus), RtNeural, "activation: expected one that RTNeural has"),
        (one().lstm(2), GuitarMl, "cells and a Linear on top"),
        (one().lstm(2).gru(2).linear(1), GuitarMl, "got Gru(2 → 2)"),
        (one().lstm(2).lstm(3).linear(1), GuitarMl, "units: expected 2, as in the first layer"),
        (one().layer(Rnn::spec(2).activation(Activation::Relu)).linear(1), StateDict, "got Rnn(1 → 2, relu)"),
        (one().gru(2).linear(1), Nam, "layer: expected one that NAM has, got Gru"),
        (one().lstm(2).linear(1).activation(Activation::Tanh), Nam, "got Linear(2 → 1)"),
    ] {
        let model = AudioModel::new(net.build().unwrap(), None);
        let error = model.save(&path, format).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("model.json: "), "{error}");
    }
    let mut net = one().lstm(2).linear(1).build().unwrap();
    net.visit_mut(&mut |name, mut array| {
        if name == "1.b" {
            array.fill(f32::NAN);
        }
    });
    let error = AudioModel::new(net, None).save(&path, RtNeural).unwrap_err().to_string();
    assert!(error.contains("1.b: expected finite numbers, got NaN"), "{error}");
    assert!(folder.names().is_empty());
    // In formats without them, what is around a network is refused.
    let scaled = one().layer(deep_rnn::layers::Scale::spec(2.0)).lstm(2).linear(1);
    let scaled = scaled.layer(deep_rnn::layers::Scale::spec(0.5)).build().unwrap();
    for format in [GuitarMl, StateDict, Nam] {
        let error = AudioModel::new(scaled.clone(), None).save(&path, format).unwrap_err().to_string();
        assert!(error.contains("gains (Scale)"), "{error}");
    }
}
