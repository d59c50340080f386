//! The adding problem: two of many numbers are marked, and their sum is asked for at the end.

use deep_rnn::custom::Params;
use deep_rnn::ndarray::{Array3, Axis};
use deep_rnn::prelude::*;
use serde_json::{Value, json};

use super::numbers::{Numbers, Rows};
use super::training::Descent;
use crate::args::Common;
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::picture::{Curve, Titles, curves};
use crate::recipe::Kind;
use crate::table::{Table, count, median, spread};

/// Steps of the sequences that are trained on, and of longer ones that are not.
const STEPS: usize = 100;
const LONGER: usize = 400;
const TRAINING: usize = 16_000;
const TEST: usize = 2_000;
/// Rows of a call where nothing is trained.
const PIECE: usize = 500;
const BATCH: usize = 50;
const EPOCHS: usize = 25;
/// Of always answering 1: √(1/6).
const CHANCE: f64 = 0.4082;

/// A network of about 4,500 parameters, and what was published for one (Hugging Face dataset ARotting/long-lag-adding): the root of the
/// mean squared error at both lengths.
struct Published {
    kind: Kind,
    units: usize,
    lr: f64,
    errors: [f64; 2],
}

const PUBLISHED: [Published; 3] = [
    Published { kind: Kind::Lstm, units: 32, lr: 1e-2, errors: [0.0105, 0.1050] },
    Published { kind: Kind::Gru, units: 37, lr: 1e-2, errors: [0.0129, 0.4264] },
    Published { kind: Kind::Rnn, units: 65, lr: 1e-3, errors: [0.3855, 0.4056] },
];

/// Where the bias of the gate that keeps the state starts: it forgets over tens of steps rather than over two.
const KEEPS: f64 = 3.0;
/// A GRU's gate z, which keeps.
const Z: usize = 1;

/// Sequences `[T, N, 2]`: a number from 0, below 1, and a mark at two steps, one in each half; and their sums `[1, N, 1]`.
struct Sums {
    xs: Array3<f32>,
    sums: Array3<f32>,
}

impl Sums {
    fn new(steps: usize, rows: usize, mut numbers: Numbers) -> Self {
        let mut xs = Array3::zeros((steps, rows, 2));
        let mut sums = Array3::zeros((1, rows, 1));
        let half = steps / 2;
        for row in 0..rows {
            for step in 0..steps {
                xs[[step, row, 0]] = numbers.unit();
            }
            for marked in [numbers.below(half), half + numbers.below(steps - half)] {
                xs[[marked, row, 1]] = 1.0;
                sums[[0, row, 0]] += xs[[marked, row, 0]];
            }
        }
        Sums { xs, sums }
    }

    fn batch(&self, rows: &[usize]) -> Batch<Array3<f32>, Array3<f32>> {
        Batch::new(self.xs.select(Axis(1), rows), self.sums.select(Axis(1), rows))
    }

    fn pieces(&self) -> impl Iterator<Item = Batch<Array3<f32>, Array3<f32>>> {
        let rows = self.xs.len_of(Axis(1));
        (0..rows).step_by(PIECE).map(move |from| self.batch(&(from..rows.min(from + PIECE)).collect::<Vec<_>>()))
    }
}

struct One {
    kind: Kind,
    units: usize,
    descent: Descent,
}

impl One {
    fn net(&self) -> Result<Network<f32>, Error> {
        let builder = Network::builder(2);
        let builder = match self.kind {
            Kind::Rnn => builder.layer(Rnn::spec(self.units)),
            Kind::Gru => builder.layer(Gru::spec(self.units).lane_bias(Z, KEEPS)),
            Kind::Lstm => builder.layer(Lstm::spec(self.units).forget_bias(KEEPS)),
        };
        builder.last().linear(1).seed(self.descent.seed).build()
    }

    /// For training, with the order of its rows, and for the tests; each use has numbers of its own.
    fn numbers(&self, usage: u64) -> Numbers {
        Numbers::new(self.descent.seed, usage)
    }
}

impl Run for One {
    fn name(&self) -> String {
        let keeps = if self.kind == Kind::Rnn { String::new() } else { format!(", bias {KEEPS} of what keeps") };
        let (kind, units, descent) = (self.kind.name(), self.units, self.descent.name());
        format!("{kind} {units}{keeps}, {TRAINING} sequences of {STEPS}, batch {BATCH}, {descent}")
    }
    fn seconds(&self) -> Outcome<f64> {
        let few = Sums::new(STEPS, BATCH, self.numbers(0));
        let rows: Vec<usize> = (0..BATCH).collect();
        self.descent.seconds(&mut self.descent.engine(self.net()?, MeanSquared)?, || few.batch(&rows))
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let all = Sums::new(STEPS, TRAINING, self.numbers(0));
        let mut rows = Rows::new((0..TRAINING).collect(), BATCH, self.numbers(1));
        let mut engine = self.descent.engine(self.net()?, MeanSquared)?;
        let Some(trained) = self.descent.train(&mut engine, watch, || all.batch(&rows.batch()))? else {
            return Ok(None);
        };
        let mut errors = Vec::new();
        for (steps, usage) in [(STEPS, 2), (LONGER, 3)] {
            let test = Sums::new(steps, TEST, self.numbers(usage));
            errors.push(engine.evaluate(test.pieces())?.loss().sqrt());
        }
        let epochs = trained.curve.iter().map(|(update, loss)| {
            (*update as f64 / rows.batches_per_epoch() as f64, loss.sqrt()) // as the table has them
        });
        Ok(Some(json!({
            "errors": errors,
            "parameters": engine.model().num_params(),
            "curve": epochs.collect::<Vec<_>>(),
            "seconds": trained.seconds,
        })))
    }
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let mut lab = Lab::open(&common.folder("adding"))?;
    let epochs = common.epochs.unwrap_or(EPOCHS);
    let updates = (epochs * TRAINING.div_ceil(BATCH)) as u64;
    let mut runs = Vec::new();
    for published in &PUBLISHED {
        for seed in common.seeds(5) {
            let descent = Descent { lr: published.lr, clip: 1.0, updates, seed, threads: common.threads };
            runs.push(One { kind: published.kind, units: common.hidden.unwrap_or(published.units), descent });
        }
    }
    let Some(results) = lab.all(&runs)? else { return Ok(()) };

    let seeds = results.len() / PUBLISHED.len();
    println!(
        "The adding problem, root of the mean squared error on {TEST} new sequences (always 1: {CHANCE}); {TRAINING} sequences of {STEPS} steps, {epochs} epochs, {}\n",
        common.machine(seeds)
    );
    let [short, long] = [STEPS, LONGER].map(|steps| format!("{steps} steps"));
    let (short_known, long_known) = (format!("{short}, published"), format!("{long}, published"));
    let head = ["", "parameters", &short_known, &short, &long_known, &long, "seconds"];
    let mut table = Table::new(head);
    let mut learning = Vec::new();
    for (published, results) in PUBLISHED.iter().zip(results.chunks(seeds)) {
        let all = |pick: &dyn Fn(&Value) -> Option<f64>| results.iter().filter_map(pick).collect::<Vec<f64>>();
        let error = |i: usize| spread(&all(&|result| result["errors"][i].as_f64()), 4);
        table.row([
            published.kind.name().to_owned(),
            format!("{}", results[0]["parameters"]),
            format!("{:.4}", published.errors[0]),
            error(0),
            format!("{:.4}", published.errors[1]),
            error(1),
            spread(&all(&|result| result["seconds"].as_f64()), 0),
        ]);
        let points = results[0]["curve"].as_array().map_or(0, Vec::len);
        let at = |i: usize, j: usize| median(&all(&|result| result["curve"][i][j].as_f64()));
        let points = (0..points).map(|i| (at(i, 0), at(i, 1))).collect();
        learning.push(Curve { name: published.kind.name().to_owned(), points });
    }
    println!("{table}");
    let picture = lab.file("adding.svg");
    let title = format!("The adding problem over {STEPS} steps, median of {}", count(seeds, "seed"));
    let titles = Titles { title: &title, x: "epoch", y: "root of the mean squared error, in training", log: true };
    curves(&picture, &titles, &learning)?;
    println!("picture: {}", picture.display());
    Ok(())
}
