//! Results that are known from elsewhere, again.

pub(crate) mod adding;
pub(crate) mod copying;
pub(crate) mod digits;
pub(crate) mod shakespeare;
pub(crate) mod vowels;

mod numbers;
mod series;
mod training;
