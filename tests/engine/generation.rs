//! Step by step, generation, and the sampler.

use deep_rnn::ndarray::{Array1, ArrayView2, s};
use deep_rnn::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::bits::state_bits;
use crate::small_model::{Lm, V, batch, lstm, text};

/// A model with something to say.
fn trained() -> Lm<f32> {
    let mut bptt = Bptt::builder(lstm::<f32>(12, 1)).optimizer(Adam::new(0.02)).build().unwrap();
    for _ in 0..30 {
        bptt.epoch([batch(0, 8, 3, false), batch(8, 8, 3, true)]).unwrap();
    }
    bptt.into_model()
}

#[test]
fn a_step_at_a_time_equals_the_sequence() {
    let model = trained();
    let tokens = text(3, 12, 1);
    let bptt = Bptt::builder(model.clone()).threads(2).build().unwrap();
    let (mut state, mut own) = (model.zero_state(1), model.zero_state(1));
    let all = bptt.predict_with(deep_rnn::Context::default(), &tokens, &mut state).unwrap();
    let mut logits = [0.0_f32; V];
    for (token, expected) in tokens.iter().zip(all.outer_iter()) {
        model.step_tokens(&[*token], &mut logits, &mut own).unwrap();
        assert_eq!(logits.map(f32::to_bits)[..], expected.row(0).mapv(f32::to_bits).to_vec());
    }
    assert_eq!(state_bits(&state), state_bits(&own));
}

#[test]
fn generation() {
    let model = trained();
    let prefix = text(2, 6, 1).into_raw_vec_and_offset().0;
    let greedy = model.generate(&prefix, 20, &mut Sampler::greedy()).unwrap();
    assert_eq!(greedy, model.generate(&prefix, 20, &mut Sampler::greedy()).unwrap());
    assert_eq!(greedy.len(), 20);

    // The warm-up is the prefix run as a sequence; and what is written is read.
    let bptt = Bptt::builder(model.clone()).build().unwrap();
    let read: Vec<usize> = prefix.iter().chain(&greedy).copied().collect();
    let tokens = ArrayView2::from_shape((read.len(), 1), &read).unwrap();
    let logits = bptt.predict_with(deep_rnn::Context::default(), &tokens, &mut model.zero_state(1)).unwrap();
    for (k, token) in greedy.iter().enumerate() {
        let row = logits.slice(s![prefix.len() - 1 + k, 0, ..]);
        assert!(row.iter().all(|logit| *logit <= row[*token]));
    }

    let sampled = |seed| model.generate(&prefix, 40, &mut Sampler::temperature(1.5, seed).unwrap()).unwrap();
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
    let one = Sampler::temperature(1.5, 7).unwrap().top_k(1).unwrap();
    assert_eq!(model.generate(&prefix, 20, &mut one.clone()).unwrap(), greedy);
    let cold = Sampler::temperature(1e-6, 7).unwrap();
    assert_eq!(model.generate(&prefix, 20, &mut cold.clone()).unwrap(), greedy);
    assert!(model.generate(&prefix, 0, &mut one.clone()).unwrap().is_empty());
}

#[test]
fn a_sampler_follows_the_probabilities() {
    let logits = Array1::from_vec(vec![0.0_f64, 2.0_f64.ln(), f64::NEG_INFINITY, 5.0_f64.ln()]);
    let mut sampler = Sampler::temperature(1.0, 3).unwrap();
    let mut counts = [0_usize; 4];
    (0..80_000).for_each(|_| counts[sampler.choose(logits.view()).unwrap()] += 1);
    // Within four standard deviations of 10000, 20000, 0 and 50000.
    assert_eq!(counts[2], 0);
    assert!(counts[0].abs_diff(10_000) < 380 && counts[1].abs_diff(20_000) < 490, "{counts:?}");
    let mut two = Sampler::temperature(1.0, 3).unwrap().top_k(2).unwrap();
    assert!((0..1000).all(|_| [1, 3].contains(&two.choose(logits.view()).unwrap())));
}

/// Every choice of a seed by hand: the likeliest first, of equals the first token, by one number of ChaCha8 each.
#[test]
fn a_seed_chooses_what_it_always_chose() {
    let logits = Array1::from_vec(vec![0.5_f64, -1.0, 2.0, 0.5, f64::NEG_INFINITY, 2.0]);
    let order = [2, 5, 0, 3, 1, 4];
    for (temperature, k) in [(1.0, usize::MAX), (0.5, usize::MAX), (2.0, 6), (2.0, 3), (1.5, 1)] {
        let mut sampler = Sampler::temperature(temperature, 9).unwrap().top_k(k).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let kept = &order[..k.min(6)];
        let weights: Vec<f64> = kept.iter().map(|token| ((logits[*token] - 2.0) / temperature).exp()).collect();
        for draw in 0..500 {
            let unit = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            let mut left = unit * weights.iter().sum::<f64>();
            let chosen = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            let expected = kept[chosen.unwrap()];
            assert_eq!(sampler.choose(logits.view()).unwrap(), expected, "draw {draw} at {temperature}, {k} kept");
        }
    }
    let equals = Array1::from_vec(vec![-1.0, 3.0, 3.0, 3.0]);
    assert_eq!(Sampler::greedy().choose(equals.view()).unwrap(), 1);
}
