//! Bad input gets an `Err` that names the argument, what was expected and what came; never a panic. What is refused has
//! changed nothing.

mod any_call;
#[path = "../support/bits.rs"]
mod bits;
mod data;
#[path = "../support/deep.rs"]
mod deep;
mod layers;
mod not_finite;
mod nothing;
mod settings;
mod small_model;
#[path = "../support/stepped.rs"]
mod stepped;
mod swapped;

use deep_rnn::Error;

/// The message of what must be refused has all these parts.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Error>, parts: &[&str]) {
    let Err(error) = result else { panic!("accepted; the message should have {parts:?}") };
    let message = error.to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{message:?} should have {parts:?}");
}
