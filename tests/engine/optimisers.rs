//! The optimisers' equations, number by number, with the constants that the documentation names.

use approx::assert_relative_eq;
use deep_rnn::ndarray::{Array1, array};
use deep_rnn::optim::Optimizer;
use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::small_model::{lstm, text};

/// Gradients of many sizes: among the small ones ε counts.
fn gradient(step: usize) -> Array1<f64> {
    let sign = if step % 3 == 1 { -1.0 } else { 1.0 };
    array![0.5, -3.0, 2e-8, -1e-8, 4e-9, 0.0, 100.0] * (sign * (1.0 + 0.25 * step as f64))
}

fn adam(mut optimizer: Adam<Array1<f64>>, lr: f64, (beta_1, beta_2): (f64, f64), epsilon: f64, decay: f64) {
    let start = array![1.0, -1.0, 0.5, 0.25, 0.0, 2.0, -3.0];
    let (mut params, mut expected) = (start.clone(), start);
    let (mut m, mut v) = ([0.0; 7], [0.0; 7]);
    for step in 1..=12 {
        let g = gradient(step);
        optimizer.step(&mut params, &g).unwrap();
        for i in 0..7 {
            m[i] = beta_1 * m[i] + (1.0 - beta_1) * g[i];
            v[i] = beta_2 * v[i] + (1.0 - beta_2) * g[i] * g[i];
            let (m_hat, v_hat) = (m[i] / (1.0 - beta_1.powi(step as i32)), v[i] / (1.0 - beta_2.powi(step as i32)));
            expected[i] -= lr * decay * expected[i];
            expected[i] -= lr * m_hat / (f64::sqrt(v_hat) + epsilon);
            assert_relative_eq!(params[i], expected[i], max_relative = 1e-11);
        }
    }
}

#[test]
fn adam_by_its_equations() {
    adam(Adam::new(0.01), 0.01, (0.9, 0.999), 1e-8, 0.0);
    adam(Adam::new(0.1).betas(0.8, 0.99).epsilon(1e-3), 0.1, (0.8, 0.99), 1e-3, 0.0);
    adam(Adam::new(0.1).betas(0.0, 0.0), 0.1, (0.0, 0.0), 1e-8, 0.0);
    adam(Adam::new(0.1).weight_decay(0.3), 0.1, (0.9, 0.999), 1e-8, 0.3);
}

/// `torch.optim.AdamW([p], lr=0.1, weight_decay=0.3)` of PyTorch 2.15, p = [1, -2] in `f64`, with the gradients [0.5, 1], [-0.25, 1], [0, 3].
#[test]
fn adam_with_weight_decay_as_pytorch() {
    let mut params = array![1.0, -2.0];
    let mut adam = Adam::new(0.1).weight_decay(0.3);
    for gradient in [array![0.5, 1.0], array![-0.25, 1.0], array![0.0, 3.0]] {
        adam.step(&mut params, &gradient).unwrap();
    }
    assert_relative_eq!(params, array![0.7721603799680328, -2.1071674635802626], max_relative = 1e-13);
}

#[test]
fn sgd_by_its_equation() {
    let mut params = array![1.0, -1.0, 0.5, 0.25, 0.0, 2.0, -3.0];
    let expected = &params - &(gradient(2) * 0.3);
    Sgd::new(0.3).step(&mut params, &gradient(2)).unwrap();
    assert_relative_eq!(params, expected, max_relative = 1e-15);
}

#[test]
fn settings_at_their_bounds() {
    fn check(optimizer: &impl Optimizer<Array1<f64>>) -> bool {
        optimizer.check(&Array1::zeros(2)).is_ok()
    }
    assert!(check(&Adam::new(1e-3).betas(0.0, 0.0)) && check(&Adam::new(1e-3).betas(0.999_999, 0.999_999)));
    assert!(!check(&Adam::new(1e-3).betas(1.0, 0.0)) && !check(&Adam::new(1e-3).betas(0.0, 1.0)));
    assert!(check(&Sgd::new(1e3)) && !check(&Sgd::new(0.0)));
    assert!(check(&Adam::new(0.5).weight_decay(2.0)) && !check(&Adam::new(0.5).weight_decay(2.1)));
    assert!(!check(&Adam::new(0.5).weight_decay(-0.1)) && !check(&Adam::new(0.5).weight_decay(f64::NAN)));
}

/// Where nothing is said: plain descent with rate 1, the mean cross-entropy, nothing clipped.
#[test]
fn an_engine_of_which_nothing_is_said() {
    let (x, y) = (text(0, 6, 3), text(1, 6, 3));
    let mut unsaid = Bptt::builder(lstm::<f64>(5, 1)).build().unwrap();
    let mut said = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Sgd::new(1.0)).loss(CrossEntropy).build().unwrap();
    for _ in 0..3 {
        let report = unsaid.train_next(&x, &y).unwrap();
        assert_eq!((report.updates, report.clipped), (1, 0));
        said.train_next(&x, &y).unwrap();
    }
    assert_eq!(weights(unsaid.model()), weights(said.model()));
}
