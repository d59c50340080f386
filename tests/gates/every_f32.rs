//! In `f32` every number can be looked at. Plain `cargo test` takes one in 1021.

use std::thread;

use deep_rnn::Float;

use crate::{Gate, exponent, spacing};

type Exact = fn(f64) -> f64;

const GATES: [Gate<f32, Exact>; 6] = [
    Gate { name: "exp", ours: Float::exp, exact: exp, allowed: 1.1, zero_below: 1.6625e-38 },
    Gate { name: "sigmoid", ours: Float::sigmoid, exact: sigmoid, allowed: 2.5, zero_below: 1.6625e-38 },
    Gate { name: "tanh", ours: Float::tanh, exact: tanh, allowed: 1.7, zero_below: 0.0 },
    Gate { name: "exp_m1", ours: Float::exp_m1, exact: exp_m1, allowed: 2.1, zero_below: 0.0 },
    Gate {
        name: "fused sigmoid",
        ours: Float::sigmoid_if::<true>,
        exact: sigmoid,
        allowed: 2.5,
        zero_below: 1.6625e-38,
    },
    Gate { name: "fused tanh", ours: Float::tanh_if::<true>, exact: tanh, allowed: 1.7, zero_below: 0.0 },
];

// Most numbers are tiny or huge; for those the exact value is known without `libm`.
fn exact(x: f64, tiny: impl Fn(f64) -> f64, [low, high]: [f64; 2], between: impl Fn(f64) -> f64) -> f64 {
    match x {
        _ if x.abs() < 1e-5 => tiny(x),
        _ if x < -120.0 => low,
        _ if x > 120.0 => high,
        _ => between(x),
    }
}

fn exp(x: f64) -> f64 {
    exact(x, |x| 1.0 + x + 0.5 * x * x, [0.0, f64::INFINITY], libm::exp)
}

fn exp_m1(x: f64) -> f64 {
    exact(x, |x| x + 0.5 * x * x + x * x * x / 6.0, [-1.0, f64::INFINITY], libm::expm1)
}

fn sigmoid(x: f64) -> f64 {
    exact(x, |x| 0.5 + 0.25 * x, [0.0, 1.0], |x| 1.0 / (1.0 + libm::exp(-x)))
}

fn tanh(x: f64) -> f64 {
    exact(x, |x| x - x * x * x / 3.0, [-1.0, 1.0], libm::tanh)
}

/// Number `i` of all but NaN, from -∞ on.
fn nth(i: u32) -> f32 {
    f32::from_bits(if i < HALF { 0xff80_0000 - i } else { i - HALF })
}
/// How many have a minus sign.
const HALF: u32 = 0x7f80_0001;

/// The worst error and where it is, of the numbers `from..=to`, and that no value is below the one before.
fn walk(gate: &Gate<f32, Exact>, from: u32, to: u32, stride: u32) -> (f64, f32) {
    let (mut worst, mut at, mut before, mut i) = (0.0, 0.0, f32::NEG_INFINITY, from);
    loop {
        let x = nth(i);
        let (y, exact) = ((gate.ours)(x), (gate.exact)(f64::from(x)));
        assert!(y >= before, "{} turns round at {x:e}: {before:e}, {y:e}", gate.name);
        before = y;
        // Beyond the largest f32, ∞ is right.
        let right = y == 0.0 && exact.abs() < gate.zero_below || y == f32::INFINITY && exact > f64::from(f32::MAX);
        let unit = spacing(exponent(exact), 24, -126);
        let error = if right || f64::from(y) == exact { 0.0 } else { (f64::from(y) - exact).abs() / unit };
        if error > worst {
            (worst, at) = (error, x);
        }
        if i == to {
            return (worst, at);
        }
        i = to.min(i.saturating_add(stride));
    }
}

fn all(stride: u32) {
    let parts = 64;
    let size = 2 * HALF / parts;
    for gate in &GATES {
        let walk = |part: u32| {
            let last = if part + 1 == parts { 2 * HALF - 1 } else { (part + 1) * size };
            walk(gate, part * size, last, stride)
        };
        // Every other part each.
        let (even, odd) = thread::scope(|scope| {
            let half = |first: u32| (first..parts).step_by(2).map(walk).fold((0.0, 0.0), larger);
            let odd = scope.spawn(move || half(1));
            (half(0), odd.join().unwrap())
        });
        let (worst, at) = larger(even, odd);
        println!("f32 {}: one in {stride}, worst error {worst:.3} ulp at {at:e}", gate.name);
        assert!(worst <= gate.allowed, "{}: {worst} at {at:e}", gate.name);
    }
}

fn larger(a: (f64, f32), b: (f64, f32)) -> (f64, f32) {
    if b.0 > a.0 { b } else { a }
}

fn nan_and_odd(stride: usize) {
    let nan = |i: u32| f32::from_bits(0x7f80_0001 + i);
    for i in (0..0x007f_ffff).step_by(stride) {
        for x in [nan(i), -nan(i)] {
            for gate in &GATES {
                assert!((gate.ours)(x).is_nan(), "{} of the NaN {:#x}", gate.name, x.to_bits());
            }
        }
    }
    for i in (0..HALF).step_by(stride) {
        let x = f32::from_bits(i);
        for tanh in [Float::tanh, Float::tanh_if::<true>] {
            assert_eq!(tanh(-x).to_bits(), (-tanh(x)).to_bits(), "tanh of ±{x:e}");
        }
    }
}

#[test]
fn order() {
    assert_eq!(nth(0), f32::NEG_INFINITY);
    assert_eq!(nth(HALF - 1).to_bits(), (-0.0_f32).to_bits());
    assert_eq!(nth(HALF).to_bits(), 0);
    assert_eq!(nth(2 * HALF - 1), f32::INFINITY);
}

#[test]
fn one_number_in_1021() {
    all(1021);
    nan_and_odd(1021);
}

#[test]
#[ignore = "all 2^32 numbers: in release"]
fn every_number() {
    all(1);
    nan_and_odd(1);
}
