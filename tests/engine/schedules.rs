//! Learning rates by their equations, and in an engine.

use approx::assert_relative_eq;
use deep_rnn::optim::Schedule;
use deep_rnn::prelude::*;

use crate::small_model::{lstm, text};

#[test]
fn rates_by_their_equations() {
    let pi = std::f64::consts::PI;
    for n in 0..40_u64 {
        let share = n as f64 / 20.0;
        let before_last = n.min(19) as f64 / 20.0;
        let close =
            |schedule: Schedule, expected: f64| assert_relative_eq!(schedule.at(n), expected, max_relative = 1e-13);
        close(Schedule::constant(0.3), 0.3);
        close(Schedule::linear(0.3, 20), 0.3 * (1.0 - before_last));
        close(Schedule::linear(0.3, 20).down_to(0.1), 0.3 - 0.2 * before_last);
        close(Schedule::cosine(0.3, 20), 0.15 * (1.0 + (pi * before_last).cos()));
        close(Schedule::cosine(0.3, 20).down_to(0.1), 0.1 + 0.1 * (1.0 + (pi * before_last).cos()));
        close(Schedule::decay(0.3, 0.5, 20), 0.3 * 0.5_f64.powf(share));
        close(Schedule::steps(0.3, 0.5, 20), if n < 20 { 0.3 } else { 0.15 });
        // The end of the others is not theirs.
        close(Schedule::steps(0.3, 0.5, 20).down_to(0.1), Schedule::steps(0.3, 0.5, 20).at(n));
        // After a warm-up all is as without, later.
        let warm = Schedule::cosine(0.3, 20).warm_up(5);
        close(warm, if n < 5 { 0.3 * (n + 1) as f64 / 6.0 } else { Schedule::cosine(0.3, 20).at(n - 5) });
    }
}

#[test]
fn a_rate_that_falls_to_0_stays_one() {
    for updates in [0, 1, 2, 1000] {
        for schedule in [Schedule::linear(1.0, updates), Schedule::cosine(1.0, updates)] {
            for n in [0, 1, 999, 1000, 1001, u64::MAX] {
                assert!(schedule.at(n) > 0.0 && schedule.at(n) <= 1.0, "{schedule:?} at {n}");
            }
        }
    }
}

#[test]
fn an_engine_takes_it() {
    let lr = Schedule::linear(0.5, 4).warm_up(2);
    let scheduled =
        Bptt::builder(lstm::<f64>(5, 1)).optimizer(Sgd::new(9.0)).schedule(move |n, sgd| sgd.set_lr(lr.at(n)));
    let (mut scheduled, mut by_hand) =
        (scheduled.build().unwrap(), Bptt::builder(lstm::<f64>(5, 1)).optimizer(Sgd::new(9.0)).build().unwrap());
    for n in 0..8 {
        by_hand.optimizer_mut().set_lr(lr.at(n));
        let (xs, ys) = (text(0, 6, 2), text(1, 6, 2));
        let losses = [scheduled.train(&xs, &ys).unwrap().loss(), by_hand.train(&xs, &ys).unwrap().loss()];
        assert_eq!(losses[0].to_bits(), losses[1].to_bits(), "update {n}");
    }
    assert_eq!(scheduled.optimizer().lr(), lr.at(7));
}
