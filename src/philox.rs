//! Random numbers by their place: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
//!
//! A counter of four words and a key give four random words, whatever was drawn before. So what is drawn for a unit depends on where
//! it stands (layer, step, row, unit) and on nothing else: the same bits whole, in pieces, in shards, on any number of threads.

use crate::kernel::dispatch::{Job, dispatch};
use crate::{Context, Float, Mode};

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const KEY_STEPS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// The four words of a counter.
#[inline(always)]
fn philox([mut a, mut b, mut c, mut d]: [u32; 4], [mut k, mut l]: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let x = u64::from(MULTIPLIERS[0]) * u64::from(a);
        let y = u64::from(MULTIPLIERS[1]) * u64::from(c);
        (a, b, c, d) = ((y >> 32) as u32 ^ b ^ k, y as u32, (x >> 32) as u32 ^ d ^ l, x as u32);
        k = k.wrapping_add(KEY_STEPS[0]);
        l = l.wrapping_add(KEY_STEPS[1]);
    }
    [a, b, c, d]
}

/// What stands in the place of a step, or of a row, where a draw is the same for all of them.
const ALL: u32 = u32::MAX;

/// Where a draw stands: row, step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    row: u32,
    step: u32,
}

impl Place {
    /// Of one step of one row of a call.
    pub(crate) fn of(cx: &Context<'_>, t: usize, b: usize) -> Self {
        Place { row: cx.row(b) as u32, step: cx.step_of(t, b) as u32 }
    }

    /// Of all steps of one row.
    pub(crate) fn of_row(cx: &Context<'_>, b: usize) -> Self {
        Place { row: cx.row(b) as u32, step: ALL }
    }

    /// Of an array: of all steps of all rows.
    pub(crate) fn of_array(index: usize) -> Self {
        Place { row: index as u32, step: ALL - 1 }
    }
}

/// What a layer keeps of its numbers: each with the same chance, and is scaled so that the mean stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Draw {
    key: [u32; 2],
    path: u32,
    /// Words below this drop.
    threshold: u32,
    /// 1/(1 - rate).
    scale: f64,
}

impl Draw {
    /// For dropping with probability `rate`; none where nothing is drawn.
    pub(crate) fn new(cx: &Context<'_>, rate: f64) -> Option<Self> {
        let Mode::Train { key } = cx.mode() else { return None };
        if rate == 0.0 {
            return None;
        }
        let threshold = (rate * 4_294_967_296.0).round().min(f64::from(u32::MAX)) as u32;
        Some(Draw { key: [key as u32, (key >> 32) as u32], path: cx.path(), threshold, scale: 1.0 / (1.0 - rate) })
    }

    /// Fills `mask` with 0 for what is dropped and 1/(1 - rate) for what is kept. Word q of counter j is that of number q·N + j,
    /// N the fourth part of them.
    pub(crate) fn mask<F: Float>(&self, place: Place, mask: &mut [F]) {
        dispatch(Masks { draw: *self, place, mask, keep: F::from_f64(self.scale) });
    }

    /// As [`mask`](Draw::mask), with 1 for what is dropped and 0 for what is kept.
    pub(crate) fn dropped<F: Float>(&self, place: Place, mask: &mut [F]) {
        self.mask(place, mask);
        mask.iter_mut().for_each(|x| *x = if *x == F::zero() { F::one() } else { F::zero() });
    }
}

struct Masks<'a, F> {
    draw: Draw,
    place: Place,
    mask: &'a mut [F],
    keep: F,
}

impl<F: Float> Job for Masks<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        const LANES: usize = 16;
        let Masks { draw: Draw { key, path, threshold, .. }, place: Place { row, step }, mask, keep } = self;
        let (len, n) = (mask.len(), mask.len().div_ceil(4));
        for first in (0..n).step_by(LANES) {
            // Side by side, so that the loop becomes vector code.
            let mut words = [[0; LANES]; 4];
            let [a, b, c, d] = &mut words;
            for (i, (((a, b), c), d)) in a.iter_mut().zip(b).zip(c).zip(d).enumerate() {
                [*a, *b, *c, *d] = philox([(first + i) as u32, row, step, path], key);
            }
            for (q, words) in words.iter().enumerate() {
                let start = (q * n + first).min(len);
                let end = (start + LANES.min(n - first)).min(len).min((q + 1) * n);
                for (to, word) in mask[start..end.max(start)].iter_mut().zip(words) {
                    *to = if *word < threshold { F::zero() } else { keep };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that come with the authors' library, Random123 1.14 (`kat_vectors`).
    #[test]
    fn known_answers() {
        let all = u32::MAX;
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([all; 4], [all; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn a_mask_is_its_words_in_their_places() {
        let cx = Context::train(0x299f_31d0_a409_3822).layer(3);
        let draw = Draw::new(&cx, 0.25).unwrap();
        for len in [1, 2, 3, 4, 5, 63, 64, 65, 257] {
            let mut mask = vec![f64::NAN; len];
            draw.mask(Place { row: 7, step: 11 }, &mut mask);
            let n = len.div_ceil(4);
            for (k, x) in mask.iter().enumerate() {
                let word = philox([(k % n) as u32, 7, 11, cx.path()], [0xa409_3822, 0x299f_31d0])[k / n];
                assert_eq!(*x, if word < 1 << 30 { 0.0 } else { 4.0 / 3.0 }, "{k} of {len}");
            }
        }
    }

    #[test]
    fn as_many_drop_as_are_asked_for() {
        for rate in [0.1, 0.5, 0.9] {
            let draw = Draw::new(&Context::train(5), rate).unwrap();
            let mut mask = vec![0.0_f32; 100_000];
            draw.mask(Place { row: 0, step: 0 }, &mut mask);
            let dropped = mask.iter().filter(|x| **x == 0.0).count() as f64 / 1e5;
            // Four standard deviations.
            assert!((dropped - rate).abs() < 4.0 * (rate * (1.0 - rate) / 1e5).sqrt(), "{dropped} of {rate}");
        }
    }
}
