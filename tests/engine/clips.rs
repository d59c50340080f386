//! Clips, by norm and by value.

use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::small_model::{Frozen, lstm, text};

#[test]
fn clips() {
    let (x, y) = (text(0, 6, 3), text(1, 6, 3));
    let free = {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
        assert_eq!(bptt.train(&x, &y).unwrap().clipped, 0);
        bptt.gradients().clone()
    };
    let norm = free.norm();

    for (bound, clipped) in [(norm / 3.0, 1), (norm * 1.01, 0)] {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_norm(bound).build().unwrap();
        let report = bptt.train(&x, &y).unwrap();
        assert_eq!((report.clipped, report.largest_norm), (clipped, norm));
        let mut expected = free.clone();
        expected.scale((bound / norm).min(1.0));
        expected.add_scaled(bptt.gradients(), -1.0);
        assert!(expected.norm() <= 1e-15 * norm);
        assert!(bptt.gradients().norm() <= bound * (1.0 + 1e-14));
    }

    let bound = 0.01;
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_value(bound).build().unwrap();
    assert_eq!(bptt.train(&x, &y).unwrap().clipped, 1);
    let mut expected = free.clone();
    expected.visit_mut(&mut |_, mut array| array.map_inplace(|g| *g = g.clamp(-bound, bound)));
    assert_eq!(weights(&expected), weights(bptt.gradients()));
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_value(norm).build().unwrap();
    assert_eq!(bptt.train(&x, &y).unwrap().clipped, 0);
    assert_eq!(weights(&free), weights(bptt.gradients()));
}
