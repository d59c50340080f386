//! Few rows times an operand that was packed once and for all, with the gates at once: what streaming inference runs.
//!
//! The columns of an operand are those of units: unit after unit in blocks of 16, a block's columns gate after gate. So
//! the sums of a block hold all that its units' gates need, and never leave the registers. A sum starts from the bias and
//! takes its terms in the order that every product of this crate has.

use super::dispatch::{Job, dispatch};
use super::stored::Stored;
use crate::Float;
use crate::pointwise::{BLOCK, Lanes, Pointwise};

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
    words: Aligned<W>,
    /// As [`columns`]; empty where words have none.
    scales: Aligned<F>,
}

impl<F: Float, W: Stored<F>> Operand<F, W> {
    /// Packs `w [k, lanes · units]` (row-major); an error is the weight that such words cannot hold.
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
                    weights.extend((0..k).map(|p| w[p * n + column]));
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
        Ok(Operand { k, lanes, words, scales })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.bytes() + self.scales.bytes()
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
pub(crate) enum Input<'a, F> {
    /// `[B, D]`, row-major.
    Rows(&'a [F]),
    /// `[B]`; each stands for a row of zeros with a one.
    Tokens(&'a [usize]),
}

impl<'a, F> Input<'a, F> {
    /// `R` rows from row `first` on.
    #[inline(always)]
    fn rows<const R: usize>(self, first: usize, d: usize) -> Terms<'a, F, R> {
        match self {
            Input::Rows(x) => Terms::All(array(&[], |r| &x[(first + r) * d..][..d])),
            Input::Tokens(tokens) => Terms::One(array(0, |r| tokens[first + r])),
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

/// Copies `width` numbers, 1 to 16 of them, by moves of fixed lengths: a copy whose length is a number is a call.
#[inline(always)]
fn copy<F: Float>(to: &mut [F], from: &[F], width: usize) {
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

/// How many blocks' sums the registers hold beside each other, for so many lanes: 4, 2 or 1.
const fn abreast<F>(lanes: usize, fused: bool, wide: bool) -> usize {
    let register = if wide {
        64
    } else if fused {
        32
    } else {
        16
    };
    let (there, block) = (if wide { 24 } else { 12 }, lanes * BLOCK * size_of::<F>() / register);
    if 4 * block <= there {
        4
    } else if 2 * block <= there {
        2
    } else {
        1
    }
}

/// The sums of a block: x·w_x + b, or all of it where the gates only use the sum, and h·w_h + b_h.
type Sums<F, P> = (<<P as Pointwise<F>>::X as Lanes<F>>::Block, <<P as Pointwise<F>>::H as Lanes<F>>::Block);

/// A step of a gated cell: both products, and the gates.
pub(crate) struct Step<'a, F: Float, P: Pointwise<F>, W> {
    pub(crate) gates: &'a P,
    pub(crate) units: usize,
    pub(crate) w_x: &'a Operand<F, W>,
    pub(crate) w_h: &'a Operand<F, W>,
    /// As [`columns`]: where the sums start.
    pub(crate) b: &'a [F],
    pub(crate) b_h: &'a [F],
    pub(crate) x: Input<'a, F>,
    pub(crate) y: &'a mut [F],
    /// The lanes of the state, `[B, H]` each.
    pub(crate) state: <P::State as Lanes<F>>::Slices<'a>,
}

impl<F: Float, P: Pointwise<F>, W: Stored<F>> Step<'_, F, P, W> {
    pub(crate) fn start(self) {
        dispatch(self);
    }
}

impl<F: Float, P: Pointwise<F>, W: Stored<F>> Job for Step<'_, F, P, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let lanes = if P::X::N > P::H::N { P::X::N } else { P::H::N };
        match abreast::<F>(lanes, FUSED, WIDE) {
            4 => self.blocks::<4, FUSED>(),
            2 => self.blocks::<2, FUSED>(),
            _ => self.blocks::<1, FUSED>(),
        }
    }
}

impl<F: Float, P: Pointwise<F>, W: Stored<F>> Step<'_, F, P, W> {
    /// `MOST` rows of a block at a time; of the rows that are left over, `MOST` blocks at a time.
    #[inline(always)]
    fn blocks<const MOST: usize, const FUSED: bool>(mut self) {
        let (blocks, rows) = (self.units.div_ceil(BLOCK), self.y.len() / self.units);
        let many = if MOST > 1 { rows / MOST * MOST } else { 0 };
        if MOST > 1 && (many > 0 || MOST <= blocks) {
            self.groups::<MOST, FUSED>(many, rows);
        }
        let first = if MOST > 1 { blocks / MOST * MOST } else { 0 };
        for r in many..rows {
            for q in first..blocks {
                let [[sums]] = self.sums::<1, 1, FUSED>(r, q);
                self.gates(&sums, r, q);
            }
        }
        let h = &mut *self.state.as_mut()[0];
        if h.len() <= BLOCK {
            copy(h, self.y, h.len());
        } else {
            h.copy_from_slice(self.y);
        }
    }

    /// The first `many` rows, all rows of a block while its weights are near; of the others the blocks that make up groups.
    #[inline(always)]
    fn groups<const MOST: usize, const FUSED: bool>(&mut self, many: usize, rows: usize) {
        let blocks = self.units.div_ceil(BLOCK);
        let high = many / MOST * blocks;
        let wide = (rows - many) * (blocks / MOST);
        let mut sums = [(P::X::block(), P::H::block()); MOST];
        for tile in 0..high + wide {
            let (r, q, width) = if tile < high {
                let (q, r) = (tile / (many / MOST), tile % (many / MOST) * MOST);
                for (to, [from]) in sums.iter_mut().zip(self.sums::<MOST, 1, FUSED>(r, q)) {
                    *to = from;
                }
                (r, q, 1)
            } else {
                let (r, q) = ((tile - high) / (blocks / MOST), (tile - high) % (blocks / MOST) * MOST);
                [sums] = self.sums::<1, MOST, FUSED>(many + r, q);
                (many + r, q, MOST)
            };
            // The gates are here once and not in each of the two: they are most of the code.
            for (i, sums) in sums.iter().enumerate() {
                self.gates(sums, r + i / width, q + i % width);
            }
        }
    }

    /// The sums of `R` rows from `r` on, of `A` blocks from `q` on.
    #[inline(always)]
    fn sums<const R: usize, const A: usize, const FUSED: bool>(&mut self, r: usize, q: usize) -> [[Sums<F, P>; A]; R] {
        let (units, n_x, n_h) = (self.units, P::X::N * BLOCK, P::H::N * BLOCK);
        let mut xs = [[P::X::block(); A]; R];
        let mut us = [[P::H::block(); A]; R];
        for i in 0..A {
            for row in 0..R {
                xs[row][i].as_mut().as_flattened_mut().copy_from_slice(&self.b[(q + i) * n_x..][..n_x]);
                if !P::SUMMED {
                    us[row][i].as_mut().as_flattened_mut().copy_from_slice(&self.b_h[(q + i) * n_h..][..n_h]);
                }
            }
        }
        add::<F, W, P::X, R, A, FUSED>(&mut xs, self.x.rows(r, self.w_x.k), self.w_x, q);
        let h = &*self.state.as_mut()[0];
        let h = Terms::All(array(&[], |row| &h[(r + row) * units..][..units]));
        if P::SUMMED {
            add::<F, W, P::X, R, A, FUSED>(&mut xs, h, self.w_h, q);
        } else if P::H::N > 0 {
            add::<F, W, P::H, R, A, FUSED>(&mut us, h, self.w_h, q);
        }
        let mut sums = [[(P::X::block(), P::H::block()); A]; R];
        for row in 0..R {
            for i in 0..A {
                sums[row][i] = (xs[row][i], us[row][i]);
            }
        }
        sums
    }

    /// The gates of block `q` of row `r`. Lane 0 of the state stays as it was, since other blocks read it.
    #[inline(always)]
    fn gates(&mut self, (xs, us): &Sums<F, P>, r: usize, q: usize) {
        let (units, state) = (self.units, self.state.as_mut());
        let width = BLOCK.min(units - q * BLOCK);
        let at = r * units + q * BLOCK;
        let (mut block, mut saved) = (P::State::block(), P::Saved::block());
        for (lane, array) in block.as_mut().iter_mut().zip(state.iter()) {
            copy(lane, &array[at..], width);
        }
        self.gates.forward_block(xs, us, &mut block, &mut saved);
        copy(&mut self.y[at..], &block.as_ref()[0], width);
        for (lane, array) in block.as_ref().iter().zip(state.iter_mut()).skip(1) {
            copy(&mut array[at..], lane, width);
        }
    }
}

/// An affine map: `y [B, n] = b + x · w`, where each column of `w` counts as a unit of one lane.
pub(crate) struct Affine<'a, F, W> {
    pub(crate) w: &'a Operand<F, W>,
    pub(crate) b: &'a [F],
    pub(crate) n: usize,
    pub(crate) x: Input<'a, F>,
    pub(crate) y: &'a mut [F],
}

impl<F: Float, W: Stored<F>> Affine<'_, F, W> {
    pub(crate) fn start(self) {
        dispatch(self);
    }
}

impl<F: Float, W: Stored<F>> Job for Affine<'_, F, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(mut self) {
        let (blocks, rows) = (self.n.div_ceil(BLOCK), self.y.len() / self.n);
        for r in 0..rows {
            let mut q = 0;
            while q + 4 <= blocks {
                self.tile::<4, FUSED>(r, q);
                q += 4;
            }
            if q + 2 <= blocks {
                self.tile::<2, FUSED>(r, q);
                q += 2;
            }
            if q < blocks {
                self.tile::<1, FUSED>(r, q);
            }
        }
    }
}

impl<F: Float, W: Stored<F>> Affine<'_, F, W> {
    #[inline(always)]
    fn tile<const A: usize, const FUSED: bool>(&mut self, r: usize, q: usize) {
        let mut sums = [[[[F::zero(); BLOCK]; 1]; A]; 1];
        sums.as_flattened_mut()
            .as_flattened_mut()
            .as_flattened_mut()
            .copy_from_slice(&self.b[q * BLOCK..][..A * BLOCK]);
        add::<F, W, [F; 1], 1, A, FUSED>(&mut sums, self.x.rows(r, self.w.k), self.w, q);
        for (i, sums) in sums[0].iter().enumerate() {
            let unit = (q + i) * BLOCK;
            copy(&mut self.y[r * self.n + unit..], &sums[0], BLOCK.min(self.n - unit));
        }
    }
}
