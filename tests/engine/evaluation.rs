//! Evaluation and prediction leave everything alone.

use deep_rnn::prelude::*;

use crate::bits::{state_bits, weights};
use crate::small_model::{Frozen, batch, lstm, text};

#[test]
fn evaluation_leaves_everything_alone() {
    let mut one = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Adam::new(0.05)).clip_norm(1.0).build().unwrap();
    let mut two = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Adam::new(0.05)).clip_norm(1.0).build().unwrap();
    for start in [0, 4, 8] {
        one.train_next(&text(start, 4, 2), &text(start + 1, 4, 2)).unwrap();
        two.train_next(&text(start, 4, 2), &text(start + 1, 4, 2)).unwrap();
        let (before, state) = (weights(one.model()), state_bits(one.state().unwrap()));
        let report = one.evaluate([batch(50, 6, 3, false), batch(56, 6, 3, true), batch(9, 2, 5, false)]).unwrap();
        assert_eq!((report.tokens, report.updates), (46, 0));
        assert!(one.evaluate([batch(50, 6, 3, false), batch(0, 2, 2, true)]).is_err());
        one.predict_with(deep_rnn::Context::default(), &text(7, 3, 4), &mut one.model().zero_state(4)).unwrap();
        assert_eq!(before, weights(one.model()));
        assert_eq!(state, state_bits(one.state().unwrap()));
    }
    assert_eq!(weights(one.model()), weights(two.model()));
    assert_eq!(state_bits(one.state().unwrap()), state_bits(two.state().unwrap()));
}

#[test]
fn evaluation_carries_its_own_state_and_equals_the_training_loss_of_frozen_weights() {
    let batches = || [batch(0, 4, 2, false), batch(4, 4, 2, true), batch(8, 4, 2, true), batch(30, 3, 2, false)];
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
    let (evaluated, trained) = (bptt.evaluate(batches()).unwrap(), bptt.epoch(batches()).unwrap());
    assert_eq!(evaluated.losses.sum, trained.losses.sum);
}
