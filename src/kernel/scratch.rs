//! Working memory that lasts for one call and is used again by the next.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Float;

/// One buffer for each depth of nesting, so that the same call always finds the one it grew.
type Buffers = Vec<Vec<f64>>;

thread_local! {
    static BUFFERS: RefCell<Buffers> = const { RefCell::new(Vec::new()) };
    static AT_HAND: RefCell<Desks> = RefCell::default();
}

const LINE: usize = 64;

/// Calls `f` with `len` numbers of arbitrary value that begin at a cache line.
pub(crate) fn with<F: Float, R>(len: usize, f: impl FnOnce(&mut [F]) -> R) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    let needed = (len * size_of::<F>() + LINE).div_ceil(size_of::<f64>());
    if buffer.len() < needed {
        // Not grown: its numbers are worth nothing, and both at once would take the room of two.
        drop(std::mem::take(&mut buffer));
        buffer = vec![0.0; needed];
    }
    let numbers: &mut [F] = bytemuck::cast_slice_mut(&mut buffer);
    let start = numbers.as_ptr().align_offset(LINE).min(LINE / size_of::<F>());
    let result = f(&mut numbers[start..start + len]);
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}

/// As [`with`], for several buffers of these lengths.
pub(crate) fn with_each<F: Float, R, const N: usize>(lengths: [usize; N], f: impl FnOnce([&mut [F]; N]) -> R) -> R {
    let whole = lengths.map(whole_lines::<F>);
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

/// Calls `f` as from within [`with`]: for the branch of a call that needs no buffer where another does, so that what is
/// called inside finds the same buffers from either.
pub(crate) fn same_depth<R>(f: impl FnOnce() -> R) -> R {
    with::<f32, R>(0, |_| f())
}

fn whole_lines<F>(len: usize) -> usize {
    let per_line = LINE / size_of::<F>();
    len.div_ceil(per_line).saturating_mul(per_line)
}

/// Bytes of the memory that [`with_each`] of these lengths takes.
pub(crate) fn bytes<F, const N: usize>(lengths: [usize; N]) -> usize {
    let numbers = lengths.into_iter().fold(0_usize, |sum, len| sum.saturating_add(whole_lines::<F>(len)));
    numbers.saturating_mul(size_of::<F>()).saturating_add(LINE)
}

/// Working memory that belongs to no thread: whoever runs takes a set of buffers, so they do not gather on every thread
/// that had a turn, and all go when the owner goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desks(Arc<Mutex<Vec<Buffers>>>);

impl Desks {
    /// Those lent to the caller.
    pub(crate) fn at_hand() -> Self {
        AT_HAND.with_borrow(Desks::clone)
    }

    /// Calls `f`, which finds these buffers instead of the thread's.
    pub(crate) fn lend<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Lent(Desks, Buffers);
        impl Drop for Lent {
            fn drop(&mut self) {
                let used = BUFFERS.replace(std::mem::take(&mut self.1));
                let desks = AT_HAND.replace(self.0.clone());
                desks.lock().push(used);
            }
        }
        let ours = self.lock().pop().unwrap_or_default();
        let _lent = Lent(AT_HAND.replace(self.clone()), BUFFERS.replace(ours));
        f()
    }

    /// Frees all that is not lent.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Buffers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
