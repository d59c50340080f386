//! The functions of a vanilla cell: values and slopes, at the places where a slope jumps too.

use deep_rnn::cells::Activation;
use deep_rnn::ndarray::{Array1, Array3};
use deep_rnn::prelude::*;

/// Just above 0.
const TINY: f64 = 1.0 / 1024.0;

/// Points with the value and the slope there.
type Table = Vec<(f64, f64, f64)>;

/// Straight pieces, and what is known without an exponential.
fn tables() -> Vec<(Activation, Table)> {
    let e = std::f64::consts::E;
    vec![
        (Activation::Relu, vec![(-2.0, 0.0, 0.0), (0.0, 0.0, 0.0), (TINY, TINY, 1.0), (3.0, 3.0, 1.0)]),
        (Activation::Identity, vec![(-2.0, -2.0, 1.0), (0.0, 0.0, 1.0), (3.0, 3.0, 1.0)]),
        (Activation::LeakyRelu(0.25), vec![(-2.0, -0.5, 0.25), (0.0, 0.0, 0.25), (TINY, TINY, 1.0), (3.0, 3.0, 1.0)]),
        (
            Activation::Elu(2.0),
            vec![(-1.0, 2.0 / e - 2.0, 2.0 / e), (0.0, 0.0, 2.0), (TINY, TINY, 1.0), (3.0, 3.0, 1.0)],
        ),
        (Activation::Softsign, vec![(-3.0, -0.75, 0.0625), (0.0, 0.0, 1.0), (1.0, 0.5, 0.25)]),
        (
            Activation::HARD_SIGMOID,
            vec![
                (-9.0, 0.0, 0.0),
                (-2.5, 0.0, 0.0),
                (-1.25, 0.25, 0.2),
                (0.0, 0.5, 0.2),
                (1.25, 0.75, 0.2),
                (2.375, 0.975, 0.2),
                (2.5, 1.0, 0.0),
                (9.0, 1.0, 0.0),
            ],
        ),
        (Activation::Tanh, vec![(0.0, 0.0, 1.0), (1.0, 1.0_f64.tanh(), 1.0 - 1.0_f64.tanh().powi(2))]),
        (Activation::Sigmoid, vec![(0.0, 0.5, 0.25), (1.0, e / (1.0 + e), e / (1.0 + e).powi(2))]),
        (Activation::Custom("cube", |a| (a * a * a, a * a)), vec![(2.0, 8.0, 4.0), (-1.0, -1.0, 1.0)]),
    ]
}

fn check<F: Float>() {
    for (activation, table) in tables() {
        let mut cell =
            Rnn::<F>::spec(1).activation(activation).bias(Bias::None).build(1, &mut Init::seeded(1)).unwrap();
        cell.visit_mut(&mut |name, mut view| view.fill(F::from_f64(if name == "w_x" { 1.0 } else { 0.0 })));
        let a: Array1<F> = table.iter().map(|(a, ..)| F::from_f64(*a)).collect();
        let xs: Array3<F> = a.to_shape((1, a.len(), 1)).unwrap().to_owned();
        let (mut ys, mut d_xs) = (xs.clone(), xs.clone());
        let (mut state, mut tape, mut grads) = (cell.zero_state(a.len()), Default::default(), cell.zeros_like());
        let cx = Context::default();
        cell.scan(cx, (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
        let d_ys = Array3::from_elem(xs.raw_dim(), F::one());
        let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
        cell.scan_backward(cx, io, &mut tape, &mut cell.zero_state(a.len()), &mut grads);
        for (i, (a, value, slope)) in table.iter().enumerate() {
            let applied = activation.apply(F::from_f64(*a));
            let in_a_cell = (ys[[0, i, 0]], d_xs[[0, i, 0]]);
            for (what, (y, d)) in [("alone", applied), ("in a cell", in_a_cell)] {
                let near = |got: F, expected: f64| {
                    (got.as_f64() - expected).abs() <= 4.0 * F::epsilon().as_f64() * expected.abs()
                };
                assert!(near(y, *value) && near(d, *slope), "{activation:?}, {what}, at {a}: {y} and {d}");
            }
        }
    }
}

#[test]
fn activations_and_their_slopes() {
    check::<f32>();
    check::<f64>();
}

/// What a name stands for.
#[test]
fn activations_by_name() {
    for (name, text) in [
        ("tanh", "tanh"),
        ("relu", "relu"),
        ("sigmoid", "sigmoid"),
        ("identity", "identity"),
        ("leaky-relu", "leaky-relu(0.01)"),
        ("elu", "elu(1)"),
        ("softsign", "softsign"),
        ("hard-sigmoid", "hard-sigmoid(0.2, 0.5)"),
    ] {
        let activation: Activation = name.parse().unwrap();
        assert_eq!((activation.name(), format!("{activation:?}").as_str()), (name, text));
    }
    assert!("swish".parse::<Activation>().is_err());
    let nan = |activation: Activation| activation.apply::<f64>(f64::NAN).0.is_nan();
    assert!(
        [Activation::Relu, Activation::LeakyRelu(0.1), Activation::Elu(1.0), Activation::HARD_SIGMOID]
            .into_iter()
            .all(nan)
    );
}
