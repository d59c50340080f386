//! What decays becomes 0 and never stays denormal: states after silence, gradients along time, faded inputs, tiny weights.
//! `cargo bench --bench workloads -- --silence` shows what it does to the time.

mod gradients;
mod inputs;
mod states;
mod weights;

use deep_rnn::{Float, data::State};

/// Panics if a number is nearer to 0 than [`Float::TINY`], and not 0.
#[track_caller]
fn assert_kept<F: Float>(what: &str, numbers: impl IntoIterator<Item = F>) {
    for x in numbers {
        assert!(x == F::zero() || x.abs() >= F::TINY, "{what}: {x:e} stayed");
    }
}

fn numbers<F: Float>(state: &impl State<F>) -> Vec<F> {
    let mut numbers = Vec::new();
    state.visit(&mut |array| numbers.extend(array.iter().copied()));
    numbers
}

#[test]
fn only_what_is_too_near_0_becomes_0_of_its_sign() {
    fn check<F: Float>(below: F, denormal: F) {
        for x in [F::zero(), F::TINY, F::one(), F::max_value(), F::infinity()] {
            assert_eq!(x.flush(), x);
            assert_eq!((-x).flush(), -x);
        }
        for x in [below, denormal, F::min_positive_value()] {
            assert!(x < F::TINY && x > F::zero());
            assert_eq!(x.flush().as_f64().to_bits(), 0.0_f64.to_bits());
            assert_eq!((-x).flush().as_f64().to_bits(), (-0.0_f64).to_bits());
        }
        assert_eq!((-F::zero()).flush().as_f64().to_bits(), (-0.0_f64).to_bits());
        assert!(F::nan().flush().is_nan());
        // The product of two numbers that are kept is normal.
        assert_eq!(F::TINY * F::TINY, F::min_positive_value());
    }
    check(f32::TINY.next_down(), f32::from_bits(1));
    check(f64::TINY.next_down(), f64::from_bits(1));
}
