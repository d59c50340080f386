//! Files that are written: whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
#[cfg(any(feature = "audio", feature = "onnx"))]
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// What a temporary file's name begins with.
pub(crate) const TEMPORARY: &str = ".deep-rnn-";

/// Writes a file in the place of `path`: to a temporary one beside it, which is synced and renamed, and then the folder is synced. Until the
/// rename the old file is there, after it the new one, whatever happens in between. A link is followed.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<(), Error> {
    let target = target(path)?;
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let (temporary, mut file) = create_beside(&folder).map_err(|error| Error::io(path, error))?;
    let result = write(&mut file).and_then(|()| keep_permissions(&target, &file)).and_then(|()| file.sync_all());
    drop(file);
    let result = result.and_then(|()| std::fs::rename(&temporary, &target)).and_then(|()| sync_folder(&folder));
    result.map_err(|error| {
        // What could not be finished is of no use; if it can't be removed either, there is nothing more to be done.
        _ = std::fs::remove_file(&temporary);
        Error::io(path, error)
    })
}

/// The file that a path means, through links.
fn target(path: &Path) -> Result<PathBuf, Error> {
    let refused = |got: &str| Err(Error::value("target", "a regular file, or none yet", got).in_file(path));
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if path.file_name().is_some() {
                Ok(path.to_path_buf())
            } else {
                refused("no name of a file")
            }
        }
        Err(error) => Err(Error::io(path, error)),
        Ok(about) if about.is_symlink() => {
            let target = std::fs::canonicalize(path).map_err(|error| Error::io(path, error))?;
            if target.is_file() { Ok(target) } else { refused("a link to something else") }
        }
        Ok(about) if about.is_file() => Ok(path.to_path_buf()),
        Ok(about) if about.is_dir() => refused("a folder"),
        Ok(_) => refused("a device, pipe or socket"),
    }
}

/// A new file that nobody else has.
fn create_beside(folder: &Path) -> std::io::Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            file => return Ok((path, file?)),
        }
    }
}

/// The new file may be read and written by whom the old one was.
fn keep_permissions(target: &Path, file: &File) -> std::io::Result<()> {
    match std::fs::metadata(target) {
        Ok(about) => file.set_permissions(about.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a rename last. Where a folder can't be opened as a file, the system sees to it.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Writes these bytes in the place of `path`.
#[cfg(any(feature = "audio", feature = "onnx"))]
pub(crate) fn replace_with(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, |file| file.write_all(bytes))
}
