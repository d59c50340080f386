//! Few rows times an operand that was packed once and for all, with the gates at once: what streaming inference runs.
//!
//! The columns of an operand are those of units: unit after unit in blocks of 16, a block's columns gate after gate. So
//! the sums of a block hold all that its units' gates need, and never leave the registers. A sum starts from the bias and
//! takes its terms in the order that every product of this crate has.

mod affine;
mod step;

pub(crate) use affine::Affine;
pub(crate) use step::Step;

use super::stored::Stored;
use crate::Float;
use crate::gates::{BLOCK, Lanes};

/// Numbers that begin at a cache line.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    pub(crate) fn new(len: usize) -> Self {
        const LINE: usize = 64;
        let memory = vec![T::default(); len + LINE / size_of::<T>()];
        let start = memory.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        Aligned { memory, start, len }
    }
    pub(crate) fn bytes(&self) -> usize {
        self.memory.len() * size_of::<T>()
    }
    #[inline(always)]
    pub(crate) fn get(&self) -> &[T] {
        &self.memory[self.start..][..self.len]
    }
    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..][..self.len]
    }
}

/// `b [lanes · units]` or zeros, in the order of an operand's columns; zeros fill the last block up.
pub(crate) fn columns<F: Float>(b: Option<&[F]>, lanes: usize, units: usize) -> Aligned<F> {
    let mut to = Aligned::new(units.div_ceil(BLOCK) * lanes * BLOCK);
    if let Some(b) = b {
        for (i, to) in to.get_mut().iter_mut().enumerate() {
            if let Some(from) = column(i, lanes, units) {
                *to = b[from];
            }
        }
    }
    to
}

/// Which column of a matrix `[_, lanes · units]` is at place `i`.
fn column(i: usize, lanes: usize, units: usize) -> Option<usize> {
    let (block, lane, unit) = (i / (lanes * BLOCK), i / BLOCK % lanes, i % BLOCK);
    let unit = block * BLOCK + unit;
    (unit < units).then(|| lane * units + unit)
}

/// A packed operand `[k, lanes · units]` with words `W`.
#[derive(Debug)]
pub(crate) struct Operand<F, W> {
    k: usize,
    lanes: usize,
    units: usize,
    words: Aligned<W>,
    /// As [`columns`]; empty where words have none.
    scales: Aligned<F>,
}

impl<F: Float, W: Stored<F>> Operand<F, W> {
    /// Packs `w [k, lanes · units]` (row-major), [flushed](Float::flush); an error is the weight that such words cannot hold.
    pub(crate) fn pack(w: &[F], k: usize, lanes: usize, units: usize) -> Result<Self, F> {
        let (n, width, rows) = (lanes * units, lanes * BLOCK, k.div_ceil(W::ROWS));
        let mut words = Aligned::new(units.div_ceil(BLOCK) * width * rows);
        let mut scales = Aligned::new(if W::SCALED { units.div_ceil(BLOCK) * width } else { 0 });
        if width * rows > 0 {
            let mut weights = Vec::with_capacity(k);
            for (i, panel) in words.get_mut().chunks_exact_mut(width * rows).enumerate() {
                for j in 0..width {
                    let Some(column) = column(i * width + j, lanes, units) else { continue };
                    weights.clear();
                    weights.extend((0..k).map(|p| w[p * n + column].flush()));
                    let scale = W::scale(weights.iter().fold(F::zero(), |largest, w| largest.max(w.abs())));
                    if W::SCALED {
                        scales.get_mut()[i * width + j] = scale;
                    }
                    for (row, weights) in weights.chunks(W::ROWS).enumerate() {
                        let refused = || weights.iter().copied().find(|w| W::store(&[*w], scale).is_none());
                        let word = W::store(weights, scale).ok_or_else(|| refused().unwrap_or(weights[0]))?;
                        panel[row * width + j] = word;
                    }
                }
            }
        }
        Ok(Operand { k, lanes, units, words, scales })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.bytes() + self.scales.bytes()
    }

    /// How many columns it has.
    pub(crate) fn width(&self) -> usize {
        self.lanes * self.units
    }

    /// The columns of block `q`.
    #[inline(always)]
    fn panel(&self, q: usize) -> &[W] {
        let len = self.lanes * BLOCK * self.k.div_ceil(W::ROWS);
        &self.words.get()[q * len..][..len]
    }
}

/// As [`std::array::from_fn`], which is left a call where `f` is more than a few instructions.
#[inline(always)]
fn array<T: Copy, const N: usize>(start: T, f: impl Fn(usize) -> T) -> [T; N] {
    let mut all = [start; N];
    for (i, one) in all.iter_mut().enumerate() {
        *one = f(i);
    }
    all
}

/// What is multiplied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StepInput<'a, F> {
    /// `[B, D]`, row-major.
    Rows(&'a [F]),
    /// `[B]`; each stands for a row of zeros with a one.
    Tokens(&'a [usize]),
}

impl<'a, F> StepInput<'a, F> {
    /// `R` rows from row `first` on.
    #[inline(always)]
    fn rows<const R: usize>(self, first: usize, d: usize) -> Terms<'a, F, R> {
        match self {
            StepInput::Rows(x) => Terms::All(array(&[], |r| &x[(first + r) * d..][..d])),
            StepInput::Tokens(tokens) => Terms::One(array(0, |r| tokens[first + r])),
        }
    }
}

/// The terms of sums of `R` rows: every element of a row, or a one.
enum Terms<'a, F, const R: usize> {
    All([&'a [F]; R]),
    One([usize; R]),
}

/// `sums += terms · operand` for the blocks `q..q + A`.
#[inline(always)]
fn add<F: Float, W: Stored<F>, L: Lanes<F>, const R: usize, const A: usize, const FUSED: bool>(
    sums: &mut [[L::Block; A]; R],
    terms: Terms<'_, F, R>,
    operand: &Operand<F, W>,
    q: usize,
) {
    let panels: [&[W]; A] = array(&[], |i| operand.panel(q + i));
    if W::SCALED {
        let mut own = [[L::block(); A]; R];
        terms_of::<F, W, L, R, A, FUSED>(&mut own, terms, panels, operand.k);
        for i in 0..A {
            let scales = &operand.scales.get()[(q + i) * L::N * BLOCK..][..L::N * BLOCK];
            for r in 0..R {
                L::add_scaled(&mut sums[r][i], &own[r][i], scales);
            }
        }
    } else {
        terms_of::<F, W, L, R, A, FUSED>(sums, terms, panels, operand.k);
    }
}

#[inline(always)]
fn terms_of<F: Float, W: Stored<F>, L: Lanes<F>, const R: usize, const A: usize, const FUSED: bool>(
    sums: &mut [[L::Block; A]; R],
    terms: Terms<'_, F, R>,
    panels: [&[W]; A],
    k: usize,
) {
    let width = L::N * BLOCK;
    match terms {
        Terms::All(x) => {
            let mut local = *sums;
            let x: [&[F]; R] = array(&[], |r| &x[r][..k]);
            for p in 0..k / W::ROWS {
                let words: [&[W]; A] = array(&[], |i| &panels[i][p * width..][..width]);
                macro_rules! rows {
                    ($($row:literal)*) => { $( if $row < W::ROWS {
                        let x: [F; R] = array(F::zero(), |r| x[r][p * W::ROWS + $row]);
                        for r in 0..R {
                            for i in 0..A {
                                L::multiply_add::<W, $row, FUSED>(&mut local[r][i], x[r], words[i]);
                            }
                        }
                    } )* };
                }
                rows!(0 1);
            }
            for p in k / W::ROWS * W::ROWS..k {
                for r in 0..R {
                    for i in 0..A {
                        let words = &panels[i][p / W::ROWS * width..][..width];
                        one_term::<F, W, L, FUSED>(&mut local[r][i], x[r][p], words, p % W::ROWS);
                    }
                }
            }
            *sums = local;
        }
        Terms::One(tokens) => {
            for r in 0..R {
                for i in 0..A {
                    let words = &panels[i][tokens[r] / W::ROWS * width..][..width];
                    one_term::<F, W, L, FUSED>(&mut sums[r][i], F::one(), words, tokens[r] % W::ROWS);
                }
            }
        }
    }
}

/// `sums += x · w` for weight number `row` of each word.
#[inline(always)]
fn one_term<F: Float, W: Stored<F>, L: Lanes<F>, const FUSED: bool>(
    sums: &mut L::Block,
    x: F,
    words: &[W],
    row: usize,
) {
    if row == 0 {
        L::multiply_add::<W, 0, FUSED>(sums, x, words);
    } else {
        L::multiply_add::<W, 1, FUSED>(sums, x, words);
    }
}

/// How many rows of this width there are; one row, which is most of the time, without a division.
#[inline(always)]
pub(crate) fn rows_of(len: usize, width: usize) -> usize {
    if len == width { 1 } else { len / width }
}

/// Copies `width` numbers, 1 to 16 of them, by moves of fixed lengths: a copy whose length is a number is a call.
#[inline(always)]
pub(crate) fn copy<F: Float>(to: &mut [F], from: &[F], width: usize) {
    if width == BLOCK {
        return to[..BLOCK].copy_from_slice(&from[..BLOCK]);
    }
    let mut at = 0;
    macro_rules! part {
        ($($n:literal)*) => { $( if width & $n != 0 {
            to[at..at + $n].copy_from_slice(&from[at..at + $n]);
            at += $n;
        } )* };
    }
    part!(8 4 2 1);
    debug_assert_eq!(at, width);
}
