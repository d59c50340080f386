//! Clips, by norm and by value.

use deep_rnn::ndarray::{ArrayRef2, ArrayView3, ArrayViewMut3};
use deep_rnn::optim::Clip;
use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::small_model::{Frozen, lstm, text};

#[test]
fn clips() {
    let (x, y) = (text(0, 6, 3), text(1, 6, 3));
    let free = {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
        assert_eq!(bptt.train_next(&x, &y).unwrap().clipped, 0);
        bptt.gradients().clone()
    };
    let norm = free.norm();

    for (bound, clipped) in [(norm / 3.0, 1), (norm * 1.01, 0)] {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_norm(bound).build().unwrap();
        let report = bptt.train_next(&x, &y).unwrap();
        assert_eq!((report.clipped, report.largest_norm), (clipped, norm));
        let mut expected = free.clone();
        expected.scale((bound / norm).min(1.0));
        expected.add_scaled(bptt.gradients(), -1.0);
        assert!(expected.norm() <= 1e-15 * norm);
        assert!(bptt.gradients().norm() <= bound * (1.0 + 1e-14));
    }

    let bound = 0.01;
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_value(bound).build().unwrap();
    assert_eq!(bptt.train_next(&x, &y).unwrap().clipped, 1);
    let mut expected = free.clone();
    expected.visit_mut(&mut |_, mut array| array.map_inplace(|g| *g = g.clamp(-bound, bound)));
    assert_eq!(weights(&expected), weights(bptt.gradients()));
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_value(norm).build().unwrap();
    assert_eq!(bptt.train_next(&x, &y).unwrap().clipped, 0);
    assert_eq!(weights(&free), weights(bptt.gradients()));
}

/// A loss that is linear in the outputs, so that -`scale` gives the gradients of `scale` with the other sign, to the bit.
fn linear_loss(scale: f64) -> impl Fn(ArrayView3<'_, f64>, &ArrayRef2<usize>, ArrayViewMut3<'_, f64>) -> f64 {
    move |ys, targets, mut d_ys| {
        d_ys.fill(0.0);
        let rows = d_ys.rows_mut().into_iter().zip(targets);
        rows.for_each(|(mut d, target)| d[*target] = scale);
        (&ys * &d_ys).sum()
    }
}

/// Gradients on a bound are left alone, those just above it are not: on either side of 0.
#[test]
fn a_clip_begins_at_its_bound() {
    let (x, y) = (text(0, 6, 3), text(1, 6, 3));
    for sign in [1.0, -1.0] {
        let train = |clip: Clip| {
            let builder = Bptt::builder(lstm::<f64>(5, 1))
                .loss(deep_rnn::loss::loss_fn(linear_loss(0.3 * sign)))
                .optimizer(Frozen);
            let mut bptt = match clip {
                Clip::Norm(bound) => builder.clip_norm(bound),
                Clip::Value(bound) => builder.clip_value(bound),
                _ => builder,
            }
            .build()
            .unwrap();
            let report = bptt.train_next(&x, &y).unwrap();
            (report.clipped, bptt.gradients().clone())
        };
        let (_, free) = train(Clip::None);
        let norm = free.norm();
        let mut largest = 0.0_f64;
        free.visit(&mut |_, array| largest = array.iter().fold(largest, |largest, g| largest.max(g.abs())));
        for by_norm in [true, false] {
            let clip = |bound| if by_norm { Clip::Norm(bound) } else { Clip::Value(bound) };
            let at = if by_norm { norm } else { largest };
            let below = at.next_down();
            for bound in [at, at.next_up(), 1.04 * at] {
                let (clipped, gradients) = train(clip(bound));
                assert_eq!((clipped, weights(&gradients)), (0, weights(&free)), "{:?}", clip(bound));
            }
            assert_eq!(train(clip(below)).0, 1, "{:?}", clip(below));
            assert_eq!(train(clip(0.96 * at)).0, 1, "{:?}", clip(0.96 * at));
        }
        // Only what is above comes down to the bound.
        let (_, gradients) = train(Clip::Value(largest.next_down()));
        let mut moved = 0;
        gradients.clone().zip_mut(&free, &mut |_, ours, free| {
            for (ours, free) in ours.iter().zip(free) {
                moved += usize::from(ours != free);
                assert!(ours == free || ours.abs() == largest.next_down());
            }
        });
        assert!(moved > 0);
        let (_, gradients) = train(Clip::Norm(norm / 2.0));
        assert!((gradients.norm() - norm / 2.0).abs() < 1e-14 * norm);
    }
}
