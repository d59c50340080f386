//! Numbers of about 100 binary digits: unevaluated sums of two `f64`, and exp, sigmoid and tanh of an `f64` in them.

use std::ops::{Add, Div, Mul};

/// hi + lo, |lo| at most half a unit of hi's last place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Double {
    pub(crate) hi: f64,
    pub(crate) lo: f64,
}

impl From<f64> for Double {
    fn from(hi: f64) -> Double {
        Double { hi, lo: 0.0 }
    }
}

/// a + b where |a| >= |b|.
fn quick(a: f64, b: f64) -> Double {
    let hi = a + b;
    Double { hi, lo: b - (hi - a) }
}

impl Add for Double {
    type Output = Double;
    fn add(self, other: Double) -> Double {
        let sum = |a: f64, b: f64| {
            let hi = a + b;
            let part = hi - a;
            (hi, (a - (hi - part)) + (b - part))
        };
        let ((a, b), (c, d)) = (sum(self.hi, other.hi), sum(self.lo, other.lo));
        let first = quick(a, b + c);
        quick(first.hi, first.lo + d)
    }
}

impl Mul for Double {
    type Output = Double;
    fn mul(self, other: Double) -> Double {
        let hi = self.hi * other.hi;
        let lo = self.hi.mul_add(other.hi, -hi);
        quick(hi, lo + (self.hi * other.lo + self.lo * other.hi))
    }
}

impl Div for Double {
    type Output = Double;
    fn div(self, other: Double) -> Double {
        let minus = |x: f64| Double::from(-x);
        let a = self.hi / other.hi;
        let rest = self + other * minus(a);
        let b = rest.hi / other.hi;
        let rest = rest + other * minus(b);
        quick(a, b) + Double::from(rest.hi / other.hi)
    }
}

impl Double {
    /// Exact where the parts stay normal numbers.
    pub(crate) fn scaled(self, power: i32) -> Double {
        let scale = 2f64.powi(power);
        Double { hi: self.hi * scale, lo: self.lo * scale }
    }
}

/// e^x as a number near 1 and a power of two.
pub(crate) fn exp(x: f64) -> (Double, i32) {
    const LN2: Double = Double { hi: std::f64::consts::LN_2, lo: 2.319_046_813_846_299_6e-17 };
    const HALVINGS: i32 = 6;
    let n = (x * std::f64::consts::LOG2_E).round();
    let r = (Double::from(x) + LN2 * Double::from(-n)).scaled(-HALVINGS);
    let mut sum = Double::from(1.0);
    for k in (1..=13).rev() {
        sum = Double::from(1.0) + sum * r / Double::from(f64::from(k));
    }
    for _ in 0..HALVINGS {
        sum = sum * sum;
    }
    (sum, n as i32)
}

/// e^x - 1, likewise.
pub(crate) fn exp_m1(x: f64) -> (Double, i32) {
    let one = Double::from(1.0);
    if x.abs() < 0.25 {
        let mut sum = one;
        for k in (2..=20).rev() {
            sum = one + sum * Double::from(x) / Double::from(f64::from(k));
        }
        return (sum * Double::from(x), 0);
    }
    let (e, n) = exp(x);
    if n > 200 {
        (e, n)
    } else if n < -200 {
        (Double::from(-1.0), 0)
    } else {
        (e.scaled(n) + Double::from(-1.0), 0)
    }
}

/// 1 / (1 + e^-x), likewise.
pub(crate) fn sigmoid(x: f64) -> (Double, i32) {
    let one = Double::from(1.0);
    let (e, n) = exp(x);
    if n < -200 {
        (e, n)
    } else if n > 200 {
        (one, 0)
    } else {
        (one / (one + one / e.scaled(n)), 0)
    }
}

/// tanh x, likewise.
pub(crate) fn tanh(x: f64) -> (Double, i32) {
    let one = Double::from(1.0);
    if x.abs() < 1e-6 {
        let x = Double::from(x);
        let t = x * x;
        return (x + x * t * (Double::from(-1.0) / Double::from(3.0) + t * Double::from(2.0 / 15.0)), 0);
    }
    let (e, n) = exp(2.0 * x.clamp(-50.0, 50.0));
    let e = e.scaled(n);
    ((e + Double::from(-1.0)) / (e + one), 0)
}

#[test]
fn numbers_of_another_library() {
    for ((ours, n), (hi, lo)) in [exp(1.0), exp(-20.5), sigmoid(3.0), tanh(0.3)].into_iter().zip(KNOWN) {
        let ours = ours.scaled(n);
        let error = ((ours.hi - hi) + (ours.lo - lo)) / hi;
        assert!(error.abs() < 1e-29, "{ours:?} {hi:e} {lo:e} {error:e}");
    }
}

/// By mpmath with 60 digits, each as a sum of two.
const KNOWN: [(f64, f64); 4] = [
    (std::f64::consts::E, 1.4456468917292502e-16),
    (1.2501528663867426e-09, 6.448235878237776e-26),
    (0.9525741268224333, -3.451513898035272e-17),
    (0.2913126124515909, -6.4602656586469586e-18),
];
