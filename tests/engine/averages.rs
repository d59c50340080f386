//! The mean of weights, and the best of them.

use approx::assert_relative_eq;
use deep_rnn::checkpoint::{Resume, Snapshot};
use deep_rnn::ndarray::{Array1, array};
use deep_rnn::prelude::*;
use deep_rnn::train::{Average, Best};

use crate::bits::weights;
use crate::small_model::{lstm, text};

/// Weights along a training.
fn walk(n: usize) -> Array1<f64> {
    let n = n as f64;
    array![n.sin(), 1e6 + n, -1.0 / (n + 1.0), 0.0, 7.5]
}

#[test]
fn the_mean_by_its_definition() {
    let (mut plain, mut weighted) = (Average::new(&walk(0)), Average::exponential(&walk(0), 0.9).unwrap());
    for count in 1..=50 {
        plain.add(&walk(count)).unwrap();
        weighted.add(&walk(count)).unwrap();
        let mean = |weight: &dyn Fn(usize) -> f64| {
            let (mut sum, mut all) = (Array1::zeros(5), 0.0);
            for n in 1..=count {
                sum += &(walk(n) * weight(n));
                all += weight(n);
            }
            sum / all
        };
        assert_relative_eq!(*plain.params(), mean(&|_| 1.0), max_relative = 1e-13, epsilon = 1e-14);
        let expected = mean(&|n| 0.9_f64.powi((count - n) as i32));
        assert_relative_eq!(*weighted.params(), expected, max_relative = 1e-13, epsilon = 1e-14);
        assert_eq!((plain.count(), weighted.count()), (count as u64, count as u64));
    }
}

/// In `f32` a running mean without compensation stops moving.
#[test]
fn a_mean_of_very_many() {
    let n = 1_000_000;
    let mut average = Average::new(&array![0.0_f32]);
    let mut exact = 0.0;
    for i in 0..n {
        let x = if i < n / 2 { 1.0 } else { 1.001 + (i % 7) as f32 * 1e-4 };
        exact += f64::from(x) / f64::from(n);
        average.add(&array![x]).unwrap();
    }
    let error = (f64::from(average.params()[0]) - exact).abs();
    assert!(error < 6.1e-8, "{error:e} from {exact}");
}

#[test]
fn extremes() {
    let mut average = Average::new(&array![0.0, 0.0, 0.0, 0.0]);
    average.add(&array![f64::MAX, -f64::MAX, 1e-200, 3.0]).unwrap();
    average.add(&array![-f64::MAX, -f64::MAX, -1e-200, 3.0]).unwrap();
    assert!(average.params().iter().all(|x| x.is_finite()), "{}", average.params());
    assert_eq!(average.params().as_slice().unwrap()[1..], [-f64::MAX, 0.0, 3.0]);
    let mut like = Array1::<f64>::zeros(4);
    let error = Average::new(&like).swap(&mut like).unwrap_err();
    assert_eq!(error.to_string(), "average: expected one that something was added to, got one of nothing");
    let before = average.params().clone();
    let error = average.add(&array![f64::NAN, 0.0, 0.0, 0.0]).unwrap_err();
    assert_eq!(error.to_string(), "params: expected finite numbers, got one that is not");
    let error = average.add(&Array1::zeros(3)).unwrap_err();
    assert_eq!(error.to_string(), "params: expected arrays as the average's: [4], got [3]");
    assert!(average.swap(&mut Array1::zeros(5)).is_err());
    assert!(average.params() == before && average.count() == 2);
    for decay in [-0.1, 1.0, f64::NAN] {
        assert!(
            Average::exponential(&before, decay)
                .unwrap_err()
                .to_string()
                .starts_with("decay: expected a number from 0, below 1")
        );
    }
}

/// One training in a piece, and one that is stopped and taken up by new values: the same bits of all three.
#[test]
fn they_go_on_where_they_were() {
    let new = || {
        let bptt = Bptt::builder(lstm::<f32>(5, 1)).optimizer(Adam::new(0.01)).build().unwrap();
        let average = Average::exponential(bptt.model(), 0.8).unwrap();
        let best = Best::new(bptt.model()).patience(4);
        (bptt, average, best)
    };
    let go_on = |from: usize, to: usize, (bptt, average, best): &mut (_, _, _)| {
        let (bptt, average, best): (&mut Bptt<_, _, _>, &mut Average<_>, &mut Best<_>) = (bptt, average, best);
        for n in from..to {
            bptt.train(&text(n, 6, 2), &text(n + 1, 6, 2)).unwrap();
            average.add(bptt.model()).unwrap();
            best.offer(bptt.evaluate([Batch::new(text(0, 6, 2), text(1, 6, 2))]).unwrap().loss(), bptt.model());
        }
    };
    let mut whole = new();
    go_on(0, 9, &mut whole);
    let (mut first, mut second) = (new(), new());
    go_on(0, 5, &mut first);
    let mut snapshot = Snapshot::new();
    snapshot.add("engine", &first.0).unwrap();
    snapshot.add("average", &first.1).unwrap();
    snapshot.add("best", &first.2).unwrap();
    snapshot.restore("engine", &mut second.0).unwrap();
    snapshot.restore("average", &mut second.1).unwrap();
    snapshot.restore("best", &mut second.2).unwrap();
    go_on(5, 9, &mut second);
    assert!(weights(second.0.model()) == weights(whole.0.model()));
    assert!(weights(second.1.params()) == weights(whole.1.params()));
    assert!(weights(second.2.params()) == weights(whole.2.params()));
    assert_eq!((second.2.loss(), second.2.at(), second.2.since()), (whole.2.loss(), whole.2.at(), whole.2.since()));
    // Of another model they are refused, and nothing is changed.
    let other = lstm::<f32>(6, 1);
    let (mut average, mut best) = (Average::new(&other), Best::new(&other));
    assert!(average.restore(&first.1.save().unwrap()).is_err() && best.restore(&first.2.save().unwrap()).is_err());
    assert!(weights(average.params()) == weights(&other) && weights(best.params()) == weights(&other));
}

#[test]
fn a_swap_and_back() {
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).build().unwrap();
    let mut average = Average::new(bptt.model());
    for n in 0..3 {
        bptt.train(&text(n, 6, 2), &text(n + 1, 6, 2)).unwrap();
        average.add(bptt.model()).unwrap();
    }
    let (last, mean) = (weights(bptt.model()), weights(average.params()));
    assert!(last != mean);
    average.swap(bptt.model_mut()).unwrap();
    assert!(weights(bptt.model()) == mean && weights(average.params()) == last);
    average.swap(bptt.model_mut()).unwrap();
    assert!(weights(bptt.model()) == last && weights(average.params()) == mean);
}

#[test]
fn the_best_and_when_it_is_over() {
    let mut best = Best::new(&array![0.0]).patience(2);
    assert_eq!((best.loss(), best.at(), best.since(), best.is_over()), (f64::INFINITY, 0, 0, false));
    let losses = [3.0, f64::NAN, 2.0, 2.0, 1.5, 1.6, 1.7];
    let better = [true, false, true, false, true, false, false];
    let over = [false, false, false, false, false, false, true];
    for (i, loss) in losses.into_iter().enumerate() {
        assert_eq!(best.offer(loss, &array![i as f64]), better[i], "offer {i}");
        assert_eq!(best.is_over(), over[i], "offer {i}");
    }
    assert_eq!((best.loss(), best.at(), best.since()), (1.5, 5, 2));
    assert_eq!(best.into_params(), array![4.0]);
    // Nothing but NaN: what it was made of, and over in time.
    let mut best = Best::new(&array![9.0]).patience(0);
    assert!(!best.offer(f64::NAN, &array![1.0]) && best.is_over());
    assert_eq!(best.params(), array![9.0]);
}
