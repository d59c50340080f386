//! Copy memory: ten symbols, a pause, and the ten symbols again.

use std::f64::consts::LN_2;

use deep_rnn::custom::Params;
use deep_rnn::ndarray::Array2;
use deep_rnn::prelude::*;
use serde_json::{Value, json};

use super::numbers::Numbers;
use super::series::right;
use super::training::Descent;
use crate::args::Common;
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::picture::{Curve, Titles, curves};
use crate::recipe::Kind;
use crate::table::{Table, count, median, spread};

/// How many symbols are to be said again, and of how many kinds.
const SYMBOLS: usize = 10;
const KINDS: usize = 8;
/// Tokens after the kinds of symbols: nothing, and the sign to begin.
const BLANK: usize = KINDS;
const MARKER: usize = KINDS + 1;
const TOKENS: usize = KINDS + 2;

const BATCH: usize = 32;
const UNITS: usize = 128;
/// Of new sequences, in each of which all is drawn: there are no epochs of anything else.
const UPDATES_OF_AN_EPOCH: usize = 100;
/// Rows that are tested on, and of a call.
const TEST: usize = 1000;
const PIECE: usize = 250;
/// Where the bias of the gate that keeps the state starts.
const KEEPS: f64 = 3.0;
/// A GRU's gate z, which keeps.
const Z: usize = 1;

/// A pause, and how long is trained for it.
struct Pause {
    steps: usize,
    epochs: usize,
}

const PAUSES: [Pause; 2] = [Pause { steps: 20, epochs: 60 }, Pause { steps: 100, epochs: 100 }];
const NETWORKS: [(Kind, f64); 2] = [(Kind::Lstm, 4e-3), (Kind::Gru, 4e-3)];

/// Of who remembers nothing, but knows when to speak: nats a step, 10 ln 8 / (T + 20).
fn level(pause: usize) -> f64 {
    let bits = KINDS.ilog2() as f64;
    SYMBOLS as f64 * bits * LN_2 / (pause + 2 * SYMBOLS) as f64
}

/// `[T + 20, B]` tokens in and out: the symbols, T - 1 blanks, the sign, ten blanks; and blanks, but at the end the symbols.
fn batch(pause: usize, rows: usize, numbers: &mut Numbers) -> Batch<Array2<usize>, Array2<usize>> {
    let steps = pause + 2 * SYMBOLS;
    let mut xs = Array2::from_elem((steps, rows), BLANK);
    let mut ys = xs.clone();
    for row in 0..rows {
        for i in 0..SYMBOLS {
            let symbol = numbers.below(KINDS);
            xs[[i, row]] = symbol;
            ys[[steps - SYMBOLS + i, row]] = symbol;
        }
        xs[[steps - SYMBOLS - 1, row]] = MARKER;
    }
    Batch::new(xs, ys)
}

struct One {
    kind: Kind,
    units: usize,
    pause: usize,
    descent: Descent,
}

impl One {
    fn net(&self) -> Result<Network<f32>, Error> {
        let builder = Network::builder(TOKENS);
        let builder = match self.kind {
            Kind::Rnn => builder.layer(Rnn::spec(self.units)),
            Kind::Gru => builder.layer(Gru::spec(self.units).lane_bias(Z, KEEPS)),
            Kind::Lstm => builder.layer(Lstm::spec(self.units).forget_bias(KEEPS)),
        };
        builder.linear(TOKENS).seed(self.descent.seed).build()
    }
}

impl Run for One {
    fn name(&self) -> String {
        let (kind, units, pause, descent) = (self.kind.name(), self.units, self.pause, self.descent.name());
        format!("pause {pause}, {kind} {units}, bias {KEEPS} of what keeps, batch {BATCH}, {descent}")
    }
    fn seconds(&self) -> Outcome<f64> {
        let mut numbers = Numbers::new(self.descent.seed, 0);
        let mut engine = self.descent.engine(self.net()?, CrossEntropy)?;
        self.descent.seconds(&mut engine, || batch(self.pause, BATCH, &mut numbers))
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let mut numbers = Numbers::new(self.descent.seed, 0);
        let mut engine = self.descent.engine(self.net()?, CrossEntropy)?;
        let trained = self.descent.train(&mut engine, watch, || batch(self.pause, BATCH, &mut numbers))?;
        let Some(trained) = trained else { return Ok(None) };
        let mut numbers = Numbers::new(self.descent.seed, 1);
        let tests: Vec<_> = (0..TEST / PIECE).map(|_| batch(self.pause, PIECE, &mut numbers)).collect();
        let said = deep_rnn::ndarray::Slice::from(self.pause + SYMBOLS..);
        let mut copied = 0;
        for test in &tests {
            let outputs = engine.predict(&test.x)?;
            let axis = deep_rnn::ndarray::Axis(0);
            let symbols: Vec<usize> = test.y.slice_axis(axis, said).iter().copied().collect();
            copied += right(outputs.slice_axis(axis, said), &symbols);
        }
        Ok(Some(json!({
            "loss": engine.evaluate(tests)?.loss(),
            "copied": 100.0 * copied as f64 / (TEST * SYMBOLS) as f64,
            "parameters": engine.model().num_params(),
            "curve": trained.curve,
            "seconds": trained.seconds,
        })))
    }
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let mut lab = Lab::open(&common.folder("copying"))?;
    let mut runs = Vec::new();
    for pause in &PAUSES {
        let updates = (common.epochs.unwrap_or(pause.epochs) * UPDATES_OF_AN_EPOCH) as u64;
        for (kind, lr) in NETWORKS {
            for seed in common.seeds(3) {
                let descent = Descent { lr, clip: 1.0, updates, seed, threads: common.threads };
                runs.push(One { kind, units: common.hidden.unwrap_or(UNITS), pause: pause.steps, descent });
            }
        }
    }
    let Some(results) = lab.all(&runs)? else { return Ok(()) };

    let seeds = results.len() / PAUSES.len() / NETWORKS.len();
    println!("Copying {SYMBOLS} symbols of {KINDS} kinds after a pause, {TEST} new rows; {}\n", common.machine(seeds));
    let head = [
        "",
        "pause",
        "parameters",
        "updates",
        "nats a step without memory",
        "nats a step",
        "symbols right, %",
        "seconds",
    ];
    let mut table = Table::new(head);
    let mut learning = Vec::new();
    for (run, results) in runs.iter().step_by(seeds).zip(results.chunks(seeds)) {
        let all = |pick: &dyn Fn(&Value) -> Option<f64>| results.iter().filter_map(pick).collect::<Vec<f64>>();
        table.row([
            run.kind.name().to_owned(),
            format!("{}", run.pause),
            format!("{}", results[0]["parameters"]),
            format!("{}", run.descent.updates),
            format!("{:.4}", level(run.pause)),
            spread(&all(&|result| result["loss"].as_f64()), 4),
            spread(&all(&|result| result["copied"].as_f64()), 1),
            spread(&all(&|result| result["seconds"].as_f64()), 0),
        ]);
        let points = results[0]["curve"].as_array().map_or(0, Vec::len);
        let at = |i: usize, j: usize| median(&all(&|result| result["curve"][i][j].as_f64()));
        // As shares of the level, so that both pauses have one.
        let points = (0..points).map(|i| (at(i, 0), at(i, 1) / level(run.pause))).collect();
        learning.push(Curve { name: format!("{}, pause {}", run.kind.name(), run.pause), points });
    }
    println!("{table}");
    let last = runs.iter().map(|run| run.descent.updates).max().unwrap_or(0);
    learning.push(Curve { name: "without memory".to_owned(), points: vec![(0.0, 1.0), (last as f64, 1.0)] });
    let picture = lab.file("copying.svg");
    let title = format!("Copying {SYMBOLS} symbols, median of {}", count(seeds, "seed"));
    let titles = Titles { title: &title, x: "update", y: "loss, as a share of the loss without memory", log: true };
    curves(&picture, &titles, &learning)?;
    println!("picture: {}", picture.display());
    Ok(())
}
