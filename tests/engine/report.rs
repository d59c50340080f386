//! What the engine reports.

use approx::assert_relative_eq;
use deep_rnn::prelude::*;
use deep_rnn::train::Report;

use crate::small_model::{Frozen, V, batch, lstm, text};

/// With every weight 0 all logits are 0, and so are all gradients but that of the head's bias, which is the mean over
/// tokens of 1/V - one-hot(target).
#[test]
fn the_report_by_hand() {
    let mut model = lstm::<f64>(5, 1);
    model.set_zero();
    let mut bptt = Bptt::builder(model).optimizer(Frozen).clip_norm(0.2).build().unwrap();
    let report = bptt.epoch([batch(0, 6, 3, false), batch(6, 2, 3, true)]).unwrap();
    let norm = |start: usize, t: usize| {
        let y = text(start, t, 3);
        let share = |k| y.iter().filter(|y| **y == k).count() as f64 / y.len() as f64;
        (0..V).map(|k| (1.0 / V as f64 - share(k)).powi(2)).sum::<f64>().sqrt()
    };
    let norms = [norm(1, 6), norm(7, 2)];
    assert_eq!((report.tokens, report.updates), (24, 2));
    assert_eq!(report.clipped, norms.iter().filter(|norm| **norm > 0.2).count());
    assert_relative_eq!(report.loss(), (V as f64).ln(), max_relative = 1e-14);
    assert_relative_eq!(report.losses.sum, 24.0 * (V as f64).ln(), max_relative = 1e-14);
    assert_relative_eq!(report.perplexity(), V as f64, max_relative = 1e-14);
    assert_relative_eq!(report.bits_per_character(), (V as f64).log2(), max_relative = 1e-14);
    assert_relative_eq!(report.gradient_norm(), (norms[0] + norms[1]) / 2.0, max_relative = 1e-14);
    assert_relative_eq!(report.largest_norm, norms[0].max(norms[1]), max_relative = 1e-14);
    assert!(report.seconds > 0.0 && report.tokens_per_second() == 24.0 / report.seconds);
    assert!(Report::default().loss().is_nan());
}

/// Each field over several windows, whichever of them has the largest norm.
#[test]
fn windows_add_up() {
    let mut model = lstm::<f64>(5, 1);
    model.set_zero();
    let windows = [batch(0, 6, 3, false), batch(6, 2, 3, false), batch(11, 3, 3, false)];
    let alone = windows.each_ref().map(|window| {
        let mut bptt = Bptt::builder(model.clone()).optimizer(Frozen).clip_norm(1e-3).build().unwrap();
        bptt.train_next(&window.x, &window.y).unwrap()
    });
    let [a, b, c] = [0, 1, 2];
    let largest = alone.map(|report| report.largest_norm).into_iter().fold(0.0, f64::max);
    for order in [[a, b, c], [b, c, a], [c, a, b], [c, b, a]] {
        let mut bptt = Bptt::builder(model.clone()).optimizer(Frozen).clip_norm(1e-3).build().unwrap();
        let report = bptt.epoch(order.map(|window| windows[window].clone())).unwrap();
        assert_eq!((report.tokens, report.updates, report.clipped), (33, 3, 3));
        assert_eq!(report.largest_norm, largest);
        let sum = |f: fn(&Report) -> f64| alone.iter().map(f).sum::<f64>();
        assert_relative_eq!(report.norm_sum, sum(|report| report.norm_sum), max_relative = 1e-14);
        assert_relative_eq!(report.losses.sum, sum(|report| report.losses.sum), max_relative = 1e-14);
        assert_relative_eq!(report.gradient_norm(), report.norm_sum / 3.0, max_relative = 1e-15);
    }
    assert!(Report::default().gradient_norm().is_nan());
}
