//! No steps, no rows, no batches.

use deep_rnn::ndarray::{Array2, ArrayRef2, ArrayView3, ArrayViewMut3};
use deep_rnn::prelude::*;

use crate::bits::{state_bits, weights};
use crate::small_model::{V, model, spec, text};

/// No steps, no rows or neither is legal and does nothing.
fn nothing<N: SeqLayer<Elem = f64>>(net: N) {
    let model = LanguageModel::new(net, 1).unwrap();
    for window in [1, 3, usize::MAX] {
        let mut bptt = Bptt::builder(model.clone()).window(window).threads(2).build().unwrap();
        bptt.train_next(&text(4, 3), &text(4, 3)).unwrap();
        let before = (weights(bptt.model()), bptt.state().map(state_bits));
        for (t, b) in [(0, 3), (4, 0), (0, 0), (0, 9)] {
            let (x, y) = (text(t, b), text(t, b));
            let report = bptt.train_next(&x, &y).unwrap();
            assert_eq!((report.tokens, report.updates, report.losses.sum), (0, 0, 0.0));
            let batch = || [Batch::new(x.clone(), y.clone()).continues(true)];
            assert_eq!(bptt.epoch(batch()).unwrap().tokens, 0);
            assert_eq!(bptt.evaluate(batch()).unwrap().tokens, 0);
            let ys = bptt.predict_with(deep_rnn::Context::default(), &x, &mut bptt.model().zero_state(b)).unwrap();
            assert_eq!(ys.dim(), (t, b, V));
            assert!((weights(bptt.model()), bptt.state().map(state_bits)) == before);
        }
        let none: [Batch<Array2<usize>, Array2<usize>>; 0] = [];
        let report = bptt.epoch(none.clone()).unwrap();
        assert_eq!((report.tokens, report.updates), (0, 0));
        assert!(report.loss().is_nan() && bptt.evaluate(none).unwrap().loss().is_nan());
        assert!((weights(bptt.model()), bptt.state().map(state_bits)) == before);
        bptt.train_next(&text(4, 3), &text(4, 3)).unwrap();
    }
}

#[test]
fn nothing_to_do() {
    nothing(Stacked::repeat(V, 2, &spec(4), 0).unwrap());
    nothing(Network::builder(V).layer(GruResetBefore::<f64>::spec(4)).layer(spec(3)).build().unwrap());
    let both_ways = Bidirectional::spec(Gru::<f64>::spec(3), Merge::Sum);
    nothing(Network::builder(V).layer(both_ways).linear(4).build().unwrap());
}

#[test]
fn nothing_to_evaluate_is_no_loss_of_a_closure_either() {
    let mean = |ys: ArrayView3<'_, f64>, _: &ArrayRef2<usize>, mut d_ys: ArrayViewMut3<'_, f64>| {
        d_ys.fill(0.0);
        ys.sum() / ys.len() as f64
    };
    let mut bptt = Bptt::builder(model()).loss(deep_rnn::loss::loss_fn(mean)).build().unwrap();
    assert_eq!(bptt.train_next(&text(0, 2), &text(0, 2)).unwrap().tokens, 0);
    let batch = Batch::new(text(0, 2), text(0, 2));
    assert_eq!(bptt.evaluate([batch]).unwrap().tokens, 0);
}
