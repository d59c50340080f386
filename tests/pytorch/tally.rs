//! How arrays are compared with PyTorch's, and what has been compared.

use deep_rnn::Float;
use ndarray::ArrayViewD;

use crate::fixture;

/// What has been compared.
#[derive(Default)]
pub(crate) struct Tally {
    /// The type of our numbers, and the largest relative error that is let through.
    float: &'static str,
    allowed: f64,
    absolute: bool,
    pub(crate) fixtures: usize,
    pub(crate) runs: usize,
    pub(crate) tensors: usize,
    numbers: usize,
    worst: f64,
    at: String,
    worst_absolute: f64,
}

impl Tally {
    /// For cells of `f64`, or of `f32`: then weights and inputs are the file's streams rounded to `f32`, and what comes out is held
    /// against the file's `f64` numbers.
    pub(crate) fn of<F: Float>() -> Tally {
        let allowed = if F::NAME == "f32" { 5e-4 } else { 1e-10 };
        Tally { float: F::NAME, allowed, ..Tally::default() }
    }

    /// For cells of `F` against numbers made in `f32`, which agree in no more digits: absolute, since outputs are about 1.
    pub(crate) fn within<F: Float>(allowed: f64) -> Tally {
        Tally { float: F::NAME, allowed, absolute: true, ..Tally::default() }
    }

    pub(crate) fn compare<F: Float>(&mut self, name: &str, tensor: &str, ours: ArrayViewD<'_, F>) {
        let ours = ours.mapv(Float::as_f64);
        let theirs = fixture::get(name, tensor);
        let error = fixture::max_rel_error(ours.view(), theirs.view());
        let apart = ours.iter().zip(&theirs).fold(0.0_f64, |worst, (a, b)| worst.max((a - b).abs()));
        let far = if self.absolute { apart } else { error };
        // Written so that NaN is far.
        assert!(far <= self.allowed && !error.is_nan(), "{} {name}/{tensor}: error {far:.2e}", self.float);
        self.tensors += 1;
        self.numbers += ours.len();
        self.worst_absolute = self.worst_absolute.max(apart);
        if error > self.worst {
            (self.worst, self.at) = (error, format!("{name}/{tensor}"));
        }
    }

    pub(crate) fn print(&self, what: &str) {
        let Tally { float, fixtures, runs, tensors, numbers, worst, at, worst_absolute, .. } = self;
        println!(
            "{float} {what}: {fixtures} fixtures in {runs} runs, {tensors} tensors of {numbers} numbers, \
             worst relative error {worst:.1e} in {at}, worst absolute {worst_absolute:.1e}"
        );
    }
}
