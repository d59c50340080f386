//! PyTorch's files: the outputs that PyTorch has, and back to the byte. `tests/data/torch_files.py` made them.

use deep_rnn::data::flat_state;
use deep_rnn::files::{Loading, Names, Saving, Storage};
use deep_rnn::ndarray::{Array2, ArrayD, Ix2, Ix3};
use deep_rnn::prelude::*;

use crate::folder::Folder;
use crate::stored::{Numbers, data, tensors};

fn file(case: &str) -> std::path::PathBuf {
    data(&format!("torch/{case}.safetensors"))
}

fn largest(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The outputs, and the states after the last step in PyTorch's layout.
fn outputs<F: Float>(net: &Network<F>, x: &ArrayD<f64>) -> (ArrayD<f64>, Vec<ArrayD<f64>>) {
    let wide = |a: deep_rnn::ndarray::Array3<F>| a.mapv(Float::as_f64).into_dyn();
    let mut state = net.initial_state(x.shape()[1]);
    let y = match x.clone().into_dimensionality::<Ix3>() {
        Ok(x) => net.predict_with(Context::default(), &x.mapv(F::from_f64), &mut state),
        Err(_) => {
            let tokens: Array2<usize> = x.clone().into_dimensionality::<Ix2>().unwrap().mapv(|x| x as usize);
            net.predict_with(Context::default(), &tokens, &mut state)
        }
    };
    (wide(y.unwrap()), flat_state(net, &state).map(|flat| flat.into_iter().map(wide).collect()).unwrap_or_default())
}

#[test]
fn all_modules_give_pytorchs_outputs_and_are_written_back_to_the_byte() {
    let (numbers, folder) = (Numbers::of("torch_io.safetensors"), Folder::new());
    let bare: Vec<String> = numbers.cases().into_iter().filter(|case| case.contains("_l")).collect();
    assert_eq!(bare.len(), 60);
    let (mut worst, mut worst_single) = (0.0_f64, 0.0_f64);
    for case in &bare {
        let names = Names::prefix("");
        let names = if case.starts_with("rnn-relu") { names.relu() } else { names };
        let net = Network::<f64>::from_torch(file(case), &names).unwrap_or_else(|error| panic!("{case}: {error}"));
        let x = numbers.get(&format!("{case}.x")).unwrap();
        let (y, states) = outputs(&net, &x);
        let expected = ["y", "h", "c"].map(|part| numbers.get(&format!("{case}.{part}")));
        for (own, expected) in std::iter::once(&y).chain(&states).zip(expected.iter().flatten()) {
            worst = worst.max(largest(own, expected));
        }
        assert_eq!(states.len(), if case.starts_with("lstm") { 2 } else { 1 }, "{case}");

        let single = Network::<f32>::from_torch(file(case), &names).unwrap();
        worst_single = worst_single.max(largest(&outputs(&single, &x).0, expected[0].as_ref().unwrap()));
        let back = folder.join("back.safetensors");
        single.save_torch(&back, &names).unwrap();
        assert_eq!(tensors(&back), tensors(&file(case)), "{case}");
        // By way of our own file too.
        let own = folder.join("own.safetensors");
        single.save(&own).unwrap();
        Network::<f32>::load(&own).unwrap().save_torch(&back, &names).unwrap();
        assert_eq!(tensors(&back), tensors(&file(case)), "{case}");
    }
    println!("{} modules: largest error {worst:.1e} in f64, {worst_single:.1e} in f32", bare.len());
    assert!(worst < 1e-13 && worst_single < 1e-6, "{worst:e} {worst_single:e}");
}

fn whole() -> Vec<(&'static str, Names)> {
    vec![
        ("prefixes", Names::prefix("rec").and("lin")),
        ("nested", Names::prefix("encoder.rnn").and("head.out").rename("module.", "")),
        ("cells", Names::prefix("cell").and("out")),
        ("tagger", Names::prefix("emb").and("rnn").and("norm").and("out")),
    ]
}

#[test]
fn networks_of_several_modules() {
    let (numbers, folder) = (Numbers::of("torch_io.safetensors"), Folder::new());
    for (case, names) in whole() {
        let net = Network::<f32>::from_torch(file(case), &names).unwrap_or_else(|error| panic!("{case}: {error}"));
        let (y, _) = outputs(&net, &numbers.get(&format!("{case}.x")).unwrap());
        let error = largest(&y, &numbers.get(&format!("{case}.y")).unwrap());
        assert!(error < 1e-6, "{case}: {error:e}");
        // A network that is there is filled, whatever lies between: the same numbers.
        let mut about = Network::<f32>::builder(net.input_size());
        about = match case {
            "prefixes" => about.lstm(8).dropout(0.1).layer(Lstm::spec(8)).dropout(0.2).linear(1),
            "nested" => about.bi(Gru::spec(net.layers()[0].output_size() / 2)).dropout(0.3).linear(net.output_size()),
            "cells" => about.lstm(4).linear(2),
            _ => about.embedding(5).locked_dropout(0.5).bi(Lstm::spec(4).bias(Bias::Two)).layer_norm().linear(3),
        };
        let mut filled = about.seed(9).build().unwrap();
        let result = filled.load_torch(file(case), &names);
        if case == "cells" || case == "prefixes" {
            // One bias of ours is the sum of PyTorch's two.
            result.unwrap();
            let (y, _) = outputs(&filled, &numbers.get(&format!("{case}.x")).unwrap());
            assert!(largest(&y, &numbers.get(&format!("{case}.y")).unwrap()) < 1e-6, "{case}");
        } else {
            result.unwrap_or_else(|error| panic!("{case}: {error}"));
            let (y, _) = outputs(&filled, &numbers.get(&format!("{case}.x")).unwrap());
            assert_eq!(largest(&y, &outputs(&net, &numbers.get(&format!("{case}.x")).unwrap()).0), 0.0, "{case}");
        }
        if case != "cells" {
            let back = folder.join("back.safetensors");
            net.save_torch(&back, &names).unwrap();
            assert_eq!(tensors(&back), tensors(&file(case)), "{case}");
        }
    }
}

#[test]
fn the_only_order_is_found() {
    for (case, names) in whole().into_iter().filter(|(case, _)| *case != "tagger") {
        let rename = Names::auto().rename("module.", "");
        let guessed = Network::<f32>::from_torch(file(case), &rename).unwrap_or_else(|error| panic!("{case}: {error}"));
        let named = Network::<f32>::from_torch(file(case), &names).unwrap();
        assert_eq!(crate::bits::weights(&guessed), crate::bits::weights(&named), "{case}");
    }
    let error = Network::<f32>::from_torch(file("tagger"), &Names::auto()).unwrap_err().to_string();
    assert!(error.contains("one order only") && error.contains("\"norm\", \"out\""), "{error}");
}

#[test]
fn other_types_of_numbers() {
    let (numbers, folder) = (Numbers::of("torch_io.safetensors"), Folder::new());
    for (case, storage) in [("half", Storage::F16), ("bfloat16", Storage::Bf16), ("double", Storage::F64)] {
        let net = Network::<f64>::from_torch(file(case), &Names::auto()).unwrap();
        let (y, _) = outputs(&net, &numbers.get(&format!("{case}.x")).unwrap());
        let error = largest(&y, &numbers.get(&format!("{case}.y")).unwrap());
        assert!(error < 1e-13, "{case}: {error:e}");
        let back = folder.join("back.safetensors");
        let names = Names::auto().and(&gru_name(case)).and("out");
        Saving::new().storage(storage).torch(&net, &back, &names).unwrap();
        assert_eq!(tensors(&back), tensors(&file(case)), "{case}");
    }
    // The smallest numbers and -0 stay as they are.
    let net = Network::<f32>::from_torch(file("tiny"), &Names::prefix("")).unwrap();
    let back = folder.join("back.safetensors");
    net.save_torch(&back, &Names::prefix("")).unwrap();
    assert_eq!(tensors(&back), tensors(&file("tiny")));
    let error = Network::<f32>::from_torch(file("not_finite"), &Names::prefix("")).unwrap_err().to_string();
    assert!(error.contains("not_finite.safetensors") && error.contains("got NaN"), "{error}");
    assert!(Loading::<f32>::new().allow_not_finite().torch(file("not_finite"), &Names::prefix("")).is_ok());
}

/// What the recurrent module is called.
fn gru_name(case: &str) -> String {
    let name = tensors(&file(case)).into_keys().find(|name| name.contains("weight_ih_l0")).unwrap();
    name.split_once(".weight_ih_l0").unwrap().0.to_string()
}

#[test]
fn what_pytorch_has_not_and_what_is_not_there_is_refused() {
    let folder = Folder::new();
    let back = folder.join("back.safetensors");
    let three = || Network::<f32>::builder(3);
    for (net, names, message) in [
        (three().layer(Lstm::spec(2).peepholes()), Names::prefix("rec"), "layer: expected one that PyTorch has"),
        (three().layer(Lstm::spec(2).clip_cell(-1.0, 1.0)), Names::prefix("rec"), "one that PyTorch has"),
        (three().layer(GruResetBefore::spec(2)), Names::prefix("rec"), "one that PyTorch has"),
        (three().layer(Bidirectional::spec(Gru::spec(2), Merge::Sum)), Names::prefix("rec"), "one that PyTorch has"),
        (three().lstm(2).linear(1), Names::prefix("rec"), "expected one for Linear(2 → 1) too, got 1"),
        (
            three().lstm(2),
            Names::prefix("rec").and("lin"),
            "modules: expected 1, as many as there are layers for, got 2",
        ),
        (three().lstm(2), Names::prefix("rec").layers(2), "module \"rec\": expected at most 1 layers alike"),
    ] {
        let error = net.build().unwrap().save_torch(&back, &names).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert!(folder.names().is_empty());
    // Two modules of one layer, and one of two.
    let net = three().gru(2).dropout(0.1).gru(2).build().unwrap();
    net.save_torch(&back, &Names::prefix("a").layers(1).and("b")).unwrap();
    assert!(tensors(&back).contains_key("b.weight_ih_l0"));
    net.save_torch(&back, &Names::prefix("a")).unwrap();
    assert!(tensors(&back).contains_key("a.weight_ih_l1"));

    let lstm = file("lstm_l2_bi_bias");
    for (names, message) in [
        (
            Names::prefix("rec"),
            "module: expected the name of an RNN, GRU, LSTM, a cell of these, Linear, Embedding or \
          LayerNorm, got \"rec\"; the file has \"\"",
        ),
        (Names::prefix("").relu(), "expected an RNN, for relu, got Lstm"),
    ] {
        let error = Network::<f32>::from_torch(&lstm, &names).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let error = Network::<f32>::from_torch(file("prefixes"), &Names::prefix("rec")).unwrap_err().to_string();
    assert!(error.contains("no others, got lin.bias, lin.weight"), "{error}");
    assert!(Loading::<f32>::new().lenient().torch(file("prefixes"), &Names::prefix("rec")).is_ok());
    let mut gru = Network::<f32>::builder(1).gru(8).linear(1).build().unwrap();
    let error = gru.load_torch(file("prefixes"), &Names::prefix("rec").and("lin")).unwrap_err().to_string();
    assert!(error.contains("layers of the network: expected 3 layers, as in the modules"), "{error}");
}
