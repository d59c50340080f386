//! Runs that take long: how long is said before, what is done is kept, and Ctrl-C loses next to nothing.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::table::count;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// One run: a network, a seed, some data.
pub(crate) trait Run {
    /// All that its result depends on: a run of the same name is not made again.
    fn name(&self) -> String;
    /// About how many seconds it takes, by a short trial.
    fn seconds(&self) -> Outcome<f64>;
    /// What comes out; nothing, if it was stopped.
    fn make(&self, watch: &Watch<'_>) -> Outcome<Option<Value>>;
}

/// A folder of results, a line a run.
pub(crate) struct Lab {
    folder: PathBuf,
    results: BTreeMap<String, Value>,
    stopped: Arc<AtomicBool>,
}

/// What a run sees of the lab.
pub(crate) struct Watch<'a> {
    bar: &'a ProgressBar,
    stopped: &'a AtomicBool,
    /// Where it may keep what it needs to go on.
    pub(crate) folder: PathBuf,
    before: f64,
    seconds: f64,
}

impl Watch<'_> {
    /// This share of the run is done.
    pub(crate) fn is_at(&self, share: f64, message: impl FnOnce() -> String) {
        self.bar.set_position(((self.before + share * self.seconds) * 10.0) as u64);
        if !self.bar.is_hidden() {
            self.bar.set_message(message());
        }
    }

    /// A part of the run, which begins at this share and takes that one, with a folder of its own.
    pub(crate) fn part(&self, name: &str, from: f64, share: f64) -> Watch<'_> {
        let before = self.before + from * self.seconds;
        Watch { folder: self.folder.join(name), before, seconds: share * self.seconds, ..*self }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

impl Lab {
    /// Takes up what is in the folder.
    pub(crate) fn open(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let path = folder.join("results.jsonl");
        let mut results = BTreeMap::new();
        if path.exists() {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            // A line that was cut off by a kill is a run that has to be made again; the next one begins a line of its own.
            if !text.is_empty() && !text.ends_with('\n') {
                append(&path, "")?;
            }
            for line in text.lines() {
                let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
                if let Some(name) = value["name"].as_str() {
                    results.insert(name.to_owned(), value.clone());
                }
            }
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        // The first Ctrl-C asks, the second one does not.
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\nfinishing what is in hand (once more Ctrl-C: leave at once)");
        })?;
        Ok(Lab { folder: folder.to_owned(), results, stopped })
    }

    /// A file beside the results.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The results of these runs, in order; nothing, if it was stopped, which it then says.
    pub(crate) fn all<R: Run>(&mut self, runs: &[R]) -> Outcome<Option<Vec<Value>>> {
        let missing: Vec<&R> = runs.iter().filter(|run| !self.results.contains_key(&run.name())).collect();
        let kept = runs.len() - missing.len();
        if kept > 0 {
            eprintln!("{kept} of {} in {} already", count(runs.len(), "run"), self.folder.display());
        }
        if !missing.is_empty() {
            let seconds = missing.iter().map(|run| run.seconds()).collect::<Outcome<Vec<_>>>()?;
            let total: f64 = seconds.iter().sum();
            eprintln!(
                "{}, about {}; results in {}",
                count(missing.len(), "run"),
                duration(total),
                self.folder.display()
            );
            if !self.make(&missing, &seconds)? {
                eprintln!("stopped; the same command goes on");
                return Ok(None);
            }
        }
        Ok(Some(runs.iter().map(|run| self.results[&run.name()]["result"].clone()).collect()))
    }

    /// Whether all were made.
    fn make<R: Run>(&mut self, runs: &[&R], seconds: &[f64]) -> Outcome<bool> {
        let total: f64 = seconds.iter().sum();
        let bar = ProgressBar::with_draw_target(Some((total * 10.0) as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{wide_bar} {percent} %, {eta} left\n{prefix}: {msg}")?;
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_secs(1));
        let (begin, mut before) = (Instant::now(), 0.0);
        for (i, (run, seconds)) in runs.iter().zip(seconds).enumerate() {
            let name = run.name();
            bar.set_prefix(format!("{} of {}, {name}", i + 1, runs.len()));
            let folder = self.folder.join(file_name(&name));
            let watch = Watch { bar: &bar, stopped: &self.stopped, folder: folder.clone(), before, seconds: *seconds };
            let start = Instant::now();
            let result = if watch.is_stopped() { None } else { run.make(&watch)? };
            let Some(result) = result else {
                bar.abandon();
                return Ok(false);
            };
            let took = start.elapsed().as_secs_f64();
            self.keep(&name, took, result)?;
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
            before += seconds;
            if bar.is_hidden() {
                let left = (total - before) * begin.elapsed().as_secs_f64() / before;
                eprintln!("{} of {}, {name}: {}; {} left", i + 1, runs.len(), duration(took), duration(left));
            }
        }
        bar.finish_and_clear();
        Ok(true)
    }

    fn keep(&mut self, name: &str, seconds: f64, result: Value) -> Outcome<()> {
        let path = self.folder.join("results.jsonl");
        let line = json!({ "name": name, "seconds": seconds, "result": result });
        append(&path, &line.to_string())?;
        self.results.insert(name.to_owned(), line);
        Ok(())
    }
}

/// A line at the end of a file, which is there when this returns.
fn append(path: &Path, line: &str) -> Outcome<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{line}").and_then(|()| file.sync_all()));
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A name that can be one of a folder: with a sum of the rest of it (FNV-1a) where it is longer than one may be.
fn file_name(name: &str) -> String {
    const LONGEST: usize = 200;
    let short = name.chars().take(LONGEST).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if name.chars().count() <= LONGEST {
        return short;
    }
    let sum = name.bytes().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) // as the sum is defined
    });
    format!("{short}-{sum:016x}")
}

/// In words: `40 s`, `12 min`, `2 h 05 min`.
pub(crate) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match seconds {
        ..100.0 => format!("{seconds:.0} s"),
        ..5400.0 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// The processor's name, as the system has it.
pub(crate) fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.trim()));
    format!("{}, {}", name.unwrap_or("a processor that does not say its name"), deep_rnn::cpu::simd_level())
}
