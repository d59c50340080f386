//! What the smaller forms of the weights cost in accuracy.

use deep_rnn::ndarray::Array2;
use deep_rnn::prelude::*;
use deep_rnn::text::Corpus;

const ALL: [Precision; 3] = [Precision::Full, Precision::Bf16, Precision::Int8];

/// Prints the largest difference from the full form, and perplexity on text not learnt from.
pub(crate) fn print() -> Result<(), Error> {
    println!("the network of W6, starting weights, inputs from a normal distribution, 1000 steps:");
    let net = Stacked::repeat(28, 2, &Lstm::<f32>::spec(256).bias(Bias::Two), 1)?;
    let xs: Array2<f32> = Init::seeded(3).normal((1000, 28), 1.0);
    let mut outputs = Vec::new();
    for precision in ALL {
        let packed = net.prepare(precision)?;
        let (mut state, mut ys) = (packed.zero_state(1), Array2::<f32>::zeros((1000, 256)));
        for (x, mut y) in xs.rows().into_iter().zip(ys.rows_mut()) {
            if let (Some(x), Some(y)) = (x.to_slice(), y.as_slice_mut()) {
                packed.step_rows(x, y, &mut state)?;
            }
        }
        outputs.push(ys);
        let worst = outputs[0].iter().zip(&outputs[outputs.len() - 1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let size = outputs[0].iter().fold(0.0, |size: f32, y| size.max(y.abs()));
        println!(
            "{precision:>6}  {:>9} bytes  largest difference {worst:.1e} of outputs up to {size:.2}",
            packed.bytes()
        );
    }

    println!("a character model, 2 LSTM layers of 128, learnt from nine tenths of a Latin text, and the last tenth:");
    let corpus = Corpus::builder().text("De finibus, book 1", lipsum::LIBER_PRIMUS).build()?;
    let (learnt, held_out) = corpus.split(0.9)?;
    let vocabulary = corpus.vocab().len();
    let net = Stacked::repeat(vocabulary, 2, &Lstm::<f32>::spec(128), 1)?;
    let model = LanguageModel::new(net, 1)?;
    let mut bptt = Bptt::builder(model).optimizer(Adam::new(3e-3)).clip_norm(1.0).build()?;
    let mut batches = learnt.sequential(16, 35, 1)?;
    for _ in 0..40 {
        bptt.epoch(batches.epoch())?;
    }
    for precision in ALL {
        let model = bptt.model().prepare(precision)?;
        let [old, new] = [&learnt, &held_out].map(|text| perplexity(&model, text.tokens()));
        println!("{precision:>6}  {:>9} bytes  perplexity {:.4} learnt, {:.4} new", model.bytes(), old?, new?);
    }
    Ok(())
}

fn perplexity(model: &impl Causal<Elem = f32>, tokens: &[usize]) -> Result<f64, Error> {
    let (mut state, mut logits) = (model.zero_state(1), vec![0.0; model.output_size()]);
    let mut loss = 0.0;
    for pair in tokens.windows(2) {
        model.step_tokens(&pair[..1], &mut logits, &mut state)?;
        let largest = logits.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let sum: f64 = logits.iter().map(|l| f64::from(l - largest).exp()).sum();
        loss += sum.ln() - f64::from(logits[pair[1]] - largest);
    }
    Ok((loss / (tokens.len() - 1) as f64).exp())
}
