//! Exercise 3, how it goes lower: what each choice gives, one at a time.

use deep_rnn::custom::Params;
use deep_rnn::text::Corpus;
use serde_json::{Value, json};

use crate::args::Common;
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::learn::{Lesson, Measures, characters, learn, plan};
use crate::picture::{Titles, dots};
use crate::recipe::{Kind, Method, Recipe};
use crate::table::{Table, spread};
use crate::texts::{BOOKS, Text, Texts};

/// What is read, all of it and then the books of the author whose end is held out.
#[derive(Clone, Copy)]
struct Plan {
    /// The first so many.
    books: usize,
    own_last: bool,
    /// Whether, among the author's own, the book itself is read twice as often.
    twice: bool,
}

const PLAN: Plan = Plan { books: 3, own_last: true, twice: true };
const OWN: usize = 2;

type Change = fn(&mut Recipe, &mut Plan);

/// One at a time, from GRU 2 x 256, embedding 64, dropout 0.2, Adam 2e-3 falling to 0, 16 rows of 50 steps.
const CHANGES: [(&str, Change); 18] = [
    ("(none)", |_, _| ()),
    ("64 rows of 100 steps, rate 3e-3", |r, _| (r.rows, r.steps, r.method) = (64, 100, Method::Adam { lr: 3e-3 })),
    ("32 rows of 50 steps, rate 3e-3", |r, _| (r.rows, r.method) = (32, Method::Adam { lr: 3e-3 })),
    ("8 rows of 50 steps", |r, _| r.rows = 8),
    ("16 rows of 25 steps", |r, _| r.steps = 25),
    ("rate 4e-3", |r, _| r.method = Method::Adam { lr: 4e-3 }),
    ("rate that does not fall", |r, _| r.method = Method::SteadyAdam { lr: 2e-3 }),
    ("mean of the weights", |r, _| r.average = 0.998),
    ("LSTM", |r, _| r.kind = Kind::Lstm),
    ("1 layer", |r, _| r.layers = 1),
    ("3 layers", |r, _| r.layers = 3),
    ("twice the units", |r, _| r.hidden *= 2),
    ("no embedding", |r, _| r.embedding = 0),
    ("no dropout", |r, _| r.dropout = 0.0),
    ("weight drop 0.2", |r, _| r.weight_drop = 0.2),
    ("the author's own not last", |_, plan| plan.own_last = false),
    ("the book itself no more often", |_, plan| plan.twice = false),
    ("Shakespeare too", |_, plan| plan.books = 4),
];

struct One {
    recipe: Recipe,
    lessons: Vec<Lesson>,
    measures: Measures,
}

impl Run for One {
    fn name(&self) -> String {
        format!("{}, {}", plan(&self.lessons), self.recipe.name())
    }
    fn seconds(&self) -> Outcome<f64> {
        Ok(self.recipe.seconds_a_token(self.lessons[0].text.vocab().len())? * characters(&self.lessons) as f64)
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let Some(learned) = learn(&self.recipe, &self.lessons, &self.measures, watch)? else { return Ok(None) };
        let last = &learned.epochs[learned.epochs.len() - 1];
        Ok(Some(json!({
            "parameters": learned.model.num_params(),
            "training": last.perplexity,
            "validation": last.measured[0],
            "test": last.measured[1],
            "seconds": last.seconds,
        })))
    }
}

/// About as many characters for every plan.
fn lessons(plan: Plan, texts: &[Text], training: &Corpus, epochs: usize) -> Outcome<Vec<Lesson>> {
    let joined = |books: usize, times: usize| {
        Corpus::join(texts[1..books].iter().map(|text| &text.corpus).chain(std::iter::repeat_n(training, times)))
    };
    let own = joined(OWN, if plan.twice { 2 } else { 1 })?;
    let (usual_all, usual_own) = (joined(PLAN.books, 1)?.len() * epochs, joined(OWN, 2)?.len() * epochs);
    let lesson = |text: Corpus, characters: usize| {
        let epochs = ((characters as f64 / text.len() as f64).round() as usize).max(1);
        Lesson { text, epochs }
    };
    let all = joined(plan.books, 1)?;
    Ok(match plan.own_last {
        true => vec![lesson(all, usual_all), lesson(own, usual_own)],
        false => vec![lesson(all, usual_all + usual_own)],
    })
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let texts = Texts::open(common.texts.as_deref(), &BOOKS)?;
    texts.say();
    let [training, validation, test] = texts.all[0].parts()?;
    let measures = Measures { texts: vec![validation, test], every: usize::MAX, choose: false };
    let mut lab = Lab::open(&common.folder("choices"))?;
    let mut runs = Vec::new();
    for (_, change) in CHANGES {
        for seed in common.seeds(2) {
            let mut recipe = Recipe::for_new_text(common.hidden.unwrap_or(256), seed, common.threads);
            let mut plan = PLAN;
            change(&mut recipe, &mut plan);
            let lessons = lessons(plan, &texts.all, &training, common.epochs.unwrap_or(2))?;
            runs.push(One { recipe, lessons, measures: measures.clone() });
        }
    }
    let Some(results) = lab.all(&runs)? else { return Ok(()) };

    let seeds = results.len() / CHANGES.len();
    println!("The end of {}; {}, {}\n", texts.all[0].name, runs[0].recipe.network_name(), common.machine(seeds));
    let head =
        ["changed", "parameters", "characters read", "training", "the tenth before", "the last tenth", "seconds"];
    let mut table = Table::new(head);
    let mut categories = Vec::new();
    for ((name, _), (runs, results)) in CHANGES.iter().zip(runs.chunks(seeds).zip(results.chunks(seeds))) {
        let all = |name: &str| -> Vec<f64> { results.iter().filter_map(|result| result[name].as_f64()).collect() };
        table.row([
            (*name).to_owned(),
            results[0]["parameters"].to_string(),
            characters(&runs[0].lessons).to_string(),
            spread(&all("training"), 3),
            spread(&all("validation"), 3),
            spread(&all("test"), 3),
            spread(&all("seconds"), 0),
        ]);
        categories.push(((*name).to_owned(), all("validation")));
    }
    println!("{table}");
    let picture = lab.file("choices.svg");
    let titles =
        Titles { title: "Perplexity on the tenth before the last, a dot a seed", x: "", y: "perplexity", log: false };
    dots(&picture, &titles, &categories)?;
    println!("picture: {}", picture.display());
    Ok(())
}
