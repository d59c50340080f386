//! Deep recurrent networks on a CPU, with gradients derived by hand.
//!
//! L layers: the output of each step goes to the next step of its layer and to the next layer of its step; a linear head
//! on top. Trained by back-propagation through time, without a general autodiff.
//!
//! ```
//! use deep_rnn::prelude::*;
//! use ndarray::{Array3, Axis, s};
//!
//! // Learn to say the next value of a wave: [T, B, D] = [41, 4, 1].
//! let wave = Array3::from_shape_fn((41, 4, 1), |(t, b, _)| (0.3 * t as f64 + b as f64).sin());
//! let (xs, targets) = (wave.slice(s![..40, .., ..]), wave.slice(s![1.., .., ..]));
//! let net = Network::<f64>::builder(1).lstm(8).linear(1).seed(1).build()?;
//! let mut bptt = Bptt::builder(net).loss(MeanSquared).optimizer(Adam::new(0.02)).build()?;
//! let before = bptt.train(&xs, &targets)?.loss();
//! for _ in 0..100 {
//!     bptt.train(&xs, &targets)?;
//! }
//! assert!(bptt.train(&xs, &targets)?.loss() < before / 10.0);
//! # Ok::<(), deep_rnn::Error>(())
//! ```
//!
//! # Who uses what
//!
//! | you want to | you use |
//! | --- | --- |
//! | train a language model on text | [`text::Corpus`], [`Network`], [`LanguageModel`], [`Bptt`] |
//! | train on rows of numbers | any [`SeqLayer`] (a [`Network`] with a [`Linear`] layer on top), [`Bptt`], [`MeanSquared`] or [`loss_fn`](loss::loss_fn) |
//! | train on sequences of several lengths | [`Batch::lengths`], [`Batch::resets`]; [`Last`] for one output a sequence |
//! | run a network over a sequence | [`Run::forward`] with an [`Input`], a [`Context`] and a state of your own |
//! | run a network step by step | [`Causal::step_rows`], [`Causal::step_tokens`]; [`generate`] |
//! | have a state in PyTorch's layout, or take one from it | [`flat_state`](data::flat_state), [`state_from_flat`](data::state_from_flat) |
//! | serve many streams from one network, fast or small | [`infer`]: [`Prepare`](infer::Prepare), [`Packed`](infer::Packed) |
//! | keep a network in a file, or have one from PyTorch | [`Network::load`](Stacked::load), [`save`](Stacked::save), [`from_torch`](Stacked::from_torch): [`files`] |
//! | stop a training and go on with the same bits | [`checkpoint`] |
//! | build a network of a configuration | [`layers::Kinds`] |
//! | write a cell: the gate maths of one unit, or of a row | [`Pointwise`], [`PerUnit`](cells::PerUnit), [`RowCell`](cells::RowCell) → [`Gated`] |
//! | write a cell: anything else | [`RnnCell`], [`params!`], [`gradcheck::assert_cell`] |
//! | write a layer that cannot be stepped | [`Run`], [`SeqLayer`], [`gradcheck::assert_layer`] |
//! | have gradients and do the rest yourself | [`Backprop`] |
//!
//! # Where names are
//!
//! What most programs need is in the [`prelude`]; what is not at the root is in a module by what it is for: [`cells`], [`layers`],
//! [`train`] (engine, batches), [`loss`], [`optim`], [`infer`] (packed, step by step), [`language`], [`text`], [`data`] (inputs, states),
//! [`files`] (networks in files; ONNX's in `onnx`), [`checkpoint`] (trainings that go on), [`init`] (starting values), [`custom`] (to write a cell or layer of one's own), [`gradcheck`], [`cpu`].
//!
//! # The traits, from the bottom up
//!
//! [`Float`] (`f32`, `f64`; sealed) → [`Params`] (named arrays), [`State`] (arrays with a row for each sequence), [`Tape`] →
//! [`Recurrent`] (sizes, state, tape) → [`Run`] (a whole sequence) → [`SeqLayer`] (and its derivative; what [`Bptt`] trains).
//! An [`RnnCell`] has a step and its derivative, and every cell is a [`SeqLayer`]. [`Causal`] is what can be stepped, packed networks
//! too, [`Spec`] what makes a layer once the width of its input is known, [`Stacked`] layers of one type, [`Boxed`] a layer of
//! any type and [`Network`] a stack of these. Every call has a [`Context`]: whether it trains, how long each row is, where one starts
//! afresh.
//!
//! # Conventions
//!
//! T steps, B rows of the batch, D inputs, H units, V tokens. Sequences are `[T, B, D]`, weights multiply from the right. `d_x`
//! is ∂L/∂x. Gradients are added to, `d_x` is overwritten. Bad input gets an [`Error`] from the calls that take data
//! (builders, [`Bptt`], [`LanguageModel`], [`text`]); the methods of the traits are the inside, and panic on shapes that do not fit.
//!
//! # Processors
//!
//! Kernels are compiled for AVX-512, AVX2 with FMA, and a baseline that runs anywhere; the best one the processor has is taken
//! at run time ([`simd_level`](cpu::simd_level); the variable `DEEP_RNN_SIMD` lowers it). No compiler flag is needed. On one machine results are the same bits for any number of threads.
//! [Products of bf16 operands](train::BpttBuilder::matmul_precision) are the same bits on any.
//!
//! # Numbers near 0
//!
//! After silence a state decays towards 0, a gradient does on its way back through time, a moment without gradients, an input that
//! fades. Left alone such numbers end among the denormal ones, on which many processors are up to a hundred times slower, and
//! stay there. So what is computed over and over is rounded to 0, with its sign, below [`Float::TINY`] (2⁻⁶³ for `f32`, 2⁻⁵¹¹ for
//! `f64`; the product of two numbers that are kept is normal):
//!
//! - states and outputs of every cell, after each step, and their gradients on the way back; of a custom [`RnnCell`] by the
//!   sequences, stacks and packed networks it runs in (who calls its `step` in a loop calls [`State::flush`]);
//! - inputs of cells, linear layers and packed networks, as they are read (no copy is made of what has none too near 0);
//! - gradients of the crate's losses (those of a loss of one's own as layers read them), gradients and moments in optimisers, and
//!   weights after an update;
//! - weights as a layer is built of arrays, and as a network is packed. Weights changed by hand through
//!   [`Params::visit_mut`] are used as they are until then.
//!
//! [`Float::exp`] and [`Float::sigmoid`] give no denormal number either. The processor's own modes are left as they are.
//!
//! # Public dependencies
//!
//! Three other crates are seen in the types of this one: `ndarray` (arrays and views; given on as [`ndarray`], which is the
//! version that fits), and under [`Float`] `num-traits` and `bytemuck`, whose traits generic code may use by that bound.
//! An incompatible version of one of the three is an incompatible version of this crate. All others are inside, and may
//! change or go in any version.
//!
//! ```
//! use deep_rnn::ndarray::Array2; // rather than a version of one's own beside it
//!
//! fn bounds<F: bytemuck::Pod + num_traits::NumAssign + num_traits::float::FloatCore>() {}
//! fn of_float<F: deep_rnn::Float>() -> Array2<F> {
//!     bounds::<F>();
//!     Array2::from_elem((1, 1), F::zero())
//! }
//! assert_eq!(of_float::<f32>()[[0, 0]], 0.0);
//! ```
//!
//! # Features
//!
//! | feature | what it is for | packages it brings |
//! | --- | --- | --- |
//! | `safetensors` (default) | networks in files, ours and PyTorch's; checkpoints | `safetensors`, `half`, `serde_json`, `serde` |
//! | `serde` | descriptions of networks as JSON, TOML and the like | `serde` |
//! | `audio` | JSON of RTNeural, AIDA-X, GuitarML, NAM | `serde_json`, `serde` |
//! | `onnx` | ONNX files | `prost`, `half` |
//! | `amx` | [products of bf16 operands](train::BpttBuilder::matmul_precision) by the matrix unit of Intel processors that have one | `deep-rnn-amx` (the one with `unsafe`), `libc` |
//! | `relatives` | the relatives of cells (peepholes, coupled gates, other activations, clips) from files and descriptions; as long to compile as the cells | |
//! | `compiled-f64` | a debug build that is fast in `f64` | |
//!
//! # What may grow
//!
//! Enums of options ([`Clip`](optim::Clip), [`Bias`](cells::Bias), [`Merge`], [`Scheme`], [`Activation`](cells::Activation), [`Precision`](infer::Precision)), [`Error`] with
//! the fields of its variants, what is reported ([`Report`](train::Report), [`gradcheck::Report`]) and [`Memory`] are `#[non_exhaustive]`: match with
//! a last arm for the rest, and make them by their functions; so is [`Batch`], which is made by [`Batch::new`]. [`GradIo`] and [`SeqGradIo`]
//! are written as literals and taken apart by their fields, which stay the ones they are; a literal of
//! [`gradcheck::Options`] ends with `..Options::default()`.

mod average;
mod backprop;
mod batch;
mod best;
mod blocks;
mod boxed;
mod bptt;
mod cell;
pub mod cells;
pub mod checkpoint;
mod compiled;
mod context;
pub mod cpu;
pub mod custom;
pub mod data;
mod describe;
mod error;
#[cfg(any(feature = "safetensors", feature = "audio", feature = "onnx"))]
pub mod files;
mod flat_state;
mod float;
mod gated;
mod gates;
pub mod gradcheck;
pub mod infer;
pub mod init;
mod input;
mod kernel;
mod kinds;
pub mod language;
pub mod layers;
pub mod loss;
mod memory;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod optim;
mod params;
mod part;
mod philox;
mod precision;
pub mod prelude;
mod record;
mod spec;
mod stacked;
mod state;
mod targets;
pub mod text;
pub mod train;
mod tuples;

pub use ndarray;

pub use cell::{Recurrent, RnnCell};
#[doc(hidden)]
pub use compiled::compiled as __compiled;
pub use context::Context;
pub use error::Error;
pub use float::Float;
pub use layers::{Run, SeqLayer};
#[doc(hidden)]
pub use params::joined as __joined;
pub use stacked::{Network, Stacked};

// The names of all modules, for those inside.
pub(crate) use backprop::Backprop;
pub(crate) use batch::Batch;
pub(crate) use boxed::Boxed;
pub(crate) use bptt::Bptt;
pub(crate) use cell::{GradIo, SeqGradIo, Tape};
pub(crate) use cells::{Gru, GruResetBefore, Lstm, Rnn};
pub(crate) use context::Mode;
pub(crate) use describe::Describe;
pub(crate) use gated::{Gated, GatedSpec};
pub(crate) use gates::Pointwise;
pub(crate) use init::{Init, Scheme};
pub(crate) use input::{AsInput, Input};
pub(crate) use kernel::threads::Threads;
pub(crate) use language::{LanguageModel, Sampler, generate};
pub(crate) use layers::{
    Bidirectional, Causal, Dropout, Embedding, EmbeddingSpec, Last, LayerNorm, Linear, Merge, Tied,
};

pub(crate) use loss::{CrossEntropy, Loss, LossSum, MeanSquared};
pub(crate) use memory::{Memory, PassSize, Work};
pub(crate) use optim::{Adam, Sgd};
pub(crate) use params::{Numeric, Params, ZipMut};
pub(crate) use record::Record;
pub(crate) use spec::Spec;
pub(crate) use state::State;
pub(crate) use targets::{Sequence, Targets};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../docs/custom-cell.md")]
mod custom_cell_guide {}

#[cfg(all(doctest, feature = "audio"))]
#[doc = include_str!("../docs/files.md")]
mod files_guide {}
