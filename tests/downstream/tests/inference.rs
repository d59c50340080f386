//! Stacks of cells from outside, by both ways in, packed for inference.

use deep_rnn::cells::GatedSpec;
use deep_rnn::ndarray::{Array3, ArrayRef3, Axis};
use deep_rnn::prelude::*;
use downstream::{Cifg, Mgu, Residual};

/// Holds a network, whole, packed and step by step, against one pass.
fn same_bits<N: SeqLayer<Elem = f32> + Causal + Prepare>(net: &N) {
    let xs: Array3<f32> = Init::seeded(2).normal((30, 2, net.input_size()), 1.0);
    let mut expected = Array3::zeros((30, 2, net.output_size()));
    net.forward(Context::default(), (&xs).into(), expected.view_mut(), &mut net.zero_state(2), None);
    let packed = net.prepare(Precision::Full).unwrap();
    let mut ys = Array3::zeros(expected.raw_dim());
    packed.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut packed.zero_state(2), None);
    assert_eq!(ys, expected);
    assert_eq!(steps(net, &xs), expected);
    assert_eq!(steps(&packed, &xs), expected);
}

fn steps<N: Causal<Elem = f32>>(net: &N, xs: &ArrayRef3<f32>) -> Array3<f32> {
    let mut ys = Array3::zeros((xs.len_of(Axis(0)), xs.len_of(Axis(1)), net.output_size()));
    let mut state = net.zero_state(xs.len_of(Axis(1)));
    for (x, mut y) in xs.outer_iter().zip(ys.outer_iter_mut()) {
        net.step_rows(x.as_slice().unwrap(), y.as_slice_mut().unwrap(), &mut state).unwrap();
    }
    ys
}

#[test]
fn a_packed_network_gives_the_same_bits() {
    let mgu = |inputs: usize, init: &mut Init| Ok(Mgu::new(inputs, 12, init));
    let residual = |inputs: usize, init: &mut Init| Residual::new(Mgu::new(inputs, inputs, init));
    let cifg = GatedSpec::<f32, Cifg>::new(Cifg, 20);
    same_bits(&Network::<f32>::builder(3).layer(cifg).layer(mgu).layer(residual).lstm(9).seed(1).build().unwrap());
}

#[test]
fn a_packed_stack_of_one_type_gives_the_same_bits() {
    let mgu = |inputs: usize, init: &mut Init| Ok(Mgu::<f32>::new(inputs, 12, init));
    same_bits(&Stacked::repeat(3, 2, &mgu, 1).unwrap());
    same_bits(&Stacked::repeat(3, 2, &GatedSpec::<f32, Cifg>::new(Cifg, 20), 1).unwrap());
}
