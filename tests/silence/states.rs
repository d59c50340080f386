//! States after a loud start and long silence, of each kind of cell and each way to run it.

use deep_rnn::prelude::*;
use ndarray::{Array2, Array3, s};

use crate::{assert_kept, numbers};

const LOUD: usize = 20;
const SILENT: usize = 3_000;

/// One after the other: loud steps, then silent ones.
fn input<F: Float>(t: usize, d: usize) -> Array2<F> {
    Array2::from_shape_fn((1, d), |(_, d)| F::from_f64(if t < LOUD { ((t * 7 + d) as f64).sin() } else { 0.0 }))
}

/// The state at the end of a decay, by steps, by sequence and packed; all the same bits.
fn fades<S: Spec>(what: &str, spec: &S)
where
    S::Layer: RnnCell<Elem: Float> + Prepare,
{
    let net = Stacked::repeat(3, 2, spec, 1).unwrap();
    let (mut stepped, mut y) = (net.zero_state(1), vec![Float::from_f64(0.0); net.output_size()]);
    for t in 0..LOUD + SILENT {
        net.step_rows(input(t, 3).as_slice().unwrap(), &mut y, &mut stepped).unwrap();
        assert_kept(&format!("{what}, output {t}"), y.iter().copied());
        assert_kept(&format!("{what}, state {t}"), numbers(&stepped));
    }
    let mut xs = Array3::zeros((LOUD + SILENT, 1, 3));
    for (t, mut x) in xs.outer_iter_mut().enumerate() {
        x.assign(&input(t, 3));
    }
    let (mut scanned, mut ys) = (net.zero_state(1), Array3::zeros((LOUD + SILENT, 1, net.output_size())));
    net.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut scanned, None);
    assert!(numbers(&scanned) == numbers(&stepped), "{what}: the sequence ends elsewhere");
    assert_eq!(ys.slice(s![LOUD + SILENT - 1, 0, ..]).to_vec(), y);
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        let packed = net.prepare(precision).unwrap();
        let (mut state, mut y) = (packed.zero_state(1), vec![Float::from_f64(0.0); net.output_size()]);
        for t in 0..LOUD + SILENT {
            packed.step_rows(input(t, 3).as_slice().unwrap(), &mut y, &mut state).unwrap();
            assert_kept(&format!("{what}, {precision}, state {t}"), numbers(&state));
        }
        if precision == Precision::Full {
            assert!(numbers(&state) == numbers(&stepped), "{what}: packed ends elsewhere");
        }
    }
}

fn all<F: Float>() {
    let name = F::NAME;
    fades(&format!("LSTM, {name}"), &Lstm::<F>::spec(40).init(Scheme::Normal(0.1)).forget_bias(2.0));
    fades(&format!("LSTM without bias, {name}"), &Lstm::<F>::spec(17).bias(Bias::None));
    fades(&format!("GRU, {name}"), &Gru::<F>::spec(40).init(Scheme::Normal(0.1)).lane_bias(1, 2.0));
    fades(&format!("GRU without bias, {name}"), &Gru::<F>::spec(17).bias(Bias::None));
    for activation in [Activation::Tanh, Activation::Relu, Activation::Identity, Activation::Softsign] {
        let spec = Rnn::<F>::spec(40).bias(Bias::None).activation(activation);
        fades(&format!("RNN, {activation:?}, {name}"), &spec);
    }
    // As an `RnnCell`, whose sequence is the provided one.
    fades(&format!("GRU, reset before, {name}"), &GruResetBefore::<F>::spec(12).bias(Bias::None));
}

#[test]
fn no_state_stays_denormal_after_silence() {
    all::<f32>();
    all::<f64>();
}

/// relu, each unit half the mean of all: 1 decays by half a step, and must be exact until it is too near 0.
#[test]
fn what_decays_is_right_until_it_is_0() {
    let (h, one) = (40, Array2::from_elem((1, 40), 1.0_f32));
    let w_h = Array2::from_elem((h, h), 0.5 / h as f32);
    let cell = Rnn::<f32>::spec(h).activation(Activation::Relu).build(1, &mut Init::seeded(1)).unwrap();
    let cell = deep_rnn::cells::Gated::from_arrays(*cell.gates(), Array2::zeros((1, h)), w_h, None, None).unwrap();
    let (mut state, mut y) = ([one], Array2::zeros((1, h)));
    for t in 1..200 {
        cell.step(Context::default(), Array2::zeros((1, 1)).view(), y.view_mut(), &mut state, None);
        let expected = if t <= 63 { 0.5_f32.powi(t) } else { 0.0 };
        // 40 terms of 1/80 make a half up to rounding; at the last step it may fall on either side.
        let off = y.iter().map(|y| (y / 0.5_f32.powi(t.min(63)) - if t <= 63 { 1.0 } else { 0.0 }).abs());
        let worst = off.fold(0.0, f32::max);
        assert!(worst < 1e-4 || t == 63 && worst == 1.0, "step {t}: {} for {expected}", y[[0, 0]]);
    }
}

#[test]
fn a_network_with_a_head_falls_silent() {
    let net = Network::builder(1).layer(Lstm::<f32>::spec(8).bias(Bias::None)).linear(1).seed(1).build();
    let packed = net.unwrap().prepare(Precision::Full).unwrap();
    let (mut state, mut y) = (packed.zero_state(1), [0.0]);
    for t in 0..LOUD + SILENT {
        packed.step_rows(input::<f32>(t, 1).as_slice().unwrap(), &mut y, &mut state).unwrap();
    }
    assert!(numbers(&state).iter().all(|x| *x == 0.0));
}
