//! Gradients summed over very many rows. A sum of small terms one after the other loses what lies below its last digit; in
//! blocks it does not, and the blocks do not depend on how a window is run.

use crate::stepped::SteppedGru;
use deep_rnn::cells::{GatedSpec, RnnGates};
use deep_rnn::prelude::*;
use ndarray::{Array1, Array2, Array3, ArrayRef2, ArrayRef3, ArrayView3, ArrayViewMut3, Axis, Slice};

use crate::deep::deep;
use crate::{Frozen, near};

/// Gradients of bias and weight of y = x + 0, of which each row gets the same share of 0.1.
fn linear(t: usize, b: usize) -> [f64; 2] {
    let layer = Linear::from_arrays(Array2::ones((1, 1)), Some(Array1::zeros(1))).unwrap();
    let (xs, mut d_x) = (Array3::<f32>::ones((t, b, 1)), Array3::zeros((t, b, 1)));
    let d_y = Array3::from_elem((t, b, 1), 0.1 / (t * b) as f32);
    let mut grads = layer.zeros_like();
    let io = SeqGradIo { x: (&xs).into(), y: xs.view(), d_y: d_y.view(), d_x: Some(d_x.view_mut()) };
    layer.backward(Context::default(), io, &mut (), &mut (), &mut grads);
    assert_eq!(d_x, d_y);
    [f64::from(grads.b().unwrap()[0]), f64::from(grads.w()[[0, 0]])]
}

#[test]
fn a_linear_layer_over_millions_of_rows() {
    let n = 1 << 22;
    for &(t, b) in deep(&[(n, 1), (1, n), (n / 512, 512), (n / 20_000, 20_000), (3, n / 3)][..], &[(n, 1), (1, n)]) {
        for gradient in linear(t, b) {
            near(gradient, 0.1, 4e-5);
        }
    }
}

/// The vanilla cell without its past: all its gradients are sums over rows.
fn adder() -> GatedSpec<f32, RnnGates> {
    Rnn::<f32>::spec(1).activation(Activation::Identity)
}

fn without_past<P: Params<Elem = f32>>(mut params: P) -> P {
    params.visit_mut(&mut |name, mut array| {
        let value = if name.ends_with("w_x") { 1.0 } else { 0.0 };
        array.fill(value);
    });
    params
}

#[test]
fn a_cell_over_millions_of_rows() {
    let n = 1 << 21;
    let cell = without_past(adder().bias(Bias::Two).build(1, &mut Init::seeded(1)).unwrap());
    for &(t, b) in deep(&[(n, 1), (1, n), (n / 512, 512), (n / 20_000, 20_000)][..], &[(n / 512, 512)]) {
        let rows = (t * b) as f32;
        let (xs, mut ys, mut d_x) = (Array3::ones((t, b, 1)), Array3::zeros((t, b, 1)), Array3::zeros((t, b, 1)));
        let d_y = Array3::from_elem((t, b, 1), 0.1 / rows);
        let (mut tape, mut grads) = (Default::default(), cell.zeros_like());
        cell.scan(Context::default(), (&xs).into(), ys.view_mut(), &mut cell.zero_state(b), Some(&mut tape));
        let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_y.view(), d_x: Some(d_x.view_mut()) };
        cell.scan_backward(Context::default(), io, &mut tape, &mut cell.zero_state(b), &mut grads);
        assert_eq!(d_x, d_y);
        let share = if t == 1 { 0.0 } else { 0.1 * (t - 1) as f64 / t as f64 };
        for (gradient, expected) in [
            (grads.b().unwrap()[0], 0.1),
            (grads.b_h().unwrap()[0], 0.1),
            (grads.w_x()[[0, 0]], 0.1),
            (grads.w_h()[[0, 0]], share),
        ] {
            near(f64::from(gradient), expected, 4e-5);
        }
    }
}

/// By the engine: a cell that divides itself, tokens, and one that is sharded.
#[test]
fn the_engine_over_a_million_rows() {
    let n = 1 << 20;
    let loss = |ys: ArrayView3<'_, f32>, _: &ArrayRef3<f32>, mut d_ys: ArrayViewMut3<'_, f32>| {
        d_ys.fill(0.1 / ys.len() as f32);
        0.0
    };
    for (t, b) in [(n / 32, 32), (n, 1)] {
        let model = without_past(adder().build(1, &mut Init::seeded(1)).unwrap());
        let mut bptt = Bptt::builder(model).loss(deep_rnn::loss::loss_fn(loss)).optimizer(Frozen).build().unwrap();
        let xs = Array3::ones((t, b, 1));
        bptt.train_next(&xs, &xs).unwrap();
        near(f64::from(bptt.gradients().b().unwrap()[0]), 0.1, 4e-5);
    }
    let of_tokens = deep_rnn::loss::loss_fn(|ys: ArrayView3<'_, f32>, _: &ArrayRef2<usize>, mut d_ys| {
        d_ys.fill(0.1 / ys.len() as f32);
        0.0
    });
    fn train<N: SeqLayer<Elem = f32>, L>(net: N, loss: L, (t, b): (usize, usize)) -> f64
    where
        L: deep_rnn::loss::Loss<f32, ArrayRef2<usize>>,
    {
        let model = LanguageModel::new(net, 1).unwrap();
        let mut bptt = Bptt::builder(model).loss(loss).optimizer(Frozen).build().unwrap();
        let tokens = Array2::zeros((t, b));
        bptt.train_next(&tokens, &tokens).unwrap();
        f64::from(bptt.gradients().head().b().unwrap()[0])
    }
    near(train(adder().build(1, &mut Init::seeded(1)).unwrap(), of_tokens, (n / 32, 32)), 0.1, 4e-5);
    let before = GruResetBefore::<f32>::spec(1).build(1, &mut Init::seeded(1)).unwrap();
    near(train(before, of_tokens, (n / 4096, 512)), 0.1, 4e-5);
}

/// Gradients of a sequence, and those of its blocks, counted from its end: each from zero, and added with what was lost.
fn of_blocks<C: RnnCell>(cell: &C, (t, b): (usize, usize), block: usize) -> [Vec<C::Elem>; 2] {
    let mut init = Init::seeded(4);
    let mut array = |width: usize| init.uniform::<C::Elem, _, _>((t, b, width), 1.0);
    let (xs, d_ys) = (array(cell.input_size()), array(cell.output_size()));
    let run = |cuts: &[usize]| {
        let (mut tape, mut state, mut d_state) = (C::Tape::default(), cell.zero_state(b), cell.zero_state(b));
        let (mut ys, mut d_x) = (d_ys.clone(), xs.clone());
        let pieces: Vec<Slice> = cuts.windows(2).map(|ends| Slice::from(ends[0]..ends[1])).collect();
        for piece in &pieces {
            let y = ys.slice_axis_mut(Axis(0), *piece);
            cell.scan(Context::default(), xs.slice_axis(Axis(0), *piece).into(), y, &mut state, Some(&mut tape));
        }
        let zero = C::Elem::from_f64(0.0);
        let mut sums = vec![[zero; 2]; cell.num_params()];
        for piece in pieces.iter().rev() {
            let io = SeqGradIo {
                x: xs.slice_axis(Axis(0), *piece).into(),
                y: ys.slice_axis(Axis(0), *piece),
                d_y: d_ys.slice_axis(Axis(0), *piece),
                d_x: Some(d_x.slice_axis_mut(Axis(0), *piece)),
            };
            let mut grads = cell.zeros_like();
            cell.scan_backward(Context::default(), io, &mut tape, &mut d_state, &mut grads);
            let mut walk = sums.iter_mut();
            grads.visit(&mut |_, array| {
                for (x, [sum, lost]) in array.iter().zip(&mut walk) {
                    let (before, added) = (*sum, *x + *lost);
                    *sum = before + added;
                    *lost = added - (*sum - before);
                }
            });
        }
        sums.into_iter().map(|[sum, _]| sum).collect()
    };
    let mut cuts: Vec<usize> = (0..).map(|i| t.saturating_sub(i * block)).take_while(|at| *at > 0).collect();
    cuts.push(0);
    cuts.reverse();
    [run(&[0, t]), run(&cuts)]
}

fn bits<P: Params>(params: &P) -> Vec<u64> {
    let mut bits = Vec::new();
    params.visit(&mut |_, array| bits.extend(array.iter().map(|x| x.as_f64().to_bits())));
    bits
}

#[test]
fn blocks_are_counted_from_the_end() {
    fn check<C: RnnCell>(name: &str, cell: &C) {
        // 2^11 rows or fewer, as many steps as a power of two.
        for (b, block) in [(8, 256), (600, 2), (5, 256)] {
            let shape = (16_384 / b + block / 2 + 1, b);
            let [whole, blocks] = of_blocks(cell, shape, block);
            assert!(whole == blocks, "{name}, {shape:?}");
        }
    }
    let mut init = Init::seeded(2);
    check("Lstm", &Lstm::<f32>::spec(3).build(2, &mut init).unwrap());
    check("Gru", &Gru::<f32>::spec(2).build(3, &mut init).unwrap());
    check("GruResetBefore", &GruResetBefore::<f32>::spec(2).build(2, &mut init).unwrap());
    check("by steps", &SteppedGru::<f32>::spec(2).build(2, &mut init).unwrap());
}

/// A memory budget, threads: the same bits, for a window of several blocks too.
#[test]
fn a_long_window_has_the_same_bits_however_it_is_run() {
    fn gradients<N: SeqLayer<Elem = f32>>(
        model: &N,
        (t, b): (usize, usize),
        share: Option<f64>,
        threads: usize,
    ) -> Vec<u64> {
        let xs = Array3::from_shape_fn((t, b, 1), |(t, b, _)| ((t * 7 + b) % 13) as f32 / 13.0);
        let targets = Array3::zeros((t, b, model.output_size()));
        let builder = || Bptt::builder(model.clone()).loss(MeanSquared).threads(threads);
        let all = builder().build().unwrap().memory_estimate(t, b).unwrap();
        let mut bptt = match share {
            None => builder().build().unwrap(),
            Some(share) => builder().memory_budget((all as f64 * share) as usize).build().unwrap(),
        };
        bptt.train_next(&xs, &targets).unwrap();
        bptt.train_next(&xs, &targets).unwrap();
        bits(bptt.gradients())
    }
    let mut init = Init::seeded(2);
    let whole = Network::<f32>::builder(1).lstm(8).linear(1).build().unwrap();
    let sharded = SteppedGru::<f32>::spec(3).build(1, &mut init).unwrap();
    for &share in deep(&[None, Some(0.9), Some(0.5), Some(0.3)][..], &[Some(0.5)]) {
        for threads in [1, 2] {
            assert!(gradients(&whole, (4500, 8), share, threads) == gradients(&whole, (4500, 8), None, 1), "{share:?}");
        }
        let sharded = |share, threads| gradients(&sharded, (4500, 11), share, threads);
        if share.is_none_or(|share| share > 0.8) {
            assert!(sharded(share, 2) == sharded(None, 1), "shards, {share:?}");
        }
    }
}
