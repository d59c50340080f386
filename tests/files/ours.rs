//! Our own files: every kind of layer, back to the bit.

use deep_rnn::cells::{Gated, GatedSpec, Pointwise};
use deep_rnn::files::{Loading, Saving, Storage, load_into, save};
use deep_rnn::layers::Kinds;
use deep_rnn::ndarray::{Array2, Array3};
use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::folder::Folder;
use crate::networks::{Peepholes, all};
use crate::stored::tensors;

fn same<F: Float>() {
    let folder = Folder::new();
    for (name, net) in all::<F>() {
        let path = folder.join("net.safetensors");
        net.save(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = Network::<F>::load(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again.describe(), net.describe(), "{name}");
        assert_eq!(again.to_string(), net.to_string(), "{name}");
        assert_eq!(weights(&again), weights(&net), "{name}");
        let xs = Array3::from_shape_fn((5, 2, 4), |(t, b, d)| F::from_f64((t * 7 + b * 3 + d) as f64 / 10.0 - 1.0));
        let outputs = |net: &Network<F>| net.predict(&xs).unwrap().mapv(|y| y.as_f64().to_bits());
        assert_eq!(outputs(&again), outputs(&net), "{name}");
        // The same network gives the same bytes.
        let bytes = std::fs::read(&path).unwrap();
        again.save(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
        assert_eq!(folder.names(), ["net.safetensors"], "{name}");
    }
}

#[test]
fn every_kind_of_layer_is_read_as_it_was_written() {
    same::<f32>();
    same::<f64>();
}

#[test]
fn a_loaded_layer_is_of_the_type_it_was() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    Network::<f32>::builder(2).lstm(3).layer(Lstm::spec(3).peepholes()).build().unwrap().save(&path).unwrap();
    let net = Network::<f32>::load(&path).unwrap();
    assert!(net.layers()[0].downcast_ref::<Lstm<f32>>().is_some());
    assert!(net.layers()[1].downcast_ref::<Gated<f32, Peepholes>>().is_some());
}

#[test]
fn types_are_files_too() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    let stack = |seed| Stacked::repeat(4, 2, &Lstm::<f64>::spec(3), seed).unwrap();
    let model = |seed| LanguageModel::new(stack(seed), seed).unwrap();
    let (first, mut other) = (model(1), model(2));
    first.save(&path).unwrap();
    load_into(&mut other, &path).unwrap();
    assert_eq!(weights(&other), weights(&first));
    let network = LanguageModel::<Network<f64>>::load(&path).unwrap();
    assert_eq!(weights(&network), weights(&first));
    let wrong = Network::<f64>::load(&path).unwrap_err().to_string();
    assert!(wrong.contains("LanguageModel::load"), "{wrong}");
    // A cell alone, and as the network of one layer.
    let cell = Gru::<f64>::spec(3).build(2, &mut Init::seeded(1)).unwrap();
    save(&cell, &path).unwrap();
    let mut again = Gru::<f64>::spec(3).build(2, &mut Init::seeded(2)).unwrap();
    load_into(&mut again, &path).unwrap();
    assert_eq!(weights(&again), weights(&cell));
    let names: Vec<String> = tensors(&path).into_keys().collect();
    assert_eq!(names, ["bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0"]);
}

#[test]
fn numbers_are_kept_in_four_types() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    let net = Network::<f64>::builder(3).lstm(4).linear(2).seed(3).build().unwrap();
    let sizes = [
        (Storage::F64, 0.0),
        (Storage::F32, 2.0_f64.powi(-24)),
        (Storage::F16, 2.0_f64.powi(-11)),
        (Storage::Bf16, 2.0_f64.powi(-8)),
    ]
    .map(|(storage, most)| {
        Saving::new().storage(storage).save(&net, &path).unwrap();
        let wide = Network::<f64>::load(&path).unwrap();
        let narrow = Network::<f32>::load(&path).unwrap();
        for (a, (b, c)) in weights(&net).into_iter().zip(weights(&wide).into_iter().zip(weights(&narrow))) {
            let [a, b, c] = [a, b, c].map(f64::from_bits);
            // Half a step of f16 below its normal numbers.
            let least = if storage == Storage::F16 { 2.0_f64.powi(-25) } else { 0.0 };
            assert!((a - b).abs() <= (most * a.abs()).max(least), "{storage}: {a} {b}");
            assert_eq!(c, f64::from(b as f32), "{storage}");
        }
        std::fs::metadata(&path).unwrap().len()
    });
    // The header is as long as before.
    assert!(sizes[0] - sizes[1] == 4 * 154 && sizes[1] > sizes[2] && sizes[1] > sizes[3], "{sizes:?}");
}

#[test]
fn numbers_that_would_not_be_read_are_not_written() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    let mut net = Network::<f32>::builder(1).lstm(2).build().unwrap();
    net.save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    net.visit_mut(&mut |name, mut array| {
        if name == "0.w_h" {
            array[[1, 2]] = 1e5;
        }
    });
    let error = Saving::new().storage(Storage::F16).save(&net, &path).unwrap_err().to_string();
    assert!(error.contains("\"0.weight_hh_l0\": expected finite numbers in f16, got 100000"), "{error}");
    net.visit_mut(&mut |name, mut array| {
        if name == "0.w_h" {
            array[[1, 2]] = f32::NAN;
        }
    });
    let error = net.save(&path).unwrap_err().to_string();
    assert!(error.contains("\"0.weight_hh_l0\": expected finite numbers in f32, got NaN"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    Saving::new().allow_not_finite().save(&net, &path).unwrap();
    let error = Network::<f32>::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("\"0.weight_hh_l0\": expected finite numbers") && error.contains("net.safetensors"),
        "{error}"
    );
    let nan = Loading::<f32>::new().allow_not_finite().network(&path).unwrap();
    assert_eq!(weights(&nan), weights(&net));
    // A number of f64 that f32 has not.
    let mut wide = Network::<f64>::builder(1).rnn(1).build().unwrap();
    wide.visit_mut(&mut |_, mut array| array.fill(1e300));
    wide.save(&path).unwrap();
    let error = Network::<f32>::load(&path).unwrap_err().to_string();
    assert!(error.contains("finite numbers in f32") && error.contains("inf"), "{error}");
}

/// h' = h + tanh(x + u - k)
#[derive(Clone, Copy, Debug)]
struct Sums {
    k: f64,
}

impl Pointwise for Sums {
    type X<F: Float> = [F; 1];
    type H<F: Float> = [F; 1];
    type State<F: Float> = [F; 1];
    type Saved<F: Float> = [F; 1];
    const NAME: &'static str = "Sums";
    fn describe(&self, about: deep_rnn::custom::Describe) -> deep_rnn::custom::Describe {
        about.option(format!("k {}", self.k)).setting("k", self.k)
    }
    fn forward<F: Float>(&self, [x]: [F; 1], [u]: [F; 1], [h]: [F; 1]) -> ([F; 1], [F; 1]) {
        let n = Float::tanh(x + u - F::from_f64(self.k));
        ([h + n], [n])
    }
    fn backward<F: Float>(&self, [n]: [F; 1], _: [F; 1], [dh]: [F; 1]) -> ([F; 1], [F; 1], [F; 1]) {
        let da = dh * n.tanh_slope();
        ([da], [da], [dh])
    }
}

#[test]
fn a_cell_of_ones_own_is_loaded_by_a_name_that_is_handed_over() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    let sums = |units, k| GatedSpec::<f32, _>::new(Sums { k }, units);
    let net = Network::builder(2).layer(sums(3, 0.25)).bi(sums(2, 0.1 + 0.2)).linear(1).seed(2).build().unwrap();
    net.save(&path).unwrap();
    let names: Vec<String> = tensors(&path).into_keys().filter(|name| name.starts_with(['0', '1'])).collect();
    assert_eq!(names[..3], ["0.b", "0.w_h", "0.w_x"], "{names:?}");
    assert_eq!(names[3..5], ["1.backward.b", "1.backward.w_h"], "{names:?}");

    let error = Network::<f32>::load(&path).unwrap_err().to_string();
    assert!(
        error.contains(
            "layer 0: kind: expected one of this crate's (or hand the reader Kinds that have it), got \"Sums\""
        ),
        "{error}"
    );
    let kinds = Kinds::<f32>::new().with_cell(|about| {
        about.expect_settings(&["k", "bias"])?;
        Ok(Sums { k: about.number("k")?.unwrap_or(0.0) })
    });
    let again = Loading::new().kinds(kinds).network(&path).unwrap();
    assert_eq!((again.describe(), weights(&again)), (net.describe(), weights(&net)));
    let tokens = Array2::from_elem((6, 2), 1);
    assert_eq!(again.predict(&tokens).unwrap(), net.predict(&tokens).unwrap());
}

#[test]
fn a_description_stands_in_a_configuration() {
    let text = r#"{"kind": "Stacked", "inputs": 28, "layers": [
        {"kind": "Embedding", "outputs": 16},
        {"kind": "Bidirectional", "layers": [{"kind": "Gru", "outputs": 8, "bias": "two"}]},
        {"kind": "Dropout", "rate": 0.3},
        {"kind": "Lstm", "outputs": 4, "units": 12, "forget_bias": 1},
        {"kind": "Linear", "outputs": 28}]}"#;
    let about: deep_rnn::custom::Describe = serde_json::from_str(text).unwrap();
    let net = Kinds::<f32>::new().network(&about, 1).unwrap();
    let expected = Network::<f32>::builder(28)
        .embedding(16)
        .bi(Gru::spec(8).bias(Bias::Two))
        .dropout(0.3)
        .layer(Lstm::spec(12).projection(4).forget_bias(1.0))
        .linear(28)
        .seed(1)
        .build()
        .unwrap();
    assert_eq!((net.describe(), weights(&net)), (expected.describe(), weights(&expected)));
    // And back, by way of another text, without a loss.
    let text = serde_json::to_string(&net.describe()).unwrap();
    let again: deep_rnn::custom::Describe = serde_json::from_str(&text).unwrap();
    assert_eq!(Kinds::<f32>::new().network(&again, 1).unwrap().describe(), net.describe());

    // In TOML, every kind.
    for (name, net) in all::<f32>() {
        let text = toml::to_string(&net.describe()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let about: deep_rnn::custom::Describe = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Kinds::<f32>::new().network(&about, 1).unwrap().describe(), net.describe(), "{name}");
    }

    for (layer, message) in [
        (r#"{"kind": "Lstn", "outputs": 4}"#, "layer 0: kind: expected one of this crate's"),
        (r#"{"kind": "CoupledLstm", "outputs": 4, "forget_bias": 1}"#, "got forget_bias"),
        (r#"{"kind": "Lstm"}"#, "layer 0: outputs of Lstm: expected how many columns it gives, got none"),
        (r#"{"kind": "Lstm", "outputs": 0}"#, "layer 0: outputs of Lstm"),
        (r#"{"kind": "Lstm", "outputs": 4, "baas": "two"}"#, "got baas"),
        (r#"{"kind": "Lstm", "outputs": 4, "bias": "three"}"#, "bias of Lstm: expected none, one, two or recurrent"),
        (r#"{"kind": "Lstm", "outputs": 4, "bias": 2}"#, "bias of Lstm: expected a text, got 2"),
        (r#"{"kind": "Lstm", "inputs": 7, "outputs": 4}"#, "inputs of Lstm: expected 28, of what is below, got 7"),
        (r#"{"kind": "Lstm", "outputs": 9, "units": 4}"#, "projection: expected 1 to 4 columns"),
        (r#"{"kind": "Rnn", "outputs": 4, "activation": "tanhh"}"#, "activation of Rnn"),
        (r#"{"kind": "Dropout"}"#, "rate: expected a probability, got none"),
        (r#"{"kind": "Dropout", "rate": 1.5}"#, "dropout: expected a probability"),
        (r#"{"kind": "Bidirectional"}"#, "layers inside Bidirectional: expected 1 or 2, got 0"),
        (r#"{"kind": "Residual", "layers": [{"kind": "Lstm", "outputs": 4}]}"#, "for a residual connection"),
        (r#"{"kind": "Linear", "outputs": 4503599627370496}"#, "a matrix that memory can hold"),
    ] {
        let text = format!(r#"{{"kind": "Stacked", "inputs": 28, "layers": [{layer}]}}"#);
        let about: deep_rnn::custom::Describe = serde_json::from_str(&text).unwrap();
        let error = Kinds::<f32>::new().network(&about, 1).unwrap_err().to_string();
        assert!(error.contains(message), "{layer}: {error}");
    }
}
