//! Files of others give what ONNX Runtime gives.

use std::fs;
use std::path::PathBuf;

use deep_rnn::onnx;

use crate::files::{Arrays, bytes, difference, names, stored};

const MOST: f64 = 1e-5;

/// All cases of a group.
fn check(prefix: &str, at_least: usize) {
    let arrays = stored();
    let (mut largest, names) = (("", 0.0), names(prefix));
    assert!(names.len() >= at_least, "{} files of {prefix}", names.len());
    for name in &names {
        let imported = onnx::import::<f32>(&bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let off = difference(name, &imported, &arrays);
        assert!(off <= MOST, "{name}: {off:e}");
        // The same numbers in f64.
        let imported = onnx::import::<f64>(&bytes(name)).unwrap();
        assert!(difference(name, &imported, &arrays) <= MOST, "{name} in f64");
        if off > largest.1 {
            largest = (name, off);
        }
    }
    println!("{prefix}: {} files, largest difference {:.1e} ({})", names.len(), largest.1, largest.0);
}

#[test]
fn of_pytorch_by_torchscript() {
    check("script-", 20);
}

#[test]
fn of_pytorch_by_dynamo() {
    check("dynamo-", 15);
}

#[test]
fn of_keras() {
    check("keras-", 6);
}

#[test]
fn made_by_hand() {
    check("hand-", 30);
}

/// The cases of onnx.backend.test, by its own bounds.
#[test]
fn the_cases_of_onnx() {
    let arrays = stored();
    let names = names("node-");
    assert_eq!(names.len(), 12);
    let mut largest = 0.0_f64;
    for name in &names {
        let imported = onnx::import::<f32>(&bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let off = difference(name, &imported, &arrays);
        let least = arrays.get(&format!("{name}.y")).unwrap().iter().fold(f64::MAX, |least, y| least.min(y.abs()));
        assert!(off <= 1e-7 + 1e-3 * least, "{name}: {off:e}");
        largest = largest.max(off);
    }
    println!("cases of onnx.backend.test: {} of 12, largest difference {largest:.1e}", names.len());
}

/// Every combination of PyTorch's settings, in a folder that `onnx_files.py --all` makes.
#[test]
#[ignore = "needs the folder of `onnx_files.py --all` in DEEP_RNN_ONNX"]
fn all_of_pytorch() {
    let folder = PathBuf::from(std::env::var_os("DEEP_RNN_ONNX").expect("DEEP_RNN_ONNX"));
    let arrays = Arrays::of(&folder.join("io.safetensors"));
    let (mut count, mut largest) = (0, 0.0_f64);
    for name in arrays.cases() {
        let bytes = fs::read(folder.join(format!("{name}.onnx"))).unwrap();
        let imported = onnx::import::<f32>(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let off = difference(&name, &imported, &arrays);
        assert!(off <= MOST, "{name}: {off:e}");
        (count, largest) = (count + 1, largest.max(off));
    }
    println!("all combinations of PyTorch: {count} files, largest difference {largest:.1e}");
    assert!(count >= 300, "{count} files");
}
