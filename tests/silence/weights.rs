//! Weights that are too near 0 are 0 where they are built in, packed and updated.

use deep_rnn::cells::Gated;
use deep_rnn::prelude::*;
use ndarray::{Array1, Array2, Array3};

use crate::assert_kept;

fn with_tiny<F: Float>(shape: (usize, usize)) -> Array2<F> {
    let weights: Array2<F> = Init::seeded(5).uniform(shape, 1.0);
    let mut i = 0;
    weights.mapv(|w| {
        i += 1;
        if i % 3 == 0 { w * F::TINY } else { w }
    })
}

fn built_in<F: Float>() {
    let gates = *Lstm::<F>::spec(4).build(1, &mut Init::seeded(1)).unwrap().gates();
    let cell = Gated::from_arrays(
        gates,
        with_tiny((3, 16)),
        with_tiny((4, 16)),
        Some(Array1::from_elem(16, F::TINY / F::from_f64(2.0))),
        None,
    );
    let linear = Linear::from_arrays(with_tiny::<F>((3, 5)), Some(Array1::from_elem(5, -F::min_positive_value())));
    let net = Stacked::new(vec![linear.unwrap(), Linear::from_arrays(with_tiny::<F>((5, 3)), None).unwrap()]).unwrap();
    cell.unwrap().visit(&mut |name, array| assert_kept(name, array.iter().copied()));
    net.visit(&mut |name, array| assert_kept(name, array.iter().copied()));
}

#[test]
fn arrays_given_to_a_layer() {
    built_in::<f32>();
    built_in::<f64>();
}

/// Put in by hand they are used as they are, but not in a packed network.
#[test]
fn packed_networks() {
    let mut cell = Gru::<f32>::spec(20).build(9, &mut Init::seeded(1)).unwrap();
    let mut clean = cell.clone();
    let mut i = 0;
    cell.visit_mut(&mut |_, mut array| {
        array.map_inplace(|w| {
            i += 1;
            *w = if i % 3 == 0 { *w * 1e-25 } else { *w };
        });
    });
    i = 0;
    clean.visit_mut(&mut |_, mut array| {
        array.map_inplace(|w| {
            i += 1;
            *w = if i % 3 == 0 { 0.0 } else { *w };
        });
    });
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        let [tiny, clean] = [&cell, &clean].map(|cell| {
            let packed = cell.prepare(precision).unwrap();
            let (mut state, mut y) = (packed.zero_state(1), [0.0; 20]);
            // Weights that count for nothing here, so both are the same.
            (0..10).for_each(|t| packed.step_rows(&[t as f32 / 10.0; 9], &mut y, &mut state).unwrap());
            y
        });
        assert_eq!(tiny, clean, "{precision}");
    }
}

/// Weights of 10⁻¹⁹ and gradients that are 0 or tiny: after an update nothing is too near 0.
#[test]
fn updates() {
    fn run<F: Float, O: deep_rnn::optim::Optimizer<Linear<F>>>(what: &str, optimizer: O) {
        let weights = Array2::from_elem((3, 2), F::TINY * F::from_f64(1.5));
        let net = Linear::from_arrays(weights, None).unwrap();
        let mut bptt = Bptt::builder(net).loss(MeanSquared).optimizer(optimizer).build().unwrap();
        let xs = Array3::from_elem((4, 1, 3), F::from_f64(0.5));
        let targets = Array3::from_elem((4, 1, 2), F::zero());
        for _ in 0..50 {
            bptt.train_next(&xs, &targets).unwrap();
            bptt.model().visit(&mut |_, array| assert_kept(what, array.iter().copied()));
        }
    }
    run::<f32, _>("Sgd, f32", Sgd::new(0.5));
    run::<f64, _>("Sgd, f64", Sgd::new(0.5));
    run::<f32, _>("Adam, f32", Adam::new(1e-19));
    run::<f64, _>("Adam, f64", Adam::new(1e-154));
}
