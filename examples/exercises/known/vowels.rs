//! Japanese vowels: which of nine speakers says them.

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

const FILES: [&str; 2] = ["JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"];
const COLUMNS: usize = 12;
const SPEAKERS: usize = 9;
/// The settings are chosen on the training set alone: each network is trained on four fifths of it, five times, and measured on the
/// fifth that is left (utterance i is in part i mod 5, so each part has as many of every speaker).
const PARTS: usize = 5;
/// The seed of these trainings; the same for all.
const CHOICE_SEED: u64 = 1;

const UNITS: usize = 128;
const BATCH: usize = 30;
const EPOCHS: usize = 80;
const RATE: f64 = 5e-3;
/// Of the last output.
const DROPOUT: f64 = 0.5;

/// The authors' classifier of 1999; recurrent networks in the literature.
const PUBLISHED: [(&str, &str); 2] =
    [("Kudo, Toyama and Shimbo 1999", "94.1"), ("recurrent networks since", "95 to 98")];

/// What there is to choose from.
#[derive(Clone, Copy, PartialEq)]
struct Form {
    kind: Kind,
    /// The dropout of the inputs, which hides columns of single steps.
    hidden_inputs: f64,
}

const FORMS: [Form; 4] = [
    Form { kind: Kind::Lstm, hidden_inputs: 0.2 },
    Form { kind: Kind::Lstm, hidden_inputs: 0.3 },
    Form { kind: Kind::Gru, hidden_inputs: 0.2 },
    Form { kind: Kind::Gru, hidden_inputs: 0.3 },
];

impl Form {
    fn name(self) -> String {
        format!("{}, {} of the inputs hidden", self.kind.name(), self.hidden_inputs)
    }

    /// In a picture.
    fn short_name(self) -> String {
        format!("{}, {}", self.kind.name(), self.hidden_inputs)
    }

    fn net(self, units: usize, seed: u64) -> Result<Network<f32>, Error> {
        let builder = Network::builder(COLUMNS).dropout(self.hidden_inputs);
        let builder = match self.kind {
            Kind::Rnn => builder.rnn(units),
            Kind::Gru => builder.gru(units),
            Kind::Lstm => builder.lstm(units),
        };
        builder.last().dropout(DROPOUT).linear(SPEAKERS).seed(seed).build()
    }
}

/// Rows of several lengths `[T, N, 12]`, and a speaker for each.
struct Utterances {
    xs: Array3<f32>,
    lengths: Vec<usize>,
    labels: Array1<usize>,
}

impl Utterances {
    /// After `@data` a line for each: columns with colons between, their steps with commas, the speaker (from 1) last.
    fn read(file: &Series) -> Outcome<Self> {
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for (number, line) in file.lines().skip_while(|(_, line)| !line.starts_with("@data")).skip(1) {
            let wrong = |what: &str| file.error(number, what);
            let Some((columns, label)) = line.rsplit_once(':') else { return Err(wrong("wanted: colons").into()) };
            let label = label.trim().parse().ok().filter(|label| (1..=SPEAKERS).contains(label));
            labels.push(label.ok_or_else(|| wrong("the last field is no speaker"))? - 1);
            let numbers = |column: &str| column.split(',').map(|x| x.trim().parse()).collect::<Result<Vec<f32>, _>>();
            let columns: Vec<Vec<f32>> =
                columns.split(':').map(numbers).collect::<Result<_, _>>().map_err(|error| wrong(&error.to_string()))?;
            if columns.len() != COLUMNS || columns.iter().any(|column| column.len() != columns[0].len()) {
                return Err(wrong("wanted: 12 columns of one length").into());
            }
            rows.push(columns);
        }
        let lengths: Vec<usize> = rows.iter().map(|columns| columns[0].len()).collect();
        let longest = lengths.iter().copied().max().ok_or_else(|| file.wrong("it has no utterance"))?;
        let mut xs = Array3::zeros((longest, rows.len(), COLUMNS));
        for (row, columns) in rows.iter().enumerate() {
            for (d, column) in columns.iter().enumerate() {
                column.iter().enumerate().for_each(|(step, x)| xs[[step, row, d]] = *x);
            }
        }
        Ok(Utterances { xs, lengths, labels: labels.into() })
    }

    fn batch(&self, rows: &[usize]) -> Batch<Array3<f32>, Array1<usize>> {
        let lengths = rows.iter().map(|row| self.lengths[*row]).collect();
        Batch::new(self.xs.select(Axis(1), rows), self.labels.select(Axis(0), rows)).lengths(lengths)
    }

    /// Columns as they are in this set: mean and standard deviation over all steps of all rows.
    fn scales(&self) -> [(f32, f32); COLUMNS] {
        std::array::from_fn(|d| {
            let steps =
                self.lengths.iter().enumerate().flat_map(|(row, length)| (0..*length).map(move |t| [t, row, d]));
            let values: Vec<f64> = steps.map(|place| f64::from(self.xs[place])).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
            (mean as f32, if variance > 0.0 { variance.sqrt() as f32 } else { 1.0 })
        })
    }

    /// With columns of mean 0 and deviation 1 where they are of these.
    fn scale(&mut self, scales: &[(f32, f32); COLUMNS]) {
        for (mut column, (mean, deviation)) in self.xs.axis_iter_mut(Axis(2)).zip(scales) {
            column.mapv_inplace(|x| (x - mean) / deviation);
        }
    }

    fn all(&self) -> Vec<usize> {
        (0..self.lengths.len()).collect()
    }
}

/// What is measured on.
#[derive(Clone, Copy, PartialEq)]
enum Test {
    Part(usize),
    TestSet,
}

struct One {
    sets: Arc<[Utterances; 2]>,
    form: Form,
    units: usize,
    test: Test,
    descent: Descent,
}

impl One {
    /// Rows to train on, and the batch to measure on.
    fn data(&self) -> (Rows, Batch<Array3<f32>, Array1<usize>>) {
        let [training, test] = &*self.sets;
        let (rows, test) = match self.test {
            Test::Part(part) => {
                let (out, rows): (Vec<usize>, Vec<usize>) = training.all().iter().partition(|i| *i % PARTS == part);
                (rows, training.batch(&out))
            }
            Test::TestSet => (training.all(), test.batch(&test.all())),
        };
        (Rows::new(rows, BATCH, Numbers::new(self.descent.seed, 0)), test)
    }
}

impl Run for One {
    fn name(&self) -> String {
        let test = match self.test {
            Test::Part(part) => format!("without part {part} of {PARTS}"),
            Test::TestSet => "test set".to_owned(),
        };
        let (form, units, descent) = (self.form.name(), self.units, self.descent.name());
        format!("{test}, {form}, {units} units, standardised, dropout {DROPOUT}, batch {BATCH}, {descent}")
    }
    fn seconds(&self) -> Outcome<f64> {
        let mut rows = self.data().0;
        let mut engine = self.descent.engine(self.form.net(self.units, self.descent.seed)?, CrossEntropy)?;
        self.descent.seconds(&mut engine, || self.sets[0].batch(&rows.batch()))
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let (mut rows, test) = self.data();
        let mut engine = self.descent.engine(self.form.net(self.units, self.descent.seed)?, CrossEntropy)?;
        let trained = self.descent.train(&mut engine, watch, || self.sets[0].batch(&rows.batch()))?;
        let Some(trained) = trained else { return Ok(None) };
        let lengths = test.lengths.clone().unwrap_or_default();
        let mut state = engine.model().zero_state(lengths.len());
        let outputs = engine.predict_with(Context::default().with_lengths(&lengths), &test.x, &mut state)?;
        let right = right(outputs.view(), &test.y.to_vec());
        Ok(Some(json!({
            "accuracy": 100.0 * right as f64 / lengths.len() as f64,
            "loss": engine.evaluate([test])?.loss(),
            "parameters": engine.model().num_params(),
            "seconds": trained.seconds,
        })))
    }
}

/// The numbers of that name.
fn all(results: &[Value], name: &str) -> Vec<f64> {
    results.iter().filter_map(|result| result[name].as_f64()).collect()
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let [training, test] = FILES.map(|file| Utterances::read(&Series::read(common, file)?));
    let mut sets = [training?, test?];
    let scales = sets[0].scales();
    sets.iter_mut().for_each(|set| set.scale(&scales));
    let sets = Arc::new(sets);
    let rows = sets.each_ref().map(|set| set.lengths.len());
    let units = common.hidden.unwrap_or(UNITS);
    let epochs = common.epochs.unwrap_or(EPOCHS);
    let one = |form, test, seed| {
        let out = |part| (part..rows[0]).step_by(PARTS).len();
        let trained_on = if let Test::Part(part) = test { rows[0] - out(part) } else { rows[0] };
        let updates = (epochs * trained_on.div_ceil(BATCH)) as u64;
        let descent = Descent { lr: RATE, clip: 1.0, updates, seed, threads: common.threads };
        One { sets: Arc::clone(&sets), form, units, test, descent }
    };
    let mut lab = Lab::open(&common.folder("vowels"))?;
    let choice: Vec<One> =
        FORMS.iter().flat_map(|form| (0..PARTS).map(|part| one(*form, Test::Part(part), CHOICE_SEED))).collect();
    let Some(choice) = lab.all(&choice)? else { return Ok(()) };
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
    let of_form: Vec<&[Value]> = choice.chunks(PARTS).collect();
    // The one with the lowest loss: accuracies are too often the same.
    let losses: Vec<f64> = of_form.iter().map(|results| mean(&all(results, "loss"))).collect();
    let best = (0..FORMS.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap_or(0);
    let finals: Vec<One> = common.seeds(5).map(|seed| one(FORMS[best], Test::TestSet, seed)).collect();
    let Some(results) = lab.all(&finals)? else { return Ok(()) };

    println!(
        "Japanese vowels, {} utterances to train on for {epochs} epochs, {} to test; {}\n",
        rows[0],
        rows[1],
        common.machine(results.len())
    );
    println!("The choice, on the training set alone ({PARTS} parts, each left out once):\n");
    let mut table = Table::new(["", "parameters", "loss, mean", "right, %, mean", "right, %", "seconds"]);
    for ((form, results), loss) in FORMS.iter().zip(&of_form).zip(&losses) {
        table.row([
            form.name(),
            format!("{}", results[0]["parameters"]),
            format!("{loss:.4}"),
            format!("{:.2}", mean(&all(results, "accuracy"))),
            spread(&all(results, "accuracy"), 1),
            spread(&all(results, "seconds"), 0),
        ]);
    }
    println!("{table}");
    println!("The one with the lowest loss, trained on all of it:\n");
    let mut table = Table::new(["", "parameters", "test set right, %", "loss", "seconds"]);
    for (name, accuracy) in PUBLISHED {
        table.row([name, "-", accuracy, "-", "-"].map(String::from));
    }
    table.row([
        FORMS[best].name(),
        format!("{}", results[0]["parameters"]),
        spread(&all(&results, "accuracy"), 2),
        spread(&all(&results, "loss"), 3),
        spread(&all(&results, "seconds"), 0),
    ]);
    println!("{table}");
    let mut categories: Vec<(String, Vec<f64>)> =
        FORMS.iter().zip(&of_form).map(|(form, results)| (form.short_name(), all(results, "accuracy"))).collect();
    categories.push(("test set".to_owned(), all(&results, "accuracy")));
    let picture = lab.file("vowels.svg");
    let title = format!("Speakers known by their vowels; test set: {}", FORMS[best].short_name());
    let titles = Titles { title: &title, x: "", y: "right, %; a dot a part, of the test set a seed", log: false };
    dots(&picture, &titles, &categories)?;
    println!("picture: {}", picture.display());
    Ok(())
}
