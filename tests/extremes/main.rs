//! Finite numbers far out: norms and clips, optimisers, losses, functions and long sums give what exact arithmetic gives.

mod adam;
mod clips;
#[path = "../support/deep.rs"]
mod deep;
mod functions;
mod losses;
mod silence;
#[path = "../support/stepped.rs"]
mod stepped;
mod sums;

use deep_rnn::{Error, custom::Params, optim::Optimizer};

/// An optimiser that leaves everything where it is.
pub(crate) struct Frozen;
impl<P: Params> Optimizer<P> for Frozen {
    fn step(&mut self, _: &mut P, _: &P) -> Result<(), Error> {
        Ok(())
    }
}

#[track_caller]
pub(crate) fn near(got: f64, expected: f64, relative: f64) {
    let off = (got - expected).abs();
    assert!(off <= relative * expected.abs(), "{got:e}, expected {expected:e}, off by {:.1e}", off / expected.abs());
}
