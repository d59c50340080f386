//! Bytes that are others, at random, the same at every run.
#![allow(dead_code)] // not all tests change bytes in this way

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::deep::deep;

/// How many times a reader is tried: 10⁶ by `ci/deep`, unless `DEEP_RNN_FUZZ` says another number.
pub(crate) fn runs() -> usize {
    let said = std::env::var("DEEP_RNN_FUZZ").ok().map(|runs| runs.parse().expect("DEEP_RNN_FUZZ: a number"));
    deep(said.unwrap_or(1_000_000), 10_000)
}

/// What stands in files where something else would do harm.
const PIECES: [&[u8]; 12] = [
    b"18446744073709551615",
    b"9223372036854775808",
    b"1e999",
    b"-1",
    b"-0",
    b"null",
    b"[]",
    b"{}",
    b"\"\"",
    b"NaN",
    b"0.5",
    b"\\",
];

/// Draws changes of files.
pub(crate) struct Fuzz(ChaCha8Rng);

impl Fuzz {
    pub(crate) fn new(seed: u64) -> Self {
        Fuzz(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n.max(1) as u64) as usize
    }

    /// One to four changes, most of them before `dense`, where there is most to be got wrong.
    pub(crate) fn change(&mut self, bytes: &mut Vec<u8>, dense: usize) {
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                return;
            }
            let dense = dense.min(bytes.len());
            let at = if self.below(8) > 0 { self.below(dense) } else { self.below(bytes.len()) };
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = b"0123456789,:[]{}\"-.eE "[self.below(22)],
                2 => {
                    let end = (at + 1 + self.below(20)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let from = self.below(bytes.len());
                    let piece = bytes[from..(from + self.below(40)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                4 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
                5 => {
                    let (from, len) = (self.below(dense), self.below(24));
                    let len = len.min(bytes.len() - from).min(bytes.len() - at);
                    bytes.copy_within(from..from + len, at);
                }
                // A length, or what stands in the place of one.
                _ => {
                    let number = [0, 1, u64::MAX, 1 << 63, 1 << 32, bytes.len() as u64][self.below(6)].to_le_bytes();
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].copy_from_slice(&number[..end - at]);
                }
            }
        }
    }
}
