//! Products of bfloat16 numbers with sums in `f32`, by the matrix unit of Intel processors (AMX, `TDPBF16PS`).
//!
//! [`Amx::request`] gives a value that stands for the permission to use the unit, where there is one; [`Amx::add`] makes a strip of 32
//! rows of a product with it. [`add_plainly`] does the same by a plain loop on any processor: the same bits.
//!
//! # Order of sums
//! 32 terms at a time: the products of even terms are summed from zero, those of odd terms likewise, and c becomes c + (even + odd).
//! Denormal operands, sums and results count as 0, whatever the thread's own mode is; everything is rounded to nearest even.
//! (Intel, *Architecture Instruction Set Extensions Programming Reference*, `TDPBF16PS`.)
//!
//! # The permission
//! A process asks Linux for the 8 KiB of a thread's tiles once (`arch_prctl(ARCH_REQ_XCOMP_PERM)`). It is refused where a
//! thread has an alternate signal stack that is too small for them, and from then on `sigaltstack` refuses one under about 12 KiB.

mod plain;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod unit;
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod unit {
    //! There is none.
    use crate::{Right, Terms};

    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Unit {}

    impl Unit {
        pub(crate) fn request() -> Option<Self> {
            None
        }
        pub(crate) fn add(self, _: &mut [f32], _: usize, _: usize, _: &[Terms], _: Right<'_>, _: isize) {
            match self {}
        }
    }
}

pub use plain::add_plainly;

/// Rows of a strip.
pub const ROWS: usize = 32;
/// Columns of a panel of the right operand.
pub const WIDTH: usize = 64;
/// Pairs of terms that go together.
pub const PAIRS: usize = 16;

/// 32 terms of the 32 rows of a left operand, two by two in a word, the even one in the lower half: two tiles of 16 rows.
pub type Terms = [[[u32; PAIRS]; ROWS / 2]; 2];

/// A right operand `[k, n]`, its rows two by two in words, the even one in the lower half; cut into panels of 64 columns, zeros
/// after the last one.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a> {
    /// Panel after panel.
    pub words: &'a [u32],
    /// Words from one panel to the next.
    pub apart: usize,
    /// The pair of rows that meets the first pair of the left operand's first terms.
    pub first: usize,
    /// Pairs that each of the left operand's terms stands for: 16, or fewer where there is one only.
    pub pairs: usize,
}

/// The permission to use the matrix unit.
#[derive(Clone, Copy, Debug)]
pub struct Amx(unit::Unit);

impl Amx {
    /// Asks for the unit, the first time in a process; none where the processor has none or the system refuses.
    #[must_use]
    pub fn request() -> Option<Self> {
        unit::Unit::request().map(Amx)
    }

    /// Adds a product to the first `rows` of a strip: rows of c begin `apart` numbers from each other, and of each the first
    /// `columns` are meant. Each of `left` meets the pairs of rows `step` pairs on from those of the one before.
    ///
    /// # Panics
    /// If a number that is meant does not exist.
    pub fn add(
        self,
        c: &mut [f32],
        apart: usize,
        (rows, columns): (usize, usize),
        left: &[Terms],
        right: Right<'_>,
        step: isize,
    ) {
        check(c, apart, (rows, columns), left, right, step);
        for first in (0..columns).step_by(ROWS) {
            let (used, here) = (ROWS.min(columns - first), right.columns(first));
            if rows == ROWS && used == ROWS {
                self.0.add(&mut c[first..], apart, left, here, step);
                continue;
            }
            // The unit makes 32 by 32 numbers.
            let mut copy = [[0.0; ROWS]; ROWS];
            for (to, from) in copy.iter_mut().zip(c.chunks(apart)).take(rows) {
                to[..used].copy_from_slice(&from[first..][..used]);
            }
            self.0.add(copy.as_flattened_mut(), ROWS, left, here, step);
            for (from, to) in copy.iter().zip(c.chunks_mut(apart)).take(rows) {
                to[first..][..used].copy_from_slice(&from[..used]);
            }
        }
    }
}

impl<'a> Right<'a> {
    /// From this column on, of the panel it is in.
    fn columns(self, first: usize) -> Self {
        Right { words: &self.words[first / WIDTH * self.apart + first % WIDTH..], ..self }
    }

    /// The pair of rows that the terms of this number begin with.
    fn pair(&self, terms: usize, step: isize) -> Option<usize> {
        let on = step.checked_mul(isize::try_from(terms).ok()?)?;
        self.first.checked_add_signed(on)
    }
}

/// Refuses what lies outside of the operands.
fn check(c: &[f32], apart: usize, (rows, columns): (usize, usize), left: &[Terms], right: Right<'_>, step: isize) {
    assert!(rows <= ROWS && columns <= apart, "at most {ROWS} rows, {columns} columns {apart} apart");
    assert!(rows == 0 || c.len() >= (rows - 1) * apart + columns, "{rows} rows of {columns} columns in {}", c.len());
    assert!((1..=PAIRS).contains(&right.pairs), "1 to {PAIRS} pairs, not {}", right.pairs);
    assert!(right.pairs == PAIRS || left.len() <= 1, "fewer pairs than {PAIRS} of one block of terms only");
    let Some(last) = left.len().checked_sub(1) else { return };
    for terms in [0, last] {
        let first = right.pair(terms, step).expect("pairs that there are");
        let panel = (first + right.pairs) * WIDTH;
        let all = columns.div_ceil(WIDTH).saturating_sub(1) * right.apart + panel;
        assert!(panel <= right.apart && all <= right.words.len(), "{first}: beyond the panels");
    }
}

#[cfg(test)]
mod tests;
