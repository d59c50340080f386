//! Reading real files.

use std::path::PathBuf;

use sha1::{Digest, Sha1};

use super::{clean, gutenberg};
use crate::Error;

/// SHA-1 of the book's `timemachine.txt`, in hexadecimal.
pub const TIME_MACHINE_SHA1: &str = "090b5e7e70c295757f55df93cb0a180b9691891a";

/// A text, or the place of one.
///
/// Reading it removes a byte order mark, makes every line end (`\r\n`, `\r`) a `\n`, and leaves out what Project
/// Gutenberg adds to a book (header, licence, credits, transcriber's notes) if its marker lines are there.
///
/// ```
/// use deep_rnn::text::Source;
///
/// let source = Source::text("note", "\u{feff}one\r\ntwo").sha1("cf0ee1a2acd96ae93fefc04ef0a71c8bf9e9be4e");
/// let error = source.read().unwrap_err().to_string();
/// assert!(error.starts_with("note: expected SHA-1 cf0ee1a2acd96ae93fefc04ef0a71c8bf9e9be4e, got "));
/// assert_eq!(Source::text("note", "\u{feff}one\r\ntwo").read()?, "one\ntwo");
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Source {
    place: Place,
    sha1: Option<String>,
    whole: bool,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Memory { name: String, bytes: Vec<u8> },
}

impl Source {
    /// The file at `path`, in UTF-8. It is opened by [`Source::read`].
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Source { place: Place::File(path.into()), sha1: None, whole: false }
    }

    /// A text in memory; `name` stands in messages.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Source::bytes(name, text.into().into_bytes())
    }

    /// The bytes of a file in memory, in UTF-8; `name` stands in messages.
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Source { place: Place::Memory { name: name.into(), bytes: bytes.into() }, sha1: None, whole: false }
    }

    /// Requires that the bytes, before anything is removed, have this SHA-1: 40 hexadecimal digits of either case.
    #[must_use]
    pub fn sha1(mut self, hex: impl Into<String>) -> Self {
        self.sha1 = Some(hex.into());
        self
    }

    /// Keeps what Project Gutenberg adds to a book.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// The path or the name.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Memory { name, .. } => name.clone(),
        }
    }

    /// The text.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read. [`Error::Value`], which names the file, when it has another SHA-1
    /// than required, when it is not UTF-8 (with the offset of the first bad byte), and when it is empty or nothing but
    /// a byte order mark, white space and Project Gutenberg's additions; also when the required SHA-1 is not 40
    /// hexadecimal digits.
    pub fn read(&self) -> Result<String, Error> {
        let file;
        let bytes = match &self.place {
            Place::File(path) => {
                file = std::fs::read(path).map_err(|source| Error::io(path, source))?;
                &file
            }
            Place::Memory { bytes, .. } => bytes,
        };
        if let Some(expected) = &self.sha1 {
            self.check(bytes, expected)?;
        }
        if bytes.is_empty() {
            return Err(Error::value(self.name(), "text", "an empty file"));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let offset = error.valid_up_to();
            let byte = bytes.get(offset).copied().unwrap_or_default();
            Error::value(self.name(), "UTF-8 text", format_args!("byte 0x{byte:02X} at offset {offset}"))
        })?;
        let text = clean::unix_line_ends(text.strip_prefix('\u{feff}').unwrap_or(text));
        let text = if self.whole { text } else { gutenberg::strip(&text) };
        if text.trim().is_empty() {
            return Err(Error::value(self.name(), "text", "white space or a wrapper of Project Gutenberg only"));
        }
        Ok(text)
    }

    fn check(&self, bytes: &[u8], expected: &str) -> Result<(), Error> {
        if expected.len() != 40 || !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::value("sha1", "40 hexadecimal digits", format_args!("{expected:?}")));
        }
        let got: String = Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if got.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        Err(Error::value(self.name(), format_args!("SHA-1 {}", expected.to_ascii_lowercase()), got))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(source: &Source) -> String {
        source.read().unwrap_err().to_string()
    }

    #[test]
    fn marks_and_line_ends_are_removed() {
        let source = Source::bytes("x", *b"\xEF\xBB\xBFa\r\nb\rc\n");
        assert_eq!(source.read().unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn gutenberg_is_kept_on_wish() {
        let text = "*** START OF THE PROJECT GUTENBERG EBOOK X ***\r\nx\r\n";
        assert_eq!(Source::text("x", text).read().unwrap(), "x\n");
        assert_eq!(Source::text("x", text).whole().read().unwrap().lines().count(), 2);
    }

    #[test]
    fn bad_bytes_are_named_with_their_offset() {
        assert_eq!(
            message(&Source::bytes("x.txt", *b"\xEF\xBB\xBFcaf\xE9.")),
            "x.txt: expected UTF-8 text, got byte 0xE9 at offset 6"
        );
        assert_eq!(message(&Source::bytes("x", *b"a\xC3")), "x: expected UTF-8 text, got byte 0xC3 at offset 1");
    }

    #[test]
    fn nothing_to_read() {
        assert_eq!(message(&Source::text("x", "")), "x: expected text, got an empty file");
        for text in ["\u{feff}", " \r\n", "h\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n"] {
            assert!(message(&Source::text("x", text)).starts_with("x: expected text, got white space"));
        }
        assert!(matches!(Source::file("/no/such/file").read(), Err(Error::Io { .. })));
    }

    #[test]
    fn sha1_is_checked() {
        let abc = "A9993E364706816ABA3E25717850C26C9CD0D89D"; // FIPS 180's example
        assert_eq!(Source::text("x", "abc").sha1(abc).read().unwrap(), "abc");
        let lower = abc.to_ascii_lowercase();
        let got = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        assert_eq!(message(&Source::text("x", "").sha1(abc)), format!("x: expected SHA-1 {lower}, got {got}"));
        for wrong in ["abc".to_owned(), format!("{abc}0"), abc.replace('A', "g")] {
            let message = message(&Source::text("x", "abc").sha1(wrong));
            assert!(message.starts_with("sha1: expected 40 hexadecimal digits"), "{message}");
        }
    }
}
