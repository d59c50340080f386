//! Streaming inference: networks packed once, read by any number of threads, each stream with a state of its own.
//!
//! [`Prepare::prepare`] packs a trained network into a value that never changes and keeps nothing but what a step reads. It
//! is a network that [runs](crate::Run) and can be [stepped](Causal) like any other, but cannot be trained. It is `Send + Sync`: share it by
//! reference or in an `Arc`. The states are those of the network it came from, so a stream may
//! go from the one to the other. A step keeps no tape and allocates nothing, a thread's first one either: what goes from one layer
//! to the next lies on the stack, up to 4,096 numbers (rows times width, for the two widest rows together). Of wider steps, and of
//! layers that take part [as they are](Unprepared), the first one on a thread makes the thread's working memory: make one
//! with a state to throw away before it counts.
//!
//! ```
//! use deep_rnn::prelude::*;
//!
//! let net = Network::<f32>::builder(1).lstm(16).linear(1).seed(1).build()?;
//! let net = net.prepare(Precision::Full)?;
//! // Two streams on two threads: sample in, sample out.
//! let heard = std::thread::scope(|scope| {
//!     let streams = [0.1, 0.2].map(|pitch| {
//!         let net = &net;
//!         scope.spawn(move || {
//!             let (mut state, mut y) = (net.zero_state(1), [0.0]);
//!             for t in 0..100 {
//!                 net.step_rows(&[(pitch * t as f32).sin()], &mut y, &mut state)?;
//!             }
//!             Ok::<f32, Error>(y[0])
//!         })
//!     });
//!     streams.map(|stream| stream.join().unwrap())
//! });
//! let [low, high] = heard;
//! assert!(low? != high?);
//! # Ok::<(), deep_rnn::Error>(())
//! ```
//!
//! # Threads
//!
//! A step runs on the thread that calls it. Of large cells a loop of steps inside [`Threads::install`](crate::cpu::Threads::install)
//! divides the units over the threads, each of which then reads its part of the weights from its own cache: where a step has one row and the
//! weights of a layer are 512 KiB or more for each thread. The results are the same bits. Threads that come late, since their cores are taken, are
//! left out for a while. For sound, where no step may ever be late, stay outside.
//!
//! # Which networks
//!
//! All. [`Gated`](crate::cells::Gated) cells (ours and anybody's, from their [`Pointwise`](crate::cells::Pointwise)) and
//! [`Linear`](crate::layers::Linear) have a packed form, [`Stacked`](crate::Stacked) layers and a
//! [`LanguageModel`](crate::language::LanguageModel) that of what they are made of, [`Tied`](crate::layers::Tied) layers too. What has none takes part as it is, [`Unprepared`]: in a
//! [`Network`](crate::Network) by itself, in a typed stack once its author says so:
//!
//! ```
//! # use deep_rnn::infer::{Precision, Prepare, Unprepared};
//! # use deep_rnn::{Error, RnnCell};
//! # macro_rules! for_cell { ($MyCell:ty) => {
//! impl Prepare for $MyCell {
//!     type Prepared = Unprepared<Self>;
//!     fn prepare(&self, _: Precision) -> Result<Self::Prepared, Error> {
//!         Ok(Unprepared::new(self.clone()))
//!     }
//! }
//! # } }
//! ```

mod boxed;
mod divided;
mod gated;
mod language;
mod learned_state;
mod linear;
mod operands;
mod residual;
mod stacked;
mod steps;
mod tied;
mod unprepared;

pub use crate::layers::Causal;
pub use crate::precision::Precision;
pub use boxed::PreparedBox;
pub use gated::PreparedGated;
pub use language::PreparedLanguageModel;
pub use learned_state::PreparedLearnedState;
pub use linear::PreparedLinear;
pub use residual::PreparedResidual;
pub use stacked::{PreparedNetwork, PreparedStack};
pub use tied::PreparedTied;
pub use unprepared::Unprepared;

use crate::{Error, Recurrent};

/// What can be packed for inference.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be prepared for inference",
    note = "in a `Network` any layer takes part as it is; in a typed stack its author says so: `impl Prepare` with `type Prepared = Unprepared<Self>`"
)]
pub trait Prepare: Recurrent {
    /// The packed form.
    type Prepared: Packed<Elem = Self::Elem, State = Self::State>;

    /// Packs the weights as they are now; later changes to `self` do not reach the packed form.
    ///
    /// # Errors
    /// If a weight or a bias is not finite, or is not in the given precision.
    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error>;
}

/// A network ready to be stepped, by any number of threads at a time.
pub trait Packed: Causal {
    /// Whether its states are told by their type and the shapes of their arrays, with nothing in boxes inside.
    #[doc(hidden)]
    const PLAIN_STATE: bool = false;

    /// Bytes of the packed weights and biases.
    fn bytes(&self) -> usize;
}
