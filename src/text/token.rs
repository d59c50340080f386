//! What one token is.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The unit a text is cut into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tokens {
    /// Each character (Unicode scalar value) is a token.
    #[default]
    Char,
    /// Each run of characters between white space is a token.
    Word,
}

impl Tokens {
    /// Each kind of token.
    pub const ALL: [Tokens; 2] = [Tokens::Char, Tokens::Word];

    /// The name that [`FromStr`] reads: `char`, `word`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tokens::Char => "char",
            Tokens::Word => "word",
        }
    }

    /// The tokens of `text`, in order.
    ///
    /// ```
    /// use deep_rnn::text::Tokens;
    ///
    /// assert_eq!(Tokens::Char.split("çay ").collect::<Vec<_>>(), ["ç", "a", "y", " "]);
    /// assert_eq!(Tokens::Word.split("a  red\nwheel ").collect::<Vec<_>>(), ["a", "red", "wheel"]);
    /// ```
    pub fn split(self, text: &str) -> impl Iterator<Item = &str> + Clone {
        let chars = (self == Tokens::Char)
            .then(|| text.char_indices().filter_map(|(start, c)| text.get(start..start + c.len_utf8())));
        let words = (self == Tokens::Word).then(|| text.split_whitespace());
        chars.into_iter().flatten().chain(words.into_iter().flatten())
    }

    /// Tokens put together to a text again: characters as they come, words with a space between.
    #[must_use]
    pub fn join<S: AsRef<str>>(self, tokens: &[S]) -> String {
        let mut text = String::new();
        for (i, token) in tokens.iter().enumerate() {
            if self == Tokens::Word && i > 0 {
                text.push(' ');
            }
            text.push_str(token.as_ref());
        }
        text
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Tokens {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Tokens::ALL.into_iter().find(|tokens| tokens.name() == name);
        found.ok_or_else(|| Error::value("tokens", "char or word", format_args!("{name:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_joining() {
        for tokens in Tokens::ALL {
            assert_eq!(tokens.to_string().parse::<Tokens>().unwrap(), tokens);
        }
        assert!("".parse::<Tokens>().is_err());
        assert_eq!(Tokens::Char.join(&["a", " ", "b"]), "a b");
        assert_eq!(Tokens::Word.join(&["a", "b"]), "a b");
        assert_eq!(Tokens::Word.join::<&str>(&[]), "");
    }
}
