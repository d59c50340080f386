//! Which characters of a line are kept.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::Error;

/// How a text becomes lines of kept characters.
///
/// Except with [`Cleaning::Keep`], a run of characters that are not kept becomes one space, and a line neither begins
/// nor ends with a space; a line of which nothing is kept stays as an empty line. Lines end at `\n`, `\r\n` or a lone
/// `\r`.
///
/// ```
/// use deep_rnn::text::Cleaning;
///
/// assert_eq!(Cleaning::Book.line("  The Time-Traveller's 3 İLAÇ "), "the time traveller s la");
/// assert_eq!(Cleaning::Turkish.line("IŞIK, İLAÇ!"), "ışık ilaç");
/// assert_eq!(Cleaning::Keep.lines("One,\r\ntwo"), ["One,\n", "two"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cleaning {
    /// The book's rule, `re.sub('[^A-Za-z]+', ' ', line).strip().lower()`: English letters only. It destroys text in
    /// any other language.
    #[default]
    Book,
    /// Letters of every script (the Unicode property *Alphabetic*), with the combining marks that stand on them, in
    /// normal form C and lower case by the default rules of Unicode.
    ///
    /// By these rules `Σ` at the end of a word becomes `ς`, and `İ` becomes *two* characters, `i` and U+0307. Marks
    /// that stand on anything else go with it. Joiners (U+200C, U+200D) and soft hyphens are not letters: they become a
    /// space.
    Unicode,
    /// As [`Cleaning::Unicode`], with the casing of Turkish and Azerbaijani: `I` becomes `ı` and `İ` becomes `i`
    /// (composed or as `I` and U+0307).
    Turkish,
    /// Every character as it is, upper case and punctuation too. Only line ends are changed, to `\n`, and they are kept
    /// as characters of the text.
    Keep,
}

impl Cleaning {
    /// Each way of cleaning.
    pub const ALL: [Cleaning; 4] = [Cleaning::Book, Cleaning::Unicode, Cleaning::Turkish, Cleaning::Keep];

    /// The name that [`FromStr`] reads: `book`, `unicode`, `turkish`, `keep`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cleaning::Book => "book",
            Cleaning::Unicode => "unicode",
            Cleaning::Turkish => "turkish",
            Cleaning::Keep => "keep",
        }
    }

    /// The cleaned lines of `text`, empty ones too. With [`Cleaning::Keep`] each line still has its `\n`.
    ///
    /// As in Python's `readlines`, an end of line at the end of the text does not begin another line.
    #[must_use]
    pub fn lines(self, text: &str) -> Vec<String> {
        unix_line_ends(text).split_inclusive('\n').map(|line| self.line(line)).collect()
    }

    /// One line cleaned. An end of line within it counts as any other character that is not a letter.
    #[must_use]
    pub fn line(self, line: &str) -> String {
        match self {
            Cleaning::Book => {
                keep(line.chars(), |c, _| c.is_ascii_alphabetic(), |c, out| out.push(c.to_ascii_lowercase()))
            }
            Cleaning::Unicode => letters(line, |c, out| out.push(c)),
            // In normal form C an `I` with a dot above is always `İ`, and `Î` is not an `I`.
            Cleaning::Turkish => letters(line, |c, out| {
                out.push(match c {
                    'I' => 'ı',
                    'İ' => 'i',
                    other => other,
                });
            }),
            Cleaning::Keep => unix_line_ends(line),
        }
    }
}

impl fmt::Display for Cleaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Cleaning {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Cleaning::ALL.into_iter().find(|cleaning| cleaning.name() == name);
        found.ok_or_else(|| Error::value("cleaning", "one of book, unicode, turkish, keep", format_args!("{name:?}")))
    }
}

/// `\r\n` and lone `\r` become `\n`.
pub(super) fn unix_line_ends(text: &str) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() }
}

/// Letters and their marks; `push` writes a letter with its casing, if it has one of its own.
fn letters(line: &str, push: impl Fn(char, &mut String)) -> String {
    let is_kept = |c: char, after_letter: bool| if is_combining_mark(c) { after_letter } else { c.is_alphabetic() };
    // The whole line at once, because the lower case of `Σ` depends on its neighbours.
    let kept = keep(line.nfc(), is_kept, push).to_lowercase();
    kept.nfc().collect()
}

/// Writes the characters that `is_kept` (told whether the one before was kept), with one space for each run of others
/// between them.
fn keep(
    chars: impl Iterator<Item = char>,
    is_kept: impl Fn(char, bool) -> bool,
    push: impl Fn(char, &mut String),
) -> String {
    let mut out = String::new();
    let mut gap = false;
    for c in chars {
        if is_kept(c, !gap && !out.is_empty()) {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            push(c, &mut out);
            gap = false;
        } else {
            gap = true;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn book_follows_the_regular_expression() {
        let lines = Cleaning::Book.lines("The  Time--Machine, 1895\r\n\r\n_'tis_\rÉté\n");
        assert_eq!(lines, ["the time machine", "", "tis", "t"]);
        assert_eq!(Cleaning::Book.lines(""), [""; 0]);
        assert_eq!(Cleaning::Book.lines("\n\n"), ["", ""]);
    }

    #[test]
    fn unicode_keeps_marks_with_their_letters() {
        assert_eq!(Cleaning::Unicode.line("E\u{301}TE\u{301} 1\u{301} x"), "été x"); // composed; the mark on 1 goes
        assert_eq!(Cleaning::Unicode.line("\u{301}a"), "a"); // a mark with no letter
        assert_eq!(Cleaning::Unicode.line("q\u{323}\u{307}!"), "q\u{323}\u{307}"); // no composed form
        assert_eq!(Cleaning::Unicode.line("हिन्दी — ΟΔΟΣ, Straße"), "हिन्दी οδος straße");
        assert_eq!(Cleaning::Unicode.line("ИЙ и\u{306}"), "ий й");
        assert_eq!(Cleaning::Unicode.line("İ"), "i\u{307}");
        assert_eq!(Cleaning::Unicode.line("İ\u{327}"), "i\u{327}\u{307}"); // in normal form after lower case too
    }

    #[test]
    fn turkish_casing() {
        assert_eq!(Cleaning::Turkish.line("IĞDIR'ın İşi, ŞİŞ I\u{307}L Îm"), "ığdır ın işi şiş il îm");
        assert_eq!(Cleaning::Turkish.line("ı i ş ğ"), "ı i ş ğ");
    }

    #[test]
    fn keep_changes_line_ends_only() {
        assert_eq!(Cleaning::Keep.lines("A\r\n\r\nB\rc 1!"), ["A\n", "\n", "B\n", "c 1!"]);
    }

    #[test]
    fn names_are_read_back() {
        for cleaning in Cleaning::ALL {
            assert_eq!(cleaning.to_string().parse::<Cleaning>().unwrap(), cleaning);
        }
        let error = "Book".parse::<Cleaning>().unwrap_err().to_string();
        assert_eq!(error, "cleaning: expected one of book, unicode, turkish, keep, got \"Book\"");
    }
}
