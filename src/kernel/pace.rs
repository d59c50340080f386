//! Whether threads may wait for each other just now.
//!
//! Threads that go in step, waiting for each other every few microseconds, are fast where each has a core and ruinous where one has
//! not: it is away for milliseconds at a time. Nobody tells beforehand, so it is tried for a short round; where a round
//! fails, the next ones are done by one thread, four times as many after each failure.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::threads::cores_for_all;

/// For the whole process, since so is the machine. Numbers that are a little late or lost do no harm.
pub(crate) static PACE: Pace = Pace::new(true);

pub(crate) struct Pace {
    /// Whether other calls of the process count, which want cores too.
    among_others: bool,
    /// 4 to this power less 1 is the number of rounds that were left out after the last failure.
    level: AtomicU32,
    /// Rounds still to be left out.
    left_out: AtomicU32,
    /// Good rounds since the last failure, or since the level went down.
    good: AtomicU32,
}

impl Pace {
    /// Rounds of about a millisecond: at most half a second until the next one is tried.
    const MOST: u32 = 511;
    const HIGHEST: u32 = 5;
    /// Good rounds that make up for a failure.
    const TRUST: u32 = 64;

    pub(crate) const fn new(among_others: bool) -> Self {
        Pace { among_others, level: AtomicU32::new(0), left_out: AtomicU32::new(0), good: AtomicU32::new(0) }
    }

    /// Whether nothing speaks against so many threads' going together.
    pub(crate) fn is_calm(&self, threads: usize) -> bool {
        self.left_out.load(Ordering::Relaxed) == 0 && (!self.among_others || cores_for_all(threads))
    }

    /// Whether the coming round is to be tried together; asked once for each.
    pub(crate) fn together(&self, threads: usize) -> bool {
        if self.among_others && !cores_for_all(threads) {
            return false;
        }
        let left = self.left_out.load(Ordering::Relaxed);
        self.left_out.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }

    /// How the round went.
    pub(crate) fn went(&self, well: bool) {
        let level = self.level.load(Ordering::Relaxed);
        if !well {
            let level = (level + 1).min(Self::HIGHEST);
            self.level.store(level, Ordering::Relaxed);
            self.left_out.store(((1 << (2 * level)) - 1).min(Self::MOST), Ordering::Relaxed);
            self.good.store(0, Ordering::Relaxed);
        } else if level > 0 && self.good.fetch_add(1, Ordering::Relaxed) + 1 >= Self::TRUST {
            self.level.store(level - 1, Ordering::Relaxed);
            self.good.store(0, Ordering::Relaxed);
        }
    }
}

/// Waits until `ready`, but no longer than `limit`; tells whether it is. Spins, since that takes well below a microsecond where the
/// other has a core; after a while lets others run, since it may be waiting for this one.
pub(crate) fn wait(limit: Duration, ready: impl Fn() -> bool) -> bool {
    const SPINS: u32 = 64;
    const POLITE: Duration = Duration::from_micros(20);
    for _ in 0..SPINS {
        if ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    let start = Instant::now();
    loop {
        if ready() {
            return true;
        }
        match start.elapsed() {
            waited if waited > limit => return ready(),
            waited if waited > POLITE => std::thread::yield_now(),
            _ => std::hint::spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_leaves_out_four_times_as_many_and_good_rounds_bring_it_down() {
        let pace = Pace::new(false);
        let left_out = || (0..).take_while(|_| !pace.together(2)).count();
        let good = |rounds| (0..rounds).for_each(|_| pace.went(true));
        assert_eq!(left_out(), 0);
        for expected in [3, 15, 63, 255, 511, 511] {
            pace.went(false);
            assert_eq!(left_out(), expected);
        }
        good(2 * Pace::TRUST); // down by two levels, and up by one
        pace.went(false);
        assert_eq!(left_out(), 255);
        good(Pace::TRUST - 1); // one short
        pace.went(false);
        assert_eq!(left_out(), 511);
        good(5 * Pace::TRUST);
        pace.went(false);
        assert_eq!(left_out(), 3);
    }

    #[test]
    fn waiting_ends_by_itself() {
        let start = Instant::now();
        assert!(!wait(Duration::from_millis(2), || false));
        assert!(start.elapsed() >= Duration::from_millis(2));
        assert!(wait(Duration::ZERO, || true));
    }
}
