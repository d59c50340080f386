//! Files that are read: regular ones, of the size they say, and no longer than they may be.

use std::fs::File;
#[cfg(feature = "safetensors")]
use std::io::{Cursor, SeekFrom};
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use crate::Error;

/// A file that is open for reading, or its bytes.
#[derive(Debug)]
pub(crate) struct Source<R = File> {
    /// None of bytes.
    path: Option<PathBuf>,
    file: R,
    len: u64,
    read: u64,
}

impl Source {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let io = |error| Error::io(path, error);
        // Asked before it is opened: opening a FIFO waits for somebody to write.
        expect_regular(path, &std::fs::metadata(path).map_err(io)?)?;
        let file = File::open(path).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        expect_regular(path, &about)?;
        Ok(Source { path: Some(path.to_path_buf()), file, len: about.len(), read: 0 })
    }
}

#[cfg(feature = "safetensors")]
impl<'a> Source<Cursor<&'a [u8]>> {
    /// Of the bytes of a file.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Source { path: None, file: Cursor::new(bytes), len: bytes.len() as u64, read: 0 }
    }
}

impl<R: Read + Seek> Source<R> {
    fn named(&self, error: Error) -> Error {
        match &self.path {
            Some(path) => error.in_file(path),
            None => error,
        }
    }

    fn io(&self, error: std::io::Error) -> Error {
        Error::io(self.path.clone().unwrap_or_default(), error)
    }

    /// Bytes in all.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The next `len` bytes, which are there if nobody changes the file.
    pub(crate) fn take(&mut self, len: u64) -> Result<Vec<u8>, Error> {
        let left = self.len.saturating_sub(self.read);
        if len > left {
            let expected = format!("{len} more bytes at {}", self.read);
            return Err(self.named(Error::value("length", expected, left)));
        }
        let size = usize::try_from(len).map_err(|_| Error::value("length", "what memory can hold", len))?;
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(size).is_err() {
            return Err(self.named(Error::value("length", "what memory can hold", len)));
        }
        (&mut self.file).take(len).read_to_end(&mut bytes).map_err(|error| self.io(error))?;
        if bytes.len() < size {
            return Err(self.changed());
        }
        self.read += len;
        Ok(bytes)
    }

    /// Goes past the next `len` bytes.
    #[cfg(feature = "safetensors")]
    pub(crate) fn skip(&mut self, len: u64) -> Result<(), Error> {
        if len > self.len.saturating_sub(self.read) {
            return Err(self.changed());
        }
        self.read += len;
        self.file.seek(SeekFrom::Start(self.read)).map_err(|error| self.io(error))?;
        Ok(())
    }

    /// Refuses a file that has more than was read, or another size by now.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let mut more = [0];
        let read = loop {
            match self.file.read(&mut more) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(|error| self.io(error))?,
            }
        };
        if read > 0 || self.read != self.len { Err(self.changed()) } else { Ok(()) }
    }

    fn changed(&self) -> Error {
        let expected = format!("{} bytes, as when it was opened", self.len);
        self.named(Error::value("length", expected, "another while it was read"))
    }
}

/// A whole file of at most `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut source = Source::open(path)?;
    if source.len() > most {
        return Err(Error::value("length", format!("at most {most} bytes"), source.len()).in_file(path));
    }
    let bytes = source.take(source.len())?;
    source.finish()?;
    Ok(bytes)
}

fn expect_regular(path: &Path, about: &std::fs::Metadata) -> Result<(), Error> {
    if about.is_file() {
        return Ok(());
    }
    let got = if about.is_dir() { "a folder" } else { "a device, pipe or socket" };
    Err(Error::value("kind of file", "a regular file", got).in_file(path))
}
