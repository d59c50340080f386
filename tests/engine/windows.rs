//! Where the past is cut, and what is carried over.

use deep_rnn::ndarray::s;
use deep_rnn::prelude::*;

use crate::bits::{state_bits, weights};
use crate::small_model::{Frozen, batch, lstm, text};

#[test]
fn a_window_is_cut_exactly_at_its_boundary() {
    let (x, y) = (text(0, 10, 3), text(1, 10, 3));
    let mut cut = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).window(6).build().unwrap();
    assert_eq!(cut.train_next(&x, &y).unwrap().updates, 2);

    // The second window alone, from the state the first one leaves.
    let mut state = cut.model().zero_state(3);
    cut.predict_with(deep_rnn::Context::default(), &x.slice(s![..6, ..]), &mut state).unwrap();
    let mut alone = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
    alone.set_state(state, 3).unwrap();
    alone.train_next(&x.slice(s![6.., ..]), &y.slice(s![6.., ..])).unwrap();
    assert_eq!(weights(cut.gradients()), weights(alone.gradients()));
    assert_eq!(state_bits(cut.state().unwrap()), state_bits(alone.state().unwrap()));

    // Without the cut they are others.
    let mut whole = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
    whole.train_next(&x, &y).unwrap();
    assert_ne!(weights(cut.gradients()), weights(whole.gradients()));
}

#[test]
fn windows_of_a_batch_equal_calls_one_after_the_other() {
    let (x, y) = (text(0, 9, 3), text(1, 9, 3));
    let mut windows = Bptt::builder(lstm::<f64>(5, 1)).window(4).clip_norm(0.1).build().unwrap();
    let mut calls = Bptt::builder(lstm::<f64>(5, 1)).clip_norm(0.1).build().unwrap();
    let one = windows.train_next(&x, &y).unwrap();
    let mut sum = 0.0;
    for steps in [0..4, 4..8, 8..9] {
        let report = calls.train_next(&x.slice(s![steps.clone(), ..]), &y.slice(s![steps, ..])).unwrap();
        sum += report.losses.sum;
    }
    assert_eq!((one.updates, one.tokens), (3, 27));
    assert_eq!(one.losses.sum, sum);
    assert_eq!(weights(windows.model()), weights(calls.model()));
}

#[test]
fn a_window_as_long_as_the_batch_is_full_back_propagation() {
    let (x, y) = (text(0, 9, 2), text(1, 9, 2));
    let trained = |window: Option<usize>| {
        let builder = Bptt::builder(lstm::<f64>(5, 1)).clip_norm(1.0);
        let mut bptt = match window {
            Some(window) => builder.window(window).build().unwrap(),
            None => builder.build().unwrap(),
        };
        (0..3).for_each(|_| _ = bptt.train_next(&x, &y).unwrap());
        weights(bptt.model())
    };
    let full = trained(None);
    assert!([9, 10, usize::MAX].into_iter().all(|window| trained(Some(window)) == full));
    assert!(trained(Some(8)) != full);
}

#[test]
fn the_state_is_carried_where_a_batch_continues_and_zero_where_not() {
    let after = |continues: bool| {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).build().unwrap();
        bptt.epoch([batch(0, 4, 2, false), batch(4, 4, 2, continues)]).unwrap();
        weights(bptt.model())
    };
    let by_hand = |reset: bool| {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).build().unwrap();
        bptt.train_next(&text(0, 4, 2), &text(1, 4, 2)).unwrap();
        if reset {
            bptt.reset_state();
            assert!(bptt.state().is_none());
        }
        bptt.train_next(&text(4, 4, 2), &text(5, 4, 2)).unwrap();
        weights(bptt.model())
    };
    assert_eq!(after(true), by_hand(false));
    assert_eq!(after(false), by_hand(true));
    assert_ne!(after(true), after(false));
}
