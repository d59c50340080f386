//! In `f64`: even grids, numbers of every size, and neighbours around every place where something changes.

use deep_rnn::Float;

use crate::double::{self, Double};
use crate::{Gate, exponent, spacing};

type Exact = fn(f64) -> (Double, i32);

const GATES: [Gate<f64, Exact>; 6] = [
    Gate { name: "exp", ours: Float::exp, exact: double::exp, allowed: 1.1, zero_below: 3.147e-308 },
    Gate { name: "sigmoid", ours: Float::sigmoid, exact: double::sigmoid, allowed: 2.5, zero_below: 3.147e-308 },
    Gate { name: "tanh", ours: Float::tanh, exact: double::tanh, allowed: 1.7, zero_below: 0.0 },
    Gate { name: "exp_m1", ours: Float::exp_m1, exact: double::exp_m1, allowed: 2.1, zero_below: 0.0 },
    Gate {
        name: "fused sigmoid",
        ours: Float::sigmoid_if::<true>,
        exact: double::sigmoid,
        allowed: 2.5,
        zero_below: 3.147e-308,
    },
    Gate { name: "fused tanh", ours: Float::tanh_if::<true>, exact: double::tanh, allowed: 1.7, zero_below: 0.0 },
];

/// Random numbers in 0..1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The number so many places after `x`.
fn after(x: f64, places: i64) -> f64 {
    let order = |bits: i64| if bits < 0 { i64::MIN - bits } else { bits };
    f64::from_bits(order(order(x.to_bits() as i64) + places) as u64)
}

/// Where something changes: the ends of the pieces of the reductions, the seam of tanh, the ends of the range.
fn places() -> Vec<f64> {
    let ln2 = std::f64::consts::LN_2;
    let mut places: Vec<f64> = (-1080..1080).map(|n| (f64::from(n) + 0.5) * ln2).collect();
    places.extend((-31..31).map(|n| (f64::from(n) + 0.5) * ln2 / 2.0));
    let ends = [0.0, 0.625, 19.06, 20.79, 36.7, 64.0, 708.39, 708.5, 709.09, 709.44, 709.79, 745.2, 1e300, f64::MAX];
    places.extend(ends.into_iter().flat_map(|x| [x, -x]));
    places.extend((-1074..1024).step_by(3).flat_map(|k| [2f64.powi(k), -2f64.powi(k)]));
    places
}

fn error(gate: &Gate<f64, Exact>, x: f64) -> f64 {
    let y = (gate.ours)(x);
    // Far out, where the reference ends too, the corners' test says what is right.
    if x.abs() > 800.0 || x.abs() < 1e-290 {
        return 0.0;
    }
    let (exact, n) = (gate.exact)(x);
    if y == f64::INFINITY && x > 709.782_712_893_38 || y == 0.0 && exact.hi.abs() * 2f64.powi(n) < gate.zero_below {
        return 0.0;
    }
    // y · 2⁻ⁿ, in two exact steps.
    let y = y * 2f64.powi(-n / 2) * 2f64.powi(-n - -n / 2);
    let spacing = spacing(exponent(exact.hi), 53, -1022 - n);
    ((y - exact.hi) - exact.lo).abs() / spacing
}

fn errors(points: usize) {
    let places = places();
    let mut random = Random(1);
    for gate in &GATES {
        let mut points: Vec<f64> = (0..points)
            .flat_map(|_| {
                let (a, b) = (random.next() - 0.5, random.next());
                let size = 2f64.powf(60.0 * b - 50.0);
                [1500.0 * a, 40.0 * a, 4.0 * a, a, size.copysign(a)]
            })
            .collect();
        points.extend(places.iter().flat_map(|x| [after(*x, -1), *x, after(*x, 1)]));
        let errors = points.iter().map(|x| (error(gate, *x), *x));
        let (worst, at) = errors.fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a });
        println!("f64 {}: {} numbers, worst error {worst:.3} ulp at {at:e}", gate.name, points.len());
        assert!(worst <= gate.allowed, "{}: {worst} at {at:e}", gate.name);
    }
}

/// That no value is below the one before, among the `2 · span` neighbours of `x`.
fn climbs(gate: &Gate<f64, Exact>, x: f64, span: i64) {
    let mut before = f64::NEG_INFINITY;
    for place in -span..=span {
        let x = after(x, place);
        if x.is_nan() {
            continue; // beyond ∞
        }
        let y = (gate.ours)(x);
        assert!(y >= before, "{} turns round at {x:e}: {before:e}, {y:e}", gate.name);
        before = y;
    }
}

fn order(span: i64, windows: usize) {
    let places = places();
    let mut random = Random(2);
    for gate in &GATES {
        for x in &places {
            climbs(gate, *x, span);
        }
        for _ in 0..windows {
            let size = 2f64.powf(20.0 * random.next() - 10.0);
            climbs(gate, size, 100);
            climbs(gate, -size, 100);
        }
        // And at wide steps.
        let mut wide: Vec<f64> = (0..windows).map(|_| 3000.0 * (random.next() - 0.5)).chain(places.clone()).collect();
        wide.sort_by(f64::total_cmp);
        assert!(wide.is_sorted_by_key(|x| (gate.ours)(*x)), "{}", gate.name);
    }
}

#[test]
fn within_their_bounds() {
    errors(4_000);
}

#[test]
fn never_turn_round() {
    order(300, 3_000);
}

#[test]
#[ignore = "a hundred times as many: in release"]
fn within_their_bounds_and_never_turn_round_at_many() {
    errors(400_000);
    order(30_000, 300_000);
}
