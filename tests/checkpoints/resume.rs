//! Stopped after any window and gone on: the same bits as never stopped.

use deep_rnn::checkpoint::Snapshot;
use deep_rnn::optim::{Adam, Optimizer, Sgd};
use deep_rnn::prelude::*;

use crate::fuzz::runs;
use crate::run::Setting;

const WINDOWS: usize = 200;

type Model = LanguageModel<Network<f32>>;

/// Every k: what is taken up again from the bytes of a file in a new engine, and goes one window further, is in all that it keeps what
/// the run that never stopped was there. Some k go on to the end.
fn every_k<O: Optimizer<Model>>(setting: Setting, optimizer: &dyn Fn() -> O) -> usize {
    let mut whole = setting.run(optimizer());
    let mut all = vec![whole.snapshot().to_bytes().unwrap()];
    for _ in 0..WINDOWS {
        whole.window();
        all.push(whole.snapshot().to_bytes().unwrap());
    }
    let mut stopped = 0;
    for k in (0..WINDOWS).step_by(if runs() < 1_000_000 { 9 } else { 1 }) {
        let mut again = setting.run(optimizer());
        again.restore(&Snapshot::from_bytes(&all[k]).unwrap());
        let last = if k % 67 == 9 { WINDOWS } else { k + 1 };
        for (window, whole) in all.iter().enumerate().take(last + 1).skip(k + 1) {
            again.window();
            assert!(again.snapshot().to_bytes().unwrap() == *whole, "{setting:?}: stopped at {k}, {window}");
        }
        stopped += 1;
    }
    stopped
}

#[test]
fn after_any_window() {
    let mut stopped = 0;
    for cell in ["lstm", "gru", "rnn", "before", "zoneout"] {
        for random in [false, true] {
            for (threads, accumulate) in [(1, 1), (2, 1), (1, 3)] {
                let setting = Setting { cell, random, threads, accumulate };
                stopped += every_k(setting, &|| Sgd::new(0.5));
                stopped += every_k(setting, &|| Adam::new(0.01).group("head", 2.0));
            }
        }
    }
    println!("{stopped} stops, 0 differing bits");
}

/// What was changed on the way goes on changed; a schedule goes by the updates.
#[test]
fn settings_that_changed_and_schedules() {
    let setting = Setting { cell: "gru", random: false, threads: 1, accumulate: 1 };
    let engine = || {
        let builder = Bptt::builder(setting.model()).optimizer(Adam::new(0.01));
        builder.schedule(|update, adam| adam.set_lr(0.01 / (1.0 + update as f64))).build().unwrap()
    };
    let mut first = engine();
    let mut batches = setting.batches();
    let batches: Vec<_> = batches.epoch().collect();
    first.optimizer_mut().set_group("net.2", 0.0);
    for batch in &batches[..3] {
        first.train_batch(batch).unwrap();
    }
    let mut snapshot = Snapshot::new();
    snapshot.add("engine", &first).unwrap();
    let mut second = engine();
    snapshot.restore("engine", &mut second).unwrap();
    assert_eq!((second.optimizer().factor("net.2.w_x"), second.updates()), (0.0, 3));
    for batch in &batches[3..] {
        let (a, b) = (first.train_batch(batch).unwrap(), second.train_batch(batch).unwrap());
        assert_eq!((a.loss(), a.largest_norm), (b.loss(), b.largest_norm));
    }
}
