//! Exercise 3, its second half: how low the perplexity on the end of a book goes in an hour on two cores.

use std::path::PathBuf;

use deep_rnn::custom::Params;
use deep_rnn::files::save;
use deep_rnn::text::Corpus;
use serde_json::{Value, json};

use crate::args::Common;
use crate::ensemble::{self, Dynamic};
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::learn::{Learned, Lesson, Measures, characters, learn, plan};
use crate::picture::{Curve, Titles, curves};
use crate::recipe::{Kind, Method, Recipe};
use crate::table::Table;
use crate::texts::{BOOKS, Texts};

/// The networks whose probabilities are averaged. Each learns on a thread of its own.
const CELLS: [Kind; 2] = [Kind::Gru, Kind::Lstm];
const DROPOUT: f64 = 0.3;
/// Larger batches than for less to read: what small ones gain in updates is gone after some millions of characters.
const ROWS: usize = 64;
const STEPS: usize = 100;
const RATE: f64 = 3e-3;
const AVERAGE: f64 = 0.998;
/// The first so many books are read.
const READ: usize = 4;
/// Those of the author whose end is held out: they are read last, the book itself twice as often as the other.
const OWN: usize = 2;
const EPOCHS_OF_ALL: usize = 4;
const EPOCHS_OF_OWN: usize = 9;
/// η and λ of dynamic evaluation that are tried on the validation part.
const RULES: [(f64, f64); 4] = [(0.05, 0.0), (0.1, 0.0), (0.1, 0.003), (0.2, 0.003)];

/// Networks that learn the same, and are then tested as one.
struct One {
    recipes: Vec<Recipe>,
    lessons: Vec<Lesson>,
    /// The tenth of the book that is validated on, and the one that is tested on.
    parts: [Corpus; 2],
    at_a_time: usize,
    /// Where the networks are kept.
    folder: PathBuf,
}

impl Run for One {
    fn name(&self) -> String {
        let recipes: Vec<String> = self.recipes.iter().map(Recipe::name).collect();
        format!("{}; {}", plan(&self.lessons), recipes.join("; "))
    }

    fn seconds(&self) -> Outcome<f64> {
        let mut seconds = 0.0;
        for round in self.recipes.chunks(self.at_a_time) {
            let mut slowest: f64 = 0.0;
            for recipe in round {
                slowest = slowest.max(recipe.seconds_a_token(self.lessons[0].text.vocab().len())?);
            }
            seconds += slowest * characters(&self.lessons) as f64;
        }
        Ok(seconds)
    }

    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let Some(members) = self.members(watch)? else { return Ok(None) };
        for (i, member) in members.iter().enumerate() {
            save(&member.model, self.folder.join(format!("network-{}.safetensors", i + 1)))?;
        }
        let on = |part: &Corpus| self.each(|i| Ok(ensemble::still(&members[i].model, part)?));
        let [validation, test] = [on(&self.parts[0])?, on(&self.parts[1])?];
        Ok(Some(json!({
            "members": validation.iter().zip(&test).zip(&members).map(|((v, t), member)| json!({
                "validation": ensemble::perplexity(std::slice::from_ref(v)),
                "test": ensemble::perplexity(std::slice::from_ref(t)),
                "curve": member.epochs.iter().map(|epoch| json!([epoch.seconds, epoch.measured])).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "validation": ensemble::perplexity(&validation),
            "test": ensemble::perplexity(&test),
            "dynamic": self.dynamic(&members)?,
        })))
    }
}

impl One {
    /// The networks, each with the weights that were best on the validation part.
    fn members(&self, watch: &Watch<'_>) -> Outcome<Option<Vec<Learned>>> {
        let measures = Measures { texts: self.parts.to_vec(), every: 1, choose: true };
        let rounds = self.recipes.len().div_ceil(self.at_a_time);
        let learned = self.each(|i| {
            let (share, round) = (1.0 / rounds as f64, i / self.at_a_time);
            let part = watch.part(&i.to_string(), round as f64 * share, share);
            learn(&self.recipes[i], &self.lessons, &measures, &part)
        })?;
        Ok(learned.into_iter().collect())
    }

    /// For each network, as many at a time as there are threads.
    fn each<T: Send>(&self, f: impl Fn(usize) -> Outcome<T> + Sync) -> Outcome<Vec<T>> {
        let one = |i: usize| f(i).map_err(|error| error.to_string());
        let mut all = Vec::new();
        for first in (0..self.recipes.len()).step_by(self.at_a_time) {
            let last = self.recipes.len().min(first + self.at_a_time);
            let results: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (first..last).map(|i| scope.spawn(move || one(i))).collect();
                threads.into_iter().map(|thread| thread.join()).collect()
            });
            for result in results {
                all.push(result.map_err(|_| "a thread panicked")??);
            }
        }
        Ok(all)
    }

    /// With weights that go on learning from the text they are tested on, by the rule that is best on the validation part; on the test part
    /// after they have read that.
    fn dynamic(&self, members: &[Learned]) -> Outcome<Value> {
        let last = &self.lessons[self.lessons.len() - 1];
        let prepared = self.each(|i| Ok(Dynamic::new(&self.recipes[i], &members[i].model, &last.text)?))?;
        // Of the last so many characters of a text.
        let on = |(eta, lambda): (f64, f64), text: &Corpus, last: usize| -> Outcome<f64> {
            Ok(ensemble::perplexity(&self.each(|i| {
                let mut probabilities = prepared[i].probabilities(eta, lambda, text)?;
                Ok(probabilities.split_off(probabilities.len() - last))
            })?))
        };
        let [validation, test] = &self.parts;
        let mut tried = Vec::new();
        for rule in RULES {
            tried.push((on(rule, validation, validation.len() - 1)?, rule));
        }
        let both = Corpus::join([validation, test])?;
        let best = tried.iter().min_by(|a, b| a.0.total_cmp(&b.0)).ok_or("no rule was tried")?;
        Ok(json!({ "tried": tried, "rule": best.1, "validation": best.0, "test": on(best.1, &both, test.len() - 1)? }))
    }
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let texts = Texts::open(common.texts.as_deref(), &BOOKS)?;
    texts.say();
    let [training, validation, test] = texts.all[0].parts()?;
    let others = |books: usize| texts.all[1..books].iter().map(|text| &text.corpus);
    let lesson = |parts: Vec<&Corpus>, epochs| -> Outcome<Lesson> {
        Ok(Lesson { text: Corpus::join(parts)?, epochs: common.epochs.unwrap_or(epochs) })
    };
    let lessons = vec![
        lesson(others(READ).chain([&training]).collect(), EPOCHS_OF_ALL)?,
        lesson(others(OWN).chain([&training, &training]).collect(), EPOCHS_OF_OWN)?,
    ];
    let recipe = |(seed, kind)| Recipe {
        kind,
        dropout: DROPOUT,
        average: AVERAGE,
        method: Method::Adam { lr: RATE },
        rows: ROWS,
        steps: STEPS,
        ..Recipe::for_new_text(common.hidden.unwrap_or(512), seed, 1)
    };
    let recipes: Vec<Recipe> = common.seeds(CELLS.len() as u64).zip(CELLS.into_iter().cycle()).map(recipe).collect();
    let mut networks = Vec::new();
    for recipe in &recipes {
        let parameters = recipe.model(training.vocab().len())?.num_params();
        networks.push(format!("{}, {parameters} parameters", recipe.network_name()));
    }
    let mut lab = Lab::open(&common.folder("hour"))?;
    let parts = [validation, test];
    let folder = common.folder("hour");
    let Some(results) = lab.all(&[One { recipes, lessons, parts, at_a_time: common.threads, folder }])? else {
        return Ok(());
    };
    let result = &results[0];

    println!("The last tenth of {}; {}\n", texts.all[0].name, common.machine(1));
    let head = ["", "minutes of training", "perplexity on the tenth before", "on the last tenth", "bits a character"];
    let mut table = Table::new(head);
    let mut row = |name: String, seconds: Option<f64>, of: &Value| {
        let minutes = seconds.map_or("-".into(), |seconds| format!("{:.1}", seconds / 60.0));
        let [validation, test] = ["validation", "test"].map(|part| of[part].as_f64().unwrap_or(f64::NAN));
        table.row([name, minutes, format!("{validation:.3}"), format!("{test:.3}"), format!("{:.3}", test.log2())]);
    };
    let members = result["members"].as_array().cloned().unwrap_or_default();
    for (i, member) in members.iter().enumerate() {
        let seconds = member["curve"].as_array().and_then(|curve| curve.last()?[0].as_f64());
        row(networks[i].clone(), seconds, member);
    }
    row("the mean of their probabilities".into(), None, result);
    let rule = &result["dynamic"]["rule"];
    let name =
        format!("and learning from the tenth before, and while it is tested (rate {}, back {})", rule[0], rule[1]);
    row(name, None, &result["dynamic"]);
    println!("{table}");
    println!(
        "All choices are by the tenth before the last: the weights of the best epoch, and how fast they go on learning.\n"
    );

    let mut all = Vec::new();
    for (i, member) in members.iter().enumerate() {
        for (j, part) in ["the tenth before", "the last tenth"].into_iter().enumerate() {
            let points = member["curve"].as_array().into_iter().flatten();
            let points = points.filter_map(|point| Some((point[0].as_f64()? / 60.0, point[1][j].as_f64()?))).collect();
            all.push(Curve { name: format!("{}, {part}", CELLS[i % CELLS.len()].name()), points });
        }
    }
    let picture = lab.file("hour.svg");
    let titles = Titles { title: "Perplexity by minutes of training", x: "minutes", y: "perplexity", log: true };
    curves(&picture, &titles, &all)?;
    println!("picture: {}", picture.display());
    Ok(())
}
