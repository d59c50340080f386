//! Whether threads may wait for each other just now.
//!
//! Threads that go in step, waiting for each other every few microseconds, are fast where each has a core and ruinous where one has
//! not: it is away for milliseconds at a time. Nobody tells beforehand, so it is tried for a short round; where a round
//! fails, the next ones are done by one thread, twice as many after each failure.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// For the whole process, since so is the machine. Numbers that are a little late or lost do no harm.
pub(crate) static PACE: Pace = Pace::new();

pub(crate) struct Pace {
    /// 2 to this power less 1 is the number of rounds to leave out after the next failure.
    level: AtomicU32,
    /// Rounds still to be left out.
    left_out: AtomicU32,
    /// Good rounds since the last failure, or since the level went down.
    good: AtomicU32,
}

impl Pace {
    /// Rounds of about a millisecond: at most half a second until the next one is tried.
    const HIGHEST: u32 = 9;
    /// Good rounds that make up for a failure.
    const TRUST: u32 = 16;

    pub(crate) const fn new() -> Self {
        Pace { level: AtomicU32::new(0), left_out: AtomicU32::new(0), good: AtomicU32::new(0) }
    }

    /// Whether the coming round is to be tried together; asked once for each.
    pub(crate) fn together(&self) -> bool {
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
            self.left_out.store((1 << level) - 1, Ordering::Relaxed);
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
    fn each_failure_doubles_what_is_left_out_and_good_rounds_halve_it() {
        let pace = Pace::new();
        let left_out = || (0..).take_while(|_| !pace.together()).count();
        assert_eq!(left_out(), 0);
        for expected in [1, 3, 7, 15, 31, 63, 127, 255, 511, 511] {
            pace.went(false);
            assert_eq!(left_out(), expected);
        }
        for _ in 0..Pace::TRUST {
            pace.went(true);
        }
        pace.went(false); // back from level 8 to the highest
        assert_eq!(left_out(), 511);
        for _ in 0..2 * Pace::TRUST {
            pace.went(true);
        }
        pace.went(false);
        assert_eq!(left_out(), 255);
        for _ in 0..Pace::TRUST - 1 {
            pace.went(true);
        }
        pace.went(false); // one short: up again
        assert_eq!(left_out(), 511);
    }

    #[test]
    fn waiting_ends_by_itself() {
        let start = Instant::now();
        assert!(!wait(Duration::from_millis(2), || false));
        assert!(start.elapsed() >= Duration::from_millis(2));
        assert!(wait(Duration::ZERO, || true));
    }
}
