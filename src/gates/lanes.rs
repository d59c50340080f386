//! Some numbers of each unit, side by side.

use std::fmt::Debug;

use ndarray::Array2;

use crate::kernel::stored::Stored;
use crate::kernel::views::flat_mut;
use crate::{Float, State};

/// How many units are computed side by side. A unit's numbers lie in one column of a block.
pub(crate) const BLOCK: usize = 16;

mod sealed {
    pub trait Sealed {}
    impl<F, const N: usize> Sealed for [F; N] {}
}

/// A fixed number of scalars: `[F; N]`. Sealed, because the row loop knows how arrays become vector registers.
pub trait Lanes<F: Float>: Copy + Debug + Send + Sync + sealed::Sealed {
    /// How many.
    const N: usize;
    /// One `[B, H]` array for each: `[Array2<F>; N]`.
    type Arrays: State<F> + Debug + AsRef<[Array2<F>]> + AsMut<[Array2<F>]>;
    /// The lanes of some units side by side.
    type Block: Copy + AsRef<[[F; BLOCK]]> + AsMut<[[F; BLOCK]]>;
    /// The numbers of such arrays.
    #[doc(hidden)]
    type Slices<'a>: AsMut<[&'a mut [F]]> + Send;

    /// Arrays of zeros.
    fn arrays(batch: usize, units: usize) -> Self::Arrays;
    #[doc(hidden)]
    fn block() -> Self::Block;
    #[doc(hidden)]
    fn get(block: &Self::Block, unit: usize) -> Self;
    #[doc(hidden)]
    fn put(self, block: &mut Self::Block, unit: usize);
    /// Each [flushed](Float::flush).
    #[doc(hidden)]
    #[must_use]
    fn flush(self) -> Self;
    #[doc(hidden)]
    fn slices(arrays: &mut Self::Arrays) -> Self::Slices<'_>;
    /// The first `at` numbers of each, and the others.
    #[doc(hidden)]
    fn cut(slices: Self::Slices<'_>, at: usize) -> (Self::Slices<'_>, Self::Slices<'_>);
    /// `sums += x · w` of the first `WIDTH` units for weight number `ROW` of each word.
    #[doc(hidden)]
    #[expect(private_bounds, reason = "for kernels only")]
    fn multiply_add<W: Stored<F>, const ROW: usize, const WIDTH: usize, const FUSED: bool>(
        sums: &mut Self::Block,
        x: F,
        words: &[W],
    );
    /// `sums += own · scales` of the first `width` units.
    #[doc(hidden)]
    fn add_scaled(sums: &mut Self::Block, own: &Self::Block, scales: &[F], width: usize);
}

impl<F: Float, const N: usize> Lanes<F> for [F; N] {
    const N: usize = N;
    type Arrays = [Array2<F>; N];
    type Block = [[F; BLOCK]; N];
    type Slices<'a> = [&'a mut [F]; N];

    fn arrays(batch: usize, units: usize) -> Self::Arrays {
        std::array::from_fn(|_| Array2::zeros((batch, units)))
    }
    #[inline(always)]
    fn block() -> Self::Block {
        [[F::zero(); BLOCK]; N]
    }
    #[inline(always)]
    fn get(block: &Self::Block, unit: usize) -> Self {
        std::array::from_fn(|lane| block[lane][unit])
    }
    #[inline(always)]
    fn put(self, block: &mut Self::Block, unit: usize) {
        for lane in 0..N {
            block[lane][unit] = self[lane];
        }
    }
    #[inline(always)]
    fn flush(self) -> Self {
        std::array::from_fn(|lane| self[lane].flush())
    }
    #[inline(always)]
    fn slices(arrays: &mut Self::Arrays) -> Self::Slices<'_> {
        let mut slices: [&mut [F]; N] = std::array::from_fn(|_| Default::default());
        for (slice, array) in slices.iter_mut().zip(arrays) {
            *slice = row_major(array);
        }
        slices
    }
    fn cut(mut slices: Self::Slices<'_>, at: usize) -> (Self::Slices<'_>, Self::Slices<'_>) {
        let mut others: [&mut [F]; N] = std::array::from_fn(|_| Default::default());
        for (slice, others) in slices.iter_mut().zip(&mut others) {
            let numbers = std::mem::take(slice);
            let (first, rest) = numbers.split_at_mut(at.min(numbers.len()));
            (*slice, *others) = (first, rest);
        }
        (slices, others)
    }
    #[inline(always)]
    #[expect(private_bounds, reason = "for kernels only")]
    fn multiply_add<W: Stored<F>, const ROW: usize, const WIDTH: usize, const FUSED: bool>(
        sums: &mut Self::Block,
        x: F,
        words: &[W],
    ) {
        // A lane goes through `of_lane` by value: in a loop over `sums` itself it would not become vector code.
        #[inline(always)]
        fn of_lane<F: Float, W: Stored<F>, const ROW: usize, const WIDTH: usize, const FUSED: bool>(
            mut sums: [F; WIDTH],
            x: F,
            words: &[W; WIDTH],
        ) -> [F; WIDTH] {
            for i in 0..WIDTH {
                sums[i] = x.mul_add_if::<FUSED>(words[i].load::<ROW>(), sums[i]);
            }
            sums
        }
        let (words, _) = words.as_chunks::<WIDTH>();
        let words = &words[..N];
        for lane in 0..N {
            if let Some(sums) = sums[lane].first_chunk_mut::<WIDTH>() {
                *sums = of_lane::<F, W, ROW, WIDTH, FUSED>(*sums, x, &words[lane]);
            }
        }
    }
    #[inline(always)]
    fn add_scaled(sums: &mut Self::Block, own: &Self::Block, scales: &[F], width: usize) {
        let scales = &scales[..N * width];
        for lane in 0..N {
            for i in 0..width {
                sums[lane][i] += own[lane][i] * scales[lane * width + i];
            }
        }
    }
}

/// The numbers of an array, which is made row-major if it is not.
#[inline(always)]
fn row_major<F: Float>(array: &mut Array2<F>) -> &mut [F] {
    if !array.is_standard_layout() {
        *array = array.as_standard_layout().into_owned();
    }
    flat_mut(array)
}
