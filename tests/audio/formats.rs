//! Each format written and read again, and RTNeural's played by plain loops.

use deep_rnn::cells::Activation;
use deep_rnn::files::{AudioFormat, AudioModel};
use deep_rnn::layers::{Boxed, Builder, LearnedState, Residual, Scale};
use deep_rnn::prelude::*;

use crate::folder::Folder;
use crate::plain::play;
use crate::played::{error, outputs};

/// No bias of 0.
fn built(builder: Builder<f64>) -> Network<f64> {
    let (mut net, mut next) = (builder.seed(5).build().unwrap(), 0.0);
    net.visit_mut(&mut |_, mut array| {
        array.map_inplace(|x| {
            next += 1.0;
            *x += 0.05 * f64::sin(next);
        });
    });
    net
}

fn sound(samples: usize, width: usize) -> Vec<f64> {
    (0..samples * width).map(|n| f64::from((0.1 * (n * n % 89) as f64).sin() as f32)).collect()
}

fn around(net: Network<f64>, gains: (f64, f64)) -> Network<f64> {
    let (inputs, outputs) = (net.input_size(), net.output_size());
    let residual = Residual::of_first_columns(Boxed::new(net)).unwrap();
    let scale = |width, factor| Boxed::new(Scale::new(width, factor).unwrap());
    Stacked::new(vec![scale(inputs, gains.0), Boxed::new(residual), scale(outputs, gains.1)]).unwrap()
}

#[test]
fn rtneurals_files_are_what_plain_loops_play() {
    let folder = Folder::new();
    let path = folder.join("model.json");
    let net = |inputs| Network::<f64>::builder(inputs);
    let elu = Activation::Elu(1.0);
    let knobs = built(net(2).lstm(4).linear(1));
    for (name, net) in [
        ("lstm", built(net(1).lstm(8).linear(1))),
        ("two biases", built(net(1).layer(Lstm::spec(5).bias(Bias::Two)).dropout(0.2).linear(1))),
        ("no bias", built(net(1).layer(Lstm::spec(5).bias(Bias::None)).layer(Linear::spec(1).bias(false)))),
        ("gru", built(net(3).linear(4).activation(Activation::Tanh).gru(6).linear(3).activation(Activation::Sigmoid))),
        ("no bias of a gru", built(net(1).layer(Gru::spec(5).bias(Bias::None)).linear(2))),
        ("deep", built(net(1).lstm(3).gru(2).activation(Activation::Relu).lstm(2).linear(2).activation(elu))),
        ("in each other", built(net(1).layer(Network::part().lstm(3).linear(2)).linear(1))),
        ("around", around(knobs, (0.5, 3.0))),
        ("gains", {
            let inside = Boxed::new(built(net(1).lstm(3).linear(2)));
            let scale = |width, factor| Boxed::new(Scale::new(width, factor).unwrap());
            Stacked::new(vec![scale(1, 1.5), inside, scale(2, 0.25)]).unwrap()
        }),
    ] {
        let model = AudioModel::new(net.clone(), Some(44_100.0));
        model.save(&path, AudioFormat::RtNeural).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = AudioModel::<f64>::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((again.format, again.sample_rate), (AudioFormat::RtNeural, Some(44_100.0)));
        let xs = sound(50, net.input_size());
        let rows: Vec<Vec<f64>> = xs.chunks_exact(net.input_size()).map(<[f64]>::to_vec).collect();
        let expected: Vec<f64> = play(&std::fs::read_to_string(&path).unwrap(), &rows).concat();
        let errors = [error(&net, &xs, &expected), error(&again.network, &xs, &expected)];
        assert!(errors.iter().all(|error| *error < 1e-14), "{name}: {errors:?}");
    }
}

#[test]
fn other_formats_are_read_again() {
    use AudioFormat::{GuitarMl, Nam, StateDict};
    let folder = Folder::new();
    let path = folder.join("model.json");
    let net = |inputs| Network::<f64>::builder(inputs);
    let learned = |net: Network<f64>| {
        let mut layer = LearnedState::new(Boxed::new(net)).unwrap();
        let mut next = 0.1;
        layer.visit_mut(&mut |name, mut array| {
            if name.starts_with("state.") {
                array.map_inplace(|x| {
                    next = (next * 7.7) % 1.0;
                    *x = next - 0.5;
                });
            }
        });
        Stacked::new(vec![Boxed::new(layer)]).unwrap()
    };
    let skip = |net: Network<f64>| {
        Stacked::new(vec![Boxed::new(Residual::of_first_columns(Boxed::new(net)).unwrap())]).unwrap()
    };
    for (name, format, net) in [
        ("lstm", GuitarMl, built(net(1).layer(Lstm::spec(4).bias(Bias::Two)).linear(1))),
        ("deep", GuitarMl, built(net(2).gru(4).gru(4).layer(Linear::spec(1).bias(false)))),
        ("rnn", GuitarMl, built(net(1).layer(Rnn::spec(4).bias(Bias::None)).linear(1))),
        ("skip", GuitarMl, skip(built(net(3).lstm(4).linear(1)))),
        (
            "modules",
            StateDict,
            built(net(1).lstm(4).layer(Lstm::spec(3).bias(Bias::Two)).lstm(3).gru(2).linear(2).linear(1)),
        ),
        ("nam", Nam, built(net(1).lstm(3).lstm(3).linear(1))),
        (
            "nam that starts somewhere",
            Nam,
            learned(built(net(2).layer(Lstm::spec(3).bias(Bias::Two)).lstm(3).linear(2))),
        ),
    ] {
        AudioModel::new(net.clone(), None).save(&path, format).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = AudioModel::<f64>::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again.format, format, "{name}");
        let xs = sound(40, net.input_size());
        let [expected, ..] = outputs(&net, &xs);
        let error = error(&again.network, &xs, &expected);
        assert!(error < 1e-15, "{name}: {error:e}");
    }
}

/// A file by hand, with everything around.
const AIDA: &str = r#"{"in_shape": [null, null, 1], "in_skip": 1, "in_gain": -6, "out_gain": 12.5,
    "metadata": {"name": "by hand", "samplerate": "44100"}, "samplerate": 1,
    "input_batch": [0.5, -0.25], "output_batch": [1.25, 0.875],
    "layers": [{"type": "dense", "activation": "", "shape": [null, null, 1], "weights": [[[0.5]], [1.0]]}]}"#;

#[test]
fn gains_a_way_past_and_a_test_of_its_own() {
    let model = AudioModel::<f64>::from_bytes(AIDA.as_bytes()).unwrap();
    assert_eq!(model.sample_rate, Some(44_100.0));
    let (before, after) = (10_f64.powf(-0.3), 10_f64.powf(0.625));
    let expected: Vec<f64> = [0.3, -0.7].map(|x| after * (before * x + (0.5 * before * x + 1.0))).to_vec();
    assert!(error(&model.network, &[0.3, -0.7], &expected) < 1e-15);
    // Its test knows nothing of gains, and has the sound that goes past: 0.5 + 1 + 0.5/2, ...
    let difference = model.self_test().unwrap().unwrap();
    assert!((difference - 0.5).abs() < 1e-12, "{difference}");
    let right = AIDA.replace("[1.25, 0.875]", "[1.75, 0.625]");
    let difference = AudioModel::<f64>::from_bytes(right.as_bytes()).unwrap().self_test().unwrap().unwrap();
    assert!(difference < 1e-15, "{difference}");
    let wrong = AIDA.replace("[0.5, -0.25]", "[0.5]");
    assert!(AudioModel::<f64>::from_bytes(wrong.as_bytes()).unwrap().self_test().is_err());
    let none = AIDA.replace("input_batch", "inputs");
    assert!(AudioModel::<f64>::from_bytes(none.as_bytes()).unwrap().self_test().unwrap().is_none());
}
