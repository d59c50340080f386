//! A text as numbers.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::{Batches, Cleaning, CorpusBuilder, Tokens, Vocab, ngram_counts};
use crate::Error;

/// The tokens of one or several texts, as numbers of a [`Vocab`].
///
/// The tokens of all lines follow each other with nothing between the lines. Parts ([`Corpus::first`],
/// [`Corpus::split`], [`Corpus::books`]) and clones share the tokens.
///
/// ```
/// use deep_rnn::text::Corpus;
///
/// let corpus = Corpus::builder().text("a", "abcabd").text("b", "dd").max_tokens(4).build()?;
/// assert_eq!(corpus.vocab().tokens(), ["<unk>", "d", "a", "b", "c"]); // of the whole text
/// assert_eq!(corpus.tokens(), [2, 3, 4, 2]);
/// assert_eq!(corpus.rest().unwrap().tokens(), [3, 1, 1, 1]);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct Corpus {
    ids: Arc<[usize]>,
    span: Range<usize>,
    /// What `max_tokens` cut off; it begins where `span` ends.
    rest: Range<usize>,
    books: Arc<[Book]>,
    vocab: Vocab,
    cleaning: Cleaning,
    kind: Tokens,
}

/// One text of the corpus.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

impl Corpus {
    /// Begins a corpus.
    pub fn builder() -> CorpusBuilder {
        CorpusBuilder::default()
    }

    pub(super) fn whole(ids: Vec<usize>, books: Vec<Book>, vocab: Vocab, cleaning: Cleaning, kind: Tokens) -> Self {
        let end = ids.len();
        Corpus { ids: ids.into(), span: 0..end, rest: end..end, books: books.into(), vocab, cleaning, kind }
    }

    /// The numbers of the tokens.
    #[must_use]
    pub fn tokens(&self) -> &[usize] {
        self.ids.get(self.span.clone()).unwrap_or_default()
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.span.len()
    }

    /// Always false: a text without tokens is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.span.is_empty()
    }

    /// The vocabulary. Its counts are those of the text it was made from.
    #[must_use]
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// How the text was cleaned.
    #[must_use]
    pub fn cleaning(&self) -> Cleaning {
        self.cleaning
    }

    /// What one token is.
    #[must_use]
    pub fn kind(&self) -> Tokens {
        self.kind
    }

    /// How many tokens the vocabulary does not have.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.tokens().iter().filter(|&&id| id == 0).count()
    }

    /// The numbers of another text's tokens, after the same cleaning, which (but for [`Cleaning::Keep`]) takes the
    /// space from the ends of a line.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<usize> {
        let lines = self.cleaning.lines(text);
        self.vocab.indices(lines.iter().flat_map(|line| self.kind.split(line)))
    }

    /// The text of token numbers: characters as they come, words with a space between.
    ///
    /// # Errors
    /// [`Error::Value`] when a number is not in the vocabulary.
    pub fn decode(&self, tokens: &[usize]) -> Result<String, Error> {
        Ok(self.kind.join(&self.vocab.to_tokens(tokens)?))
    }

    /// How often each run of `n` tokens occurs, as [`ngram_counts`].
    ///
    /// # Errors
    /// [`Error::Value`] when `n` is 0.
    pub fn ngrams(&self, n: usize) -> Result<Vec<(Vec<&str>, usize)>, Error> {
        let counts = ngram_counts(self.tokens(), n)?;
        counts.into_iter().map(|(run, count)| Ok((self.vocab.to_tokens(run)?, count))).collect()
    }

    /// The first `max_tokens` tokens (all, if there are fewer), with what follows as its [`Corpus::rest`]. At least one
    /// token stays.
    #[must_use]
    pub fn first(&self, max_tokens: usize) -> Corpus {
        let cut = self.span.start.saturating_add(max_tokens.max(1)).min(self.span.end);
        Corpus { span: self.span.start..cut, rest: cut..self.rest.end, ..self.clone() }
    }

    /// What `max_tokens`, or [`Corpus::first`], cut off, if that is anything: text of the same books to try a model on.
    #[must_use]
    pub fn rest(&self) -> Option<Corpus> {
        (!self.rest.is_empty()).then(|| self.part(self.rest.clone()))
    }

    /// Cuts off the last `fraction` of the tokens (rounded): `(training part, held-out part)`. What `max_tokens` cut
    /// off is in neither.
    ///
    /// # Errors
    /// [`Error::Value`] when `fraction` is not between 0 and 1, or so near to one of them that a part would be empty.
    pub fn split(&self, fraction: f64) -> Result<(Corpus, Corpus), Error> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::value("fraction", "a number between 0 and 1, both excluded", fraction));
        }
        let held_out = (self.len() as f64 * fraction).round() as usize;
        if held_out == 0 || held_out >= self.len() {
            let expected = format!("one that leaves both parts of {} tokens something", self.len());
            return Err(Error::value("fraction", expected, fraction));
        }
        let cut = self.span.end - held_out;
        Ok((self.part(self.span.start..cut), self.part(cut..self.span.end)))
    }

    /// Each text that went in, by name, so far as it is in this corpus.
    #[must_use]
    pub fn books(&self) -> Vec<(&str, Corpus)> {
        let part = |book: &Book| book.span.start.max(self.span.start)..book.span.end.min(self.span.end);
        let books = self.books.iter().map(|book| (book, part(book))).filter(|(_, part)| !part.is_empty());
        books.map(|(book, part)| (book.name.as_str(), self.part(part))).collect()
    }

    /// One corpus of several, in order, as of the training parts of two authors. A part that is given twice weighs
    /// twice.
    ///
    /// # Errors
    /// [`Error::Value`] when there is no part, and when a part's vocabulary, cleaning or kind of token is another than
    /// the first one's.
    pub fn join<'a>(parts: impl IntoIterator<Item = &'a Corpus>) -> Result<Corpus, Error> {
        let mut parts = parts.into_iter().peekable();
        let Some(&first) = parts.peek() else { return Err(Error::value("parts", "at least one corpus", "none")) };
        let mut ids: Vec<usize> = Vec::new();
        let mut books = Vec::new();
        for (place, part) in parts.enumerate() {
            if part.vocab != first.vocab || part.cleaning != first.cleaning || part.kind != first.kind {
                let argument = format!("parts[{place}]");
                return Err(Error::value(
                    argument,
                    format_args!("the vocabulary and cleaning of {first:?}"),
                    format_args!("{part:?}"),
                ));
            }
            for (name, book) in part.books() {
                let start = ids.len();
                ids.extend_from_slice(book.tokens());
                books.push(Book { name: name.to_owned(), span: start..ids.len() });
            }
        }
        Ok(Corpus::whole(ids, books, first.vocab.clone(), first.cleaning, first.kind))
    }

    /// [`Batches::sequential`] of this corpus.
    ///
    /// # Errors
    /// As there.
    pub fn sequential(&self, batch_size: usize, num_steps: usize, seed: u64) -> Result<Batches, Error> {
        Batches::sequential(self.shared(), batch_size, num_steps, seed)
    }

    /// [`Batches::random`] of this corpus.
    ///
    /// # Errors
    /// As there.
    pub fn random(&self, batch_size: usize, num_steps: usize, seed: u64) -> Result<Batches, Error> {
        Batches::random(self.shared(), batch_size, num_steps, seed)
    }

    fn part(&self, span: Range<usize>) -> Corpus {
        Corpus { rest: span.end..span.end, span, ..self.clone() }
    }

    fn shared(&self) -> Arc<[usize]> {
        if self.len() == self.ids.len() { Arc::clone(&self.ids) } else { self.tokens().into() }
    }
}

impl fmt::Debug for Corpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Corpus")
            .field("tokens", &self.len())
            .field("rest", &self.rest.len())
            .field("vocab", &self.vocab.len())
            .field("cleaning", &self.cleaning)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
