//! The training kept in a folder, and taken up again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deep_rnn::Error;
use deep_rnn::checkpoint::{Checkpoints, Part, Resume, Snapshot};
use deep_rnn::text::Place;
use deep_rnn::train::Report;

use crate::args::Args;
use crate::train::Epoch;

/// All of a training but the engine.
#[derive(Debug)]
pub(crate) struct SoFar {
    pub(crate) place: Place,
    /// Of the epoch in hand.
    pub(crate) report: Report,
    pub(crate) curve: Curve,
    settings: Settings,
}

impl SoFar {
    pub(crate) fn new(args: &Args) -> Self {
        let (place, report, curve) = (Place::default(), Report::default(), Curve::default());
        SoFar { place, report, curve, settings: Settings::of(args) }
    }
}

/// The epochs that are done, and the time they took.
#[derive(Debug, Default)]
pub(crate) struct Curve {
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) seconds: f64,
}

impl Resume for Curve {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("seconds", self.seconds);
        part.set("epochs", self.epochs.len());
        for (i, epoch) in self.epochs.iter().enumerate() {
            part.set(&format!("perplexity {i}"), epoch.perplexity);
            part.set(&format!("tokens per second {i}"), epoch.tokens_per_second);
            if let Some(held_out) = epoch.held_out {
                part.set(&format!("held-out {i}"), held_out);
            }
        }
        Ok(part)
    }

    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        let epoch = |i: usize| {
            let held_out = format!("held-out {i}");
            Ok(Epoch {
                perplexity: part.get(&format!("perplexity {i}"))?,
                tokens_per_second: part.get(&format!("tokens per second {i}"))?,
                held_out: if part.has(&held_out) { Some(part.get(&held_out)?) } else { None },
            })
        };
        let epochs = (0..part.get("epochs")?).map(epoch).collect::<Result<_, Error>>()?;
        *self = Curve { epochs, seconds: part.get("seconds")? };
        Ok(())
    }
}

/// What must be asked for as it was, since the results depend on it and neither engine nor data know it.
#[derive(Debug)]
struct Settings(String);

impl Settings {
    fn of(args: &Args) -> Self {
        let Args { lr, clip, validation, precision, dropout, .. } = args;
        Settings(format!(
            "--lr {lr} --clip {clip} --validation {validation:?} --precision {precision} --dropout {dropout}"
        ))
    }
}

impl Resume for Settings {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("arguments", &self.0);
        Ok(part)
    }

    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        let kept: String = part.get("arguments")?;
        if kept == self.0 { Ok(()) } else { Err(Error::value("arguments", kept, &self.0)) }
    }
}

/// Whoever keeps the training, if somebody asked for it.
#[derive(Debug)]
pub(crate) struct Keeper(Option<Kept>);

#[derive(Debug)]
struct Kept {
    checkpoints: Checkpoints,
    /// The last one there was.
    found: Option<Snapshot>,
    every: Duration,
    last: Instant,
    stopped: Arc<AtomicBool>,
    folder: PathBuf,
}

impl Keeper {
    pub(crate) fn open(args: &Args) -> Result<Self, Box<dyn std::error::Error>> {
        let Some(folder) = &args.checkpoint else { return Ok(Keeper(None)) };
        let checkpoints = Checkpoints::open(folder)?;
        let found = checkpoints.latest()?;
        match (&found, args.resume) {
            (Some(_), false) => {
                let there = folder.display();
                return Err(
                    format!("{there} has a training already: go on with --resume, or take another folder").into()
                );
            }
            (None, true) => return Err(format!("{} has no checkpoint to go on from", folder.display()).into()),
            _ => {}
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        // The first Ctrl-C asks, the second one does not.
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\nfinishing the window (once more Ctrl-C: leave at once)");
        })?;
        let every = Duration::from_secs_f64(args.checkpoint_every.min(1e9));
        Ok(Keeper(Some(Kept { checkpoints, found, every, last: Instant::now(), stopped, folder: folder.clone() })))
    }

    /// Takes up the training that was found.
    pub(crate) fn restore(&mut self, engine: &mut impl Resume, so_far: &mut SoFar) -> Result<(), Error> {
        let Some(found) = self.0.as_mut().and_then(|kept| kept.found.take()) else { return Ok(()) };
        found.restore("settings", &mut so_far.settings)?;
        found.restore("place", &mut so_far.place)?;
        found.restore("report", &mut so_far.report)?;
        found.restore("curve", &mut so_far.curve)?;
        found.restore("engine", engine)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.as_ref().is_some_and(|kept| kept.stopped.load(Ordering::SeqCst))
    }

    pub(crate) fn is_due(&self) -> bool {
        self.0.as_ref().is_some_and(|kept| kept.last.elapsed() >= kept.every)
    }

    pub(crate) fn save(&mut self, engine: &impl Resume, so_far: &SoFar) -> Result<(), Error> {
        let Some(kept) = &mut self.0 else { return Ok(()) };
        let mut snapshot = Snapshot::new();
        snapshot.add("settings", &so_far.settings)?;
        snapshot.add("place", &so_far.place)?;
        snapshot.add("report", &so_far.report)?;
        snapshot.add("curve", &so_far.curve)?;
        snapshot.add("engine", engine)?;
        kept.checkpoints.save(&snapshot)?;
        kept.last = Instant::now();
        Ok(())
    }

    pub(crate) fn say_how_to_go_on(&self) {
        let Some(kept) = &self.0 else { return };
        let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--resume").collect();
        arguments.push("--resume".into());
        let quoted = arguments.iter().map(|a| if a.contains(' ') { format!("{a:?}") } else { a.clone() });
        let arguments = quoted.collect::<Vec<_>>().join(" ");
        eprintln!("stopped; the training is in {}, and goes on with", kept.folder.display());
        eprintln!("cargo run --release --example time_machine -- {arguments}");
    }
}
