//! Exercise 4: two authors, apart, mixed, and mixed and then tuned to one.

use deep_rnn::prelude::*;
use deep_rnn::text::Corpus;
use serde_json::{Value, json};

use crate::args::Common;
use crate::lab::{Lab, Outcome, Run, Watch};
use crate::learn::{Engine, Lesson, Measures, characters, learn, perplexity};
use crate::picture::{Titles, dots};
use crate::recipe::{Model, Recipe};
use crate::table::{Table, spread};
use crate::texts::Texts;

/// What is read: of each as much as the shorter one has.
const BOOKS: [(&str, &str); 2] = [("war_of_the_worlds.txt", "Wells"), ("tinyshakespeare.txt", "Shakespeare")];
/// Places of each author's held-out part that the mixed network goes on from, how much it reads there, and how much it writes, in
/// pieces whose author is then guessed.
const PLACES: usize = 20;
const PREFIX: usize = 100;
const PIECE: usize = 100;
const PIECES: usize = 3;

/// Of one author.
#[derive(Clone)]
struct Author {
    name: String,
    training: Corpus,
    held_out: Corpus,
}

/// What a network has read.
#[derive(Clone, Copy, PartialEq)]
enum Plan {
    Own(usize),
    Mixed,
    Tuned(usize),
}

const PLANS: [Plan; 5] = [Plan::Own(0), Plan::Own(1), Plan::Mixed, Plan::Tuned(0), Plan::Tuned(1)];

impl Plan {
    fn name(self, authors: &[Author; 2]) -> String {
        match self {
            Plan::Own(i) => format!("{} alone", authors[i].name),
            Plan::Mixed => "both, mixed".to_owned(),
            Plan::Tuned(i) => format!("both, mixed, then {}", authors[i].name),
        }
    }

    /// Each text is gone through equally often; tuning is the second half.
    fn lessons(self, authors: &[Author; 2], epochs: usize) -> Outcome<Vec<Lesson>> {
        let both = || mixed(&authors[0].training, &authors[1].training);
        let tuning = epochs / 2;
        Ok(match self {
            Plan::Own(i) => vec![Lesson { text: authors[i].training.clone(), epochs }],
            Plan::Mixed => vec![Lesson { text: both()?, epochs }],
            Plan::Tuned(i) => vec![
                Lesson { text: both()?, epochs: epochs - tuning },
                Lesson { text: authors[i].training.clone(), epochs: tuning },
            ],
        })
    }
}

/// Both texts in turn, 10,000 characters of each at a time.
fn mixed(one: &Corpus, other: &Corpus) -> Outcome<Corpus> {
    let piece = 10_000;
    let mut text = String::new();
    for from in (0..one.len().max(other.len())).step_by(piece) {
        for corpus in [one, other] {
            let to = corpus.len().min(from + piece);
            text += &corpus.decode(&corpus.tokens()[from.min(to)..to])?;
            text.push(' ');
        }
    }
    Ok(Corpus::builder().text("both", text).vocab(one.vocab()).build()?)
}

/// All networks of one seed.
struct One {
    recipe: Recipe,
    epochs: usize,
    authors: [Author; 2],
}

impl Run for One {
    fn name(&self) -> String {
        let [one, other] = &self.authors;
        let (length, recipe) = (one.training.len(), self.recipe.name());
        format!("{} and {}, {length} characters each, {} epochs, {recipe}", one.name, other.name, self.epochs)
    }
    fn seconds(&self) -> Outcome<f64> {
        let mut tokens = 0;
        for plan in PLANS {
            tokens += characters(&plan.lessons(&self.authors, self.epochs)?);
        }
        Ok(self.recipe.seconds_a_token(self.authors[0].training.vocab().len())? * tokens as f64)
    }
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>> {
        let held_out = self.authors.each_ref().map(|author| author.held_out.clone());
        let measures = Measures { texts: held_out.to_vec(), every: self.epochs, choose: false };
        let (mut perplexities, mut models) = (Vec::new(), Vec::new());
        for (i, plan) in PLANS.into_iter().enumerate() {
            let part = watch.part(&i.to_string(), i as f64 / PLANS.len() as f64, 1.0 / PLANS.len() as f64);
            let lessons = plan.lessons(&self.authors, self.epochs)?;
            let Some(learned) = learn(&self.recipe, &lessons, &measures, &part)? else { return Ok(None) };
            perplexities.push(learned.epochs[learned.epochs.len() - 1].measured.clone());
            models.push(learned.model);
        }
        let samples = samples(&models[2], &held_out, self.recipe.seed)?;
        let mut judges = Vec::new();
        for model in models.into_iter().take(2) {
            judges.push(Bptt::builder(model).threads(self.recipe.threads).build()?);
        }
        let guessed = guess(&mut judges, &samples, &self.authors)?;
        let shown: Vec<&String> = samples.iter().map(|of_author| &of_author[0]).collect();
        Ok(Some(json!({ "held_out": perplexities, "guessed": guessed, "samples": shown })))
    }
}

/// What the mixed network writes after each author's words, as texts.
fn samples(model: &Model, held_out: &[Corpus; 2], seed: u64) -> Outcome<Vec<Vec<String>>> {
    let mut sampler = Sampler::temperature(0.8, seed)?;
    let mut all = Vec::new();
    for corpus in held_out {
        let mut texts = Vec::new();
        for i in 0..PLACES {
            let at = (corpus.len() - PREFIX.min(corpus.len())) * i / PLACES;
            let prefix = &corpus.tokens()[at..corpus.len().min(at + PREFIX)];
            texts.push(corpus.decode(&model.generate(prefix, PIECE * PIECES, &mut sampler)?)?);
        }
        all.push(texts);
    }
    Ok(all)
}

/// Of each author, and of each piece of what was written after their words: the share that their own network finds likelier than the
/// other's does.
fn guess<O: deep_rnn::optim::Optimizer<Model>>(
    judges: &mut [Engine<O>],
    samples: &[Vec<String>],
    authors: &[Author; 2],
) -> Outcome<Vec<Vec<f64>>> {
    let mut all = Vec::new();
    for (author, texts) in samples.iter().enumerate() {
        let mut shares = Vec::new();
        for piece in 0..PIECES {
            let mut right = 0;
            for text in texts {
                let piece: String = text.chars().skip(piece * PIECE).take(PIECE).collect();
                let corpus =
                    Corpus::builder().text("piece", format!(" {piece}")).vocab(authors[0].training.vocab()).build()?;
                let [own, other] = [author, 1 - author].map(|i| perplexity(&mut judges[i], &corpus));
                right += usize::from(own? < other?);
            }
            shares.push(right as f64 / texts.len() as f64);
        }
        all.push(shares);
    }
    Ok(all)
}

pub(crate) fn run(common: &Common) -> Outcome<()> {
    let texts = Texts::open(common.texts.as_deref(), &BOOKS)?;
    texts.say();
    let length = texts.all.iter().map(|text| text.corpus.len()).min().unwrap_or(0);
    let author = |i: usize| -> Outcome<Author> {
        let (training, held_out) = texts.all[i].corpus.first(length).split(0.1)?;
        Ok(Author { name: texts.all[i].name.clone(), training, held_out })
    };
    let authors = [author(0)?, author(1)?];
    let mut lab = Lab::open(&common.folder("authors"))?;
    let epochs = common.epochs.unwrap_or(6);
    let runs: Vec<One> = common
        .seeds(3)
        .map(|seed| {
            let recipe = Recipe::for_new_text(common.hidden.unwrap_or(256), seed, common.threads);
            One { recipe, epochs, authors: authors.clone() }
        })
        .collect();
    let Some(results) = lab.all(&runs)? else { return Ok(()) };

    let [one, other] = &authors;
    println!(
        "{} and {}, {} characters of each, a tenth of them held out; {epochs} epochs, {}\n",
        one.name,
        other.name,
        length,
        common.machine(results.len())
    );
    let mut table = Table::new(["read", &format!("perplexity on {}", one.name), &format!("on {}", other.name)]);
    let mut categories = Vec::new();
    for (i, plan) in PLANS.into_iter().enumerate() {
        let of = |author: usize| -> Vec<f64> {
            results.iter().filter_map(|result| result["held_out"][i][author].as_f64()).collect()
        };
        table.row([plan.name(&authors), spread(&of(0), 3), spread(&of(1), 3)]);
        for (j, author) in authors.iter().enumerate() {
            categories.push((format!("{}: on {}", plan.name(&authors), author.name), of(j)));
        }
    }
    println!("{table}");
    let mut table = Table::new(["the mixed network after words of", "characters 1 to 100", "101 to 200", "201 to 300"]);
    for (i, author) in authors.iter().enumerate() {
        let of = |piece: usize| -> Vec<f64> {
            results.iter().filter_map(|result| Some(100.0 * result["guessed"][i][piece].as_f64()?)).collect()
        };
        table.row([author.name.clone(), spread(&of(0), 0), spread(&of(1), 0), spread(&of(2), 0)]);
    }
    println!(
        "Percent that the author's own network finds likelier than the other's does ({PLACES} places a seed):\n\n{table}"
    );
    for (i, author) in authors.iter().enumerate() {
        println!("after {}: {}\n", author.name, results[0]["samples"][i].as_str().unwrap_or_default());
    }
    let picture = lab.file("authors.svg");
    let titles =
        Titles { title: "Held-out perplexity by what was read, a dot a seed", x: "", y: "perplexity", log: true };
    dots(&picture, &titles, &categories)?;
    println!("picture: {}", picture.display());
    Ok(())
}
