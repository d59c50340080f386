//! A stack of cells from outside, by both doors, packed for inference.

use deep_rnn::GatedSpec;
use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;
use stranger::{Cifg, Mgu};

#[test]
fn a_packed_stack_gives_the_same_bits() {
    let mgu = |inputs: usize, init: &mut Init| Ok(Mgu::new(inputs, 12, init));
    let cifg = GatedSpec::<f32, Cifg>::new(Cifg, 20);
    let net = Stacked::builder(3).layer(cifg).layer(mgu).layer(Lstm::spec(9)).seed(1).build().unwrap();
    let xs = Init::seeded(2).normal((30, 2, 3), 1.0);
    let (mut expected, mut ys) = (Array3::zeros((30, 2, 9)), Array3::zeros((30, 2, 9)));
    net.scan(xs.view(), expected.view_mut(), &mut net.zero_state(2), None);
    let packed = net.prepare(Precision::Full).unwrap();
    packed.scan(xs.view(), ys.view_mut(), &mut packed.zero_state(2));
    assert_eq!(ys, expected);
}
