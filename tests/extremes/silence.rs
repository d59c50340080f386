//! Where gradients have vanished an optimiser's numbers become 0 and not denormal, so a step takes no longer.

use std::time::{Duration, Instant};

use deep_rnn::optim::Optimizer;
use deep_rnn::prelude::*;
use ndarray::Array1;

use crate::deep::deep;

fn size() -> usize {
    deep(1 << 14, 1 << 11)
}

fn fastest(mut call: impl FnMut()) -> Duration {
    (0..30)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .min()
        .unwrap()
}

fn silent_as_fast_as_loud<F: Float>(name: &str, mut optimizer: impl Optimizer<Array1<F>>) {
    let (mut init, n) = (Init::seeded(1), size());
    let (mut p, g): (Array1<F>, Array1<F>) = (init.uniform(n, 0.1), init.uniform(n, 0.01));
    let zeros = Array1::<F>::zeros(n);
    let tiny: Array1<F> = init.uniform(n, F::min_positive_value().as_f64());
    (0..50).for_each(|_| optimizer.step(&mut p, &g).unwrap());
    let loud = fastest(|| optimizer.step(&mut p, &g).unwrap());
    (0..5000).for_each(|_| optimizer.step(&mut p, &zeros).unwrap());
    let before = p.clone();
    let silent = fastest(|| optimizer.step(&mut p, &zeros).unwrap());
    let fading = fastest(|| optimizer.step(&mut p, &tiny).unwrap());
    println!("{name} {}: {loud:?} a step, {silent:?} after 5000 zeros, {fading:?} of denormal gradients", F::NAME);
    // Denormal moments made it 35 to 45 times as long.
    assert!(silent < 3 * loud && fading < 3 * loud, "{name} {}: {loud:?}, {silent:?}, {fading:?}", F::NAME);
    assert!(p == before, "{name}: nothing moves any more");
}

#[test]
fn after_five_thousand_steps_without_gradients() {
    for betas in [(0.9, 0.999), (0.99, 0.9), (0.5, 0.5)] {
        silent_as_fast_as_loud("Adam", Adam::<Array1<f32>>::new(0.01).betas(betas.0, betas.1));
        silent_as_fast_as_loud("Adam", Adam::<Array1<f64>>::new(0.01).betas(betas.0, betas.1));
    }
    silent_as_fast_as_loud::<f32>("Sgd", Sgd::new(0.01));
    silent_as_fast_as_loud::<f64>("Sgd", Sgd::new(0.01));
    silent_as_fast_as_loud::<f32>("Sgd", Sgd::new(1e-30));
}

/// Weights that shrink towards 0 get there.
#[test]
fn no_weight_stays_denormal() {
    fn shrink<F: Float>() {
        let mut p = Array1::<F>::ones(4);
        let mut smallest = 1.0_f64;
        for _ in 0..1200 {
            let g = p.clone();
            Sgd::new(0.9).step(&mut p, &g).unwrap();
            let x = p[0].as_f64();
            assert!(x == 0.0 || x >= F::TINY.as_f64());
            smallest = if x == 0.0 { smallest } else { x };
        }
        assert!(p[0] == F::zero() && smallest < 10.0 * F::TINY.as_f64());
    }
    shrink::<f32>();
    shrink::<f64>();
}
