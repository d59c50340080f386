//! Layers and engines that are compiled with this crate.
//!
//! Generic code is compiled where it is used: without this every program, and every test, would compile the kernels of each cell again
//! for each instruction set, and a debug build would do so without optimisation. What is compiled here is taken instead: in
//! builds of `opt-level` 0 and 1 all of it, in others every function that is `#[inline(never)]`. So the functions where the work is done for
//! a whole sequence, a step, an array are; below them nothing is compiled again. If the compiler's rule changes, programs get slower, not
//! wrong.
//!
//! (With the debug assertions of the standard library in them, loops do not become vector code: README.md has the line for a user's
//! `Cargo.toml`.)
//!
//! `f64` is behind a feature, which our own tests have, as it takes as long again to compile.

// The crate's own unit tests need little of it, and have it compiled once more.
#![cfg_attr(test, allow(dead_code))]

use crate::infer::{Precision, Prepare};
use crate::{
    Adam, Bptt, CrossEntropy, Error, Float, Gru, GruResetBefore, LanguageModel, Lstm, MeanSquared, Network, Rnn, Sgd,
    Stacked, generate,
};

/// Never to be called: its instances are what counts.
///
/// # Errors
/// None that matters.
#[doc(hidden)]
pub fn compiled() -> Result<(), Error> {
    #[cfg(all(feature = "compiled-f64", not(test)))]
    of::<f64>()?;
    #[cfg(all(feature = "compiled-f64", not(test)))]
    relatives::<f64>()?;
    #[cfg(not(test))]
    of::<f32>()?;
    Ok(())
}

/// Those that few programs have, and our tests much of.
#[cfg(feature = "compiled-f64")]
fn relatives<F: Float>() -> Result<(), Error> {
    let lstm = || Lstm::<F>::spec(1);
    let cells =
        Network::<F>::builder(1).layer(lstm().peepholes()).layer(lstm().coupled()).layer(lstm().clip_gates(1.0));
    let cells = cells.layer(lstm().coupled().peepholes()).layer(Gru::spec(1).clip_gates(1.0));
    cells.layer(GruResetBefore::spec(1).clip_gates(1.0)).build()?;
    Ok(())
}

#[cfg(feature = "safetensors")]
fn files<F: Float>() -> Result<(), Error> {
    use crate::files::Names;

    let mut net = Network::<F>::load("")?;
    net.save("")?;
    net.load_torch("", &Names::auto())?;
    net.save_torch("", &Names::auto())?;
    crate::files::load_into(&mut net, "")?;
    Network::<F>::from_torch("", &Names::auto())?;
    LanguageModel::<Network<F>>::load("")?.save("")
}

fn of<F: Float>() -> Result<(), Error> {
    let net = || {
        let cells = Network::<F>::builder(1).embedding(1).lstm(1).gru(1).rnn(1).layer(GruResetBefore::spec(1)).tied();
        let more = cells.dropout(0.1).locked_dropout(0.1).layer_norm().linear(1);
        more.bi(Lstm::spec(1)).bi(Gru::spec(1)).bi(Rnn::spec(1)).last().linear(1).build()
    };
    let mut bptt = Bptt::builder(net()?).loss(MeanSquared).optimizer(Adam::new(0.1)).build()?;
    let numbers = ndarray::Array3::<F>::zeros((1, 1, 1));
    bptt.train(&numbers, &numbers)?;
    let model = LanguageModel::new(net()?, 1)?;
    let mut bptt = Bptt::builder(model).loss(CrossEntropy).optimizer(Sgd::new(0.1)).build()?;
    let tokens = ndarray::Array2::<usize>::zeros((1, 1));
    bptt.train(&tokens, &tokens)?;
    bptt.predict(&tokens)?;
    let labels = ndarray::Array1::<usize>::zeros(1);
    let gathers = Network::<F>::builder(1).lstm(1).last().build()?;
    Bptt::builder(gathers).optimizer(Adam::new(0.1)).build()?.train(&tokens, &labels)?;
    bptt.evaluate([crate::Batch::new(tokens.clone(), tokens)])?;
    generate(&net()?.prepare(Precision::Full)?, &[0], 1, &mut crate::Sampler::greedy())?;
    #[cfg(feature = "safetensors")]
    files::<F>()?;
    _ = Stacked::repeat(1, 1, &Lstm::<F>::spec(1), 1)?.prepare(Precision::Full)?;
    _ = Stacked::repeat(1, 1, &Gru::<F>::spec(1), 1)?.prepare(Precision::Full)?;
    _ = Stacked::repeat(1, 1, &Rnn::<F>::spec(1), 1)?.prepare(Precision::Full)?;
    Ok(())
}
