//! Handwritten digits of 8 x 8 pixels, read row by row.

use std::sync::Arc;

use deep_rnn::custom::Params;
use deep_rnn::ndarray::{Array1, Array3, Axis};
use deep_rnn::prelude::*;
use serde_json::{Value, json};

use super::numbers::{Numbers, Rows};
use super::series::{Series, right};
use super::training::Descent;
use crate::args::Common;
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::picture::{Titles, dots};
use crate::recipe::Kind;
use crate::table::{Table, spread};

const FILE: &str = "digits.csv";
const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
/// The darkest pixel.
const DARK: f32 = 16.0;
const DIGITS: usize = 10;
/// Every fifth is held out, of an order that is the same for all seeds.
const HELD_OUT: usize = 5;
const ORDER: u64 = 1;

const UNITS: usize = 128;
const DROPOUT: f64 = 0.3;
const BATCH: usize = 32;
const EPOCHS: usize = 60;
const NETWORKS: [(Kind, f64); 3] = [(Kind::Lstm, 3e-3), (Kind::Gru, 3e-3), (Kind::Rnn, 1e-3)];
const PUBLISHED: &str = "97 to 98";

/// Images `[8, N, 8]`, each step a row of pixels from 0 to 1; labels; which are trained on, and which are not.
struct Digits {
    xs: Array3<f32>,
    labels: Array1<usize>,
    training: Vec<usize>,
    held_out: Vec<usize>,
}

impl Digits {
    fn read(file: &Series) -> Outcome<Self> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for (number, line) in file.lines() {
            let wrong = || file.error(number, "wanted: 64 pixels from 0 to 16 and a digit, with commas between");
            let fields: Vec<u8> =
                line.split(',').map(|field| field.trim().parse()).collect::<Result<_, _>>().map_err(|_| wrong())?;
            let Some((label, row)) = fields.split_last() else { return Err(wrong().into()) };
            let (label, darkest) = (usize::from(*label), row.iter().copied().max().unwrap_or(0));
            if row.len() != PIXELS || label >= DIGITS || f32::from(darkest) > DARK {
                return Err(wrong().into());
            }
            pixels.extend(row.iter().map(|pixel| f32::from(*pixel) / DARK));
            labels.push(label);
        }
        if labels.len() < HELD_OUT {
            return Err(file.wrong("it has next to no digits").into());
        }
        let images = Array3::from_shape_vec((labels.len(), SIDE, SIDE), pixels)?;
        let xs = images.permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
        let mut order: Vec<usize> = (0..labels.len()).collect();
        Numbers::new(ORDER, 0).shuffle(&mut order);
        let pick = |held_out: bool| {
            let places = order.iter().enumerate().filter(|(place, _)| (place % HELD_OUT == 0) == held_out);
            places.map(|(_, digit)| *digit).collect()
        };
        Ok(Digits { xs, training: pick(false), held_out: pick(true), labels: labels.into() })
    }

    fn batch(&self, rows: &[usize]) -> Batch<Array3<f32>, Array1<usize>> {
        Batch::new(self.xs.select(Axis(1), rows), self.labels.select(Axis(0), rows))
    }
}

struct One {
    digits: Arc<Digits>,
    kind: Kind,
    units: usize,
    descent: Descent,
}

impl One {
    fn net(&self) -> Result<Network<f32>, Error> {
        let builder = Network::builder(SIDE);
        let builder = match self.kind {
            Kind::Rnn => builder.rnn(self.units),
            Kind::Gru => builder.gru(self.units),
            Kind::Lstm => builder.lstm(self.units),
        };
        builder.last().dropout(DROPOUT).linear(DIGITS).seed(self.descent.seed).build()
    }

    fn rows(&self) -> Rows {
        Rows::new(self.digits.training.clone(), BATCH, Numbers::new(self.descent.seed, 0))
    }
}

impl Run for One {
    fn name(&self) -> String {
        let (kind, units, digits) = (self.kind.name(), self.units, self.digits.training.len());
        format!("{digits} digits, {kind} {units}, dropout {DROPOUT}, batch {BATCH}, {}", self.descent.name())
    }
    fn seconds(&self) -> Outcome<f64> {
        let mut rows = self.rows();
        let mut engine = self.descent.engine(self.net()?, CrossEntropy)?;
        self.descent.seconds(&mut engine, || self.digits.batch(&rows.batch()))
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let mut rows = self.rows();
        let mut engine = self.descent.engine(self.net()?, CrossEntropy)?;
        let trained = self.descent.train(&mut engine, watch, || self.digits.batch(&rows.batch()))?;
        let Some(trained) = trained else { return Ok(None) };
        let test = self.digits.batch(&self.digits.held_out);
        let right = right(engine.predict(&test.x)?.view(), &test.y.to_vec());
        Ok(Some(json!({
            "accuracy": 100.0 * right as f64 / self.digits.held_out.len() as f64,
            "loss": trained.curve.last().map(|(_, loss)| *loss),
            "parameters": engine.model().num_params(),
            "seconds": trained.seconds,
        })))
    }
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let digits = Arc::new(Digits::read(&Series::read(common, FILE)?)?);
    let mut lab = Lab::open(&common.folder("digits"))?;
    let epochs = common.epochs.unwrap_or(EPOCHS);
    let updates = (epochs * digits.training.len().div_ceil(BATCH)) as u64;
    let mut runs = Vec::new();
    for (kind, lr) in NETWORKS {
        for seed in common.seeds(5) {
            let descent = Descent { lr, clip: 1.0, updates, seed, threads: common.threads };
            let units = common.hidden.unwrap_or(UNITS);
            runs.push(One { digits: Arc::clone(&digits), kind, units, descent });
        }
    }
    let Some(results) = lab.all(&runs)? else { return Ok(()) };

    let seeds = results.len() / NETWORKS.len();
    println!(
        "Digits, {} held out (every fifth of an order that is the same for all seeds), {} trained on for {epochs} epochs; {}\n",
        digits.held_out.len(),
        digits.training.len(),
        common.machine(seeds)
    );
    let mut table =
        Table::new(["", "parameters", "simple classifiers, %", "held out right, %", "loss in training", "seconds"]);
    let mut categories = Vec::new();
    for (run, results) in runs.iter().step_by(seeds).zip(results.chunks(seeds)) {
        let all = |name: &str| -> Vec<f64> { results.iter().filter_map(|result| result[name].as_f64()).collect() };
        table.row([
            run.kind.name().to_owned(),
            format!("{}", results[0]["parameters"]),
            PUBLISHED.to_owned(),
            spread(&all("accuracy"), 2),
            spread(&all("loss"), 4),
            spread(&all("seconds"), 0),
        ]);
        categories.push((run.kind.name().to_owned(), all("accuracy")));
    }
    println!("{table}");
    let picture = lab.file("digits.svg");
    let titles = Titles { title: "Digits read row by row, a dot a seed", x: "", y: "held out right, %", log: false };
    dots(&picture, &titles, &categories)?;
    println!("picture: {}", picture.display());
    Ok(())
}
