//! Training: threads, float types, seeds.

use approx::assert_abs_diff_eq;
use deep_rnn::ndarray::{Array2, s};
use deep_rnn::optim::Optimizer;
use deep_rnn::prelude::*;

use crate::bits::{state_bits, weights};
use crate::small_model::{Lm, lstm, text};

#[test]
fn same_bits_for_any_number_of_threads() {
    let trained = |threads: usize| {
        let net = Network::<f32>::builder(28).lstm(128).seed(3).build().unwrap();
        let model = LanguageModel::new(net, 3).unwrap();
        let mut bptt = Bptt::builder(model).clip_norm(1.0).threads(threads).build().unwrap();
        for k in 0..20 {
            let tokens = Array2::from_shape_fn((21, 32), |(t, b)| (k * 20 + t + b * b + t * b / 5) % 28);
            bptt.train_next(&tokens.slice(s![..20, ..]), &tokens.slice(s![1.., ..])).unwrap();
        }
        (weights(bptt.model()), state_bits(bptt.state().unwrap()))
    };
    let one = trained(1);
    for threads in [2, 3, 8] {
        assert!(trained(threads) == one, "{threads} threads give other bits");
    }
}

fn learns<F: Float>() -> f64 {
    let mut bptt = Bptt::builder(lstm::<F>(12, 1)).optimizer(Adam::new(0.02)).clip_norm(1.0).build().unwrap();
    let (x, y) = (text(0, 8, 3), text(1, 8, 3));
    let mut losses = (0..80).map(|_| {
        bptt.reset_state();
        bptt.train_next(&x, &y).unwrap().loss()
    });
    let first = losses.next().unwrap();
    let last = losses.last().unwrap();
    assert!(last < 0.2 * first, "{}: {first} to {last}", F::NAME);
    first
}

#[test]
fn both_types_train_and_start_at_the_same_place() {
    let (single, double) = (learns::<f32>(), learns::<f64>());
    assert_abs_diff_eq!(single, double, epsilon = 1e-6);
}

#[test]
fn a_seed_is_a_network() {
    assert_eq!(weights(&lstm::<f32>(5, 4)), weights(&lstm::<f32>(5, 4)));
    let (a, b) = (lstm::<f32>(5, 4), lstm::<f32>(5, 5));
    let (mut seen, mut theirs) = (Vec::new(), Vec::new());
    b.visit(&mut |_, array| theirs.push(array.to_owned()));
    a.visit(&mut |name, array| seen.push((name.to_owned(), array.to_owned())));
    for ((name, ours), theirs) in seen.iter().zip(&theirs) {
        assert!(ours.iter().zip(theirs).all(|(a, b)| a != b), "{name} does not depend on the seed");
    }
}

/// An optimiser that has enough after some updates.
struct Refusing(usize);
impl<P: Params> Optimizer<P> for Refusing {
    fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error> {
        if self.0 == 0 {
            return Err(Error::value("patience", "some left", 0));
        }
        self.0 -= 1;
        Sgd::new(0.1).step(params, grads)
    }
}

/// What an optimiser refuses leaves weights and state as they were, and comes back as the engine's error.
#[test]
fn an_update_that_is_refused_leaves_no_trace() {
    fn check(optimizer: impl Optimizer<Lm<f64>>, good: usize, part: &str) {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(optimizer).build().unwrap();
        for k in 0..good {
            bptt.train_next(&text(4 * k, 4, 2), &text(4 * k + 1, 4, 2)).unwrap();
        }
        let before = (weights(bptt.model()), bptt.state().map(state_bits));
        let message = bptt.train_next(&text(0, 4, 2), &text(1, 4, 2)).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        assert!((weights(bptt.model()), bptt.state().map(state_bits)) == before);
    }
    check(Refusing(2), 2, "patience: expected some left");
}
