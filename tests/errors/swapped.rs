//! A model changed through the engine into one of other sizes: an `Err` that names the difference, and a way back.

use deep_rnn::ndarray::{Array2, Array3};
use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::refused;
use crate::small_model::{Lm, V, model, spec, text};

fn lm(units: usize, layers: usize) -> Lm {
    LanguageModel::new(Stacked::repeat(V, layers, &spec(units), 2).unwrap(), 1).unwrap()
}

#[test]
fn a_language_model_of_another_size() {
    let tokens = text(6, 2);
    let engine = |threads: usize| {
        move || Bptt::builder(model()).optimizer(Adam::new(0.01)).window(4).threads(threads).build().unwrap()
    };
    for threads in [1, 3] {
        let widths = ["model: expected net.0.w_x [5, 16]", "build a new engine", "got net.0.w_x [5, 28]"];
        back_and_forth(engine(threads), &tokens, lm(7, 2), &widths);
        let more = ["model: expected head.w [4, 5]", "got net.2.w_x [4, 16]"];
        back_and_forth(engine(threads), &tokens, lm(4, 3), &more);
        let fewer = ["model: expected net.1.w_x [4, 16]", "got head.w [4, 5]"];
        back_and_forth(engine(threads), &tokens, lm(4, 1), &fewer);
    }
    let biases = Stacked::repeat(V, 2, &spec(4).bias(Bias::Two), 0).unwrap();
    let words = ["expected net.1.w_x [4, 16]", "got net.0.b_h [16]"];
    back_and_forth(engine(1), &tokens, LanguageModel::new(biases, 1).unwrap(), &words);
}

/// Every call refuses, with these words; and once the model is back, the engine goes on as one that has not seen another.
fn back_and_forth(
    engine: impl Fn() -> Bptt<Lm, CrossEntropy, Adam<Lm>>,
    tokens: &Array2<usize>,
    other: Lm,
    words: &[&str],
) {
    for trained in [false, true] {
        let (mut bptt, mut twin) = (engine(), engine());
        if trained {
            bptt.train_next(tokens, tokens).unwrap();
            twin.train_next(tokens, tokens).unwrap();
        }
        let state = bptt.state().cloned();
        let old = std::mem::replace(bptt.model_mut(), other.clone());
        for _ in 0..2 {
            let batch = || [Batch::new(tokens.view(), tokens.view()).continues(true)];
            refused(bptt.train_next(tokens, tokens), words);
            refused(bptt.epoch(batch()), words);
            refused(bptt.evaluate(batch()), words);
            let mut state = bptt.model().zero_state(2);
            refused(bptt.predict_with(deep_rnn::Context::default(), tokens, &mut state), words);
        }
        assert_eq!(bptt.state().cloned(), state);
        *bptt.model_mut() = old;
        for _ in 0..2 {
            assert_eq!(
                bptt.train_next(tokens, tokens).unwrap().losses.sum,
                twin.train_next(tokens, tokens).unwrap().losses.sum
            );
        }
        assert_eq!(weights(bptt.model()), weights(twin.model()));
    }
}

#[test]
fn layers_of_another_size() {
    let linear = |outputs: usize| Linear::<f64>::spec(outputs).build(3, &mut Init::seeded(1)).unwrap();
    let mut bptt = Bptt::builder(linear(2)).loss(MeanSquared).build().unwrap();
    *bptt.model_mut() = linear(4);
    let xs = Array3::ones((5, 2, 3));
    refused(bptt.train_next(&xs, &Array3::zeros((5, 2, 4))), &["expected w [3, 2]", "got w [3, 4]"]);
    refused(bptt.train_next(&xs, &Array3::zeros((5, 2, 2))), &["expected w [3, 2]", "got w [3, 4]"]);

    let both = |units: usize| {
        let spec = Bidirectional::spec(GruResetBefore::<f64>::spec(units), Merge::Sum);
        spec.build(3, &mut Init::seeded(1)).unwrap()
    };
    let mut bptt = Bptt::builder(both(2)).loss(MeanSquared).threads(2).build().unwrap();
    bptt.train_next(&xs, &Array3::zeros((5, 2, 2))).unwrap();
    *bptt.model_mut() = both(3);
    refused(
        bptt.train_next(&xs, &Array3::zeros((5, 2, 3))),
        &["expected forward.w_x [3, 6]", "got forward.w_x [3, 9]"],
    );
    // Of the same sizes anything goes.
    *bptt.model_mut() = both(2);
    bptt.model_mut().scale(0.5);
    bptt.train_next(&xs, &Array3::zeros((5, 2, 2))).unwrap();
}
