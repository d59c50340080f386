//! How a corpus is put together.

use std::path::PathBuf;

use super::corpus::{Book, Corpus};
use super::{Cleaning, Source, Tokens, Vocab};
use crate::Error;

/// Says what goes into a [`Corpus`]: texts, how they are read, and the vocabulary.
///
/// Without anything said but the text it is the book's `load_corpus_time_machine()`: [`Cleaning::Book`],
/// [`Tokens::Char`], every token counts, no reserved tokens, all of the text.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct CorpusBuilder {
    sources: Vec<Source>,
    cleaning: Cleaning,
    tokens: Tokens,
    min_freq: usize,
    reserved: Vec<String>,
    max_tokens: usize,
    vocab: Option<Vocab>,
}

impl CorpusBuilder {
    /// Adds the file at `path`. Several texts are joined in the order they are added, with nothing between.
    pub fn file(self, path: impl Into<PathBuf>) -> Self {
        self.source(Source::file(path))
    }

    /// Adds a text in memory; `name` stands in messages and in [`Corpus::books`].
    pub fn text(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.source(Source::text(name, text))
    }

    /// Adds a source, as a file whose SHA-1 is known.
    pub fn source(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// Which characters are kept. [`Cleaning::Book`] if not said.
    pub fn cleaning(mut self, cleaning: Cleaning) -> Self {
        self.cleaning = cleaning;
        self
    }

    /// What one token is. [`Tokens::Char`] if not said.
    pub fn tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// Tokens that occur fewer times than this are unknown. 0 if not said.
    pub fn min_freq(mut self, min_freq: usize) -> Self {
        self.min_freq = min_freq;
        self
    }

    /// Tokens that get the numbers after `<unk>`, whether they occur or not.
    pub fn reserved<I>(mut self, tokens: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.reserved = tokens.into_iter().map(Into::into).collect();
        self
    }

    /// Cuts the corpus, not the vocabulary, to its first `max_tokens` tokens; what follows is [`Corpus::rest`]. 0, the
    /// default, is all.
    pub fn max_tokens(mut self, max_tokens: usize) -> Self {
        self.max_tokens = max_tokens;
        self
    }

    /// Numbers the tokens by this vocabulary, as for a text on which a trained model is tried.
    pub fn vocab(mut self, vocab: &Vocab) -> Self {
        self.vocab = Some(vocab.clone());
        self
    }

    /// Reads the texts.
    ///
    /// # Errors
    /// What [`Source::read`] returns; [`Error::Value`] when there is no source, when nothing of a source is left after
    /// cleaning, when [`Vocab::new`] refuses the reserved tokens, and when `min_freq` or `reserved` come with a
    /// vocabulary that is there already.
    pub fn build(self) -> Result<Corpus, Error> {
        if self.sources.is_empty() {
            return Err(Error::value("sources", "at least one file or text", "none"));
        }
        if self.vocab.is_some() && self.min_freq > 0 {
            return Err(Error::value("min_freq", "0 with a vocabulary that is there already", self.min_freq));
        }
        if self.vocab.is_some() && !self.reserved.is_empty() {
            let got = format!("{:?}", self.reserved);
            return Err(Error::value("reserved", "none with a vocabulary that is there already", got));
        }
        let mut texts = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            let lines = self.cleaning.lines(&source.read()?);
            if lines.iter().all(|line| self.tokens.split(line).next().is_none()) {
                let expected = format!("a text with {} tokens", self.tokens);
                return Err(Error::value(
                    source.name(),
                    expected,
                    format_args!("none after {} cleaning", self.cleaning),
                ));
            }
            texts.push((source.name(), lines));
        }
        let vocab = match self.vocab {
            Some(vocab) => vocab,
            None => {
                let reserved: Vec<&str> = self.reserved.iter().map(String::as_str).collect();
                let lines = texts.iter().flat_map(|(_, lines)| lines);
                Vocab::new(lines.flat_map(|line| self.tokens.split(line)), self.min_freq, &reserved)?
            }
        };
        let mut ids = Vec::new();
        let mut books = Vec::with_capacity(texts.len());
        for (name, lines) in texts {
            let start = ids.len();
            ids.extend(lines.iter().flat_map(|line| self.tokens.split(line)).map(|token| vocab.index(token)));
            books.push(Book { name, span: start..ids.len() });
        }
        let whole = Corpus::whole(ids, books, vocab, self.cleaning, self.tokens);
        Ok(if self.max_tokens == 0 { whole } else { whole.first(self.max_tokens) })
    }
}
