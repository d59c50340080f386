//! One weight for embedding and head: the same bits whole and in pieces, on any number of threads, under a memory budget, packed;
//! and what it is the sum of.

#[path = "support/bits.rs"]
mod bits;

use bits::{state_bits, weights};
use deep_rnn::ndarray::{Array2, Array3, ArrayD, ArrayView3, Axis, s};
use deep_rnn::prelude::*;
use deep_rnn::{
    cpu::Threads,
    layers::{Embedding, Tied},
};

fn network<F: Float>(v: usize, e: usize, word_dropout: f64) -> Tied<Network<F>> {
    let words = Embedding::<F>::spec(e).word_dropout(word_dropout).init(Scheme::Normal(0.3));
    let mut tied = Tied::spec(words, Network::part().gru(e + 1).lstm(e)).build(v, &mut Init::seeded(1)).unwrap();
    let mut init = Init::seeded(2);
    tied.visit_mut(&mut |name, mut array| {
        if name == "b" {
            let numbers: ArrayD<F> = init.uniform(array.raw_dim(), 1.0);
            array.assign(&numbers);
        }
    });
    tied
}

fn tokens((t, b): (usize, usize), v: usize) -> Array2<usize> {
    Array2::from_shape_fn((t, b), |(t, b)| (t * t * 3 + b * 5 + t * b) % v)
}

/// The bits of outputs, last state and gradients of a pass in pieces that end at these steps.
fn pass<F: Float>(
    net: &Tied<Network<F>>,
    cx: Context<'_>,
    x: Input<'_, F>,
    mut ys: Array3<F>,
    d_ys: ArrayView3<'_, F>,
    ends: &[usize],
) -> Vec<u64> {
    let b = x.dim().1;
    let (mut state, mut d_state) = (net.zero_state(b), net.zero_state(b));
    let (mut tape, mut grads) = (Default::default(), net.zeros_like());
    let rows = matches!(x, Input::Rows(_));
    let mut d_xs = Array3::from_elem(if rows { ys.raw_dim() } else { ndarray::Dim((0, 0, 0)) }, F::nan());
    let pieces: Vec<_> = [0].iter().chain(ends).zip(ends).map(|(from, to)| *from..*to).collect();
    for steps in &pieces {
        let y = ys.slice_mut(s![steps.clone(), .., ..]);
        net.forward(cx.from_step(steps.start), x.steps(steps.clone()), y, &mut state, Some(&mut tape));
    }
    for steps in pieces.iter().rev() {
        let here = s![steps.clone(), .., ..];
        let d_x = rows.then(|| d_xs.slice_mut(here));
        let io = SeqGradIo { x: x.steps(steps.clone()), y: ys.slice(here), d_y: d_ys.slice(here), d_x };
        net.backward(cx.from_step(steps.start), io, &mut tape, &mut d_state, &mut grads);
    }
    let mut bits: Vec<u64> = ys.iter().chain(&d_xs).map(|x| x.as_f64().to_bits()).collect();
    bits.extend(state_bits(&state));
    bits.extend(state_bits(&d_state));
    bits.extend(weights(&grads));
    bits
}

fn pieces<F: Float>() {
    let (t, b) = (35, 5);
    for (v, e) in [(70, 9), (13, 33)] {
        let tokens = tokens((t, b), v);
        let xs: Array3<F> = Init::seeded(3).uniform((t, b, v), 1.0);
        let d_ys: Array3<F> = Init::seeded(4).uniform((t, b, v), 1.0);
        let lengths = [35, 3, 20, 0, 35];
        for cx in [Context::default(), Context::train(7), Context::default().with_lengths(&lengths)] {
            let net = network(v, e, 0.2);
            for x in [Input::from(&tokens), Input::from(&xs)] {
                let of = |ends: &[usize]| pass(&net, cx, x, Array3::zeros((t, b, v)), d_ys.view(), ends);
                let whole = of(&[t]);
                let steps: Vec<usize> = (1..=t).collect();
                for ends in [&steps[..], &[7, 14, 21, 28, 35], &[20, 35], &[0, 34, 35]] {
                    assert!(whole == of(ends), "{v} of {e}, pieces that end at {ends:?}");
                }
            }
        }
    }
}

#[test]
fn the_same_bits_whole_and_in_pieces() {
    pieces::<f32>();
    pieces::<f64>();
}

/// More rows than are taken together, more work than one thread is given.
#[test]
fn the_same_bits_on_threads_and_of_views() {
    let (t, b, v, e) = (40, 40, 301, 49);
    let tokens = tokens((t, b), v);
    let xs: Array3<f32> = Init::seeded(3).uniform((t, b, v), 1.0);
    let d_ys: Array3<f32> = Init::seeded(4).uniform((t, b, v), 1.0);
    let net = network(v, e, 0.0);
    let zeros = || Array3::zeros((t, b, v));
    for x in [Input::from(&tokens), Input::from(&xs)] {
        let on = |threads: usize| {
            let threads = Threads::new(threads).unwrap();
            threads.install(|| pass(&net, Context::default(), x, zeros(), d_ys.view(), &[t]))
        };
        let one = on(1);
        [2, 3, 8].into_iter().for_each(|threads| assert!(one == on(threads), "{threads} threads"));
        // Batch first, so that rows are copied.
        let turned = |array: &Array3<f32>| array.view().permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
        let (x_turned, d_turned, tokens_turned) = (turned(&xs), turned(&d_ys), tokens.t().to_owned());
        let turned_tokens = tokens_turned.t();
        let x = match x {
            Input::Rows(_) => Input::Rows(x_turned.view().permuted_axes([1, 0, 2])),
            Input::Tokens(_) => Input::from(turned_tokens),
        };
        let ys = Array3::zeros((b, t, v)).permuted_axes([1, 0, 2]);
        let d_ys = d_turned.view().permuted_axes([1, 0, 2]);
        assert!(one == pass(&net, Context::default(), x, ys, d_ys, &[t]), "views");
    }
}

/// The gradients of two weights, one for each use, added.
#[test]
fn the_gradient_is_that_of_both_uses() {
    let (t, b, v, e) = (30, 20, 50, 12);
    let tied = network::<f64>(v, e, 0.0);
    let head = Linear::from_arrays(tied.embedding().w().t().to_owned(), Some(tied.b().clone())).unwrap();
    let embedding = Linear::from_arrays(tied.embedding().w().to_owned(), None).unwrap();
    let layers = vec![
        deep_rnn::layers::Boxed::new(embedding),
        deep_rnn::layers::Boxed::new(tied.inner().clone()),
        deep_rnn::layers::Boxed::new(head),
    ];
    let apart = Stacked::new(layers).unwrap();
    fn gradients<N: SeqLayer<Elem = f64>>(net: &N, x: &Array2<usize>, v: usize) -> (N, Array3<f64>) {
        let ((t, b), mut tape, mut grads) = (x.dim(), Default::default(), net.zeros_like());
        let mut ys = Array3::zeros((t, b, v));
        net.forward(Context::default(), x.into(), ys.view_mut(), &mut net.zero_state(b), Some(&mut tape));
        let io = SeqGradIo { x: x.into(), y: ys.view(), d_y: ys.view(), d_x: None };
        net.backward(Context::default(), io, &mut tape, &mut net.zero_state(b), &mut grads);
        (grads, ys)
    }
    let x = tokens((t, b), v);
    let (ours, ys) = gradients(&tied, &x, v);
    let (theirs, expected) = gradients(&apart, &x, v);
    assert_eq!(ys, expected);
    let of = |layer: usize| theirs.layers()[layer].downcast_ref::<Linear<f64>>().unwrap();
    let both = &of(0).w() + &of(2).w().t();
    let apart = (&ours.embedding().w() - &both).iter().fold(0.0_f64, |most, d| most.max(d.abs()));
    let largest = both.iter().fold(0.0_f64, |most, d| most.max(d.abs()));
    assert!(apart < 1e-13 * largest, "{apart} of {largest}");
    assert_eq!(ours.b(), of(2).b().unwrap());
}

/// More than 2¹⁴ rows are summed in blocks, the same in the engine, cut by it, and in one call.
#[test]
fn very_many_rows() {
    let (t, b, v) = (1100, 16, 11);
    let (x, y) = (tokens((t, b), v), tokens((t, b), v).mapv(|token| (token + 3) % v));
    let trained = |share: Option<f64>| {
        let net = network::<f32>(v, 6, 0.0);
        let builder = || Bptt::builder(net.clone()).optimizer(Sgd::new(0.5));
        let bytes = builder().build().unwrap().memory_estimate_for_tokens(t, b).unwrap();
        let builder = match share {
            Some(share) => builder().memory_budget((bytes as f64 * share) as usize),
            None => builder(),
        };
        let mut bptt = builder.build().unwrap();
        bptt.train(&x, &y).unwrap();
        weights(bptt.model())
    };
    let whole = trained(None);
    for share in [0.8, 0.5] {
        assert!(whole == trained(Some(share)), "{share} of the memory");
    }
    let net = network::<f64>(v, 6, 0.0);
    let d_ys: Array3<f64> = Init::seeded(4).uniform((t, b, v), 1.0);
    let of = |ends: &[usize]| pass(&net, Context::default(), (&x).into(), Array3::zeros((t, b, v)), d_ys.view(), ends);
    let numbers = |bits: Vec<u64>| bits.into_iter().map(f64::from_bits).collect::<Vec<_>>();
    let (blocks, plain) = (numbers(of(&[t])), numbers(of(&[200, 1100])));
    let largest = plain.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
    assert!(blocks.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-11 * largest));
}

#[test]
fn the_same_bits_under_a_memory_budget() {
    let (x, y) = (tokens((120, 6), 30), tokens((120, 6), 30).mapv(|token| (token + 1) % 30));
    let engine = || Bptt::builder(network::<f32>(30, 24, 0.1)).seed(5);
    let mut plain = engine().build().unwrap();
    let bytes = plain.memory_estimate_for_tokens(120, 6).unwrap();
    plain.train(&x, &y).unwrap();
    for share in [0.9, 0.7, 0.6] {
        let mut small = engine().memory_budget((bytes as f64 * share) as usize).build().unwrap();
        small.train(&x, &y).unwrap();
        assert!(weights(plain.model()) == weights(small.model()), "{share} of the memory");
    }
}

#[test]
fn a_network_of_it() {
    let net = Network::<f32>::builder(9).embedding(8).gru(12).lstm(8).tied().seed(1).build().unwrap();
    let mut names = Vec::new();
    net.visit(&mut |name, array| names.push(format!("{name} {:?}", array.shape())));
    assert_eq!(names[..3], ["0.embedding.w [9, 8]", "0.b [9]", "0.inner.0.w_x [8, 36]"]);
    assert!(net.to_string().contains("Tied(9 → 9, Gru(8 → 12), Lstm(12 → 8))  [T, B, 9]"), "{net}");
    let (x, y) = (tokens((16, 4), 9), tokens((16, 4), 9).mapv(|token| (token + 3) % 9));
    let mut bptt = Bptt::builder(net).optimizer(Adam::new(0.01)).build().unwrap();
    let before = bptt.train(&x, &y).unwrap().loss();
    for _ in 0..60 {
        bptt.reset_state();
        bptt.train(&x, &y).unwrap();
    }
    bptt.reset_state();
    assert!(bptt.train(&x, &y).unwrap().loss() < before / 4.0);
    let model = bptt.model();
    let text = generate(model, &[3, 5], 8, &mut Sampler::greedy()).unwrap();
    let packed = model.prepare(Precision::Full).unwrap();
    assert_eq!(generate(&packed, &[3, 5], 8, &mut Sampler::greedy()).unwrap(), text);
    let small = model.prepare(Precision::Int8).unwrap();
    assert!(small.bytes() < packed.bytes() / 2);
}

/// Step by step and packed, of tokens and of rows.
#[test]
fn the_same_bits_packed() {
    fn of<F: Float>() {
        for (v, e) in [(5, 3), (40, 17)] {
            let net = network::<F>(v, e, 0.1);
            let packed = net.prepare(Precision::Full).unwrap();
            for b in [1, 3] {
                let tokens = tokens((20, b), v);
                let mut expected = Array3::zeros((20, b, v));
                let (mut state, mut ys) = (net.zero_state(b), expected.clone());
                net.forward(Context::default(), (&tokens).into(), expected.view_mut(), &mut state, None);
                let mut other = packed.zero_state(b);
                packed.forward(Context::default(), (&tokens).into(), ys.view_mut(), &mut other, None);
                assert!(ys == expected && state_bits(&state) == state_bits(&other), "{v} of {e}, {b} rows");
                let (mut state, mut other) = (net.zero_state(b), packed.zero_state(b));
                for (t, step) in tokens.outer_iter().enumerate() {
                    let (mut y, mut of_rows, mut x) =
                        (vec![F::nan(); b * v], vec![F::nan(); b * v], vec![F::zero(); b * v]);
                    packed.step_tokens(step.as_slice().unwrap(), &mut y, &mut other).unwrap();
                    step.iter().enumerate().for_each(|(row, token)| x[row * v + token] = F::one());
                    net.step_rows(&x, &mut of_rows, &mut state).unwrap();
                    let expected = expected.index_axis(Axis(0), t);
                    assert!(y == of_rows && expected.iter().eq(&y), "{v} of {e}, {b} rows, step {t}");
                }
            }
        }
    }
    of::<f32>();
    of::<f64>();
}
