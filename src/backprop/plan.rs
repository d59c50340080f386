//! Where a window is cut when its tape must not be kept whole: which states to store, what to run again.
//!
//! The window is cut into segments. Only one segment's tape is there at a time. The pass goes forward without tape but for the
//! last segment and stores the state at some places; then backward from segment to segment, each run again, with tape, from the
//! stored state nearest before it. With n segments and s stored states (that before the window is one) the fewest forward
//! runs are those of the binomial schedule (Griewank and Walther, Revolve, 2000): for β(s, r) = C(s + r, s) and the r with
//! β(s, r - 1) < n ≤ β(s, r), segments are run without tape r·n - β(s + 1, r - 1) times.

use std::ops::Range;

/// How one window is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// T.
    steps: usize,
    /// Steps of a segment; the first one may have fewer.
    segment: usize,
    /// States stored beside that before the window.
    slots: usize,
}

impl Plan {
    /// All in one piece, nothing run again.
    pub(super) fn whole(steps: usize) -> Self {
        Plan { steps, segment: steps.max(1), slots: 0 }
    }

    /// The plan of the fewest forward steps that takes at most `room` bytes, where a segment of some steps takes `segment(steps)`
    /// and a state `state`; or else the fewest bytes there is a plan for. Segments of a window of more than `block` steps are
    /// powers of two, so that each is a part of one block of so many (also a power of two) or made of whole ones.
    pub(super) fn fit(
        steps: usize,
        block: usize,
        room: usize,
        state: usize,
        segment: &impl Fn(usize) -> usize,
    ) -> Result<Self, usize> {
        let whole = segment(steps);
        if whole <= room || steps < 2 {
            return if whole <= room { Ok(Plan::whole(steps)) } else { Err(whole) };
        }
        let need = |steps: usize, slots: usize| {
            segment(steps).saturating_add(state.saturating_mul(slots.saturating_add(STANDING)))
        };
        let smallest = need(1, 0).min(whole);
        let (mut best, mut segments): (Option<Plan>, usize) = (None, 2);
        if steps > block {
            for long in (0..(steps - 1).ilog2() + 1).map(|power| 1 << power).filter(|long| need(*long, 0) <= room) {
                let free = (room - need(long, 0)).checked_div(state).unwrap_or(usize::MAX);
                let plan = Plan { steps, segment: long, slots: free.min(steps.div_ceil(long) - 2) };
                if best.is_none_or(|best| plan.repeated() < best.repeated()) {
                    best = Some(plan);
                }
            }
            return best.ok_or(smallest);
        }
        loop {
            // The shortest segment for this number of them; fewer steps than that make more segments.
            let short = steps.div_ceil(segments);
            if need(short, 0) <= room {
                let free = (room - need(short, 0)).checked_div(state).unwrap_or(usize::MAX);
                let mut plan = Plan { steps, segment: short, slots: free.min(segments - 2) };
                let all_stored = plan.slots == segments - 2;
                if all_stored {
                    // Each segment is run once again but for the last, so that one should be as long as it can.
                    let longest = (steps - 1) / (segments - 1);
                    plan.segment = last_that(short, longest, |long| need(long, plan.slots) <= room);
                }
                if best.is_none_or(|best| plan.repeated() < best.repeated()) {
                    best = Some(plan);
                }
                if all_stored {
                    break;
                }
            }
            if short == 1 {
                break;
            }
            segments = steps.div_ceil(short - 1);
        }
        best.ok_or(smallest)
    }

    /// The same segments and states for a window of no more steps.
    pub(super) fn shorter(self, steps: usize) -> Self {
        Plan {
            steps,
            segment: self.segment.min(steps.max(1)),
            slots: self.slots.min(steps.div_ceil(self.segment).saturating_sub(2)),
        }
    }

    /// T.
    pub(super) fn steps(self) -> usize {
        self.steps
    }

    /// Steps of the longest segment.
    pub(super) fn segment(self) -> usize {
        self.segment
    }

    /// States stored besides the one before the window and the one being run.
    pub(super) fn slots(self) -> usize {
        self.slots
    }

    /// How many segments there are.
    pub(super) fn segments(self) -> usize {
        self.steps.div_ceil(self.segment).max(1)
    }

    /// States that are there at once, beside those of any pass.
    pub(super) fn states(self) -> usize {
        if self.segments() > 1 { self.slots + STANDING } else { 0 }
    }

    /// The steps of segment `i`.
    pub(super) fn range(self, i: usize) -> Range<usize> {
        let end = self.steps - (self.segments() - 1 - i) * self.segment;
        end.saturating_sub(self.segment)..end
    }

    /// Steps run without tape: what the plan costs beside a pass that keeps everything.
    pub(super) fn repeated(self) -> usize {
        let (n, short) = (self.segments(), self.segment - self.range(0).len());
        let all = runs(n, self.slots).saturating_mul(self.segment);
        all - runs_of_first(n, self.slots).saturating_mul(short).min(all)
    }
}

/// The state before the window, and the one that is being run.
const STANDING: usize = 2;

/// How many of `n` segments to run before the next state is stored, with `free` places to store it in.
pub(super) fn split(n: usize, free: usize) -> usize {
    debug_assert!(n > 1 && free > 0, "otherwise nothing is stored");
    let s = free + 1;
    let (mut r, mut reach, mut before, mut before_that) = (0, 1, 0, 0); // β(s, r), β(s, r - 1), β(s, r - 2)
    while reach < n {
        r += 1;
        (before_that, before) = (before, reach);
        reach = next(reach, s, r);
    }
    // β(s - 1, r) = β(s, r) - β(s, r - 1)
    let right = reach - before;
    before_that.max(n.saturating_sub(right)).clamp(1, n - 1)
}

/// Segments run without tape in the best schedule for `n` segments and `slots` states beside the first.
fn runs(n: usize, slots: usize) -> usize {
    if slots == 0 {
        // Each segment from the start: the sum of 1 to n - 1.
        return n.saturating_mul(n - 1) / 2;
    }
    let s = slots + 1;
    // β(s, r) and β(s + 1, r - 1), which is the sum of the β(s, i) below r.
    let (mut r, mut reach, mut sum) = (0, 1, 0);
    while reach < n {
        sum += reach;
        r += 1;
        reach = next(reach, s, r);
    }
    r * n - sum
}

/// β(s, r) from β(s, r - 1).
fn next(reach: usize, s: usize, r: usize) -> usize {
    usize::try_from(reach as u128 * (s + r) as u128 / r as u128).unwrap_or(usize::MAX)
}

/// How many of these are runs of the first segment.
fn runs_of_first(n: usize, slots: usize) -> usize {
    if slots == 0 {
        return n - 1;
    }
    let (mut n, mut runs) = (n, 0);
    while n > 1 {
        n = split(n, slots);
        runs += 1;
    }
    runs
}

/// The largest of `from..=to` that fits, where all below one that fits do and `from` does.
fn last_that(from: usize, to: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (from, to.max(from));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
mod tests;
