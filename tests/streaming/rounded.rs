//! [`Precision::Bf16`] and [`Precision::Int8`] against networks whose weights were rounded beforehand, naively.

use deep_rnn::ndarray::ArrayViewMutD;
use deep_rnn::prelude::*;

use crate::deep::deep;
use crate::networks::{Check, each_packed};
use crate::run::{difference, forward, problem, row_steps, same, view_steps};

/// The nearest of the neighbours that have 16 bits; of two equally near ones the one with an even last bit.
fn nearest_of_16_bits(w: f64) -> f64 {
    let upper = (w as f32).to_bits() >> 16;
    let value = |upper: u32| f64::from(f32::from_bits(upper << 16));
    let neighbours = upper.saturating_sub(1)..=upper + 1;
    let key = |upper: &u32| ((value(*upper) - w).abs(), upper % 2);
    value(neighbours.min_by(|a, b| key(a).partial_cmp(&key(b)).unwrap()).unwrap())
}

/// scale · round(w / scale), column by column.
fn whole_multiples<F: Float>(weight: &mut ArrayViewMutD<'_, F>) {
    for mut column in weight.columns_mut() {
        let scale = column.iter().fold(F::zero(), |largest, w| largest.max(w.abs())) / F::from_f64(127.0);
        if scale > F::zero() {
            column.map_inplace(|w| *w = (*w / scale).round() * scale);
        }
    }
}

/// A copy with `f` of each weight; biases stay.
fn with_weights<P: Params>(params: &P, mut f: impl FnMut(&mut ArrayViewMutD<'_, P::Elem>)) -> P {
    let mut copy = params.clone();
    copy.visit_mut(&mut |name, mut view| match name.rsplit('.').next() {
        Some("w" | "w_x" | "w_h") => f(&mut view),
        Some("b" | "b_h") => {}
        _ => panic!("{name}: is it a weight?"),
    });
    copy
}

struct Bf16 {
    b: usize,
}
impl Check for Bf16 {
    fn net<L: SeqLayer + Causal + Prepare>(&mut self, name: &str, net: &L) {
        let name = &format!("{name}<{}>, B = {}, {} -> {}", L::Elem::NAME, self.b, net.input_size(), net.output_size());
        let problem = problem(net, 8, self.b, 3);
        let rounded = with_weights(net, |w| w.map_inplace(|w| *w = L::Elem::from_f64(nearest_of_16_bits(w.as_f64()))));
        let expected = forward(&rounded, &problem);
        let prepared = net.prepare(Precision::Bf16).unwrap();
        same(name, &row_steps(&prepared, &problem), &expected);
        same(&format!("{name}: scan"), &forward(&prepared, &problem), &expected);
        same(&format!("{name}: views"), &view_steps(&prepared, &problem), &expected);
        same(
            &format!("{name}: rounded before"),
            &row_steps(&rounded.prepare(Precision::Full).unwrap(), &problem),
            &expected,
        );
    }
}

/// The only difference is that of sums: a column is multiplied by its scale at the end.
struct Int8 {
    b: usize,
    /// In roundings.
    largest: f64,
}
impl Check for Int8 {
    fn net<L: SeqLayer + Causal + Prepare>(&mut self, name: &str, net: &L) {
        let name = &format!("{name}<{}>, B = {}, {} -> {}", L::Elem::NAME, self.b, net.input_size(), net.output_size());
        let problem = problem(net, 8, self.b, 3);
        let expected = forward(&with_weights(net, whole_multiples), &problem);
        let prepared = net.prepare(Precision::Int8).unwrap();
        let outcome = row_steps(&prepared, &problem);
        same(&format!("{name}: scan"), &forward(&prepared, &problem), &outcome);
        let roundings = difference(&outcome, &expected) / epsilon::<L::Elem>();
        assert!(roundings <= INT8_ROUNDINGS, "{name}: {roundings} roundings from the network of rounded weights");
        self.largest = self.largest.max(roundings);
    }
}

fn epsilon<F: Float>() -> f64 {
    F::epsilon().as_f64()
}

/// How far int8 may be from the network of rounded weights after 8 steps: in units of the type's rounding at 1.
const INT8_ROUNDINGS: f64 = 16.0;

fn every_network<F: Float>(check: &mut impl Check) {
    for &h in deep(&[1, 8, 17, 40][..], &[1, 40]) {
        for &d in deep(&[1, 2, 7][..], &[2, 7]) {
            each_packed::<F>(d, h, (h + d) as u64, check);
        }
    }
    each_packed::<F>(3, 117, 1, check);
}

#[test]
fn bf16_is_the_network_of_rounded_weights() {
    for b in [0, 1, 5] {
        every_network::<f32>(&mut Bf16 { b });
        every_network::<f64>(&mut Bf16 { b });
    }
}

#[test]
fn int8_is_the_network_of_rounded_weights() {
    for b in [0, 1, 5] {
        let (mut single, mut double) = (Int8 { b, largest: 0.0 }, Int8 { b, largest: 0.0 });
        every_network::<f32>(&mut single);
        every_network::<f64>(&mut double);
        println!("int8, B = {b}: at most {} roundings (f32), {} (f64)", single.largest, double.largest);
    }
}

/// Columns of zeros, columns of one weight, weights of very different columns.
#[test]
fn columns_have_scales_of_their_own() {
    let mut cell = Lstm::<f64>::spec(3).build(4, &mut Init::seeded(1)).unwrap();
    cell.visit_mut(&mut |name, mut view| {
        if name.starts_with("w_") {
            for (i, mut column) in view.columns_mut().into_iter().enumerate() {
                match i % 4 {
                    0 => column.fill(0.0),
                    1 => column.iter_mut().skip(1).for_each(|w| *w = 0.0),
                    2 => column.map_inplace(|w| *w *= 1e-6),
                    _ => column.map_inplace(|w| *w *= 3.0),
                }
            }
        }
    });
    for b in [1, 4] {
        Bf16 { b }.net("uneven columns", &cell);
        Int8 { b, largest: 0.0 }.net("uneven columns", &cell);
    }
}
