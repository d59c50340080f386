//! A folder of checkpoints.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Snapshot, format};
use crate::Error;
use crate::files::replace::{TEMPORARY, replace, sync_folder};
use crate::files::source;

/// The longest file that is read, in bytes: 64 GiB.
const LONGEST: u64 = 1 << 36;
const BEGIN: &str = "checkpoint-";
const END: &str = ".safetensors";

/// A folder with the last few snapshots of a training. Whoever has it open is alone in it: another process, or a second
/// one here, is refused until this is dropped or its process has ended.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
    /// Held as long as this is.
    lock: File,
}

impl Drop for Checkpoints {
    /// Lets go of the folder at once: closed alone, the file would be held on by a process that is just being started elsewhere in the
    /// program, until that runs.
    fn drop(&mut self) {
        _ = self.lock.unlock();
    }
}

impl Snapshot {
    /// Writes it into a file: all of it, or nothing, and what was there stays.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let bytes = self.to_bytes().map_err(|error| error.in_file(path))?;
        replace(path, |file| file.write_all(&bytes))
    }

    /// The one in a file.
    ///
    /// # Errors
    /// If the file can't be read, or is none that was [written](Snapshot::write) and stayed as it was.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        format::from_bytes(source::read(path, LONGEST)?).map_err(|error| error.in_file(path))
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// If there are more arrays than a file can have.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        format::to_bytes(self)
    }

    /// The one in the bytes of a file.
    ///
    /// # Errors
    /// As [`read`](Snapshot::read).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        format::from_bytes(bytes.to_vec())
    }
}

impl Checkpoints {
    /// Opens a folder, which is made if it is not there, and removes what a save that was killed has left.
    ///
    /// # Errors
    /// If it can't be made or read, or somebody else has it open.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref().to_path_buf();
        let io = |error| Error::io(&folder, error);
        std::fs::create_dir_all(&folder).map_err(io)?;
        let lock = lock(&folder)?;
        let checkpoints = Checkpoints { folder: folder.clone(), keep: 3, lock };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                std::fs::remove_file(entry.path()).map_err(|error| Error::io(entry.path(), error))?;
            }
        }
        Ok(checkpoints)
    }

    /// How many of the last ones are kept, 1 at least; 3 if not said.
    #[must_use]
    pub fn keep(mut self, number: usize) -> Self {
        self.keep = number.max(1);
        self
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes one more, and removes those that are too many; where it is.
    ///
    /// # Errors
    /// If it can't be written: then all that were there are.
    pub fn save(&mut self, snapshot: &Snapshot) -> Result<PathBuf, Error> {
        let all = self.paths()?;
        let number = all.last().map_or(Some(1), |(number, _)| number.checked_add(1));
        let Some(number) = number else {
            return Err(Error::value("number of a checkpoint", format!("below {}", u64::MAX), u64::MAX));
        };
        let path = self.folder.join(format!("{BEGIN}{number:08}{END}"));
        snapshot.write(&path)?;
        let too_many = (all.len() + 1).saturating_sub(self.keep);
        for (_, old) in &all[..too_many.min(all.len())] {
            std::fs::remove_file(old).map_err(|error| Error::io(old, error))?;
        }
        sync_folder(&self.folder).map_err(|error| Error::io(&self.folder, error))?;
        Ok(path)
    }

    /// The last one; none in an empty folder.
    ///
    /// # Errors
    /// If it can't be read, or is damaged: it is named, and once it is removed the one before it is the last.
    pub fn latest(&self) -> Result<Option<Snapshot>, Error> {
        match self.paths()?.last() {
            Some((_, path)) => Snapshot::read(path).map(Some),
            None => Ok(None),
        }
    }

    /// The checkpoints there are, the oldest first.
    fn paths(&self) -> Result<Vec<(u64, PathBuf)>, Error> {
        let io = |error| Error::io(&self.folder, error);
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
            if let Some(number) = number.and_then(|digits| digits.parse().ok()) {
                all.push((number, entry.path()));
            }
        }
        all.sort();
        Ok(all)
    }
}

/// The folder, so that nobody else has it: the system lets go of it when the process ends, however it does.
fn lock(folder: &Path) -> Result<File, Error> {
    // Where a folder is no file that could be locked, one in it is.
    let lock = if cfg!(unix) { File::open(folder) } else { File::create(folder.join(".lock")) };
    let lock = lock.map_err(|error| Error::io(folder, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let expected = "one that nobody else has open";
            Err(Error::value("folder of checkpoints", expected, "another training's").in_file(folder))
        }
        Err(TryLockError::Error(error)) => Err(Error::io(folder, error)),
    }
}
