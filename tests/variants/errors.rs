//! Options that do not go together, or are out of their range.

use deep_rnn::cells::{Activation, GatedArrays, GatedSpec, RowBackward, RowCell, RowForward, Start, Vector};
use deep_rnn::ndarray::{Array1, Array2};
use deep_rnn::prelude::*;

#[track_caller]
fn refused<T>(result: Result<T, Error>, expected: &str) {
    match result {
        Ok(_) => panic!("not refused; expected: {expected}"),
        Err(error) => assert!(error.to_string().contains(expected), "{error}\nexpected: {expected}"),
    }
}

fn build<P: RowCell>(spec: &GatedSpec<f32, P>) -> Result<(), Error> {
    spec.build(3, &mut Init::seeded(1)).map(|_| ())
}

#[test]
fn projections() {
    for width in [0, 5, usize::MAX] {
        refused(build(&Lstm::spec(4).projection(width)), "projection: expected 1 to 4 columns, of 4 units, got");
    }
    assert!(build(&Lstm::spec(4).projection(4)).is_ok());
    refused(build(&Gru::spec(4).projection(2)), "projection: expected gates that use h in products only");
    refused(build(&GruResetBefore::spec(4).projection(2)), "projection: expected gates that use h in products only");
    for clip in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-40, 1e39] {
        let spec = Lstm::spec(4).projection(2).projection_clip(clip);
        refused(build(&spec), "projection_clip: expected a positive number in f32, got");
    }
    refused(build(&Lstm::spec(4).projection_clip(1.0)), "projection_clip: expected a cell with a projection");
}

#[test]
fn clips_and_activations() {
    for clip in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-40, 1e39] {
        refused(build(&Lstm::spec(4).clip_gates(clip)), "clip_gates: expected a positive number in f32, got");
        refused(build(&Gru::spec(4).clip_gates(clip)), "clip_gates: expected a positive number in f32, got");
        refused(build(&Rnn::spec(4).clip_gates(clip)), "clip_gates: expected a positive number in f32, got");
        refused(build(&GruResetBefore::spec(4).clip_gates(clip)), "clip_gates: expected a positive number in f32");
    }
    for (low, high) in [(1.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (-1.0, f64::INFINITY), (1e-40, 1.0)] {
        refused(build(&Lstm::spec(4).clip_cell(low, high)), "clip_cell: expected two finite bounds in f32");
    }
    let wrong = [
        Activation::LeakyRelu(f64::NAN),
        Activation::Elu(1e39),
        Activation::ScaledTanh(1.0, f64::INFINITY),
        Activation::ThresholdedRelu(1e-40),
        Activation::HardSigmoid(0.0, 0.5),
        Activation::HardSigmoid(-0.2, 0.5),
    ];
    for activation in wrong {
        refused(build(&Rnn::spec(4).activation(activation)), "activation: expected");
        refused(build(&Lstm::spec(4).activations(Activation::Sigmoid, Activation::Tanh, activation)), "activation:");
        refused(build(&Gru::spec(4).activations(activation, Activation::Tanh)), "activation: expected");
    }
}

#[test]
fn a_forget_bias_without_a_forget_gate() {
    refused(build(&Lstm::spec(4).forget_bias(1.0).coupled()), "coupled: expected coupled() before lane_bias()");
    assert!(build(&Lstm::spec(4).coupled().lane_bias(0, -1.0)).is_ok());
    assert!(build(&Lstm::spec(4).peepholes().forget_bias(1.0)).is_ok());
}

#[test]
fn names_of_activations() {
    for text in ["tanh", "leaky-relu(0.3)", "hard-sigmoid(0.25, 0.5)", "affine(2, -1)", "softplus", "elu(1)"] {
        assert_eq!(text.parse::<Activation>().unwrap().to_string(), text);
    }
    assert_eq!("hard-sigmoid".parse::<Activation>().unwrap().to_string(), "hard-sigmoid(0.2, 0.5)");
    for text in ["tanh(1)", "elu()", "elu(1", "elu(1, 2)", "elu(x)", "hard-sigmoid(0.2)", "(1)", ""] {
        refused(text.parse::<Activation>(), "activation: expected");
    }
}

#[test]
fn arrays_from_a_file() {
    let zeros = |rows: usize, columns: usize| Array2::<f32>::zeros((rows, columns));
    let peephole = Lstm::<f32>::spec(2).peepholes().build(3, &mut Init::seeded(1)).unwrap();
    let gates = *peephole.gates();
    let arrays = || GatedArrays::new(zeros(3, 8), zeros(2, 8));
    let vectors = |n: usize, len: usize| vec![Array1::<f32>::zeros(len); n];
    refused(arrays().into_cell(gates), "vectors of weights: expected 3 arrays: [p_i, p_f, p_o], got 0 arrays");
    refused(GatedArrays { vectors: vectors(3, 3), ..arrays() }.into_cell(gates), "p_i: expected shape [2], got [3]");
    assert!(GatedArrays { vectors: vectors(3, 2), ..arrays() }.into_cell(gates).is_ok());
    let projected = |w_p, w_h| GatedArrays { w_p: Some(w_p), w_h, vectors: vectors(3, 2), ..arrays() };
    refused(
        projected(zeros(2, 3), zeros(3, 8)).into_cell(gates),
        "w_p: expected shape [2, R], R from 1 to 2, got [2, 3]",
    );
    refused(
        projected(zeros(2, 0), zeros(0, 8)).into_cell(gates),
        "w_p: expected shape [2, R], R from 1 to 2, got [2, 0]",
    );
    refused(projected(zeros(2, 1), zeros(2, 8)).into_cell(gates), "w_h: expected shape [1, 8], got [2, 8]");
    assert!(projected(zeros(2, 1), zeros(1, 8)).into_cell(gates).is_ok());
}

/// A cell that asks for vectors it cannot have.
#[derive(Clone, Debug)]
struct Asks(Vec<Vector>);

impl RowCell for Asks {
    type State<F: Float> = [F; 1];
    const NAME: &'static str = "Asks";
    const X: usize = 1;
    const H: usize = 1;
    fn vectors(&self) -> Vec<Vector> {
        self.0.clone()
    }
    fn saved(&self, _: usize) -> usize {
        0
    }
    fn forward<F: Float>(&self, _: &[&[F]], row: RowForward<'_, F>) {
        row.y.copy_from_slice(row.x);
    }
    fn backward<F: Float>(&self, _: &[&[F]], row: RowBackward<'_, F>) {
        row.d_x.copy_from_slice(row.d_h);
        row.d_u.fill(F::zero());
        row.d_h.fill(F::zero());
    }
}

#[test]
fn vectors_that_cannot_be() {
    let one = |name| Vector::new(name, Start::Constant(0.0));
    let ask = |vectors: Vec<Vector>| build(&GatedSpec::new(Asks(vectors), 2));
    assert!(ask(vec![one("k"), one("l")]).is_ok());
    for names in [vec!["k", "k"], vec!["w_x"], vec![""], vec!["a.b"]] {
        refused(
            ask(names.into_iter().map(one).collect()),
            "vectors of weights: expected names without dots, each once",
        );
    }
    refused(ask(vec![one("k"); 17]), "vectors of weights: expected at most 16, got 17");
    refused(ask(vec![Vector::lanes("k", 0, Start::Scheme)]), "k: expected at least one number a unit, got 0");
    for start in [Start::Constant(f64::NAN), Start::Constant(1e39), Start::Uniform(0.0, f64::INFINITY)] {
        refused(ask(vec![Vector::new("k", start)]), "k: expected a finite number in f32");
    }
}
