//! Exercise 3, its second half: how low the perplexity on the end of a book goes in an hour on two cores.

use std::path::PathBuf;

use deep_rnn::Error;
use deep_rnn::custom::Params;
use deep_rnn::files::save;
use deep_rnn::text::Corpus;
use serde_json::{Value, json};

use crate::args::Common;
use crate::ensemble::{self, Dynamic};
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::learn::{Learned, Lesson, Measures, characters, learn, learn_on, plan};
use crate::picture::{Curve, Titles, curves};
use crate::recipe::{Method, Recipe};
use crate::table::Table;
use crate::texts::{BOOKS, Texts};

/// Networks whose probabilities are averaged. Each learns on a thread of its own.
const NETWORKS: u64 = 2;
const DROPOUT: f64 = 0.25;
const AVERAGE: f64 = 0.998;
/// The first so many books are read: all but Shakespeare.
const READ: usize = 3;
/// Those of the author whose end is held out: they are read last, the book itself twice as often as the other.
const OWN: usize = 2;
const EPOCHS_OF_ALL: usize = 7;
const EPOCHS_OF_OWN: usize = 5;
/// For what is read when nothing is left to choose.
const RATE_AT_LAST: f64 = 5e-4;
/// η and λ of dynamic evaluation that are tried on the validation part.
const RULES: [(f64, f64); 4] = [(0.05, 0.0), (0.1, 0.0), (0.1, 0.003), (0.2, 0.003)];

/// Networks that learn the same, and are then tested as one.
struct One {
    recipes: Vec<Recipe>,
    lessons: Vec<Lesson>,
    /// What is read when nothing is left to choose: as the last lesson, with the tenth that was validated on.
    at_last: Lesson,
    /// The tenth of the book that is validated on, and the one that is tested on.
    parts: [Corpus; 2],
    at_a_time: usize,
    /// Where the networks are kept.
    folder: PathBuf,
}

/// A network as it was chosen, and when it has read on.
struct Member {
    chosen: Learned,
    at_last: Learned,
}

impl Run for One {
    fn name(&self) -> String {
        let recipes: Vec<String> = self.recipes.iter().map(Recipe::name).collect();
        let all = [&self.lessons[..], std::slice::from_ref(&self.at_last)].concat();
        format!("{}, Adam {RATE_AT_LAST}; {}", plan(&all), recipes.join("; "))
    }

    fn seconds(&self) -> Outcome<f64> {
        let all = characters(&self.lessons) + characters(std::slice::from_ref(&self.at_last));
        let mut seconds = 0.0;
        for round in self.recipes.chunks(self.at_a_time) {
            let mut slowest: f64 = 0.0;
            for recipe in round {
                slowest = slowest.max(recipe.seconds_a_token(self.lessons[0].text.vocab().len())?);
            }
            seconds += slowest * all as f64;
        }
        Ok(seconds)
    }

    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let Some(members) = self.members(watch)? else { return Ok(None) };
        for (i, member) in members.iter().enumerate() {
            save(&member.at_last.model, self.folder.join(format!("network-{}.safetensors", i + 1)))?;
        }
        let on = |pick: fn(&Member) -> &Learned, part: &Corpus| {
            self.each(|i| Ok(ensemble::still(&pick(&members[i]).model, part)?))
        };
        let [validation, test] = &self.parts;
        let (validation, test) =
            (on(|m| &m.chosen, validation)?, [on(|m| &m.chosen, test)?, on(|m| &m.at_last, test)?]);
        let alone = |probabilities: &Vec<f64>| ensemble::perplexity(std::slice::from_ref(probabilities));
        let member = |i: usize| {
            let Member { chosen, at_last } = &members[i];
            let seconds = |learned: &Learned| learned.epochs.last().map_or(0.0, |epoch| epoch.seconds);
            json!({
                "validation": alone(&validation[i]),
                "test": alone(&test[0][i]),
                "at last": alone(&test[1][i]),
                "seconds": seconds(chosen) + seconds(at_last),
                "curve": chosen.epochs.iter().map(|epoch| json!([epoch.seconds, epoch.measured])).collect::<Vec<_>>(),
            })
        };
        Ok(Some(json!({
            "members": (0..members.len()).map(member).collect::<Vec<_>>(),
            "validation": ensemble::perplexity(&validation),
            "test": ensemble::perplexity(&test[0]),
            "at last": ensemble::perplexity(&test[1]),
            "dynamic": self.dynamic(&members)?,
        })))
    }
}

impl One {
    /// The networks, first each with the weights that were best on the validation part.
    fn members(&self, watch: &Watch<'_>) -> Outcome<Option<Vec<Member>>> {
        let measures = Measures { texts: self.parts.to_vec(), every: 1, choose: true };
        let rounds = self.recipes.len().div_ceil(self.at_a_time) as f64;
        let chars = [characters(&self.lessons), characters(std::slice::from_ref(&self.at_last))].map(|n| n as f64);
        let first = chars[0] / (chars[0] + chars[1]);
        let members = self.each(|i| {
            let from = (i / self.at_a_time) as f64 / rounds;
            let (recipe, part) = (&self.recipes[i], watch.part(&i.to_string(), from, first / rounds));
            let Some(chosen) = learn(recipe, &self.lessons, &measures, &part)? else { return Ok(None) };
            let slow = Recipe { method: Method::Adam { lr: RATE_AT_LAST }, average: 0.0, ..recipe.clone() };
            let part = watch.part(&format!("{i}, at last"), from + first / rounds, (1.0 - first) / rounds);
            let lesson = std::slice::from_ref(&self.at_last);
            let at_last = learn_on(chosen.model.clone(), &slow, lesson, &Measures::default(), &part)?;
            Ok(at_last.map(|at_last| Member { chosen, at_last }))
        })?;
        Ok(members.into_iter().collect())
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

    /// With weights that go on learning from the text they are tested on, by the rule that is best on the validation part for networks that
    /// have not read it.
    fn dynamic(&self, members: &[Member]) -> Outcome<Value> {
        let last = &self.lessons[self.lessons.len() - 1];
        let prepare = |pick: fn(&Member) -> &Learned| {
            self.each(|i| Ok(Dynamic::new(&self.recipes[i], &pick(&members[i]).model, &last.text)?))
        };
        let [chosen, at_last] = [prepare(|m| &m.chosen)?, prepare(|m| &m.at_last)?];
        let on = |prepared: &[Dynamic], (eta, lambda): (f64, f64), part: &Corpus| -> Outcome<f64> {
            Ok(ensemble::perplexity(&self.each(|i| Ok(prepared[i].probabilities(eta, lambda, part)?))?))
        };
        let [validation, test] = &self.parts;
        let mut tried = Vec::new();
        for rule in RULES {
            tried.push((on(&chosen, rule, validation)?, rule));
        }
        let best = tried.iter().min_by(|a, b| a.0.total_cmp(&b.0)).ok_or("no rule was tried")?;
        let (validation, rule) = *best;
        let test = [on(&chosen, rule, test)?, on(&at_last, rule, test)?];
        Ok(json!({ "tried": tried, "rule": rule, "validation": validation, "test": test[0], "at last": test[1] }))
    }
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let texts = Texts::open(common.texts.as_deref(), &BOOKS)?;
    texts.say();
    let [training, validation, test] = texts.all[0].parts()?;
    let with = |books: usize, book: &[&Corpus]| {
        Corpus::join(texts.all[1..books].iter().map(|text| &text.corpus).chain(book.iter().copied()))
    };
    let lesson = |text: Corpus, epochs| Lesson { text, epochs: common.epochs.unwrap_or(epochs) };
    let lessons =
        vec![lesson(with(READ, &[&training])?, EPOCHS_OF_ALL), lesson(with(OWN, &[&training; 2])?, EPOCHS_OF_OWN)];
    let at_last = lesson(with(OWN, &[&training, &validation, &training, &validation])?, 1);
    let recipe = |seed| Recipe {
        dropout: DROPOUT,
        average: AVERAGE,
        ..Recipe::for_new_text(common.hidden.unwrap_or(512), seed, 1)
    };
    let recipes: Vec<Recipe> = common.seeds(NETWORKS).map(recipe).collect();
    let vocabulary = training.vocab().len();
    let name = |recipe: &Recipe| {
        let parameters = recipe.model(vocabulary)?.num_params();
        Ok::<_, Error>(format!("{}, {parameters} parameters, seed {}", recipe.network_name(), recipe.seed))
    };
    let networks = recipes.iter().map(name).collect::<Result<Vec<_>, _>>()?;
    let (folder, parts) = (common.folder("hour"), [validation, test]);
    let mut lab = Lab::open(&folder)?;
    let one = One { recipes, lessons, at_last, parts, at_a_time: common.threads, folder };
    let Some(results) = lab.all(&[one])? else { return Ok(()) };
    let result = &results[0];

    println!("The last tenth of {}; {}\n", texts.all[0].name, common.machine(networks.len()));
    let head = [
        "",
        "minutes of training",
        "perplexity on the tenth before",
        "on the last tenth",
        "having read the tenth before too",
        "bits a character",
    ];
    let mut table = Table::new(head);
    let mut row = |name: String, of: &Value| {
        let minutes = of["seconds"].as_f64().map_or("-".into(), |seconds| format!("{:.1}", seconds / 60.0));
        let figures = ["validation", "test", "at last"].map(|part| of[part].as_f64().unwrap_or(f64::NAN));
        let bits = format!("{:.3}", figures[2].log2());
        table.row([name, minutes].into_iter().chain(figures.map(|figure| format!("{figure:.3}"))).chain([bits]));
    };
    let members = result["members"].as_array().cloned().unwrap_or_default();
    for (name, member) in networks.into_iter().zip(&members) {
        row(name, member);
    }
    row("the mean of their probabilities".into(), result);
    let rule = &result["dynamic"]["rule"];
    row(format!("and learning while it is tested (rate {}, back {})", rule[0], rule[1]), &result["dynamic"]);
    println!("{table}");
    println!(
        "All choices are by the tenth before the last: the weights of the best epoch, and how fast they go on learning.\n"
    );

    let mut all = Vec::new();
    for (i, member) in members.iter().enumerate() {
        for (j, part) in ["the tenth before", "the last tenth"].into_iter().enumerate() {
            let points = member["curve"].as_array().into_iter().flatten();
            let points = points.filter_map(|point| Some((point[0].as_f64()? / 60.0, point[1][j].as_f64()?))).collect();
            all.push(Curve { name: format!("network {}, {part}", i + 1), points });
        }
    }
    let picture = lab.file("hour.svg");
    let titles = Titles { title: "Perplexity by minutes of training", x: "minutes", y: "perplexity", log: true };
    curves(&picture, &titles, &all)?;
    println!("picture: {}", picture.display());
    Ok(())
}
