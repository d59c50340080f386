//! Inputs fade too: what is too near 0 counts as 0, wherever it comes in.

use deep_rnn::prelude::*;
use ndarray::Array3;

use crate::numbers;

/// Noise that is denormal, and zeros.
fn faded<F: Float>(steps: usize, rows: usize, width: usize) -> [Array3<F>; 2] {
    let noise: Array3<F> = Init::seeded(3).uniform((steps, rows, width), F::min_positive_value().as_f64() / 2.0);
    assert!(noise.iter().any(|x| x.is_tiny()));
    [noise, Array3::zeros((steps, rows, width))]
}

fn cell<S: Spec>(what: &str, spec: &S)
where
    S::Layer: RnnCell<Elem: Float> + Prepare,
{
    let cell = spec.build(70, &mut Init::seeded(1)).unwrap();
    for (steps, rows) in [(1, 1), (3, 2), (40, 3)] {
        let [noise, zeros] = faded(steps, rows, 70).map(|xs| {
            let mut tape = <S::Layer as Recurrent>::Tape::default();
            let (mut ys, mut state) = (Array3::zeros((steps, rows, 6)), cell.zero_state(rows));
            cell.scan(Context::default(), (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
            let (mut d_xs, mut d_state) = (Array3::zeros(xs.dim()), cell.zero_state(rows));
            let d_ys = Array3::ones(ys.dim());
            let mut grads = cell.zeros_like();
            let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
            cell.scan_backward(Context::default(), io, &mut tape, &mut d_state, &mut grads);
            let mut all = numbers(&state);
            grads.visit(&mut |_, array| all.extend(array.iter()));
            (ys, d_xs, all)
        });
        assert!(noise == zeros, "{what}: {steps} steps of {rows} rows");
    }
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        let packed = cell.prepare(precision).unwrap();
        for rows in [1, 5] {
            let [noise, zeros] = faded(4, rows, 70).map(|xs| {
                let (mut ys, mut state) = (Array3::zeros((4, rows, 6)), packed.zero_state(rows));
                packed.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut state, None);
                (ys, numbers(&state))
            });
            assert!(noise == zeros, "{what}, {precision}, {rows} rows");
        }
    }
}

fn all<F: Float>() {
    cell(&format!("LSTM, {}", F::NAME), &Lstm::<F>::spec(6));
    cell(&format!("GRU, {}", F::NAME), &Gru::<F>::spec(6).bias(Bias::Two));
    cell(&format!("RNN, {}", F::NAME), &Rnn::<F>::spec(6));
    cell(&format!("GRU, reset before, {}", F::NAME), &GruResetBefore::<F>::spec(6));
}

#[test]
fn a_faded_input_counts_as_0() {
    all::<f32>();
    all::<f64>();
}

#[test]
fn for_a_linear_layer_in_front_too() {
    let net = Network::<f32>::builder(70).linear(5).lstm(6).seed(1).build().unwrap();
    let [noise, zeros] = faded(20, 2, 70).map(|xs| {
        let (mut ys, mut state) = (Array3::zeros((20, 2, 6)), net.zero_state(2));
        net.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut state, None);
        ys
    });
    assert_eq!(noise, zeros);
    let packed = net.prepare(Precision::Full).unwrap();
    let [noise, zeros] = faded(20, 2, 70).map(|xs| {
        let (mut ys, mut state) = (Array3::zeros((20, 2, 6)), packed.zero_state(2));
        packed.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut state, None);
        ys
    });
    assert_eq!(noise, zeros);
}
