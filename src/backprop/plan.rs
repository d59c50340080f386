//! Where a window is cut when its tape must not be kept whole: which states to store, what to run again.
//!
//! The window is cut into leaves. Only one leaf's tape is there at a time. The pass goes forward without tape but for the
//! last leaf and stores the state at some places; then backward from leaf to leaf, each run again, with tape, from the
//! stored state nearest before it. With n leaves and s stored states (that before the window is one) the fewest forward
//! runs are those of the binomial schedule (Griewank and Walther, Revolve, 2000): for β(s, r) = C(s + r, s) and the r with
//! β(s, r - 1) < n ≤ β(s, r), leaves are run without tape r·n - β(s + 1, r - 1) times.

use std::ops::Range;

/// How one window is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// T.
    steps: usize,
    /// Steps of a leaf; the first one may have fewer.
    leaf: usize,
    /// States stored beside that before the window.
    slots: usize,
}

impl Plan {
    /// All in one piece, nothing run again.
    pub(super) fn whole(steps: usize) -> Self {
        Plan { steps, leaf: steps.max(1), slots: 0 }
    }

    /// The plan of the fewest forward steps that takes at most `room` bytes, where a leaf of some steps takes `leaf(steps)`
    /// and a state `state`; or else the fewest bytes there is a plan for. Leaves of a window of more than `block` steps are
    /// powers of two, so that each is a part of one block of so many (also a power of two) or made of whole ones.
    pub(super) fn fit(
        steps: usize,
        block: usize,
        room: usize,
        state: usize,
        leaf: &impl Fn(usize) -> usize,
    ) -> Result<Self, usize> {
        let whole = leaf(steps);
        if whole <= room || steps < 2 {
            return if whole <= room { Ok(Plan::whole(steps)) } else { Err(whole) };
        }
        let need = |steps: usize, slots: usize| {
            leaf(steps).saturating_add(state.saturating_mul(slots.saturating_add(STANDING)))
        };
        let smallest = need(1, 0).min(whole);
        let (mut best, mut leaves): (Option<Plan>, usize) = (None, 2);
        if steps > block {
            for long in (0..(steps - 1).ilog2() + 1).map(|power| 1 << power).filter(|long| need(*long, 0) <= room) {
                let free = (room - need(long, 0)).checked_div(state).unwrap_or(usize::MAX);
                let plan = Plan { steps, leaf: long, slots: free.min(steps.div_ceil(long) - 2) };
                if best.is_none_or(|best| plan.repeated() < best.repeated()) {
                    best = Some(plan);
                }
            }
            return best.ok_or(smallest);
        }
        loop {
            // The shortest leaf for this number of them; fewer steps than that make more leaves.
            let short = steps.div_ceil(leaves);
            if need(short, 0) <= room {
                let free = (room - need(short, 0)).checked_div(state).unwrap_or(usize::MAX);
                let mut plan = Plan { steps, leaf: short, slots: free.min(leaves - 2) };
                let all_stored = plan.slots == leaves - 2;
                if all_stored {
                    // Each leaf is run once again but for the last, so that one should be as long as it can.
                    let longest = (steps - 1) / (leaves - 1);
                    plan.leaf = last_that(short, longest, |long| need(long, plan.slots) <= room);
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
            leaves = steps.div_ceil(short - 1);
        }
        best.ok_or(smallest)
    }

    /// The same leaves and states for a window of no more steps.
    pub(super) fn shorter(self, steps: usize) -> Self {
        Plan {
            steps,
            leaf: self.leaf.min(steps.max(1)),
            slots: self.slots.min(steps.div_ceil(self.leaf).saturating_sub(2)),
        }
    }

    /// T.
    pub(super) fn steps(self) -> usize {
        self.steps
    }

    /// Steps of the longest leaf.
    pub(super) fn leaf(self) -> usize {
        self.leaf
    }

    /// States stored besides the one before the window and the one being run.
    pub(super) fn slots(self) -> usize {
        self.slots
    }

    /// How many leaves there are.
    pub(super) fn leaves(self) -> usize {
        self.steps.div_ceil(self.leaf).max(1)
    }

    /// States that are there at once, beside those of any pass.
    pub(super) fn states(self) -> usize {
        if self.leaves() > 1 { self.slots + STANDING } else { 0 }
    }

    /// The steps of leaf `i`.
    pub(super) fn range(self, i: usize) -> Range<usize> {
        let end = self.steps - (self.leaves() - 1 - i) * self.leaf;
        end.saturating_sub(self.leaf)..end
    }

    /// Steps run without tape: what the plan costs beside a pass that keeps everything.
    pub(super) fn repeated(self) -> usize {
        let (n, short) = (self.leaves(), self.leaf - self.range(0).len());
        let all = runs(n, self.slots).saturating_mul(self.leaf);
        all - runs_of_first(n, self.slots).saturating_mul(short).min(all)
    }
}

/// The state before the window, and the one that is being run.
const STANDING: usize = 2;

/// How many of `n` leaves to run before the next state is stored, with `free` places to store it in.
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

/// Leaves run without tape in the best schedule for `n` leaves and `slots` states beside the first.
fn runs(n: usize, slots: usize) -> usize {
    if slots == 0 {
        // Each leaf from the start: the sum of 1 to n - 1.
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

/// How many of these are runs of the first leaf.
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
