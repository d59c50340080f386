//! Exercise 1: two layers from scratch, beside the library's.
//!
//! The cell is written here, one step forward and one back, on the public traits; the stack, the tokens, the head and the training loop are
//! the crate's. It starts from the weights of the library's RNN, so both have to learn the same.

use std::time::Instant;

use deep_rnn::custom::{GradIo, Params, add_outer};
use deep_rnn::ndarray::{Array1, Array2, ArrayD, ArrayView2, ArrayViewMut2, Axis};
use deep_rnn::params;
use deep_rnn::prelude::*;
use deep_rnn::text::Batches;

use crate::args::Common;
use crate::lab::{Outcome, duration};
use crate::picture::{Curve, Titles, curves};
use crate::table::{Table, median};
use crate::texts::{BOOKS, Texts};

// The cell: from here

/// h' = tanh(x·w_x + h·w_h + b).
#[derive(Clone, Debug)]
struct Vanilla {
    w_x: Array2<f64>,
    w_h: Array2<f64>,
    b: Array1<f64>,
}

params!([] Vanilla, f64 => { w_x, w_h, b });

impl Recurrent for Vanilla {
    type State = Array2<f64>;
    type Tape = Vec<Array2<f64>>; // h before each step

    fn input_size(&self) -> usize {
        self.w_x.nrows()
    }
    fn output_size(&self) -> usize {
        self.w_h.nrows()
    }
    fn zero_state(&self, batch: usize) -> Array2<f64> {
        Array2::zeros((batch, self.output_size()))
    }
}

impl RnnCell for Vanilla {
    fn step(
        &self,
        _: Context<'_>,
        x: ArrayView2<'_, f64>,
        mut y: ArrayViewMut2<'_, f64>,
        h: &mut Array2<f64>,
        tape: Option<&mut Vec<Array2<f64>>>,
    ) {
        let next = (x.dot(&self.w_x) + h.dot(&self.w_h) + &self.b).mapv(f64::tanh);
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
        mut io: GradIo<'_, f64>,
        tape: &mut Vec<Array2<f64>>,
        dh: &mut Array2<f64>,
        grads: &mut Self,
    ) {
        let before = tape.pop().expect("a taped step for each backward step");
        let da = (&*dh + &io.d_y) * io.y.mapv(|y| 1.0 - y * y);
        add_outer(&mut grads.w_x, &io.x, &da);
        add_outer(&mut grads.w_h, &before, &da);
        grads.b += &da.sum_axis(Axis(0));
        io.d_x.assign(&da.dot(&self.w_x.t()));
        *dh = da.dot(&self.w_h.t());
    }
}

// to here

/// How many of these lines are code.
fn lines() -> usize {
    let source = include_str!("scratch.rs").split("// The cell: from here\n").nth(1).unwrap_or_default();
    let cell = source.split("// to here\n").next().unwrap_or_default().lines().map(str::trim);
    cell.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// Units of a layer.
const HIDDEN: usize = 128;
const LAYERS: usize = 2;
/// Of the text, as in the book.
const CHARACTERS: usize = 10_000;

/// The perplexity and the speed of each epoch, and the seconds of all.
struct Learned {
    perplexities: Vec<f64>,
    tokens_per_second: f64,
    seconds: f64,
}

/// The same training for either.
fn train<N: SeqLayer<Elem = f64>>(model: N, mut batches: Batches, epochs: usize, threads: usize) -> Outcome<Learned> {
    let mut engine = Bptt::builder(model).optimizer(Sgd::new(1.0)).clip_norm(1.0).threads(threads).build()?;
    let start = Instant::now();
    let (mut perplexities, mut speeds) = (Vec::new(), Vec::new());
    for _ in 0..epochs {
        let report = engine.epoch(batches.epoch())?;
        perplexities.push(report.perplexity());
        speeds.push(report.tokens_per_second());
    }
    Ok(Learned { perplexities, tokens_per_second: median(&speeds), seconds: start.elapsed().as_secs_f64() })
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let texts = Texts::open(common.texts.as_deref(), &BOOKS[..1])?;
    texts.say();
    let (corpus, hidden, epochs) =
        (texts.all[0].corpus.first(CHARACTERS), common.hidden.unwrap_or(HIDDEN), common.epochs.unwrap_or(60));
    let vocabulary = corpus.vocab().len();
    let library = LanguageModel::new(Stacked::repeat(vocabulary, LAYERS, &Rnn::<f64>::spec(hidden), 1)?, 1)?;

    let blank = |inputs: usize, _: &mut Init| {
        let (w_x, w_h) = (Array2::zeros((inputs, hidden)), Array2::zeros((hidden, hidden)));
        Ok(Vanilla { w_x, w_h, b: Array1::zeros(hidden) })
    };
    let mut scratch = LanguageModel::new(Stacked::repeat(vocabulary, LAYERS, &blank, 1)?, 1)?;
    // The same names, the same shapes.
    let mut weights: Vec<(String, ArrayD<f64>)> = Vec::new();
    library.visit(&mut |name, array| weights.push((name.to_owned(), array.to_owned())));
    let mut from = weights.iter();
    let mut copied = 0;
    scratch.visit_mut(&mut |name, mut array| {
        if let Some((_, weights)) = from.next().filter(|(other, _)| other == name) {
            array.assign(weights);
            copied += 1;
        }
    });
    if copied != weights.len() {
        return Err(format!("of {} arrays {copied} have the same names in both networks", weights.len()).into());
    }

    let parameters = library.num_params();
    let batches = corpus.sequential(32, 35, 1)?;
    eprintln!("two trainings of {epochs} epochs");
    let ours = train(library, batches.clone(), epochs, common.threads)?;
    eprintln!("the library's took {}", duration(ours.seconds));
    let own = train(scratch, batches, epochs, common.threads)?;

    let apart = |(a, b): (&f64, &f64)| ((a - b) / a).abs();
    let apart = ours.perplexities.iter().zip(&own.perplexities).map(apart).fold(0.0, f64::max);
    println!(
        "{}, {} characters; {LAYERS} layers of {hidden}, {parameters} parameters, f64, {epochs} epochs, {}\n",
        texts.all[0].name,
        corpus.len(),
        common.machine(1)
    );
    let mut table = Table::new(["two layers", "lines of the cell", "perplexity", "tokens/s", "seconds"]);
    for (name, lines, learned) in [("from scratch", lines(), &own), ("the library's", 1, &ours)] {
        table.row([
            name.to_owned(),
            lines.to_string(),
            format!("{:.6}", learned.perplexities[epochs - 1]),
            format!("{:.0}", learned.tokens_per_second),
            format!("{:.1}", learned.seconds),
        ]);
    }
    println!("{table}");
    println!("Perplexities of no epoch are further apart than {apart:.1e} of themselves.\n");

    let curve = |name: &str, learned: &Learned| Curve {
        name: name.to_owned(),
        points: (1..).map(f64::from).zip(learned.perplexities.iter().copied()).collect(),
    };
    let folder = common.folder("scratch");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let picture = folder.join("scratch.svg");
    let titles = Titles { title: "Two layers, from scratch and the library's", x: "epoch", y: "perplexity", log: true };
    curves(&picture, &titles, &[curve("the library's", &ours), curve("from scratch, on top of it", &own)])?;
    println!("picture: {}", picture.display());
    Ok(())
}
