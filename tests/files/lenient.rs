//! Files that do not fit: refused, or what fits is taken and the rest is told.

use deep_rnn::cells::Activation;
use deep_rnn::files::{Loading, load_into};
use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::folder::Folder;

#[test]
fn what_does_not_fit_is_refused_by_name_and_changes_nothing() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    Network::<f32>::builder(3).lstm(4).linear(2).seed(1).build().unwrap().save(&path).unwrap();
    let three = || Network::<f32>::builder(3);
    for (net, message) in [
        (three().lstm(4).linear(3), "tensor \"1.weight\": expected shape [3, 4], got [2, 4]"),
        (three().lstm(4).linear(2).linear(1), "expected also 2.weight, 2.bias"),
        (three().lstm(4), "no others, got 1.bias, 1.weight"),
        (three().layer(Lstm::spec(4).bias(Bias::Two)).linear(3), "[3, 4]"),
        (three().gru(4).linear(2), "layer: expected 0.Gru(3 → 4), got 0.Lstm(3 → 4)"),
        (three().lstm(5).linear(2), "expected shape [20, 3], got [16, 3]"),
    ] {
        let mut net = net.seed(2).build().unwrap();
        let before = weights(&net);
        let error = load_into(&mut net, &path).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("net.safetensors"), "{error}");
        assert_eq!(weights(&net), before);
    }
    let relu = |activation| three().layer(Rnn::spec(4).activation(activation)).build().unwrap();
    relu(Activation::Tanh).save(&path).unwrap();
    let error = load_into(&mut relu(Activation::Relu), &path).unwrap_err().to_string();
    assert!(error.contains("expected 0.Rnn(3 → 4, relu), got 0.Rnn(3 → 4)"), "{error}");
}

#[test]
fn what_fits_is_taken_on_request() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    let file = Network::<f32>::builder(3).lstm(4).linear(2).seed(1).build().unwrap();
    file.save(&path).unwrap();
    let mut net = Network::<f32>::builder(3).lstm(4).linear(5).linear(1).seed(2).build().unwrap();
    let before = net.clone();
    let report = Loading::new().lenient().load_into(&mut net, &path).unwrap();
    assert_eq!(report.missing, ["2.weight", "2.bias"]);
    assert_eq!(
        report.misshapen,
        [("1.weight".to_string(), vec![5, 4], vec![2, 4]), ("1.bias".to_string(), vec![5], vec![2])]
    );
    assert!(report.unexpected.is_empty() && !report.is_complete());
    let parts = |net: &Network<f32>| net.layers().iter().map(weights).collect::<Vec<_>>();
    assert_eq!(parts(&net)[0], parts(&file)[0]);
    assert_eq!(parts(&net)[1..], parts(&before)[1..]);

    let mut small = Network::<f32>::builder(3).lstm(4).build().unwrap();
    let report = Loading::new().lenient().load_into(&mut small, &path).unwrap();
    assert_eq!(report.unexpected, ["1.bias", "1.weight"]);
    assert!(Loading::new().load_into(&mut file.clone(), &path).unwrap().is_complete());
}

#[test]
fn names_are_others_on_request() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    let net = Network::<f32>::builder(3).lstm(4).linear(2).seed(1).build().unwrap();
    deep_rnn::files::Saving::new().rename("model.rnn.", "0.").rename("model.head.", "1.").save(&net, &path).unwrap();
    let names: Vec<String> = crate::stored::tensors(&path).into_keys().collect();
    assert_eq!(names[..3], ["model.head.bias", "model.head.weight", "model.rnn.bias_hh_l0"]);
    assert!(Network::<f32>::load(&path).unwrap_err().to_string().contains("in their place model.head.bias"));
    let loading = Loading::<f32>::new().rename("model.rnn.", "0.").rename("model.head.", "1.");
    assert_eq!(weights(&loading.network(&path).unwrap()), weights(&net));
}
