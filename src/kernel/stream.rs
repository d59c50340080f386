//! Few rows times an operand that was packed once and for all, with the gates at once: what streaming inference runs.
//!
//! The columns of an operand are those of units: unit after unit in blocks of 16, a block's columns gate after gate. So
//! the sums of a block hold all that its units' gates need, and never leave the registers. Where the last block has no more than 8
//! units, it has columns for 8 only: a cell of 8 or 40 reads no weights for units it does not have. A sum starts from the bias and
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

/// The width of a last block that has no more units than that.
const HALF: usize = BLOCK / 2;

/// How many units there are columns for.
pub(crate) fn padded(units: usize) -> usize {
    units.next_multiple_of(HALF)
}

/// Units there are columns for in block `q`: [`BLOCK`] or [`HALF`].
#[inline(always)]
fn width_of(units: usize, q: usize) -> usize {
    if units <= q * BLOCK + HALF { HALF } else { BLOCK }
}

/// `b [lanes · units]` or zeros, in the order of an operand's columns; zeros fill the last block up.
pub(crate) fn columns<F: Float>(b: Option<&[F]>, lanes: usize, units: usize) -> Aligned<F> {
    let mut to = Aligned::new(lanes * padded(units));
    if let Some(b) = b {
        for (q, to) in to.get_mut().chunks_mut((lanes * BLOCK).max(1)).enumerate() {
            for (place, column) in block_columns(q, lanes, units) {
                to[place] = b[column];
            }
        }
    }
    to
}

/// The places in block `q` that columns of a matrix `[_, lanes · units]` have, and which column is there.
fn block_columns(q: usize, lanes: usize, units: usize) -> impl Iterator<Item = (usize, usize)> {
    let (width, first) = (width_of(units, q), q * BLOCK);
    let here = width.min(units - first);
    (0..lanes).flat_map(move |lane| (0..here).map(move |i| (lane * width + i, lane * units + first + i)))
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
        let (n, rows) = (lanes * units, k.div_ceil(W::ROWS));
        let mut words = Aligned::new(lanes * padded(units) * rows);
        let mut scales = Aligned::new(if W::SCALED { lanes * padded(units) } else { 0 });
        let mut weights = Vec::with_capacity(k);
        for (q, panel) in words.get_mut().chunks_mut((lanes * BLOCK * rows).max(1)).enumerate() {
            let width = lanes * width_of(units, q);
            for (place, column) in block_columns(q, lanes, units) {
                weights.clear();
                weights.extend((0..k).map(|p| w[p * n + column].flush()));
                let scale = W::scale(weights.iter().fold(F::zero(), |largest, w| largest.max(w.abs())));
                if W::SCALED {
                    scales.get_mut()[q * lanes * BLOCK + place] = scale;
                }
                for (row, weights) in weights.chunks(W::ROWS).enumerate() {
                    let refused = || weights.iter().copied().find(|w| W::store(&[*w], scale).is_none());
                    let word = W::store(weights, scale).ok_or_else(|| refused().unwrap_or(weights[0]))?;
                    panel[row * width + place] = word;
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

    /// The columns of block `q`, for so many units.
    #[inline(always)]
    fn panel(&self, q: usize, width: usize) -> &[W] {
        let column = self.lanes * self.k.div_ceil(W::ROWS);
        &self.words.get()[q * BLOCK * column..][..width * column]
    }
}

/// An array of `n` numbers. A loop and no closure: [`std::array::from_fn`] and its closure may be left calls, which are compiled for no
/// instruction set.
macro_rules! array {
    ($start:expr; $n:expr; $i:ident => $e:expr) => {{
        let mut all = [$start; $n];
        #[allow(clippy::needless_range_loop, reason = "other arrays have the same index")]
        for $i in 0..$n {
            all[$i] = $e;
        }
        all
    }};
}
use array;

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
            StepInput::Rows(x) => Terms::All(array![&x[..0]; R; r => &x[(first + r) * d..][..d]]),
            StepInput::Tokens(tokens) => Terms::One(array![0; R; r => tokens[first + r]]),
        }
    }
}

/// The terms of sums of `R` rows: every element of a row, or a one.
enum Terms<'a, F, const R: usize> {
    All([&'a [F]; R]),
    One([usize; R]),
}

/// The width of block `i` of `A`, the last of which is half a block where `HALVED`.
#[inline(always)]
const fn width<const A: usize, const HALVED: bool>(i: usize) -> usize {
    if HALVED && i + 1 == A { HALF } else { BLOCK }
}

/// `sums += terms · operand` for the blocks `q..q + A`.
#[inline(always)]
fn add<F: Float, W: Stored<F>, L: Lanes<F>, const R: usize, const A: usize, const HALVED: bool, const FUSED: bool>(
    sums: &mut [[L::Block; A]; R],
    terms: Terms<'_, F, R>,
    operand: &Operand<F, W>,
    q: usize,
) {
    let panels: [&[W]; A] = array![&[][..]; A; i => operand.panel(q + i, width::<A, HALVED>(i))];
    if W::SCALED {
        let mut own = [[L::block(); A]; R];
        terms_of::<F, W, L, R, A, HALVED, FUSED>(&mut own, terms, panels, operand.k);
        for i in 0..A {
            let width = width::<A, HALVED>(i);
            let scales = &operand.scales.get()[(q + i) * L::N * BLOCK..][..L::N * width];
            for r in 0..R {
                L::add_scaled(&mut sums[r][i], &own[r][i], scales, width);
            }
        }
    } else {
        terms_of::<F, W, L, R, A, HALVED, FUSED>(sums, terms, panels, operand.k);
    }
}

#[inline(always)]
fn terms_of<
    F: Float,
    W: Stored<F>,
    L: Lanes<F>,
    const R: usize,
    const A: usize,
    const HALVED: bool,
    const FUSED: bool,
>(
    sums: &mut [[L::Block; A]; R],
    terms: Terms<'_, F, R>,
    panels: [&[W]; A],
    k: usize,
) {
    let wide = |i| L::N * width::<A, HALVED>(i);
    match terms {
        Terms::All(x) => {
            let (mut local, mut panels) = (*sums, panels);
            let x: [&[F]; R] = array![&[][..]; R; r => &x[r][..k]];
            let mut p = 0;
            macro_rules! terms {
                ($words:ident, $($row:literal)*) => { $( if $row < W::ROWS {
                    let x: [F; R] = array![F::zero(); R; r => x[r][p + $row]];
                    for r in 0..R {
                        for i in 0..A {
                            multiply_add::<F, W, L, $row, FUSED>(&mut local[r][i], x[r], $words[i], wide(i));
                        }
                    }
                } )* };
            }
            while p + W::ROWS <= k {
                let words: [&[W]; A] = array![&[][..]; A; i => &panels[i][..wide(i)]];
                terms!(words, 0 1);
                p += W::ROWS;
                panels = array![&[][..]; A; i => &panels[i][wide(i)..]];
            }
            if p < k {
                let words: [&[W]; A] = array![&[][..]; A; i => &panels[i][..wide(i)]];
                terms!(words, 0);
            }
            *sums = local;
        }
        Terms::One(tokens) => {
            for r in 0..R {
                for i in 0..A {
                    let words = &panels[i][tokens[r] / W::ROWS * wide(i)..][..wide(i)];
                    if tokens[r] % W::ROWS == 0 {
                        multiply_add::<F, W, L, 0, FUSED>(&mut sums[r][i], F::one(), words, wide(i));
                    } else {
                        multiply_add::<F, W, L, 1, FUSED>(&mut sums[r][i], F::one(), words, wide(i));
                    }
                }
            }
        }
    }
}

/// `sums += x · w` for weight number `ROW` of each word, of a block whose lanes are so wide together.
#[inline(always)]
fn multiply_add<F: Float, W: Stored<F>, L: Lanes<F>, const ROW: usize, const FUSED: bool>(
    sums: &mut L::Block,
    x: F,
    words: &[W],
    wide: usize,
) {
    if wide == L::N * BLOCK {
        L::multiply_add::<W, ROW, BLOCK, FUSED>(sums, x, words);
    } else {
        L::multiply_add::<W, ROW, HALF, FUSED>(sums, x, words);
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
