//! The weights come out the same bits for any number of threads: the engine cuts the rows of what does not divide its
//! own work, and a cell by `Pointwise` divides itself.

use deep_rnn::cells::GatedSpec;
use deep_rnn::ndarray::Array2;
use deep_rnn::prelude::*;
use downstream::{Cifg, Mgu};

const V: usize = 11;

/// The bits of all weights after five updates on batches of 19 rows.
fn bits<N: SeqLayer<Elem = f32>>(net: N, threads: usize) -> Vec<u32> {
    let model = LanguageModel::new(net, 3).unwrap();
    let mut bptt = Bptt::builder(model).clip_norm(1.0).window(6).threads(threads).build().unwrap();
    let tokens = Array2::from_shape_fn((31, 19), |(t, b)| (t * t + 3 * t * b + b * b) % V);
    let (first, last) = (tokens.slice(deep_rnn::ndarray::s![..30, ..]), tokens.slice(deep_rnn::ndarray::s![1.., ..]));
    let report = bptt.train_next(&first, &last).unwrap();
    assert_eq!(report.updates, 5);
    let mut bits = Vec::new();
    bptt.model().visit(&mut |_, array| bits.extend(array.iter().map(|x| x.to_bits())));
    bits
}

fn same<N: SeqLayer<Elem = f32>>(splits_itself: bool, net: impl Fn() -> N) {
    assert_eq!(net().splits_itself(), splits_itself);
    let one = bits(net(), 1);
    for threads in [2, 3, 8] {
        assert!(one == bits(net(), threads), "{threads} threads give other weights");
    }
}

#[test]
fn mgu_over_lstm() {
    let mgu = |inputs: usize, init: &mut Init| Ok(Mgu::new(inputs, 40, init));
    same(false, || Network::<f32>::builder(V).lstm(48).layer(mgu).seed(1).build().unwrap());
}

#[test]
fn lstm_over_mgu() {
    let mgu = |inputs: usize, init: &mut Init| Ok(Mgu::new(inputs, 40, init));
    same(false, || Network::<f32>::builder(V).layer(mgu).lstm(48).seed(1).build().unwrap());
}

#[test]
fn cifg() {
    let spec = GatedSpec::<f32, Cifg>::new(Cifg, 160);
    same(true, || Stacked::repeat(V, 2, &spec, 2).unwrap());
}
