//! The book's table: the perplexities its notebooks printed, over many seeds.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::Common;
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::learn::{Learned, Lesson, Measures, learn};
use crate::picture::{Titles, dots};
use crate::recipe::{Kind, Recipe};
use crate::table::{Table, spread};
use crate::texts::{BOOKS, Texts};

/// Of the text, as in the book.
const CHARACTERS: usize = 10_000;

/// A row of the table: layers, learning rate, and the perplexities of the runs that the book's notebooks show (semantics: distinct
/// executed runs of the Chinese edition, 2021 to 2023), as printed.
struct Row {
    name: &'static str,
    kind: Kind,
    layers: usize,
    lr: f64,
    printed: &'static str,
}

const ROWS: [Row; 4] = [
    Row { name: "LSTM, 2 layers", kind: Kind::Lstm, layers: 2, lr: 2.0, printed: "1.0 x62, 1.6 x1" },
    Row { name: "LSTM", kind: Kind::Lstm, layers: 1, lr: 1.0, printed: "1.0 x39, 1.1 x22, 1.2 x2" },
    Row { name: "GRU", kind: Kind::Gru, layers: 1, lr: 1.0, printed: "1.0 x60, 1.1 x11, 1.3 x1" },
    Row { name: "RNN", kind: Kind::Rnn, layers: 1, lr: 1.0, printed: "1.2 x1, 1.3 x69, 1.4 x7" },
];

struct One {
    recipe: Recipe,
    lesson: Lesson,
    text: String,
}

impl Run for One {
    fn name(&self) -> String {
        format!("{}, {} epochs, {}", self.text, self.lesson.epochs, self.recipe.name())
    }
    fn seconds(&self) -> Outcome<f64> {
        let tokens = self.lesson.text.len() * self.lesson.epochs;
        Ok(self.recipe.seconds_a_token(self.lesson.text.vocab().len())? * tokens as f64)
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let learned = learn(&self.recipe, std::slice::from_ref(&self.lesson), &Measures::default(), watch)?;
        Ok(learned.map(|Learned { epochs, .. }| {
            let speeds: Vec<f64> = epochs.iter().map(|epoch| epoch.tokens_per_second).collect();
            let last = &epochs[epochs.len() - 1];
            json!({ "perplexity": last.perplexity, "tokens_per_second": crate::table::median(&speeds), "seconds": last.seconds })
        }))
    }
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let texts = Texts::open(common.texts.as_deref(), &BOOKS[..1])?;
    texts.say();
    let epochs = common.epochs.unwrap_or(500);
    let lesson = Lesson { text: texts.all[0].corpus.first(CHARACTERS), epochs };
    let mut lab = Lab::open(&common.folder("table"))?;
    let mut runs = Vec::new();
    for row in &ROWS {
        for seed in common.seeds(20) {
            let mut recipe = Recipe::of_the_book(row.kind, row.layers, row.lr, seed, common.threads);
            recipe.hidden = common.hidden.unwrap_or(recipe.hidden);
            runs.push(One { recipe, lesson: lesson.clone(), text: texts.all[0].name.clone() });
        }
    }
    let Some(results) = lab.all(&runs)? else { return Ok(()) };

    let seeds = results.len() / ROWS.len();
    let mut table =
        Table::new(["", "perplexity, as the book prints it", "the book's runs", "perplexity", "tokens/s", "seconds"]);
    let mut categories = Vec::new();
    for (row, results) in ROWS.iter().zip(results.chunks(seeds)) {
        let all = |name: &str| -> Vec<f64> { results.iter().filter_map(|result| result[name].as_f64()).collect() };
        let perplexities = all("perplexity");
        let cells = [histogram(&perplexities), row.printed.into(), spread(&perplexities, 3)];
        let times = [spread(&all("tokens_per_second"), 0), spread(&all("seconds"), 0)];
        table.row([row.name.to_owned()].into_iter().chain(cells).chain(times));
        categories.push((row.name.to_owned(), perplexities));
    }
    println!("{}; {epochs} epochs, {}\n", texts.all[0].name, common.machine(seeds));
    println!("{table}");
    let picture = lab.file("table.svg");
    let titles =
        Titles { title: "The book's models, a dot a seed", x: "", y: "perplexity of the last epoch", log: true };
    draw(&picture, &titles, &categories)
}

fn draw(picture: &Path, titles: &Titles<'_>, categories: &[(String, Vec<f64>)]) -> Outcome<()> {
    dots(picture, titles, categories)?;
    println!("picture: {}", picture.display());
    Ok(())
}

/// How often each value came, to one decimal.
fn histogram(numbers: &[f64]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for number in numbers {
        *counts.entry(format!("{number:.1}")).or_insert(0) += 1;
    }
    counts.iter().map(|(value, count)| format!("{value} x{count}")).collect::<Vec<_>>().join(", ")
}
