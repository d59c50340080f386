//! Numbers that are not finite: in a batch, a loss, a weight or a state.

use crate::stepped::SteppedGru;
use deep_rnn::loss::Loss;
use deep_rnn::ndarray::{Array3, ArrayRef3, ArrayView3, ArrayViewMut3};
use deep_rnn::prelude::*;

use crate::bits::{state_bits, weights};
use crate::refused;
use crate::small_model::{model, spec, text};

/// One way to spoil a batch, an input or a target; or the loss.
#[derive(Clone, Copy, Debug)]
enum Spoilt {
    Input(f64),
    Target(f64),
    Loss(f64),
    Gradient(f64),
}

/// Trains on good batches with the spoilt one between them, and on the good ones alone.
fn refused_batch_leaves_no_trace<N: SeqLayer<Elem = f64>>(model: &N, rows: usize, spoilt: Spoilt) {
    use std::cell::Cell;
    let spoil = Cell::new(None);
    let loss = |ys: ArrayView3<'_, f64>, targets: &ArrayRef3<f64>, mut d_ys: ArrayViewMut3<'_, f64>| {
        let loss = MeanSquared.evaluate(Context::default(), ys, targets, d_ys.view_mut()).mean();
        match spoil.get() {
            Some(Spoilt::Loss(x)) => x,
            Some(Spoilt::Gradient(x)) => {
                d_ys[[1, 0, 0]] = x;
                loss
            }
            _ => loss,
        }
    };
    let engine = || {
        let builder = Bptt::builder(model.clone()).loss(deep_rnn::loss::loss_fn(loss)).optimizer(Adam::new(0.01));
        builder.clip_norm(0.5).window(5).threads(2).build().unwrap()
    };
    let data = |k: usize| {
        let x = Array3::from_shape_fn((4, rows, 3), |(t, b, d)| ((k + t * 3 + b * 5 + d * 7) % 11) as f64 / 11.0);
        let y = Array3::from_shape_fn((4, rows, 2), |(t, b, d)| ((k + t * 5 + b + d * 2) % 7) as f64 / 7.0);
        (x, y)
    };
    let (mut with, mut without) = (engine(), engine());
    for k in 0..3 {
        let (x, y) = data(k);
        with.train_next(&x, &y).unwrap();
        without.train_next(&x, &y).unwrap();

        let (mut x, mut y) = data(k + 20);
        match spoilt {
            Spoilt::Input(bad) => x[[2, rows - 1, 1]] = bad,
            Spoilt::Target(bad) => y[[2, rows - 1, 1]] = bad,
            Spoilt::Loss(_) | Spoilt::Gradient(_) => spoil.set(Some(spoilt)),
        }
        let before = (weights(with.model()), with.state().map(state_bits));
        refused(with.train_next(&x, &y), &["expected a finite number, got", "no weight was changed"]);
        spoil.set(None);
        assert!((weights(with.model()), with.state().map(state_bits)) == before, "{spoilt:?} changed something");
    }
    let same = weights(with.model()) == weights(without.model());
    assert!(same && with.state().map(state_bits) == without.state().map(state_bits), "{spoilt:?} left a trace");
}

#[test]
fn numbers_that_are_not_finite_are_refused_and_leave_no_trace() {
    let whole = Network::builder(3).layer(spec(6)).layer(Linear::spec(2)).build().unwrap();
    let sharded = Network::builder(3).layer(SteppedGru::<f64>::spec(6)).layer(Linear::spec(2)).build().unwrap();
    assert!(whole.splits_itself() && !sharded.splits_itself());
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for spoilt in [Spoilt::Input(bad), Spoilt::Target(bad), Spoilt::Loss(bad), Spoilt::Gradient(bad)] {
            refused_batch_leaves_no_trace(&whole, 11, spoilt);
            refused_batch_leaves_no_trace(&sharded, 11, spoilt);
        }
    }
    // Too large for their square to be finite.
    refused_batch_leaves_no_trace(&whole, 3, Spoilt::Target(f64::MAX));
    refused_batch_leaves_no_trace(&sharded, 3, Spoilt::Gradient(f64::MAX));
}

#[test]
fn a_weight_or_a_state_that_is_not_finite_is_refused_until_it_is_put_right() {
    let (x, y) = (text(4, 3), text(4, 3));
    let mut bptt = Bptt::builder(model()).build().unwrap();
    bptt.train_next(&x, &y).unwrap();
    let good = bptt.model().clone();
    bptt.model_mut().visit_mut(&mut |name, mut array| {
        if name == "net.1.b" {
            array.fill(f64::NAN);
        }
    });
    let before = (weights(bptt.model()), bptt.state().map(state_bits));
    refused(bptt.train_next(&x, &y), &["loss: expected a finite number, got NaN"]);
    refused(bptt.evaluate([Batch::new(&x, &y)]), &["loss: expected a finite number"]);
    assert!((weights(bptt.model()), bptt.state().map(state_bits)) == before);
    *bptt.model_mut() = good;
    let mut state = bptt.state().unwrap().clone();
    state[0][1].fill(f64::NAN);
    bptt.set_state(state, 3).unwrap();
    refused(bptt.train_next(&x, &y), &["loss: expected a finite number, got NaN"]);
    bptt.reset_state();
    bptt.train_next(&x, &y).unwrap();
}
