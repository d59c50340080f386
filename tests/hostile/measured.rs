//! Reading under measurement.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deep_rnn::prelude::*;

use crate::HEAP;

/// One test at a time, since the memory measured is the process's.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most a reader may take beyond the file's length.
const MOST: usize = 64 << 20;

/// The worst of many readings.
#[derive(Default)]
pub(crate) struct Worst {
    pub(crate) files: usize,
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

impl Worst {
    /// What reading a file gives, which has to be quick and small.
    pub(crate) fn read(&mut self, path: &Path, read: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
        let len = std::fs::metadata(path).map_or(0, |about| about.len() as usize);
        HEAP.reset_peak_usage();
        let (before, start) = (HEAP.current_usage(), Instant::now());
        let result = read(path);
        let (bytes, time) = (HEAP.peak_usage().saturating_sub(before), start.elapsed());
        assert!(bytes < MOST + 3 * len, "{bytes} bytes for a file of {len}");
        // A second, on a machine that others use too.
        assert!(time < Duration::from_secs(3), "{time:?} for a file of {len} bytes");
        self.files += 1;
        self.bytes = self.bytes.max(bytes.saturating_sub(len));
        self.time = self.time.max(time);
        result
    }

    pub(crate) fn print(&self, what: &str) {
        let mib = self.bytes as f64 / f64::from(1 << 20);
        println!("{what}: {} files, at most {mib:.1} MiB beyond the file, {:?}", self.files, self.time);
    }
}

/// All that reads a safetensors file.
pub(crate) fn network(path: &Path) -> Result<(), Error> {
    let first = Network::<f32>::load(path).map(|_| ());
    // No other reader may panic either.
    _ = Network::<f32>::from_torch(path, &deep_rnn::files::Names::auto());
    first
}
