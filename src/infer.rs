//! Streaming inference: networks packed once, read by any number of threads, each stream with a state of its own.
//!
//! [`Prepare::prepare`] packs a trained network into a value that never changes and keeps nothing but what a step reads. It
//! is `Send + Sync`: share it by reference or in an `Arc`. The states are those of the network it came from, so a stream may
//! go from the one to the other. A step keeps no tape and allocates nothing, a thread's first one either: what goes from one layer
//! to the next lies on the stack, up to 4,096 numbers (rows times width, for the two widest rows together). Of wider steps, and of
//! cells that take part [as they are](Unprepared), the first one on a thread makes the thread's working memory: make one
//! with a state to throw away before it counts.
//!
//! ```
//! use deep_rnn::prelude::*;
//! use deep_rnn::{Chain, Linear};
//!
//! let net = Chain::builder(1).layer(Lstm::<f32>::spec(16)).layer(Linear::spec(1)).seed(1).build()?;
//! let net = net.prepare(Precision::Full)?;
//! // Two streams on two threads: sample in, sample out.
//! let heard = std::thread::scope(|scope| {
//!     let streams = [0.1, 0.2].map(|pitch| {
//!         let net = &net;
//!         scope.spawn(move || {
//!             let (mut state, mut y) = (net.zero_state(1), [0.0]);
//!             for t in 0..100 {
//!                 net.step_rows(&[(pitch * t as f32).sin()], &mut y, &mut state);
//!             }
//!             y[0]
//!         })
//!     });
//!     streams.map(|stream| stream.join().unwrap())
//! });
//! assert!(heard[0] != heard[1]);
//! # Ok::<(), deep_rnn::Error>(())
//! ```
//!
//! # Which networks
//!
//! [`Gated`](crate::Gated) cells (ours and anybody's, from their [`Pointwise`](crate::Pointwise)), [`Linear`](crate::Linear),
//! [`Stacked`](crate::Stacked) and [`Chain`](crate::Chain) of what can be prepared, [`LanguageModel`](crate::LanguageModel).
//! A cell that has no packed form takes part as it is, [`Unprepared`]:
//!
//! ```
//! # use deep_rnn::{Error, RnnCell, infer::{Precision, Prepare, Unprepared}};
//! # macro_rules! for_cell { ($MyCell:ty) => {
//! impl Prepare for $MyCell {
//!     type Prepared = Unprepared<Self>;
//!     fn prepare(&self, _: Precision) -> Result<Self::Prepared, Error> {
//!         Ok(Unprepared::new(self.clone()))
//!     }
//! }
//! # } }
//! ```

mod gated;
mod language;
mod layers;
mod linear;
mod operands;
mod unprepared;

pub use gated::PreparedGated;
pub use language::PreparedLanguageModel;
pub use layers::{EachLayer, InferLayers, InferTokenLayers, PrepareLayers, PreparedLayers};
pub use linear::PreparedLinear;
pub use unprepared::{PreparedOneHot, Unprepared};

use std::fmt;
use std::str::FromStr;

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3};

use crate::kernel::scratch;
use crate::kernel::views::{contiguous, view};
use crate::{Error, Float, Recurrent, State};

/// The form in which a prepared network keeps its weights. Biases, states and sums have the network's own type always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// As they are: the same bits as the network itself.
    #[default]
    Full,
    /// The nearest bfloat16 number, 2 bytes; relative error at most 2⁻⁸. The results are the same bits as those of a network
    /// with such weights.
    Bf16,
    /// w ≈ scale · q with a whole number |q| ≤ 127, 1 byte; one scale for each column of a weight, the largest |w| of the
    /// column over 127. The error of a weight is at most half a scale.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Precision::Full => "full",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;
    /// By the name it is displayed with.
    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Precision::Full, Precision::Bf16, Precision::Int8];
        all.into_iter()
            .find(|p| p.to_string() == name)
            .ok_or_else(|| Error::value("precision", "full, bf16, int8", name))
    }
}

/// What can be packed for inference.
pub trait Prepare: Recurrent {
    /// The packed form.
    type Prepared: Infer<Elem = Self::Elem, State = Self::State>;

    /// Packs the weights as they are now; later changes to `self` do not reach the packed form.
    ///
    /// # Errors
    /// If a weight or a bias is not finite, or is not in the given precision.
    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error>;
}

/// A network ready to be stepped, by any number of threads at a time.
pub trait Infer: Send + Sync {
    /// `f32` or `f64`.
    type Elem: Float;
    /// What goes from one step to the next: one value for each stream, or batch of streams.
    type State: State<Self::Elem>;

    /// D, the width of an input row.
    fn input_size(&self) -> usize;

    /// H, the width of an output row.
    fn output_size(&self) -> usize;

    /// The state before the first step, for `batch` rows: all zeros.
    fn zero_state(&self, batch: usize) -> Self::State;

    /// Bytes of the packed weights and biases.
    fn bytes(&self) -> usize;

    /// One step of B rows that lie one after the other: `x [B·D]` and the state give `y [B·H]` and the next state. B is that
    /// of the state. This is the fast way in.
    ///
    /// # Panics
    /// If the lengths do not fit.
    fn step_rows(&self, x: &[Self::Elem], y: &mut [Self::Elem], state: &mut Self::State);

    /// [`step_rows`](Infer::step_rows) for an `x` that has been looked through for numbers too near 0, or comes from a layer.
    #[doc(hidden)]
    #[inline]
    fn step_clean(&self, x: &[Self::Elem], y: &mut [Self::Elem], state: &mut Self::State) {
        self.step_rows(x, y, state);
    }

    /// One step, as [`RnnCell::step`](crate::RnnCell::step): `x [B, D]` and the state give `y [B, H]` and the next state.
    ///
    /// # Panics
    /// If the shapes do not fit.
    fn step(&self, x: ArrayView2<'_, Self::Elem>, mut y: ArrayViewMut2<'_, Self::Elem>, state: &mut Self::State) {
        let (b, h) = (x.nrows(), self.output_size());
        assert_eq!(x.ncols(), self.input_size(), "x: the network has inputs of D columns");
        assert_eq!(y.dim(), (b, h), "y: [B, H] of this input and network");
        if let (Some(x), Some(y)) = (x.to_slice(), y.as_slice_mut()) {
            return self.step_rows(x, y, state);
        }
        scratch::on_stack([x.len(), y.len()], |[x_copy, y_copy]| {
            let rows = x.insert_axis(ndarray::Axis(0));
            self.step_rows(contiguous(&rows, x_copy), y_copy, state);
            y.assign(&view(y_copy, (1, b, h)).index_axis(ndarray::Axis(0), 0));
        });
    }

    /// A sequence: `xs [T, B, D]` gives `ys [T, B, H]`, step by step.
    ///
    /// # Panics
    /// If the shapes do not fit.
    fn scan(&self, xs: ArrayView3<'_, Self::Elem>, mut ys: ArrayViewMut3<'_, Self::Elem>, state: &mut Self::State) {
        assert_eq!(xs.len_of(ndarray::Axis(0)), ys.len_of(ndarray::Axis(0)), "ys: T as xs");
        for (x, y) in xs.outer_iter().zip(ys.outer_iter_mut()) {
            self.step(x, y, state);
        }
    }
}

/// Calls `step` with `x`, [flushed](Float::flush). Inputs fade too, and would be slow with every weight.
#[cold]
#[inline(never)]
fn with_flushed<F: Float>(x: &[F], step: &mut dyn FnMut(&[F])) {
    const SMALL: usize = 64;
    let flush = |to: &mut [F]| to.iter_mut().zip(x).for_each(|(to, x)| *to = x.flush());
    if x.len() <= SMALL {
        let mut copy = [F::zero(); SMALL];
        flush(&mut copy);
        step(&copy[..x.len()]);
    } else {
        scratch::with(x.len(), |copy| {
            flush(copy);
            step(copy);
        });
    }
}

/// A network that can start from tokens: token k stands for a row of zeros with a one in column k.
pub trait InferTokens: Infer {
    /// As [`Infer::step_rows`] for `tokens [B]`, each below D.
    ///
    /// # Panics
    /// If the lengths do not fit, or a token is D or more.
    fn step_tokens(&self, tokens: &[usize], y: &mut [Self::Elem], state: &mut Self::State);
}
