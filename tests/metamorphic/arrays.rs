//! What a pass gave, as named arrays in `f64`, and how two of them are compared.

use approx::abs_diff_eq;
use deep_rnn::{Float, SeqLayer, custom::Params, data::State};
use ndarray::{Array3, ArrayD};

use crate::pass::Outcome;

pub(crate) fn states<F: Float, S: State<F>>(name: &str, state: &S) -> Vec<(String, ArrayD<f64>)> {
    let mut all = Vec::new();
    state.visit(&mut |view| all.push((format!("{name}.{}", all.len()), view.mapv(|x| x.as_f64()).into_dyn())));
    all
}

pub(crate) fn params<P: Params>(params: &P) -> Vec<(String, ArrayD<f64>)> {
    let mut all = Vec::new();
    params.visit(&mut |name, view| all.push((name.to_string(), view.mapv(|x| x.as_f64()))));
    all
}

pub(crate) fn wide<F: Float>(name: &str, array: &Array3<F>) -> (String, ArrayD<f64>) {
    (name.to_string(), array.mapv(|x| x.as_f64()).into_dyn())
}

impl<L: SeqLayer> Outcome<L> {
    /// y, state, d_x and d_state, as f64.
    pub(crate) fn by_row(&self) -> Vec<(String, ArrayD<f64>)> {
        let mut all = vec![wide("y", &self.ys), wide("d_x", &self.d_xs)];
        all.extend(states("state", &self.state));
        all.extend(states("d_state", &self.d_state));
        all
    }

    /// Everything.
    pub(crate) fn arrays(&self) -> Vec<(String, ArrayD<f64>)> {
        let mut all = self.by_row();
        all.extend(params(&self.grads));
        all
    }
}

/// The same bits, NaN nowhere.
#[track_caller]
pub(crate) fn same(what: &str, a: &[(String, ArrayD<f64>)], b: &[(String, ArrayD<f64>)]) {
    assert_eq!(a.len(), b.len(), "{what}");
    for ((name, a), (_, b)) in a.iter().zip(b) {
        assert_eq!(a.shape(), b.shape(), "{what}: {name}");
        for (index, a) in a.indexed_iter() {
            let b = b[&index];
            assert!(a.to_bits() == b.to_bits() && !a.is_nan(), "{what}: {name}{index:?}: {a:e} and {b:e}");
        }
    }
}

/// Within a number of roundings of the larger of 1 and the largest.
#[track_caller]
pub(crate) fn near<F: Float>(what: &str, roundings: f64, a: &[(String, ArrayD<f64>)], b: &[(String, ArrayD<f64>)]) {
    assert_eq!(a.len(), b.len(), "{what}");
    for ((name, a), (_, b)) in a.iter().zip(b) {
        let largest = a.iter().fold(1.0_f64, |largest, x| largest.max(x.abs()));
        let allowed = roundings * largest * F::epsilon().as_f64();
        for (index, a) in a.indexed_iter() {
            let b = b[&index];
            assert!(
                abs_diff_eq!(*a, b, epsilon = allowed),
                "{what}: {name}{index:?}: {a:e} and {b:e}, not {allowed:e}"
            );
        }
    }
}
