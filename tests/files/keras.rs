//! Keras models, converted by the program of docs/keras.md: `tests/data/keras_files.py` made them.

use deep_rnn::ndarray::{Ix2, Ix3};
use deep_rnn::prelude::*;

use crate::stored::{Numbers, data};

#[test]
fn converted_models_give_kerass_outputs() {
    let numbers = Numbers::of("keras_io.safetensors");
    let cases = numbers.cases();
    assert_eq!(cases.len(), 9);
    let mut worst = 0.0_f64;
    for case in cases {
        let net = Network::<f32>::load(data(&format!("keras/{case}.safetensors"))).unwrap();
        let x = numbers.get(&format!("{case}.x")).unwrap();
        let y = match x.clone().into_dimensionality::<Ix3>() {
            Ok(x) => net.predict(&x.mapv(|x| x as f32)).unwrap(),
            Err(_) => net.predict(&x.into_dimensionality::<Ix2>().unwrap().mapv(|x| x as usize)).unwrap(),
        };
        let expected = numbers.get(&format!("{case}.y")).unwrap();
        assert_eq!(y.shape(), expected.shape(), "{case}");
        let error = y.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        worst = worst.max(error);
        assert!(error < 2e-6, "{case}: {error:e}");
    }
    println!("largest error {worst:.1e}");
}
