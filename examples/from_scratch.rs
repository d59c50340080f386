//! Exercise 1 of the chapter: a deep RNN without any of the crate's cells. The cell is written here, one step forward and
//! one back; the stack, the tokens, the head and the training loop are the crate's.
//!
//! ```text
//! cargo run --release --example from_scratch
//! ```

use deep_rnn::ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis};
use deep_rnn::text::Corpus;
use deep_rnn::{
    Context, Error, Float, Recurrent, RnnCell,
    custom::{GradIo, Params},
    init::Init,
    language::{LanguageModel, Sampler},
    optim::Sgd,
    train::Bptt,
};
use deep_rnn::{Stacked, custom::add_outer, params};

/// h' = tanh(x·w_x + h·w_h + b).
#[derive(Clone, Debug)]
struct Vanilla<F> {
    w_x: Array2<F>,
    w_h: Array2<F>,
    b: Array1<F>,
}

params!(Vanilla<F> { w_x, w_h, b });

impl<F: Float> Vanilla<F> {
    fn new(inputs: usize, units: usize, init: &mut Init) -> Self {
        let bound = 1.0 / (units as f64).sqrt();
        let (w_x, w_h) = (init.uniform((inputs, units), bound), init.uniform((units, units), bound));
        Vanilla { w_x, w_h, b: Array1::zeros(units) }
    }
}

impl<F: Float> Recurrent for Vanilla<F> {
    type State = Array2<F>;
    type Tape = Vec<Array2<F>>; // h before each step

    fn input_size(&self) -> usize {
        self.w_x.nrows()
    }
    fn output_size(&self) -> usize {
        self.w_h.nrows()
    }
    fn zero_state(&self, batch: usize) -> Array2<F> {
        Array2::zeros((batch, self.output_size()))
    }
}

impl<F: Float> RnnCell for Vanilla<F> {
    fn step(
        &self,
        _: Context<'_>,
        x: ArrayView2<'_, F>,
        mut y: ArrayViewMut2<'_, F>,
        h: &mut Array2<F>,
        tape: Option<&mut Vec<Array2<F>>>,
    ) {
        let next = (x.dot(&self.w_x) + h.dot(&self.w_h) + &self.b).mapv(Float::tanh);
        y.assign(&next);
        let before = std::mem::replace(h, next);
        if let Some(tape) = tape {
            tape.push(before);
        }
    }

    /// With a = x·w_x + h·w_h + b: da = (dy + dh')∘(1 - h'²), dh = da·w_hᵀ, dx = da·w_xᵀ.
    fn step_backward(
        &self,
        _: Context<'_>,
        mut io: GradIo<'_, F>,
        tape: &mut Vec<Array2<F>>,
        dh: &mut Array2<F>,
        grads: &mut Self,
    ) {
        let before = tape.pop().expect("a taped step for each backward step");
        let da = (&*dh + &io.d_y) * io.y.mapv(|y| F::one() - y * y);
        add_outer(&mut grads.w_x, &io.x, &da);
        add_outer(&mut grads.w_h, &before, &da);
        grads.b += &da.sum_axis(Axis(0));
        io.d_x.assign(&da.dot(&self.w_x.t()));
        *dh = da.dot(&self.w_h.t());
    }
}

fn main() -> Result<(), Error> {
    let corpus = Corpus::builder().text("De finibus, book 1", lipsum::LIBER_PRIMUS).max_tokens(10_000).build()?;
    let cell = |inputs: usize, init: &mut Init| Ok(Vanilla::<f32>::new(inputs, 128, init));
    let net = Stacked::repeat(corpus.vocab().len(), 2, &cell, 1)?;
    let model = LanguageModel::new(net, 1)?;
    println!("two layers of 128 units, {} parameters", model.num_params());

    let mut engine = Bptt::builder(model).optimizer(Sgd::new(1.0)).clip_norm(1.0).threads(2).build()?;
    let mut batches = corpus.sequential(32, 35, 1)?;
    println!("before: perplexity {:.2}", engine.evaluate(batches.epoch_at(0)?)?.perplexity());
    for epoch in 1..=60 {
        let report = engine.epoch(batches.epoch())?;
        if epoch % 10 == 0 {
            println!(
                "epoch {epoch}: perplexity {:.2}, {:.0} tokens/s",
                report.perplexity(),
                report.tokens_per_second()
            );
        }
    }
    println!("after: perplexity {:.2}", engine.evaluate(batches.epoch_at(0)?)?.perplexity());

    let prefix = "sed ut perspiciatis ";
    let tokens = corpus.vocab().indices(prefix.chars().map(String::from));
    let tokens = engine.model().generate(&tokens, 50, &mut Sampler::greedy())?;
    println!("{prefix}{}", corpus.decode(&tokens)?);
    Ok(())
}
