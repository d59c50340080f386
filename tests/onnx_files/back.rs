//! Our own files: read back they are the same network; and files for other programs (`tests/data/onnx_back.py`).

use std::path::PathBuf;

use deep_rnn::cells::Activation;
use deep_rnn::data::AsInput;
use deep_rnn::layers::{Boxed, Residual, Reversed, Zoneout};
use deep_rnn::ndarray::{Array2, Array3};
use deep_rnn::onnx;
use deep_rnn::prelude::*;

use crate::nets::{D, H, V, networks};

const T: usize = 6;
const B: usize = 3;

/// Arrays with their names, in `f64`.
fn arrays<N: Params>(network: &N) -> Vec<(String, Vec<f64>)> {
    let mut all = Vec::new();
    network.visit(&mut |name, array| all.push((name.to_string(), array.iter().map(|x| x.as_f64()).collect())));
    all
}

fn numbers<N: Params>(network: &N) -> Vec<Vec<f64>> {
    arrays(network).into_iter().map(|(_, numbers)| numbers).collect()
}

/// Rows of numbers, or of tokens where the network begins with a layer for them.
enum Xs<F> {
    Rows(Array3<F>),
    Tokens(Array2<usize>),
}

fn input<F: Float>(network: &Network<F>) -> Xs<F> {
    let about = network.describe();
    let first = &about.inner[0].1.kind;
    let value = |i: usize| ((i * 37 + 11) % 101) as f64 / 25.0 - 2.0;
    if first == "Embedding" || first == "Tied" {
        return Xs::Tokens(Array2::from_shape_fn((T, B), |(t, b)| (t * 5 + b * 3 + 1) % network.input_size()));
    }
    let width = network.input_size();
    Xs::Rows(Array3::from_shape_fn((T, B, width), |(t, b, d)| F::from_f64(value((t * B + b) * width + d))))
}

fn outputs<F: Float>(network: &Network<F>) -> Array3<F> {
    let run = |xs: Input<'_, F>| {
        let mut ys = Array3::zeros((network.output_steps(T), B, network.output_size()));
        network.forward(Context::default(), xs, ys.view_mut(), &mut network.initial_state(B), None);
        ys
    };
    match input(network) {
        Xs::Rows(xs) => run(xs.as_input()),
        Xs::Tokens(tokens) => run(AsInput::<F>::as_input(&tokens)),
    }
}

fn there_and_back<F: Float>() {
    let mut same = 0;
    let all = networks::<F>();
    for (name, network) in &all {
        let network = network.as_ref().unwrap_or_else(|error| panic!("{name}: {error}"));
        let file = onnx::write(network).unwrap_or_else(|error| panic!("{name}: {error}"));
        let imported = onnx::import::<F>(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((imported.input.name.as_str(), imported.output.name.as_str()), ("x", "y"), "{name}");
        assert!(!imported.input.batch_first() && !imported.output.batch_first(), "{name}");
        let (ours, back) = (outputs(network), outputs(&imported.network));
        if *name == "tied" {
            // The table and the head have become two weights, of which the head's is turned round.
            assert!((&ours - &back).iter().all(|off| off.abs().as_f64() < 1e-5), "{name}");
            continue;
        }
        assert_eq!(ours, back, "{name}: to the bit");
        assert_eq!(numbers(network), numbers(&imported.network), "{name}: the same arrays in the same order");
        // Written again it is the same file.
        if onnx::write(&imported.network).unwrap() == file {
            same += 1;
        }
        if !["nested", "weight-drop", "bi"].contains(name) {
            assert_eq!(arrays(network), arrays(&imported.network), "{name}: under the same names");
            let (ours, back) = (network.describe(), imported.network.describe());
            assert_eq!(ours.to_string(), back.to_string(), "{name}");
        }
    }
    println!("{}: {} networks there and back, {same} files the same when written again", F::NAME, all.len());
    assert!(same + 4 >= all.len(), "{same} of {}", all.len());
}

#[test]
fn there_and_back_in_f32() {
    there_and_back::<f32>();
}

#[test]
fn there_and_back_in_f64() {
    there_and_back::<f64>();
}

/// A layer alone, a stack of one type and a language model are networks too.
#[test]
fn any_type_of_network() {
    let cell = Lstm::<f32>::spec(H).build(D, &mut Init::seeded(1)).unwrap();
    let back = onnx::read::<f32>(&onnx::write(&cell).unwrap()).unwrap();
    assert_eq!(numbers(&cell), numbers(&back));
    let stack = Stacked::repeat(D, 2, &Gru::<f32>::spec(D), 1).unwrap();
    let back = onnx::read::<f32>(&onnx::write(&stack).unwrap()).unwrap();
    assert_eq!(arrays(&stack), arrays(&back));
    let net = Network::<f32>::builder(V).embedding(D).lstm(H).seed(1).build().unwrap();
    let model = LanguageModel::new(net, 1).unwrap();
    let back = onnx::read::<f32>(&onnx::write(&model).unwrap()).unwrap();
    assert_eq!(numbers(&model), numbers(&back));
    assert_eq!(back.output_size(), V);
}

/// What ONNX has not, by layer.
#[test]
fn refused_layers() {
    let init = || Init::seeded(1);
    let rows = || Network::<f32>::builder(D).seed(1).lstm(H);
    let lstm = || Lstm::<f32>::spec(H);
    let zoneout = Zoneout::new(lstm().build(H, &mut init()).unwrap(), &[0.1, 0.1]).unwrap();
    fn twice(a: f64) -> (f64, f64) {
        (2.0 * a, 2.0)
    }
    let last_of_both = Stacked::new(vec![Boxed::new(Reversed::new(
        Network::<f32>::builder(D).lstm(H).last().seed(1).build().unwrap(),
    ))]);
    let cases: Vec<(&str, Result<Network<f32>, Error>)> = vec![
        (
            "Lstm at \"1\": cell: expected one that ONNX has, got a projection",
            rows().layer(lstm().projection(2)).build(),
        ),
        ("got a clipped cell state", rows().layer(lstm().clip_cell(-1.0, 1.0)).build()),
        ("Rnn at \"1\"", rows().layer(Rnn::spec(3).activation(Activation::Custom("twice", twice))).build()),
        ("Zoneout", Stacked::new(vec![Boxed::new(lstm().build(D, &mut init()).unwrap()), Boxed::new(zoneout)])),
        (
            "Residual",
            Residual::of_first_columns(lstm().build(7, &mut init()).unwrap())
                .and_then(|r| Stacked::new(vec![Boxed::new(r)])),
        ),
        ("Last", last_of_both),
    ];
    for (words, network) in cases {
        let error = onnx::write(&network.unwrap()).map(|_| ()).expect_err(words).to_string();
        println!("{error}");
        assert!(error.contains(words), "{words}: {error}");
    }
}

/// Writes every network, with inputs, first states, outputs and last states, for `tests/data/onnx_back.py`.
#[test]
#[ignore = "writes files to the folder in DEEP_RNN_ONNX_BACK"]
fn write_for_others() {
    let folder = PathBuf::from(std::env::var_os("DEEP_RNN_ONNX_BACK").expect("DEEP_RNN_ONNX_BACK"));
    for (name, network) in networks::<f32>() {
        let network = network.unwrap();
        std::fs::write(folder.join(format!("{name}.onnx")), onnx::write(&network).unwrap()).unwrap();
        let mut state = network.initial_state(B);
        let learned = name.starts_with("learned");
        let mut lanes = Vec::new();
        let mut i = 0;
        state.visit_mut(&mut |mut array| {
            i += 1;
            if !learned {
                array.indexed_iter_mut().for_each(|((b, h), x)| *x = ((b * 7 + h * 3 + i) % 11) as f32 / 11.0 - 0.5);
            }
        });
        state.visit(&mut |array| lanes.push(array.to_owned()));
        let mut ys = Array3::zeros((network.output_steps(T), B, network.output_size()));
        let xs = input(&network);
        let read: Input<'_, f32> = match &xs {
            Xs::Rows(xs) => xs.as_input(),
            Xs::Tokens(tokens) => AsInput::<f32>::as_input(tokens),
        };
        network.forward(Context::default(), read, ys.view_mut(), &mut state, None);
        let bytes = |numbers: Vec<f32>| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let mut all: Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        match &xs {
            Xs::Rows(xs) => all.push((
                "x".into(),
                safetensors::Dtype::F32,
                vec![T, B, xs.dim().2],
                bytes(xs.iter().copied().collect()),
            )),
            Xs::Tokens(tokens) => {
                let raw = tokens.iter().flat_map(|token| (*token as i64).to_le_bytes()).collect();
                all.push(("x".into(), safetensors::Dtype::I64, vec![T, B], raw));
            }
        }
        all.push(("y".into(), safetensors::Dtype::F32, ys.shape().to_vec(), bytes(ys.iter().copied().collect())));
        for (i, array) in lanes.iter().enumerate() {
            all.push((
                format!("in.{i:02}"),
                safetensors::Dtype::F32,
                array.shape().to_vec(),
                bytes(array.iter().copied().collect()),
            ));
        }
        let mut i = 0;
        state.visit(&mut |array| {
            let array = array.to_owned();
            all.push((
                format!("out.{i:02}"),
                safetensors::Dtype::F32,
                array.shape().to_vec(),
                bytes(array.iter().copied().collect()),
            ));
            i += 1;
        });
        let views = all.iter().map(|(name, dtype, shape, data)| {
            (name.clone(), safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        let file = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
        std::fs::write(folder.join(format!("{name}.safetensors")), file).unwrap();
    }
}
