//! Tokens and their numbers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Error;

/// How often each token occurs, most frequent first; tokens that occur equally often stay in the order of their first
/// occurrence.
///
/// A list of lists is counted by `lists.iter().flatten()`.
///
/// ```
/// use deep_rnn::text::count_corpus;
///
/// assert_eq!(count_corpus(["b", "a", "c", "a"]), [("a".into(), 2), ("b".into(), 1), ("c".into(), 1)]);
/// ```
#[must_use]
pub fn count_corpus<I>(tokens: I) -> Vec<(String, usize)>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut counts: Vec<(String, usize)> = Vec::new();
    for token in tokens {
        let token = token.as_ref();
        if let Some(&place) = places.get(token) {
            counts[place].1 += 1;
        } else {
            places.insert(token.to_owned(), counts.len());
            counts.push((token.to_owned(), 1));
        }
    }
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count)); // stable
    counts
}

/// A numbering of tokens.
///
/// Number 0 is [`Vocab::UNK`], which stands for every token the vocabulary does not have; then come the reserved tokens
/// in the order given, then the tokens of the text by falling count, those of equal count in the order of their first
/// occurrence. Cloning is cheap (the tables are shared), and two vocabularies are equal when they number the same
/// tokens alike.
///
/// ```
/// use deep_rnn::text::Vocab;
///
/// let vocab = Vocab::new(["to", "be", "or", "not", "to", "be", "be"], 2, &["<pad>"])?;
/// assert_eq!(vocab.tokens(), ["<unk>", "<pad>", "be", "to"]);
/// assert_eq!(vocab.index("to"), 3);
/// assert_eq!(vocab.index("or"), 0); // occurs less than twice
/// assert_eq!(vocab.token(2), Some("be"));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Vocab {
    tables: Arc<Tables>,
}

#[derive(Debug)]
struct Tables {
    tokens: Vec<String>,
    indices: HashMap<String, usize>,
    freqs: Vec<(String, usize)>,
}

impl Vocab {
    /// The token of number 0.
    pub const UNK: &'static str = "<unk>";

    /// The vocabulary of `tokens` that occur at least `min_freq` times, with `reserved` tokens before them.
    ///
    /// A token of the text that is reserved, or is [`Vocab::UNK`] itself, gets no second number. No tokens at all give
    /// the vocabulary of `<unk>` and `reserved`.
    ///
    /// # Errors
    /// [`Error::Value`] when `reserved` has a token twice, or has [`Vocab::UNK`], which is always there.
    pub fn new<I>(tokens: I, min_freq: usize, reserved: &[&str]) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let head = std::iter::once(Self::UNK).chain(reserved.iter().copied());
        let (mut list, mut indices) = number(head, "reserved")?;
        let freqs = count_corpus(tokens);
        for (token, _) in freqs.iter().take_while(|&&(_, count)| count >= min_freq) {
            if !indices.contains_key(token) {
                indices.insert(token.clone(), list.len());
                list.push(token.clone());
            }
        }
        Ok(Vocab { tables: Arc::new(Tables { tokens: list, indices, freqs }) })
    }

    /// The vocabulary that numbers `tokens` in the order given, as [`Vocab::tokens`] of another returned them. It knows
    /// no counts.
    ///
    /// # Errors
    /// [`Error::Value`] when the first token is not [`Vocab::UNK`] or a token comes twice.
    pub fn from_list<I>(tokens: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let (tokens, indices) = number(tokens, "tokens")?;
        match tokens.first().map(String::as_str) {
            Some(Self::UNK) => Ok(Vocab { tables: Arc::new(Tables { tokens, indices, freqs: Vec::new() }) }),
            Some(other) => Err(Error::value("tokens[0]", Self::UNK, format_args!("{other:?}"))),
            None => Err(Error::value("tokens", format_args!("{} first", Self::UNK), "no tokens")),
        }
    }

    /// How many tokens there are, with `<unk>` and the reserved ones: V.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.tokens.len()
    }

    /// Always false, as `<unk>` is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.tokens.is_empty()
    }

    /// The number of `token`; 0 if it has none.
    #[must_use]
    pub fn index(&self, token: &str) -> usize {
        self.tables.indices.get(token).copied().unwrap_or(0)
    }

    /// The numbers of `tokens`.
    #[must_use]
    pub fn indices<I>(&self, tokens: I) -> Vec<usize>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        tokens.into_iter().map(|token| self.index(token.as_ref())).collect()
    }

    /// Whether `token` has a number of its own.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.tables.indices.contains_key(token)
    }

    /// The token of number `index`, if there is one.
    #[must_use]
    pub fn token(&self, index: usize) -> Option<&str> {
        self.tables.tokens.get(index).map(String::as_str)
    }

    /// The tokens of numbers `indices`.
    ///
    /// # Errors
    /// [`Error::Value`] when a number is not below [`Vocab::len`].
    pub fn to_tokens(&self, indices: &[usize]) -> Result<Vec<&str>, Error> {
        let token = |(place, &index): (usize, &usize)| {
            self.token(index).ok_or_else(|| {
                Error::value(format!("indices[{place}]"), format_args!("a token number below {}", self.len()), index)
            })
        };
        indices.iter().enumerate().map(token).collect()
    }

    /// All tokens; the one at `i` has number `i`.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tables.tokens
    }

    /// The count of each token of the text, most frequent first, those below `min_freq` too. Empty after
    /// [`Vocab::from_list`].
    #[must_use]
    pub fn token_freqs(&self) -> &[(String, usize)] {
        &self.tables.freqs
    }
}

impl PartialEq for Vocab {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tables, &other.tables) || self.tables.tokens == other.tables.tokens
    }
}

impl Eq for Vocab {}

/// Tokens in order with their numbers, each once.
fn number<I>(tokens: I, argument: &str) -> Result<(Vec<String>, HashMap<String, usize>), Error>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut list = Vec::new();
    let mut indices = HashMap::new();
    for token in tokens {
        let token = token.as_ref();
        if indices.insert(token.to_owned(), list.len()).is_some() {
            let expected = format!("each token once ({} is always there, at 0)", Vocab::UNK);
            return Err(Error::value(argument, expected, format_args!("{token:?} again")));
        }
        list.push(token.to_owned());
    }
    Ok((list, indices))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_keep_the_order_of_first_occurrence() {
        let text = ["z", "y", "x", "y", "w", "x", "a"];
        let vocab = Vocab::new(text, 0, &[]).unwrap();
        assert_eq!(vocab.tokens(), ["<unk>", "y", "x", "z", "w", "a"]);
        assert_eq!(vocab, Vocab::new(text, 1, &[]).unwrap());
    }

    #[test]
    fn tokens_below_min_freq_are_unknown_but_counted() {
        let vocab = Vocab::new(["a", "b", "a"], 2, &[]).unwrap();
        assert_eq!(vocab.indices(["a", "b", "c"]), [1, 0, 0]);
        assert_eq!(vocab.token_freqs(), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(Vocab::new(["a"], usize::MAX, &[]).unwrap().len(), 1);
    }

    #[test]
    fn reserved_tokens_get_one_number() {
        let vocab = Vocab::new(["<eos>", "a", "<unk>"], 0, &["<pad>", "<eos>"]).unwrap();
        assert_eq!(vocab.tokens(), ["<unk>", "<pad>", "<eos>", "a"]);
        for reserved in [["<pad>", "<pad>"], ["<pad>", "<unk>"]] {
            let error = Vocab::new(["a"], 0, &reserved).unwrap_err().to_string();
            assert!(error.starts_with("reserved: expected each token once"), "{error}");
        }
        assert_eq!(Vocab::new([""; 0], 0, &[]).unwrap().tokens(), ["<unk>"]);
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let vocab = Vocab::new(["a"], 0, &[]).unwrap();
        assert_eq!(vocab.token(2), None);
        let error = vocab.to_tokens(&[0, 1, usize::MAX]).unwrap_err().to_string();
        assert!(error.starts_with("indices[2]: expected a token number below 2"), "{error}");
    }

    #[test]
    fn from_list_restores_the_numbering() {
        let vocab = Vocab::new(["b", "a"], 0, &["<pad>"]).unwrap();
        assert_eq!(Vocab::from_list(vocab.tokens()).unwrap(), vocab);
        assert!(Vocab::from_list([""; 0]).is_err());
        assert!(Vocab::from_list(["a", "<unk>"]).is_err());
        assert!(Vocab::from_list(["<unk>", "a", "a"]).is_err());
    }
}
