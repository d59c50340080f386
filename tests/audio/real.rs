//! The real files of `DEEP_RNN_MODELS`: against the outputs published with them, else against PyTorch's (`tests/data/guitarml.py`).

use std::path::{Path, PathBuf};

use deep_rnn::files::{AudioFormat, AudioModel};
use deep_rnn::prelude::*;
use safetensors::SafeTensors;

use crate::folder::Folder;
use crate::played::error;

fn models() -> PathBuf {
    PathBuf::from(std::env::var_os("DEEP_RNN_MODELS").expect("the folder of the models"))
}

fn csv(path: &Path) -> Vec<f64> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| line.trim().parse().unwrap()).collect()
}

fn wav(path: &Path) -> Vec<f64> {
    hound::WavReader::open(path).unwrap().into_samples::<f32>().map(|x| f64::from(x.unwrap())).collect()
}

/// In `f32` and `f64`, and after a journey through each format that can hold it, against the bounds.
fn check(path: &Path, xs: &[f64], expected: &[f64], [single, double]: [f64; 2], formats: &[AudioFormat]) {
    let folder = Folder::new();
    let narrow = AudioModel::<f32>::open(path).unwrap();
    let wide = AudioModel::<f64>::open(path).unwrap();
    let errors = [error(&narrow.network, xs, expected), error(&wide.network, xs, expected)];
    println!("{}: {:.1e} in f32, {:.1e} in f64", path.file_name().unwrap().to_string_lossy(), errors[0], errors[1]);
    assert!(errors[0] <= single && errors[1] <= double, "{errors:?}");
    for format in formats {
        let there = folder.join("model.json");
        wide.save(&there, *format).unwrap_or_else(|error| panic!("{format}: {error}"));
        let again = Network::<f64>::open(&there).unwrap_or_else(|error| panic!("{format}: {error}"));
        let error = error(&again, xs, expected);
        assert!(error <= double, "{format}: {error:e}");
    }
}

#[test]
#[ignore = "needs DEEP_RNN_MODELS"]
fn rtneural() {
    use AudioFormat::{GuitarMl, Nam, RtNeural, StateDict};
    let folder = models().join("rtneural");
    let file = |name: &str| folder.join(name);
    for (name, bound, formats) in [
        ("lstm_1d", 1e-6, vec![RtNeural, GuitarMl, StateDict, Nam]),
        ("gru_1d", 5e-6, vec![RtNeural]),
        ("gru", 5e-6, vec![RtNeural]),
        ("lstm_torch", 1e-6, vec![RtNeural, StateDict]),
    ] {
        let [xs, ys] = ["x", "y"].map(|which| csv(&file(&format!("{name}_{which}_python.csv"))));
        check(&file(&format!("{name}.json")), &xs, &ys, [bound, bound], &formats);
    }
    let error = Network::<f32>::open(file("bad_lstm.json")).unwrap_err().to_string();
    println!("{error}");
    assert!(
        error.contains("bad_lstm.json: layer 0 (lstm): weights[0]: expected shape [1, 64], got [1, 80]"),
        "{error}"
    );
}

#[test]
#[ignore = "needs DEEP_RNN_MODELS"]
fn nam() {
    let folder = models().join("nam");
    let xs = wav(&folder.join("test_input.wav"));
    let ys = wav(&folder.join("lstm_cpp_ref.wav"));
    let xs = &xs[..ys.len()];
    check(&folder.join("lstm.nam"), xs, &ys, [3e-7, 1e-7], &[AudioFormat::Nam]);
    // Of the other one nothing was published; it is read, starts where it says, and is written as it was.
    let path = folder.join("lstm_2_layer.nam");
    let model = AudioModel::<f64>::open(&path).unwrap();
    assert_eq!(model.sample_rate, Some(48_000.0));
    let weights = |path: &Path| {
        let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        file["weights"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>()
    };
    let there = Folder::new();
    model.save(there.join("again.nam"), AudioFormat::Nam).unwrap();
    assert_eq!(weights(&there.join("again.nam")), weights(&path));
}

#[test]
#[ignore = "needs DEEP_RNN_MODELS"]
fn guitarml() {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/guitarml_io.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| file.tensor(name).unwrap().data().to_vec();
    let xs: Vec<f64> = numbers("x").as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect();
    let ys: Vec<f64> = numbers("y").as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
    let path = models().join("guitarml/gru8_ts9_pytorch.json");
    check(&path, &xs, &ys, [1e-6, 1e-13], &[AudioFormat::GuitarMl, AudioFormat::RtNeural]);
}
