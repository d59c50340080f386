//! How arrays are compared with PyTorch's, and what has been compared.

use ndarray::ArrayViewD;

use crate::fixture;

/// The largest relative error that is let through.
const ALLOWED: f64 = 1e-10;

/// What has been compared.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) fixtures: usize,
    pub(crate) runs: usize,
    pub(crate) tensors: usize,
    numbers: usize,
    worst: f64,
    at: String,
    worst_absolute: f64,
}

impl Tally {
    pub(crate) fn compare(&mut self, name: &str, tensor: &str, ours: ArrayViewD<'_, f64>) {
        let theirs = fixture::get(name, tensor);
        let error = fixture::max_rel_error(ours.view(), theirs.view());
        assert!(error <= ALLOWED, "{name}/{tensor}: relative error {error:.2e}");
        self.tensors += 1;
        self.numbers += ours.len();
        let apart = ours.iter().zip(&theirs).fold(0.0_f64, |worst, (a, b)| worst.max((a - b).abs()));
        self.worst_absolute = self.worst_absolute.max(apart);
        if error > self.worst {
            (self.worst, self.at) = (error, format!("{name}/{tensor}"));
        }
    }

    pub(crate) fn print(&self, what: &str) {
        let Tally { fixtures, runs, tensors, numbers, worst, at, worst_absolute } = self;
        println!(
            "{what}: {fixtures} fixtures in {runs} runs, {tensors} tensors of {numbers} numbers, \
             worst relative error {worst:.1e} in {at}, worst absolute {worst_absolute:.1e}"
        );
    }
}
