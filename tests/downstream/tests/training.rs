//! Cells from outside learn, each stacked with one of the crate's own.

use deep_rnn::cells::GatedSpec;
use deep_rnn::prelude::*;
use deep_rnn::text::Corpus;
use downstream::{Cifg, Mgu, TEXT};

/// Perplexity of the first epoch and after thirty.
fn trained(name: &str, build: impl Fn(usize) -> Result<(f64, f64), Error>) {
    let vocabulary = corpus().vocab().len();
    let (before, after) = build(vocabulary).unwrap();
    println!("{name}: loss {before:.4} before, {after:.4} after");
    assert!(before > 2.5 && after < 0.4 * before, "{name}: loss {before} before, {after} after");
}

fn corpus() -> Corpus {
    Corpus::builder().text("the miller", TEXT).build().unwrap()
}

fn run(net: Network<f32>) -> Result<(f64, f64), Error> {
    let mut batches = corpus().sequential(4, 16, 1)?;
    let model = LanguageModel::new(net, 1)?;
    let mut bptt = Bptt::builder(model).optimizer(Adam::new(0.01)).clip_norm(1.0).build()?;
    let before = bptt.evaluate(batches.epoch())?.loss();
    for _ in 0..60 {
        bptt.epoch(batches.epoch())?;
    }
    Ok((before, bptt.evaluate(batches.epoch())?.loss()))
}

#[test]
fn mgu_over_lstm() {
    trained("MGU over LSTM", |vocabulary| {
        let mgu = |inputs: usize, init: &mut Init| Ok(Mgu::new(inputs, 32, init));
        run(Network::builder(vocabulary).lstm(32).layer(mgu).seed(1).build()?)
    });
}

#[test]
fn lstm_over_mgu() {
    trained("LSTM over MGU", |vocabulary| {
        let mgu = |inputs: usize, init: &mut Init| Ok(Mgu::new(inputs, 32, init));
        run(Network::builder(vocabulary).layer(mgu).lstm(32).seed(1).build()?)
    });
}

#[test]
fn cifg_over_gru() {
    trained("CIFG over GRU", |vocabulary| {
        run(Network::builder(vocabulary).gru(32).layer(GatedSpec::new(Cifg, 32)).seed(1).build()?)
    });
}
