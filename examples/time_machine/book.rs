//! Where the book's text comes from: a folder of this user's, else the book's data host.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use deep_rnn::text::{Source, TIME_MACHINE_SHA1};

/// The data host of "Dive into Deep Learning".
pub(crate) const URL: &str = "http://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt";

/// Where a text is kept, and where it comes from the first time.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    pub(crate) url: String,
    /// Of the whole file; any other content is refused wherever it comes from.
    pub(crate) sha1: String,
    /// None where the system names no such folder: then nothing is kept.
    pub(crate) folder: Option<PathBuf>,
    /// For all of the download: name look-up, connection, every byte.
    pub(crate) time_limit: Duration,
    /// In bytes.
    pub(crate) size_limit: u64,
}

/// A text with the right SHA-1.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) source: Source,
    /// Why it will have to be downloaded again next time.
    pub(crate) not_kept: Option<String>,
}

/// Why there is no text.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The host could not be reached, or did not send the file within the limits.
    Download(String),
    /// It sent something else.
    Content(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Download(reason) => write!(f, "no download: {reason}"),
            Problem::Content(reason) => write!(f, "the download is not the book's file: {reason}"),
        }
    }
}

impl Shelf {
    /// The Time Machine, 178 979 bytes.
    pub(crate) fn of_the_book(url: &str) -> Self {
        Shelf {
            url: url.to_owned(),
            sha1: TIME_MACHINE_SHA1.to_owned(),
            folder: cache_folder(),
            time_limit: Duration::from_secs(5),
            size_limit: 1 << 20,
        }
    }

    /// The kept text if it is the right one, else the downloaded one, which is then kept.
    pub(crate) fn get(&self) -> Result<Found, Problem> {
        let kept = self.folder.as_ref().map(|folder| folder.join("timemachine.txt"));
        if let Some(path) = &kept {
            let source = Source::file(path).sha1(&self.sha1);
            if source.read().is_ok() {
                return Ok(Found { source, not_kept: None });
            }
        }
        let bytes = self.download().map_err(|error| Problem::Download(format!("{}: {error}", self.url)))?;
        let source = Source::bytes("timemachine.txt", &bytes[..]).sha1(&self.sha1);
        source.read().map_err(|error| Problem::Content(error.to_string()))?;
        let not_kept = match kept {
            Some(path) => keep(&path, &bytes).err().map(|error| format!("{}: {error}", path.display())),
            None => Some("this system names no folder for it".to_owned()),
        };
        Ok(Found { source, not_kept })
    }

    fn download(&self) -> Result<Vec<u8>, ureq::Error> {
        let mut config = ureq::Agent::config_builder().timeout_global(Some(self.time_limit));
        if self.url.starts_with("http://127.0.0.1") {
            config = config.proxy(None); // which would look for the server on its own machine
        }
        let agent = ureq::Agent::new_with_config(config.build());
        agent.get(&self.url).call()?.body_mut().with_config().limit(self.size_limit).read_to_vec()
    }
}

/// Writes a file that is there in full or not at all, whoever else is writing it.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension(format!("{}.part", std::process::id()));
    let written = fs::File::create(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // Nothing more can be done about the rest if this fails as well.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// `deep-rnn` in the folder where programs of this user keep what they can get again.
fn cache_folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| env::home_dir().map(|home| home.join(".cache")))
    };
    caches.filter(|path| path.is_absolute()).map(|path| path.join("deep-rnn"))
}
