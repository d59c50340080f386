//! Working memory that lasts for one call and is used again by the next.

use std::cell::RefCell;

use crate::Float;

thread_local! {
    // One buffer for each depth of nesting, so that the same call always finds the one it grew.
    static BUFFERS: RefCell<Vec<Vec<f64>>> = const { RefCell::new(Vec::new()) };
}

const LINE: usize = 64;

/// Calls `f` with `len` numbers of arbitrary value that begin at a cache line.
pub(crate) fn with<F: Float, R>(len: usize, f: impl FnOnce(&mut [F]) -> R) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    let needed = (len * size_of::<F>() + LINE).div_ceil(size_of::<f64>());
    if buffer.len() < needed {
        buffer.resize(needed, 0.0);
    }
    let numbers: &mut [F] = bytemuck::cast_slice_mut(&mut buffer);
    let start = numbers.as_ptr().align_offset(LINE).min(LINE / size_of::<F>());
    let result = f(&mut numbers[start..start + len]);
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}

/// As [`with`], for several buffers of these lengths.
pub(crate) fn with_each<F: Float, R, const N: usize>(lengths: [usize; N], f: impl FnOnce([&mut [F]; N]) -> R) -> R {
    let per_line = LINE / size_of::<F>();
    let whole = lengths.map(|len| len.div_ceil(per_line) * per_line);
    with(whole.iter().sum(), |memory| {
        let mut rest = memory;
        let mut i = 0;
        f(whole.map(|whole| {
            let (one, others) = std::mem::take(&mut rest).split_at_mut(whole);
            rest = others;
            i += 1;
            &mut one[..lengths[i - 1]]
        }))
    })
}
