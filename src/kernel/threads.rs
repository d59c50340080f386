//! How many threads a pass may use, and the one way work is divided over them.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread;

use super::operands::Operands;
use super::scratch::BufferPool;
use crate::Error;
use crate::precision::Precision;

/// Multiply-adds below which another thread costs more than it brings.
const WORTH_A_THREAD: usize = 1 << 20;

thread_local! {
    static AVAILABLE: Cell<usize> = const { Cell::new(1) };
}

/// Calls of [`Threads::install`] in the whole process that are not from within one of the same pool.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// One of [`CALLS`], while it runs.
struct Call;

impl Call {
    fn begin() -> Self {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Call
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether each call there is can have so many cores.
pub(crate) fn cores_for_all(parts: usize) -> bool {
    CALLS.load(Ordering::Relaxed).max(1).saturating_mul(parts) <= cores()
}

/// A number of threads to compute with.
///
/// Inside [`install`](Threads::install) the layers of this crate divide their work over the threads; outside they run
/// on the caller's. Results are the same bits for any number. Threads sleep while there is nothing to do.
///
/// A call may come from any thread, a worker of another pool too, and under any lock that it does not take itself: it waits
/// asleep and takes up no other work meanwhile. One call at a time has the threads; one that comes while they are
/// taken runs on its own thread alone.
///
/// Working memory of what runs inside belongs to this value and its clones, and is freed with the last of them.
#[derive(Clone, Debug)]
pub struct Threads {
    number: usize,
    pool: Option<Arc<Pool>>,
    buffer_pool: BufferPool,
    /// What the products inside a call are made of.
    operands: Operands,
}

/// Threads, and whose turn it is. A worker that waits for a part of a call takes up whatever else there is in its pool. With one
/// call in it that can only be another part of the same; with more, calls would pile up on one stack.
#[derive(Debug)]
struct Pool {
    workers: rayon::ThreadPool,
    turn: Mutex<()>,
}

impl Threads {
    /// `number` threads; for 1 none is started. Of more than the machine has cores only so many are: the work is divided into as many
    /// parts all the same.
    ///
    /// # Errors
    /// If `number` is 0, or above 1024, or the system refuses to start them.
    pub fn new(number: usize) -> Result<Self, Error> {
        if !(1..=1024).contains(&number) {
            return Err(Error::value("threads", "1 to 1024", number));
        }
        let pool = if number == 1 {
            None
        } else {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(number.min(cores()).max(2));
            let pool = pool.thread_name(|i| format!("deep-rnn-{i}"));
            let workers = pool.build().map_err(|e| Error::value("threads", "a number the system can start", e))?;
            Some(Arc::new(Pool { workers, turn: Mutex::new(()) }))
        };
        Ok(Threads { number, pool, buffer_pool: BufferPool::default(), operands: Operands::Full })
    }

    /// How many.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The precision of the operands of matrix products in what is [installed](Threads::install), where they are `f32`: what
    /// [`BpttBuilder::matmul_precision`](crate::train::BpttBuilder::matmul_precision) says of an engine's.
    ///
    /// # Errors
    /// If it is neither full nor bf16.
    pub fn matmul_precision(self, precision: Precision) -> Result<Self, Error> {
        match precision {
            Precision::Full => Ok(Threads { operands: Operands::Full, ..self }),
            Precision::Bf16 => Ok(Threads { operands: Operands::bf16(), ..self }),
            other => Err(Error::value("matmul_precision", "full or bf16", other)),
        }
    }

    /// What the products inside a call are made of.
    pub(crate) fn operands(&self) -> Operands {
        self.operands
    }

    /// Calls `f` with the available threads.
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        let operands = if self.operands.is_full() { Operands::of_pass() } else { self.operands };
        let f = move || operands.with(f);
        if let Some(Pool { workers, .. }) = self.pool.as_deref()
            && workers.current_thread_index().is_some()
        {
            return self.buffer_pool.install(f); // from within a call: with the threads that has
        }
        let _call = Call::begin();
        let alone = |f| self.buffer_pool.install(|| with_available(1, f));
        let Some(Pool { workers, turn }) = self.pool.as_deref() else { return alone(f) };
        let _turn = match turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return alone(f),
        };
        let install = |f| workers.install(|| self.buffer_pool.install(|| with_available(self.number, f)));
        if rayon::current_thread_index().is_none() {
            return install(f);
        }
        // A worker of another pool: while it waited there it would take up other tasks of that pool, on top of this call's stack
        // and under the caller's locks. Joining a thread it sleeps.
        let f = Mutex::new(Some(f));
        let take = || f.lock().unwrap_or_else(PoisonError::into_inner).take();
        let result = thread::scope(|scope| {
            let started = thread::Builder::new().spawn_scoped(scope, || take().map(install));
            started.ok().and_then(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        match (result, take()) {
            (Some(result), _) => result,
            (None, Some(f)) => alone(f), // the system has no thread left
            (None, None) => unreachable!("a call that was taken has a result"),
        }
    }

    /// Frees the working memory of the calls before.
    pub(crate) fn free_memory(&self) {
        self.buffer_pool.clear();
    }
}

/// How many threads this machine can run at a time for this process.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Sets the number of threads for the time of one call, also when the call panics.
pub(crate) fn with_available<R>(number: usize, f: impl FnOnce() -> R) -> R {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            AVAILABLE.set(self.0);
        }
    }
    let _restore = Restore(AVAILABLE.replace(number));
    f()
}

/// The number of threads the current pass may use.
pub(crate) fn available() -> usize {
    AVAILABLE.get()
}

/// Calls `f` so that whatever it runs finds one available thread: for work that is one part of a division already.
pub(crate) fn alone<R>(f: impl FnOnce() -> R) -> R {
    with_available(1, f)
}

/// How many threads each of two calls finds that [`both`] runs.
pub(crate) fn halves() -> [usize; 2] {
    let number = available();
    [number - number / 2, (number / 2).max(1)]
}

/// Runs both, each with half of the available threads; one after the other where there is one.
pub(crate) fn both<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    if available() < 2 {
        return (a(), b());
    }
    let [first, second] = halves();
    // Also where no other thread comes for it: so the buffers there are do not depend on who does what.
    let buffer_pool = BufferPool::installed().beyond(first);
    let operands = Operands::of_pass();
    let b = || buffer_pool.install(|| operands.with(|| with_available(second, b)));
    rayon::join(|| with_available(first, a), b)
}

/// Work over `len` equal places that can be cut in two.
pub(crate) trait Divisible: Send + Sized {
    fn len(&self) -> usize;
    fn cut(self, at: usize) -> (Self, Self);
}

/// Divides `work` into `parts` parts of nearly equal length, each a multiple of `grain` but for the last, and runs `f`
/// on each, in parallel.
pub(crate) fn divide<W: Divisible>(work: W, parts: usize, grain: usize, f: &(impl Fn(W) + Sync)) {
    let blocks = work.len().div_ceil(grain.max(1));
    let parts = parts.min(blocks);
    if parts <= 1 {
        return f(work);
    }
    let left = parts / 2;
    let at = (blocks * left / parts) * grain;
    let (first, second) = work.cut(at);
    let (buffer_pool, operands) = (BufferPool::installed().beyond(left), Operands::of_pass());
    rayon::join(
        || alone(|| divide(first, left, grain, f)),
        || buffer_pool.install(|| operands.with(|| alone(|| divide(second, parts - left, grain, f)))),
    );
}

/// How many parts the work of some steps is worth, each step being worth `step` multiply-adds.
pub(crate) fn parts_of_steps(steps: usize, step: usize) -> usize {
    available().min(1 + steps.saturating_mul(step) / WORTH_A_THREAD)
}

/// The most steps for each smaller number of parts than this many are worth: divided less, the parts may be larger.
pub(crate) fn steps_in_fewer_parts(steps: usize, step: usize) -> impl Iterator<Item = usize> {
    // With more parts the next number makes no difference to speak of.
    const MOST: usize = 16;
    let fewer = 1..parts_of_steps(steps, step).min(MOST);
    fewer.map(move |parts| (parts * WORTH_A_THREAD - 1) / step).filter(|steps| *steps > 0)
}

/// How much of `len` places falls to part `k` of `parts`, as [`divide`] cuts them.
pub(crate) fn part_of(mut len: usize, mut parts: usize, mut k: usize) -> usize {
    while parts > 1 {
        let left = parts / 2;
        let at = (len as u128 * left as u128 / parts as u128) as usize;
        (len, parts, k) = if k < left { (at, left, k) } else { (len - at, parts - left, k - left) };
    }
    len
}

impl<'a, T: Send> Divisible for &'a mut [T] {
    fn len(&self) -> usize {
        <[T]>::len(self)
    }
    fn cut(self, at: usize) -> (&'a mut [T], &'a mut [T]) {
        self.split_at_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn fewer_parts_have_the_most_steps_that_are_worth_no_more() {
        with_available(5, || {
            for (step, numbers) in [(1, 4), (7, 4), (6144, 4), (1 << 20, 3), (1 << 30, 0)] {
                let steps = 4 * WORTH_A_THREAD / step + 1;
                let fewer: Vec<usize> = steps_in_fewer_parts(steps, step).collect();
                assert_eq!(fewer.len(), numbers, "{step}");
                for steps in &fewer {
                    let parts = [*steps, steps + 1].map(|steps| parts_of_steps(steps, step));
                    assert!(parts[0] < parts[1], "{step}: {steps} steps in {parts:?} parts");
                }
                assert!(fewer.iter().all(|fewer| *fewer < steps), "{step}");
            }
        });
        assert_eq!(with_available(1, || steps_in_fewer_parts(1 << 40, 1 << 20).count()), 0);
    }

    #[test]
    fn parts_are_as_long_as_is_told() {
        for len in [1, 2, 7, 9, 64, 1000] {
            for parts in 1..=len.min(11) {
                let lengths = Mutex::new(Vec::new());
                let mut numbers: Vec<usize> = (0..len).collect();
                divide(&mut numbers[..], parts, 1, &|part: &mut [usize]| {
                    lengths.lock().unwrap().push((part[0], part.len()));
                });
                let mut lengths = lengths.into_inner().unwrap();
                lengths.sort_unstable();
                let told: Vec<usize> = (0..parts).map(|k| part_of(len, parts, k)).collect();
                assert_eq!(lengths.into_iter().map(|(_, len)| len).collect::<Vec<_>>(), told, "{len} in {parts}");
            }
        }
    }
}
