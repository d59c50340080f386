//! Seconds a call, and memory.

use std::time::Instant;

/// What was measured.
pub(crate) struct Figures {
    /// Median seconds of a call.
    pub(crate) median: f64,
    /// Seconds that 99.9 % of the calls stay below.
    pub(crate) p999: f64,
    /// Calls counted.
    pub(crate) calls: usize,
    /// MiB at the highest above the start.
    pub(crate) peak_mib: f64,
}

/// Calls `f` for about `seconds`, after `warm` calls that are not counted.
pub(crate) fn measure(seconds: f64, warm: usize, start_mib: f64, mut f: impl FnMut()) -> Figures {
    for _ in 0..warm {
        f();
    }
    reset_peak();
    let (mut times, begin) = (Vec::new(), Instant::now());
    while times.len() < 3 || begin.elapsed().as_secs_f64() < seconds {
        let call = Instant::now();
        f();
        times.push(call.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let peak_mib = status_mib("VmHWM:") - start_mib;
    Figures { median: at(0.5), p999: at(0.999), calls: times.len(), peak_mib }
}

/// As [`measure`] for calls so short that looking at the clock counts: the median is that of the mean over runs of calls,
/// in half of the time; the 99.9 % are those of single calls, the clock included.
pub(crate) fn measure_steps(seconds: f64, start_mib: f64, mut f: impl FnMut()) -> Figures {
    let (begin, mut calls) = (Instant::now(), 0);
    while begin.elapsed().as_secs_f64() < 0.01 {
        f();
        calls += 1;
    }
    let run = (calls / 100).max(1); // about 0.1 ms
    let runs = measure(seconds / 2.0, 10, start_mib, || (0..run).for_each(|_| f()));
    let single = measure(seconds / 2.0, 10, start_mib, &mut f);
    Figures { median: runs.median / run as f64, calls: runs.calls * run, ..single }
}

/// A figure of this process in MiB; 0 where the system does not tell.
pub(crate) fn status_mib(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Makes the system count the highest memory from here; where it cannot, the figure is that since the start.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
