//! Working memory that lasts for one call and is used again by the next.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Float;

/// One buffer for each depth of nesting, so that the same call always finds the one it grew.
type Buffers = Vec<Vec<f64>>;

thread_local! {
    static BUFFERS: RefCell<Buffers> = const { RefCell::new(Vec::new()) };
    static INSTALLED: RefCell<BufferPool> = RefCell::default();
}

/// A buffer taken for the time of a call; it goes back also when the call panics, so that each depth finds its own again.
struct Taken(Vec<f64>);

impl Drop for Taken {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    }
}

const LINE: usize = 64;

/// Calls `f` with `len` numbers of arbitrary value that begin at a cache line.
pub(crate) fn with<F: Float, R>(len: usize, f: impl FnOnce(&mut [F]) -> R) -> R {
    let mut taken = Taken(BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default());
    let needed = (len * size_of::<F>() + LINE).div_ceil(size_of::<f64>());
    if taken.0.len() < needed {
        // Not grown: its numbers are worth nothing, and both at once would take the room of two.
        drop(std::mem::take(&mut taken.0));
        taken.0 = vec![0.0; needed];
    }
    let numbers: &mut [F] = bytemuck::cast_slice_mut(&mut taken.0);
    let start = numbers.as_ptr().align_offset(LINE).min(LINE / size_of::<F>());
    f(&mut numbers[start..start + len])
}

/// As [`with`], for several buffers of these lengths.
pub(crate) fn with_each<F: Float, R, const N: usize>(lengths: [usize; N], f: impl FnOnce([&mut [F]; N]) -> R) -> R {
    with(lengths.map(whole_lines::<F>).iter().sum(), |memory| f(cut(memory, lengths)))
}

/// Cuts pieces of these lengths off, each at the beginning of a line.
fn cut<F, const N: usize>(memory: &mut [F], lengths: [usize; N]) -> [&mut [F]; N] {
    let mut rest = memory;
    lengths.map(|len| {
        let (one, others) = std::mem::take(&mut rest).split_at_mut(whole_lines::<F>(len));
        rest = others;
        &mut one[..len]
    })
}

/// Calls `f` as from within [`with`]: for the branch of a call that needs no buffer where another does, so that what is
/// called inside finds the same buffers from either.
pub(crate) fn same_depth<R>(f: impl FnOnce() -> R) -> R {
    with::<f32, R>(0, |_| f())
}

/// Named buffers of one call: `$lengths` says how long each is, `$buffers` is what there is inside [`with`](with_each).
macro_rules! buffers {
    ($(#[$doc:meta])* $lengths:ident, $buffers:ident { $($(#[$field_doc:meta])* $field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct $lengths {
            $($(#[$field_doc])* pub(super) $field: usize,)*
        }

        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $buffers<'b, F> {
            $($(#[$field_doc])* pub(super) $field: &'b mut [F],)*
        }

        impl $lengths {
            /// Bytes of all.
            pub(super) fn bytes<F>(self) -> usize {
                $crate::kernel::scratch::bytes::<F, _>([$(self.$field),*])
            }
            /// Calls `f` with such buffers, their numbers arbitrary.
            pub(super) fn with<F: $crate::Float, R>(self, f: impl FnOnce($buffers<'_, F>) -> R) -> R {
                $crate::kernel::scratch::with_each([$(self.$field),*], |[$($field),*]| f($buffers { $($field),* }))
            }
        }
    };
}
pub(crate) use buffers;

fn whole_lines<F>(len: usize) -> usize {
    let per_line = LINE / size_of::<F>();
    len.div_ceil(per_line).saturating_mul(per_line)
}

/// Bytes of the memory that [`with_each`] of these lengths takes.
pub(crate) fn bytes<F, const N: usize>(lengths: [usize; N]) -> usize {
    // Its place in the list of buffers, which has up to twice as many.
    const LISTED: usize = 2 * size_of::<Vec<f64>>();
    let numbers = lengths.into_iter().fold(0_usize, |sum, len| sum.saturating_add(whole_lines::<F>(len)));
    numbers.saturating_mul(size_of::<F>()).saturating_add(LINE + LISTED)
}

/// Working memory that belongs to no thread: whoever runs takes a set of buffers, so they do not gather on every thread
/// that had a turn, and all go when the owner goes.
///
/// Sets lie at places, numbered as the parts that a call is divided into: part k of every division finds the set of place k,
/// whichever thread it came to. So the sets grow to what their places need, not each to the most that any needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct BufferPool {
    sets: Arc<Mutex<Vec<Vec<Buffers>>>>,
    place: usize,
}

impl BufferPool {
    /// Those installed for the caller.
    pub(crate) fn installed() -> Self {
        INSTALLED.with_borrow(BufferPool::clone)
    }

    /// The same, seen from so many places further on.
    pub(crate) fn beyond(&self, places: usize) -> Self {
        BufferPool { place: self.place + places, ..self.clone() }
    }

    /// Calls `f`, which finds these buffers instead of the thread's.
    pub(crate) fn install<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Installed(BufferPool, Buffers);
        impl Drop for Installed {
            fn drop(&mut self) {
                let used = BUFFERS.replace(std::mem::take(&mut self.1));
                let BufferPool { sets, place } = INSTALLED.replace(self.0.clone());
                lock(&sets)[place].push(used);
            }
        }
        let ours = {
            let mut sets = lock(&self.sets);
            if sets.len() <= self.place {
                sets.resize_with(self.place + 1, Vec::new);
            }
            // More than one where several callers are at work at a time.
            sets[self.place].pop().unwrap_or_default()
        };
        let _installed = Installed(INSTALLED.replace(self.clone()), BUFFERS.replace(ours));
        f()
    }

    /// Frees all that is not in use.
    pub(crate) fn clear(&self) {
        lock(&self.sets).iter_mut().for_each(|sets| *sets = Vec::new());
    }
}

fn lock(sets: &Mutex<Vec<Vec<Buffers>>>) -> MutexGuard<'_, Vec<Vec<Buffers>>> {
    sets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Numbers that begin at a cache line.
#[repr(align(64))]
struct Lines<F, const LEN: usize>([F; LEN]);

/// As [`with_each`], on the stack where there are few numbers: so that a step allocates nothing on any thread, at its first call
/// either.
pub(crate) fn on_stack<F: Float, R, const N: usize>(lengths: [usize; N], f: impl FnOnce([&mut [F]; N]) -> R) -> R {
    match lengths.iter().map(|len| whole_lines::<F>(*len)).sum::<usize>() {
        0..=64 => with_lines::<F, R, N, 64>(lengths, f),
        65..=256 => with_lines::<F, R, N, 256>(lengths, f),
        257..=1024 => with_lines::<F, R, N, 1024>(lengths, f),
        1025..=ON_STACK => with_lines::<F, R, N, ON_STACK>(lengths, f),
        _ => with_each(lengths, f),
    }
}

/// The most numbers that [`on_stack`] keeps there.
const ON_STACK: usize = 4096;

// Not inlined: else the caller's frame would be as large as the largest of them.
#[inline(never)]
fn with_lines<F: Float, R, const N: usize, const LEN: usize>(
    lengths: [usize; N],
    f: impl FnOnce([&mut [F]; N]) -> R,
) -> R {
    let mut lines = Lines([F::zero(); LEN]);
    f(cut(&mut lines.0, lengths))
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Lengths of the buffers that the thread keeps, the outermost call's last.
    fn lengths() -> Vec<usize> {
        BUFFERS.with_borrow(|buffers| buffers.iter().map(Vec::len).collect())
    }

    fn nested(panic: bool) {
        with::<f64, _>(10, |_| {
            with::<f64, _>(1000, |_| with_each::<f64, _, 2>([20_000, 30_000], |_| assert!(!panic, "on purpose")));
        });
    }

    #[test]
    fn buffers_come_back_from_a_panic_in_their_order() {
        std::thread::spawn(|| {
            nested(false);
            let before = lengths();
            assert_eq!(before.len(), 3);
            for _ in 0..100 {
                assert!(catch_unwind(|| nested(true)).is_err());
                assert_eq!(lengths(), before);
            }
            // Also where the first call of all panics.
            let buffer_pool = BufferPool::default();
            assert!(catch_unwind(|| buffer_pool.install(|| nested(true))).is_err());
            assert_eq!(lengths(), before);
            assert_eq!(buffer_pool.install(lengths), before);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn every_place_has_a_set_of_its_own() {
        let buffer_pool = BufferPool::default();
        for _ in 0..3 {
            buffer_pool.install(|| {
                with::<f64, _>(1000, |_| {
                    let second = BufferPool::installed().beyond(2);
                    second.install(|| with::<f64, _>(10, |_| assert_eq!(BufferPool::installed().place, 2)));
                    assert_eq!(BufferPool::installed().place, 0);
                });
            });
        }
        assert_eq!(buffer_pool.install(lengths).len(), 1);
        assert!(buffer_pool.install(lengths)[0] > 1000 && buffer_pool.beyond(2).install(lengths)[0] < 100);
        assert!(buffer_pool.beyond(1).install(lengths).is_empty());
        buffer_pool.clear();
        assert!(buffer_pool.install(lengths).is_empty());
    }

    #[test]
    fn on_the_stack_as_elsewhere() {
        for lengths in [[0, 1], [5, 59], [17, 100], [300, 700], [2000, 2000], [5000, 1]] {
            on_stack::<f32, _, 2>(lengths, |pieces| {
                assert_eq!(pieces.each_ref().map(|piece| piece.len()), lengths);
                let lines = pieces.iter().all(|piece| piece.as_ptr().align_offset(LINE) == 0);
                assert!(lines, "each begins at a cache line");
            });
        }
    }
}
