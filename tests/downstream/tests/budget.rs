//! Cells from outside under a memory budget: the same bits where they tell their memory, a clear refusal where not.

use deep_rnn::ndarray::{Array2, Array3};
use deep_rnn::prelude::*;
use downstream::{Mgu, Residual, Smooth};

const V: usize = 11;

/// The bits of all weights after windows of 20 steps on batches of 19 rows, with this share of the memory that all takes.
fn bits(share: Option<f64>, threads: usize) -> Vec<u32> {
    let mgu = |inputs: usize, init: &mut Init| Residual::new(Mgu::new(inputs, V, init));
    let builder = || {
        let net = Network::<f32>::builder(V).layer(mgu).lstm(6).seed(1).build().unwrap();
        Bptt::builder(LanguageModel::new(net, 3).unwrap()).clip_norm(1.0).window(20).threads(threads)
    };
    let mut bptt = builder().build().unwrap();
    assert!(!bptt.model().splits_itself());
    if let Some(share) = share {
        let budget = (bptt.memory_estimate_for_tokens(45, 19).unwrap() as f64 * share) as usize;
        bptt = builder().memory_budget(budget).build().unwrap();
        assert!(bptt.memory_estimate_for_tokens(45, 19).unwrap() <= budget);
    }
    let tokens = Array2::from_shape_fn((45, 19), |(t, b)| (t * t + 3 * t * b + b * b) % V);
    assert_eq!(bptt.train_next(&tokens, &tokens).unwrap().updates, 3);
    let mut bits = Vec::new();
    bptt.model().visit(&mut |_, array| bits.extend(array.iter().map(|x| x.to_bits())));
    bits
}

#[test]
fn the_same_bits() {
    let plain = bits(None, 1);
    for threads in [1, 2, 3] {
        for share in [1.0, 0.9, 0.8] {
            assert!(bits(Some(share), threads) == plain, "{share} of the memory, {threads} threads");
        }
    }
}

#[test]
fn a_cell_that_does_not_tell_its_memory() {
    let net = || {
        let smooth = |inputs: usize, _: &mut Init| Ok(Smooth::new(inputs));
        Network::<f32>::builder(4).lstm(3).layer(smooth).build().unwrap()
    };
    let mut bptt = Bptt::builder(net()).loss(MeanSquared).build().unwrap();
    let error = bptt.memory_estimate(5, 2).unwrap_err().to_string();
    assert!(error.contains("`Recurrent::memory`"), "{error}");
    let error = Bptt::builder(net()).loss(MeanSquared).memory_budget(1 << 30).build().err().unwrap();
    assert!(error.to_string().contains("`Recurrent::memory`"), "{error}");
    // It trains without a budget as ever.
    bptt.train_next(&Array3::ones((5, 2, 4)), &Array3::zeros((5, 2, 3))).unwrap();
}
