//! Prepared language models: the bits of the model itself, errors, perplexity.

use deep_rnn::infer::PreparedLanguageModel;
use deep_rnn::ndarray::{Array2, Array3, s};
use deep_rnn::prelude::*;

use crate::bits::state_bits;
use crate::refused::refused;

const V: usize = 11;

/// A token is mostly followed by what the two before it say, and sometimes by any.
fn text(seed: u64, t: usize, b: usize) -> Array2<usize> {
    let noise: Array2<f64> = Init::seeded(seed).uniform((t, b), 1.0);
    let mut text = Array2::zeros((t, b));
    for ((t, b), noise) in noise.indexed_iter() {
        text[[t, b]] = match t {
            0 | 1 => b % V,
            _ if *noise > 0.7 => ((noise - 0.7) * 1e6) as usize % V,
            _ => (text[[t - 1, b]] + 3 * text[[t - 2, b]] + 1) % V,
        };
    }
    text
}

/// Steps of the model and of its full form give the same bits.
fn same_steps<N: SeqLayer + Causal + Prepare>(name: &str, net: N) {
    let model = LanguageModel::new(net, 3).unwrap();
    let prepared = model.prepare(Precision::Full).unwrap();
    assert_eq!(prepared.vocabulary(), V);
    let (mut ours, mut theirs) = (model.zero_state(1), prepared.zero_state(1));
    let nan = N::Elem::from_f64(f64::NAN);
    for (i, token) in text(1, 40, 1).iter().enumerate() {
        let mut a = [nan; V];
        model.step_tokens(&[*token], &mut a, &mut ours).unwrap();
        // Every other time into logits that do not lie side by side.
        let stride = 1 + i as isize % 2;
        let mut b = Array3::from_elem((1, 1, 2 * V), nan);
        let mut b = b.slice_mut(s![.., .., ..V as isize * stride; stride]);
        if stride == 1 {
            prepared.step_tokens(&[*token], b.as_slice_mut().unwrap(), &mut theirs).unwrap();
        } else {
            let token = Array2::from_elem((1, 1), *token);
            prepared.forward(Context::default(), (&token).into(), b.view_mut(), &mut theirs, None);
        }
        let equal =
            a.iter().zip(&b).all(|(a, b)| a.as_f64().to_bits() == b.as_f64().to_bits() && a.as_f64().is_finite());
        assert!(equal && state_bits(&ours) == state_bits(&theirs), "{name}<{}>: step {i}", N::Elem::NAME);
    }
}

fn models<F: Float>() {
    same_steps("a stack", Stacked::repeat(V, 2, &Lstm::<F>::spec(17), 1).unwrap());
    same_steps("a stack of one", Stacked::repeat(V, 1, &Rnn::<F>::spec(16), 1).unwrap());
    same_steps("a mixed stack", Network::<F>::builder(V).gru(33).lstm(5).build().unwrap());
    same_steps("a linear layer on top", Network::<F>::builder(V).lstm(8).linear(4).build().unwrap());
    same_steps("a wide stack", Stacked::repeat(V, 2, &Gru::<F>::spec(100), 0).unwrap());
    same_steps("a cell", Gru::<F>::spec(9).bias(Bias::Two).build(V, &mut Init::seeded(1)).unwrap());
    let before = GruResetBefore::<F>::spec(9).build(V, &mut Init::seeded(1)).unwrap();
    same_steps("rows with a one", before);
}

#[test]
fn the_bits_of_the_model() {
    models::<f32>();
    models::<f64>();
}

/// Tokens are rows with a one, in every form: also the second one of a pair of weights of 16 bits.
#[test]
fn tokens_are_rows_with_a_one() {
    let net = Stacked::repeat(V, 2, &Gru::<f32>::spec(17), 1).unwrap();
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        let net = net.prepare(precision).unwrap();
        for b in [0, 1, 3, 5] {
            let (mut ours, mut theirs) = (net.zero_state(b), net.zero_state(b));
            for tokens in text(2, 20, b).outer_iter() {
                let mut rows = Array2::zeros((b, V));
                tokens.iter().enumerate().for_each(|(b, token)| rows[[b, *token]] = 1.0);
                let (mut y, mut y_tokens) = (vec![f32::NAN; b * 17], vec![f32::NAN; b * 17]);
                net.step_rows(rows.as_slice().unwrap(), &mut y, &mut ours).unwrap();
                net.step_tokens(tokens.as_slice().unwrap(), &mut y_tokens, &mut theirs).unwrap();
                assert_eq!(y, y_tokens, "{precision}, B = {b}");
                assert_eq!(state_bits(&ours), state_bits(&theirs), "{precision}, B = {b}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let net = Stacked::repeat(V, 2, &Lstm::<f32>::spec(4), 0).unwrap();
    let model = LanguageModel::new(net, 1).unwrap().prepare(Precision::Int8).unwrap();
    let (mut state, mut logits) = (model.zero_state(1), [7.0; V]);
    model.step_tokens(&[V - 1], &mut logits, &mut state).unwrap();
    let (before, written) = (state_bits(&state), logits);
    refused(model.step_tokens(&[V], &mut logits, &mut state), &["token", "below 11", "got 11"]);
    refused(model.step_tokens(&[usize::MAX], &mut logits, &mut state), &["token", "below 11"]);
    refused(model.step_tokens(&[1], &mut logits[1..], &mut state), &["tokens", "B·11 of y", "1 for 10"]);
    refused(model.step_tokens(&[1], &mut [0.0; V + 1], &mut state), &["tokens", "B·11 of y", "1 for 12"]);
    assert_eq!((state_bits(&state), logits), (before, written));
    for rows in [0, 2] {
        let parts = ["state", "arrays of shapes [[1, 4], ", &format!("got [[{rows}, 4]")];
        refused(model.step_tokens(&[1], &mut logits, &mut model.zero_state(rows)), &parts);
    }
    let mut short = state.clone();
    short.pop();
    refused(
        model.step_tokens(&[1], &mut logits, &mut short),
        &["state: expected arrays of shapes [[1, 4], ", "got [[1, 4], [1, 4]]"],
    );
    assert_eq!(logits, written);
}

fn perplexity<P: Packed>(model: &PreparedLanguageModel<P>, text: &Array2<usize>) -> f64 {
    let (mut loss, mut logits) = (0.0, [P::Elem::from_f64(f64::NAN); V]);
    for column in text.columns() {
        let mut state = model.zero_state(1);
        for (token, next) in column.iter().zip(column.iter().skip(1)) {
            model.step_tokens(&[*token], &mut logits, &mut state).unwrap();
            let sum: f64 = logits.iter().map(|logit| logit.as_f64().exp()).sum();
            loss += sum.ln() - logits[*next].as_f64();
        }
    }
    (loss / ((text.nrows() - 1) * text.ncols()) as f64).exp()
}

/// A model that has learnt a rule keeps it with fewer bits.
#[test]
fn perplexity_of_a_trained_model() {
    let net = Stacked::repeat(V, 2, &Lstm::<f32>::spec(32), 1).unwrap();
    let model = LanguageModel::new(net, 1).unwrap();
    let mut bptt = Bptt::builder(model).optimizer(Adam::new(0.01)).clip_norm(1.0).build().unwrap();
    for k in 0..300 {
        let text = text(k, 31, 16);
        bptt.reset_state();
        bptt.train_next(&text.slice(s![..30, ..]), &text.slice(s![1.., ..])).unwrap();
    }
    let unseen = text(1_000_000, 101, 8);
    let (x, y) = (unseen.slice(s![..100, ..]).to_owned(), unseen.slice(s![1.., ..]).to_owned());
    let expected = bptt.evaluate([Batch::new(x, y)]).unwrap().perplexity();
    let of = |precision| perplexity(&bptt.model().prepare(precision).unwrap(), &unseen);
    let (full, bf16, int8) = (of(Precision::Full), of(Precision::Bf16), of(Precision::Int8));
    println!("perplexity: {expected} evaluated, full {full}, bf16 {bf16}, int8 {int8}");
    assert!(full < 5.0, "it has learnt nothing: {full} of {V}");
    assert!((full / expected - 1.0).abs() < 1e-5);
    assert!(bf16 != full && (bf16 / full - 1.0).abs() < 0.001, "bf16: {bf16} and {full}");
    assert!(int8 != full && (int8 / full - 1.0).abs() < 0.003, "int8: {int8} and {full}");
}
