//! The texts: from a folder, or one that is built in.

use std::path::{Path, PathBuf};

use deep_rnn::text::Corpus;

use crate::lab::Outcome;

/// Where the folder is looked for if nothing is said.
pub(crate) const VARIABLE: &str = "DEEP_RNN_TEXTS";

/// A text by a name, whole and cleaned as the book's: `a` to `z` and spaces.
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) corpus: Corpus,
}

impl Text {
    /// What is trained on, the tenth that is validated on, and the last one, which is tested on.
    pub(crate) fn parts(&self) -> Outcome<[Corpus; 3]> {
        let (rest, test) = self.corpus.split(0.1)?;
        let (training, validation) = rest.split(1.0 / 9.0)?;
        Ok([training, validation, test])
    }
}

/// The texts of an exercise, all with the vocabulary of the first.
pub(crate) struct Texts {
    pub(crate) all: Vec<Text>,
    /// What is to be said if they are not those that were meant.
    pub(crate) instead: Option<String>,
}

/// `(file, name)`: the books, the one that is tested on first.
pub(crate) const BOOKS: [(&str, &str); 4] = [
    ("timemachine.txt", "The Time Machine"),
    ("war_of_the_worlds.txt", "The War of the Worlds"),
    ("frankenstein.txt", "Frankenstein"),
    ("tinyshakespeare.txt", "Shakespeare"),
];

impl Texts {
    /// These books from the folder; without a folder as many parts of a text that is built in.
    pub(crate) fn open(folder: Option<&Path>, books: &[(&str, &str)]) -> Outcome<Self> {
        let folder = folder.map(Path::to_owned).or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        let Some(folder) = folder else {
            return Texts::built_in(books.len());
        };
        let mut all: Vec<Text> = Vec::new();
        for (file, name) in books {
            let mut corpus = Corpus::builder().file(folder.join(file));
            if let Some(first) = all.first() {
                corpus = corpus.vocab(first.corpus.vocab());
            }
            all.push(Text { name: (*name).to_owned(), corpus: corpus.build()? });
        }
        Ok(Texts { all, instead: None })
    }

    /// What a reader has to know.
    pub(crate) fn say(&self) {
        if let Some(instead) = &self.instead {
            eprintln!("{instead}");
        }
    }

    fn built_in(parts: usize) -> Outcome<Self> {
        let words: Vec<&str> = lipsum::LIBER_PRIMUS.split_whitespace().collect();
        let whole = Corpus::builder().text("De finibus", lipsum::LIBER_PRIMUS).build()?;
        let part = |i: usize| words[words.len() * i / parts..words.len() * (i + 1) / parts].join(" ");
        let text = |i: usize| -> Outcome<Text> {
            let name = format!("De finibus, part {}", i + 1);
            let corpus = Corpus::builder().text(name.as_str(), part(i)).vocab(whole.vocab()).build()?;
            Ok(Text { name, corpus })
        };
        let instead = format!(
            "no folder of texts ({VARIABLE} or --texts): Cicero's De finibus, in {parts} parts, instead. The figures of docs/exercises.md are of other texts."
        );
        Ok(Texts { all: (0..parts).map(text).collect::<Outcome<_>>()?, instead: Some(instead) })
    }
}
