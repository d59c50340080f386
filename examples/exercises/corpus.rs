//! Exercise 3: more books. How the perplexity on the end of a book falls with what else was read.

use deep_rnn::text::Corpus;
use serde_json::{Value, json};

use crate::args::Common;
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::learn::{Lesson, Measures, characters, learn, plan};
use crate::picture::{Titles, dots};
use crate::recipe::Recipe;
use crate::table::{Table, spread};
use crate::texts::{BOOKS, Texts};

/// Books of the author whose end is held out: the first so many. They come last, alone.
const OWN: usize = 2;
/// Characters each network reads, whatever there is to read, and the share of them that is of everything.
const CHARACTERS: f64 = 6e6;
const EVERYTHING: f64 = 0.6;
/// How often the perplexities are measured.
const MEASURED: usize = 12;
/// On the same held-out tenth, primed with the same texts: PPMd of the best order, by the number of books.
const PPMD: [&str; 4] = ["4.12", "3.87", "3.82", "3.88"];

struct One {
    books: usize,
    characters: usize,
    recipe: Recipe,
    lessons: Vec<Lesson>,
    measures: Measures,
    name: String,
}

impl Run for One {
    fn name(&self) -> String {
        format!("{}, {} books, {}, {}", self.name, self.books, plan(&self.lessons), self.recipe.name())
    }
    fn seconds(&self) -> Outcome<f64> {
        Ok(self.recipe.seconds_a_token(self.lessons[0].text.vocab().len())? * characters(&self.lessons) as f64)
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let Some(learned) = learn(&self.recipe, &self.lessons, &self.measures, watch)? else { return Ok(None) };
        let measured: Vec<&Vec<f64>> =
            learned.epochs.iter().map(|epoch| &epoch.measured).filter(|m| m.len() == 2).collect();
        // Chosen by the validation part, without a look at the other.
        let chosen = measured.iter().min_by(|a, b| a[0].total_cmp(&b[0])).map(|both| both[1]);
        let lowest = measured.iter().map(|both| both[1]).reduce(f64::min);
        let seconds = learned.epochs.last().map(|epoch| epoch.seconds);
        Ok(Some(json!({ "chosen": chosen, "lowest": lowest, "seconds": seconds, "measured": measured })))
    }
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let texts = Texts::open(common.texts.as_deref(), &BOOKS)?;
    texts.say();
    let [training, validation, test] = texts.all[0].parts()?;
    let mut lab = Lab::open(&common.folder("corpus"))?;
    let mut runs = Vec::new();
    for books in 1..=texts.all.len() {
        let parts = || texts.all[1..books].iter().map(|text| &text.corpus).chain([&training]);
        let everything = Corpus::join(parts())?;
        let own = Corpus::join(texts.all[1..books.min(OWN)].iter().map(|text| &text.corpus).chain([&training]))?;
        let times = |characters: f64, text: &Corpus| match common.epochs {
            Some(epochs) => epochs,
            None => ((characters / text.len() as f64).round() as usize).max(1),
        };
        let mut lessons = Vec::new();
        let both = books > OWN;
        if both {
            let epochs = times(CHARACTERS * EVERYTHING, &everything);
            lessons.push(Lesson { text: everything.clone(), epochs });
        }
        let share = if both { 1.0 - EVERYTHING } else { 1.0 };
        let epochs = times(CHARACTERS * share, &own);
        lessons.push(Lesson { text: own, epochs });
        let all: usize = lessons.iter().map(|lesson| lesson.epochs).sum();
        for seed in common.seeds(3) {
            let recipe = Recipe::for_new_text(common.hidden.unwrap_or(256), seed, common.threads);
            let measures = Measures {
                texts: vec![validation.clone(), test.clone()],
                every: all.div_ceil(MEASURED),
                choose: false,
            };
            let (lessons, name) = (lessons.clone(), texts.all[0].name.clone());
            runs.push(One { books, characters: everything.len(), recipe, lessons, measures, name });
        }
    }
    let Some(results) = lab.all(&runs)? else { return Ok(()) };

    let seeds = results.len() / texts.all.len();
    println!(
        "The last {} characters of {}; {}, {}\n",
        test.len(),
        texts.all[0].name,
        runs[0].recipe.network_name(),
        common.machine(seeds)
    );
    let head = ["read", "characters", "perplexity", "bits a character", "lowest on the way", "PPMd", "seconds"];
    let mut table = Table::new(head);
    let mut categories = Vec::new();
    for (runs, results) in runs.chunks(seeds).zip(results.chunks(seeds)) {
        let all = |name: &str| -> Vec<f64> { results.iter().filter_map(|result| result[name].as_f64()).collect() };
        let (chosen, last) = (all("chosen"), runs[0].books - 1);
        let bits: Vec<f64> = chosen.iter().map(|perplexity| perplexity.log2()).collect();
        let name = format!("{}{}", if last == 0 { "" } else { "+ " }, texts.all[last].name);
        table.row([
            name.clone(),
            runs[0].characters.to_string(),
            spread(&chosen, 3),
            spread(&bits, 3),
            spread(&all("lowest"), 3),
            if texts.instead.is_none() { PPMD[last].into() } else { "-".into() },
            spread(&all("seconds"), 0),
        ]);
        categories.push((name, chosen));
    }
    println!("{table}");
    println!(
        "The weights are those with the lowest perplexity on the tenth before; \"lowest on the way\" looks at the tested part.\n"
    );
    let picture = lab.file("corpus.svg");
    let titles = Titles {
        title: "Perplexity on the end of the book by what was read, a dot a seed",
        x: "",
        y: "perplexity",
        log: false,
    };
    dots(&picture, &titles, &categories)?;
    println!("picture: {}", picture.display());
    Ok(())
}
