//! How long each sample takes.

use std::time::Instant;

/// The time of each step, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn with_room_for(samples: usize) -> Self {
        Latencies(Vec::with_capacity(samples))
    }

    /// What `step` gives, timed.
    pub(crate) fn time<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = step();
        self.0.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        result
    }

    /// In words, beside the time a sample lasts.
    pub(crate) fn describe(&self, period: f64) -> String {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let Some(last) = sorted.len().checked_sub(1) else { return "no samples".to_string() };
        let at = |part: f64| f64::from(sorted[(part * last as f64).round() as usize]);
        let sum: f64 = sorted.iter().map(|time| f64::from(*time)).sum();
        let over = sorted.iter().filter(|time| f64::from(**time) > period).count();
        format!(
            "median {:.0} ns, 99.9 % {:.0} ns, worst {:.0} ns of {period:.0} ns a sample lasts ({:.1} times as fast as the sound; {over} of {} samples late)",
            at(0.5),
            at(0.999),
            at(1.0),
            period * sorted.len() as f64 / sum,
            sorted.len(),
        )
    }
}
