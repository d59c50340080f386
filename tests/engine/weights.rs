//! Targets that count for more or less, rows of several lengths, accumulation and schedules.

use deep_rnn::loss::Weighted;
use deep_rnn::ndarray::Array2;
use deep_rnn::prelude::*;

fn net() -> Network<f64> {
    Network::<f64>::builder(6).gru(8).linear(6).seed(1).build().unwrap()
}

fn data(t: usize, b: usize) -> (Array2<usize>, Array2<usize>) {
    let x = Array2::from_shape_fn((t, b), |(t, b)| (t * t + 2 * b) % 6);
    (x.clone(), x.mapv(|token| (token + 1) % 6))
}

/// The gradients of one update, and its report.
fn gradients<Y: deep_rnn::train::Targets>(batch: &Batch<Array2<usize>, Y>) -> (Vec<f64>, deep_rnn::train::Report)
where
    CrossEntropy: deep_rnn::loss::Loss<f64, Y::Of>,
{
    let mut bptt = Bptt::builder(net()).build().unwrap();
    let report = bptt.train_batch(batch).unwrap();
    let mut all = Vec::new();
    bptt.gradients().visit(&mut |_, array| all.extend(array.iter().copied()));
    (all, report)
}

fn near(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14)
}

#[test]
fn weights_of_one_change_nothing() {
    let (x, y) = data(7, 3);
    let (plain, report) = gradients(&Batch::new(x.clone(), y.clone()));
    let (weighted, other) = gradients(&Batch::new(x, Weighted::new(y, Array2::ones((7, 3))).unwrap()));
    assert_eq!(plain, weighted);
    assert_eq!(report.losses, other.losses);
}

#[test]
fn masks_are_lengths() {
    let (x, y) = data(7, 3);
    let lengths = [7, 2, 4];
    let (short, report) = gradients(&Batch::new(x.clone(), y.clone()).lengths(lengths.to_vec()));
    let weights = Array2::from_shape_fn((7, 3), |(t, b)| if t < lengths[b] { 2.5 } else { 0.0 });
    let (masked, other) = gradients(&Batch::new(x, Weighted::new(y, weights).unwrap()));
    assert!(near(&short, &masked));
    assert_eq!((report.losses.weight, other.losses.weight, report.tokens), (13.0, 32.5, 13));
    assert!((report.loss() - other.loss()).abs() < 1e-14);
}

#[test]
fn a_weight_of_two_is_a_row_twice() {
    let (x, y) = data(5, 2);
    let weights = Array2::from_shape_fn((5, 2), |(_, b)| if b == 0 { 2.0 } else { 1.0 });
    let (weighted, _) = gradients(&Batch::new(x.clone(), Weighted::new(y.clone(), weights).unwrap()));
    let twice = |a: &Array2<usize>| a.select(ndarray::Axis(1), &[0, 0, 1]);
    let (twice, _) = gradients(&Batch::new(twice(&x), twice(&y)));
    assert!(near(&weighted, &twice));
}

#[test]
fn windows_accumulate_to_the_mean_of_all() {
    let (x, y) = data(8, 4);
    let mut whole = Bptt::builder(net()).build().unwrap();
    whole.train_batch(&Batch::new(x.clone(), y.clone())).unwrap();
    // Two batches of other sizes: the mean is that over all tokens.
    let part = |a: &Array2<usize>, rows: std::ops::Range<usize>| a.slice(ndarray::s![.., rows]).to_owned();
    let mut halves = Bptt::builder(net()).accumulate(2).build().unwrap();
    for rows in [0..1, 1..4] {
        assert_eq!(halves.updates(), 0);
        halves.train_batch(&Batch::new(part(&x, rows.clone()), part(&y, rows))).unwrap();
    }
    assert_eq!((halves.updates(), whole.updates()), (1, 1));
    let all = |bptt: &Bptt<Network<f64>>| {
        let mut all = Vec::new();
        bptt.model().visit(&mut |_, array| all.extend(array.iter().copied()));
        all
    };
    assert!(near(&all(&whole), &all(&halves)));
}

#[test]
fn a_schedule_and_a_hook_see_every_update() {
    use std::sync::{Arc, Mutex};
    let (x, y) = data(6, 2);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let norms = Arc::clone(&seen);
    let mut bptt = Bptt::builder(net())
        .optimizer(Sgd::new(1.0))
        .schedule(|updates, sgd| sgd.set_lr(if updates == 0 { 0.5 } else { 1e-30 }))
        .on_gradients(move |grads: &mut Network<f64>| norms.lock().unwrap().push(grads.norm()))
        .build()
        .unwrap();
    let weights = |bptt: &Bptt<Network<f64>>| {
        let mut all = Vec::new();
        bptt.model().visit(&mut |_, array| all.extend(array.iter().copied()));
        all
    };
    let start = weights(&bptt);
    bptt.train_next(&x, &y).unwrap();
    let first = weights(&bptt);
    bptt.train_next(&x, &y).unwrap();
    assert!(start != first && near(&first, &weights(&bptt)));
    assert_eq!((bptt.optimizer().lr(), seen.lock().unwrap().len()), (1e-30, 2));
    // A rate that is none is refused at the update, and nothing is changed.
    bptt.optimizer_mut().set_lr(f64::NAN);
    let mut other = Bptt::builder(net()).schedule(|_, sgd| sgd.set_lr(f64::NAN)).build().unwrap();
    let message = other.train_next(&x, &y).unwrap_err().to_string();
    assert!(message.starts_with("lr: expected a finite number above 0"), "{message}");
    assert_eq!(weights(&other), start);
}

#[test]
fn weights_that_are_none_are_refused() {
    let (_, y) = data(3, 2);
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Weighted::new(y.clone(), Array2::from_elem((3, 2), wrong)).is_err());
    }
    assert!(Weighted::new(y, Array2::ones((2, 3))).is_err());
}

#[test]
fn lengths_and_resets_that_do_not_fit_are_refused() {
    let (x, y) = data(5, 3);
    let mut bptt = Bptt::builder(net()).build().unwrap();
    let batch = || Batch::new(x.clone(), y.clone());
    for (lengths, starts) in [
        (vec![5, 5], "lengths: expected 3, one for each row, got 2"),
        (vec![5, 6, 1], "lengths: expected at most 5 steps, got 6 for row 1"),
    ] {
        let message = bptt.train_batch(&batch().lengths(lengths)).unwrap_err().to_string();
        assert!(message.starts_with(starts), "{message}");
    }
    for shape in [(3, 5), (5, 2), (6, 3), (4, 3)] {
        let message = bptt.train_batch(&batch().resets(Array2::from_elem(shape, false))).unwrap_err().to_string();
        assert!(message.starts_with("resets: expected shape [5, 3], got "), "{message}");
    }
    // Rows without any step give nothing to learn from.
    let before = bptt.train_batch(&batch().lengths(vec![0; 3])).unwrap();
    assert_eq!(before.tokens, 0);
}
