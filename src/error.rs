//! The one error type. Every message names the argument, what was expected and what came.

use std::fmt::Display;
use std::path::PathBuf;

/// What the public calls that take data (`new`, `build`, engine calls, readers) return on bad input.
///
/// Code of one's own, say a spec or a loss, makes one by the functions below; the fields of a variant may become more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An array has another shape than the network needs.
    #[error("{argument}: expected shape {expected}, got {got}")]
    #[non_exhaustive]
    Shape {
        /// Name of the argument.
        argument: String,
        /// The shape it should have, by letters or numbers.
        expected: String,
        /// The shape it has.
        got: String,
    },
    /// An argument has a value outside its range.
    #[error("{argument}: expected {expected}, got {got}")]
    #[non_exhaustive]
    Value {
        /// Name of the argument.
        argument: String,
        /// The values it may have.
        expected: String,
        /// The value it has.
        got: String,
    },
    /// A number that must be finite is NaN or infinite; whatever was being updated is untouched.
    #[error("{what}: expected a finite number, got {got}; the step is refused and no weight was changed")]
    #[non_exhaustive]
    NotFinite {
        /// Which number.
        what: String,
        /// Its value.
        got: f64,
    },
    /// A file is not what it has to be, or does not fit; nothing was changed.
    #[error("{path}: {reason}", path = path.display())]
    #[non_exhaustive]
    File {
        /// The file.
        path: PathBuf,
        /// What in it is wrong.
        reason: Box<Error>,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    #[non_exhaustive]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::Shape`] for `argument`.
    pub fn shape(argument: impl Into<String>, expected: impl Display, got: &[usize]) -> Self {
        Error::Shape { argument: short(argument.into()), expected: short(expected), got: short(format!("{got:?}")) }
    }

    /// The same of something inside `place`, say a layer: its argument becomes `place: argument`.
    #[must_use]
    pub fn within(self, place: impl Display) -> Self {
        match self {
            Error::Shape { argument, expected, got } => {
                Error::Shape { argument: format!("{place}: {argument}"), expected, got }
            }
            Error::Value { argument, expected, got } => {
                Error::Value { argument: format!("{place}: {argument}"), expected, got }
            }
            Error::NotFinite { what, got } => Error::NotFinite { what: format!("{place}: {what}"), got },
            error @ (Error::Io { .. } | Error::File { .. }) => error,
        }
    }

    /// The same of something in this file.
    #[must_use]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        match self {
            error @ (Error::Io { .. } | Error::File { .. }) => error,
            reason => Error::File { path: path.into(), reason: Box::new(reason) },
        }
    }

    /// An [`Error::NotFinite`] of this number.
    pub fn not_finite(what: impl Into<String>, got: f64) -> Self {
        Error::NotFinite { what: what.into(), got }
    }

    /// An [`Error::Io`] for this file.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { path: path.into(), source }
    }

    /// An [`Error::Value`] for `argument`.
    pub fn value(argument: impl Into<String>, expected: impl Display, got: impl Display) -> Self {
        Error::Value { argument: short(argument.into()), expected: short(expected), got: short(got) }
    }
}

/// The most characters of a text in a message: what comes from a file may be as long as the file.
const LONGEST: usize = 600;

fn short(text: impl Display) -> String {
    let mut text = text.to_string();
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}
