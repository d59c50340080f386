//! Trainings that go on where they stopped, to the bit.
//!
//! A [`Snapshot`] holds all that a training rests on, as named parts: the engine (weights, what the optimiser keeps, the carried state,
//! counters and the key of its random layers), the place in the data, the report so far, and whatever else
//! says how it is kept ([`Resume`]). [`Checkpoints`] is a folder of the last few of them.
//!
//! ```
//! use deep_rnn::prelude::*;
//! use deep_rnn::checkpoint::{Checkpoints, Snapshot};
//! use deep_rnn::text::{Corpus, Place};
//!
//! # let folder = std::env::temp_dir().join(format!("deep-rnn-doc-checkpoints-{}", std::process::id()));
//! let corpus = Corpus::builder().text("a line", "the time traveller for so it will be convenient to speak of him").build()?;
//! let run = |windows: usize| -> Result<_, Error> {
//!     let net = Network::<f32>::builder(corpus.vocab().len()).lstm(8).dropout(0.2).seed(1).build()?;
//!     let mut bptt = Bptt::builder(LanguageModel::new(net, 1)?).optimizer(Adam::new(0.01)).build()?;
//!     let mut batches = corpus.sequential(2, 4, 1)?;
//!     let mut checkpoints = Checkpoints::open(&folder)?.keep(2);
//!     let mut place = Place::default();
//!     if let Some(snapshot) = checkpoints.latest()? {
//!         snapshot.restore("engine", &mut bptt)?;
//!         snapshot.restore("data", &mut place)?;
//!     }
//!     let mut epoch = batches.from(&place)?;
//!     for _ in 0..windows {
//!         let batch = match epoch.next() {
//!             Some(batch) => batch,
//!             None => {
//!                 epoch = batches.epoch();
//!                 epoch.next().expect("an epoch has a batch")
//!             }
//!         };
//!         bptt.train_batch(&batch)?;
//!     }
//!     let mut snapshot = Snapshot::new();
//!     snapshot.add("engine", &bptt)?;
//!     snapshot.add("data", &epoch.place())?;
//!     checkpoints.save(&snapshot)?;
//!     Ok(bptt)
//! };
//! run(13)?;
//! let stopped = run(12)?; // a new engine, a new loader; in a new process it is the same
//! # std::fs::remove_dir_all(&folder).unwrap();
//! let whole = run(25)?;
//! # std::fs::remove_dir_all(&folder).unwrap();
//! let bits = |bptt: &Bptt<LanguageModel<Network<f32>>, CrossEntropy, Adam<_>>| bptt.model().head().w().to_owned();
//! assert_eq!(bits(&stopped), bits(&whole));
//! # Ok::<(), deep_rnn::Error>(())
//! ```
//!
//! # What is kept and what is not
//!
//! Settings that the program gives anyway (loss, window, clip, threads, a schedule, which goes by the number of updates) are the
//! program's. The optimiser's are kept, since they may have been changed on the way. A part is refused where it is of another
//! network, other data, another type of numbers or a later version.
//!
//! # Files
//!
//! A checkpoint is a safetensors file with a SHA-1 over all of it. It is written to a temporary file, synced, renamed, and its folder
//! synced: a kill at any moment leaves a complete old or new one. Whoever has the folder open is alone in it.

#[cfg(feature = "safetensors")]
mod folder;
#[cfg(feature = "safetensors")]
mod format;
mod snapshot;

pub use crate::part::{Part, Resume};
#[cfg(feature = "safetensors")]
pub use folder::Checkpoints;
pub use snapshot::Snapshot;
