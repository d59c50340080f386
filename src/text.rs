//! Text: from files to batches of token numbers.
//!
//! The way of a text is [`Source`] (bytes of a file, checked and stripped) → [`Cleaning`] (lines) → [`Tokens`]
//! (characters or words) → [`Vocab`] (numbers) → [`Corpus`] (all of it) → [`Batches`] (windows of `T` steps in `B`
//! rows). With the defaults each step does exactly what "Dive into Deep Learning" does with *The Time Machine*
//! (`read_time_machine`, `tokenize`, `Vocab`, `load_corpus_time_machine`, `seq_data_iter_sequential`,
//! `seq_data_iter_random`), except that the batches are time-major: `x` and `y` are `[T, B]`.
//!
//! ```
//! use deep_rnn::text::{Corpus, Tokens};
//!
//! let corpus = Corpus::builder().text("poem", "So much depends\nupon\n\na red wheel\nbarrow").build()?;
//! assert_eq!(corpus.decode(&corpus.tokens()[..19])?, "so much dependsupon"); // no separator between lines
//! assert_eq!(corpus.vocab().token(0), Some("<unk>"));
//!
//! let mut batches = corpus.sequential(2, 3, 0)?;
//! for batch in batches.epoch() {
//!     assert_eq!(batch.x.dim(), (3, 2));
//!     assert_eq!(batch.x.row(1), batch.y.row(0)); // y is x one step later
//! }
//!
//! let words = Corpus::builder().text("poem", "a rose is a rose").tokens(Tokens::Word).build()?;
//! assert_eq!(words.vocab().tokens(), ["<unk>", "a", "rose", "is"]);
//! # Ok::<(), deep_rnn::Error>(())
//! ```
//!
//! # Errors
//! No call here panics on what a user may pass; bad input is an [`Error`](crate::Error) that names the argument or the
//! file, what was expected and what came.

mod batches;
mod builder;
mod clean;
mod corpus;
mod epoch;
mod gutenberg;
mod ngram;
mod source;
mod token;
mod vocab;

pub use batches::Batches;
pub use builder::CorpusBuilder;
pub use clean::Cleaning;
pub use corpus::Corpus;
pub use epoch::{Epoch, Place};
pub use ngram::{ngram_counts, zipf};
pub use source::{Source, TIME_MACHINE_SHA1};
pub use token::Tokens;
pub use vocab::{Vocab, count_corpus};
