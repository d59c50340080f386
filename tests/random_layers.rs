//! Layers that draw numbers: by their place and a key, and by nothing else.

use deep_rnn::gradcheck::{self, Options};
use deep_rnn::ndarray::{Array2, Array3, ArrayD, s};
use deep_rnn::prelude::*;
use deep_rnn::{
    cells::GruGates,
    custom::Params,
    layers::{Boxed, Dropout, Embedding, Residual, Tied, WeightDrop, Zoneout},
};

#[path = "support/deep.rs"]
mod deep;
use deep::deep;

fn build<S: Spec>(spec: &S, inputs: usize) -> S::Layer {
    spec.build(inputs, &mut Init::seeded(1)).unwrap()
}

/// One of each, and all together.
fn layers() -> Vec<(&'static str, Boxed<f64>)> {
    let zoneout = Zoneout::spec(Lstm::<f64>::spec(4), &[0.3, 0.6]);
    let before = Zoneout::spec(GruResetBefore::<f64>::spec(3), &[0.5]);
    let words = Embedding::<f64>::spec(3).word_dropout(0.4).build(5, &mut Init::seeded(1)).unwrap();
    let tied = Network::<f64>::part().dropout(0.2).lstm(3).locked_dropout(0.2);
    let tied = Tied::spec(Embedding::<f64>::spec(3).word_dropout(0.4), tied).build(5, &mut Init::seeded(1)).unwrap();
    let all = Network::<f64>::part()
        .lstm(4)
        .dropout(0.5)
        .layer(Zoneout::spec(Gru::spec(4), &[0.25]))
        .layer(WeightDrop::spec(Lstm::spec(5), 0.5))
        .locked_dropout(0.3)
        .layer(Residual::spec(Gru::spec(5)))
        .layer_norm()
        .linear(2);
    let both = Network::<f64>::part().bi(WeightDrop::spec(Gru::spec(3), 0.4)).dropout(0.2).bi(Lstm::spec(2)).linear(2);
    vec![
        ("dropout", Boxed::new(build(&Dropout::<f64>::spec(0.4), 5))),
        ("locked dropout", Boxed::new(build(&Dropout::<f64>::locked(0.4), 5))),
        ("zoneout", Boxed::new(build(&zoneout, 3))),
        ("zoneout of a cell without gate maths", Boxed::new(build(&before, 3))),
        ("weight drop", Boxed::new(build(&WeightDrop::spec(Lstm::<f64>::spec(4), 0.5), 3))),
        (
            "weight drop of a network",
            Boxed::new(build(&WeightDrop::spec(Network::<f64>::part().gru(3).lstm(2), 0.5), 3)),
        ),
        ("word dropout", Boxed::new(words)),
        ("layer norm", Boxed::new(build(&deep_rnn::layers::LayerNorm::<f64>::spec(), 5))),
        ("residual", Boxed::new(build(&Residual::spec(Lstm::<f64>::spec(3)), 3))),
        ("embedding", Boxed::new(build(&Embedding::<f64>::spec(3), 5))),
        ("tied", Boxed::new(tied)),
        ("all", Boxed::new(build(&all, 3))),
        ("all, looking ahead", Boxed::new(build(&both, 3))),
    ]
}

#[test]
fn laws_hold_evaluating_and_training() {
    let (mut checks, mut differences, mut worst) = (0, 0, 0.0_f64);
    for (name, layer) in layers() {
        for &key in deep(&[None, Some(1), Some(u64::MAX)][..], &[None, Some(u64::MAX)]) {
            let options = Options { key, ..Options::default() };
            match gradcheck::check_layer_with(&layer, &options) {
                Ok(report) => {
                    checks += 1;
                    differences += report.coordinates;
                    worst = worst.max(report.worst_error);
                }
                Err(violation) => panic!("{name}, key {key:?}: {violation}"),
            }
        }
    }
    println!("random layers: {checks} checks, {differences} differences, worst relative error {worst:.1e}");
    assert!(worst < 1e-6);
}

/// Outputs, last state and gradients of a pass in these pieces.
fn pass(net: &Boxed<f64>, cx: Context<'_>, xs: &Array3<f64>, pieces: &[usize]) -> Vec<ArrayD<f64>> {
    let (t, b, _) = xs.dim();
    let mut ys = Array3::zeros((t, b, net.output_size()));
    let (mut state, mut d_state) = (net.zero_state(b), net.zero_state(b));
    let (mut tape, mut grads, mut d_xs) = (Default::default(), net.zeros_like(), Array3::zeros(xs.dim()));
    let input = Input::from(xs);
    let mut bounds = vec![0];
    for piece in pieces {
        bounds.push(bounds[bounds.len() - 1] + piece);
    }
    assert_eq!(bounds.last(), Some(&t));
    for ends in bounds.windows(2) {
        let y = ys.slice_mut(s![ends[0]..ends[1], .., ..]);
        net.forward(cx.from_step(ends[0]), input.steps(ends[0]..ends[1]), y, &mut state, Some(&mut tape));
    }
    let d_ys = ys.mapv(|y| 1.0 + y);
    for ends in bounds.windows(2).rev() {
        let here = s![ends[0]..ends[1], .., ..];
        let io = SeqGradIo {
            x: input.steps(ends[0]..ends[1]),
            y: ys.slice(here),
            d_y: d_ys.slice(here),
            d_x: Some(d_xs.slice_mut(here)),
        };
        net.backward(cx.from_step(ends[0]), io, &mut tape, &mut d_state, &mut grads);
    }
    let mut all = vec![ys.into_dyn(), d_xs.into_dyn()];
    state.visit(&mut |array| all.push(array.to_owned().into_dyn()));
    d_state.visit(&mut |array| all.push(array.to_owned().into_dyn()));
    grads.visit(&mut |_, array| all.push(array.to_owned()));
    all
}

#[test]
fn the_same_bits_whole_and_in_pieces() {
    for (name, net) in layers().into_iter().filter(|(_, net)| net.is_causal()) {
        let xs: Array3<f64> = Init::seeded(4).uniform((35, 5, net.input_size()), 1.0);
        let lengths = [35, 3, 20, 0, 35];
        for cx in [Context::train(7), Context::train(7).with_origin(70, 16), Context::train(7).with_lengths(&lengths)] {
            let whole = pass(&net, cx, &xs, &[35]);
            assert_ne!(whole[0], Array3::<f64>::zeros((35, 5, net.output_size())).into_dyn());
            for pieces in [vec![1; 35], vec![7; 5], vec![20, 15]] {
                let got = pass(&net, cx, &xs, &pieces);
                assert!(whole == got, "{name}, pieces {pieces:?}");
            }
        }
    }
}

#[test]
fn rows_draw_by_their_place() {
    for (name, net) in layers() {
        let xs: Array3<f64> = Init::seeded(4).uniform((9, 6, net.input_size()), 1.0);
        let whole = pass(&net, Context::train(7), &xs, &[9]);
        let part = pass(&net, Context::train(7).with_origin(0, 2), &xs.slice(s![.., 2..5, ..]).to_owned(), &[9]);
        let whole: Array3<f64> = whole[0].clone().into_dimensionality().unwrap();
        let part: Array3<f64> = part[0].clone().into_dimensionality().unwrap();
        assert_eq!(whole.slice(s![.., 2..5, ..]), part, "{name}");
    }
}

/// A network of everything that draws, over tokens.
fn network() -> Network<f32> {
    Network::<f32>::builder(11)
        .layer(|tokens: usize, init: &mut Init| Embedding::<f32>::spec(6).word_dropout(0.1).build(tokens, init))
        .lstm(8)
        .dropout(0.3)
        .layer(WeightDrop::spec(Gru::spec(8), 0.3))
        .locked_dropout(0.2)
        .layer(Zoneout::spec(Lstm::spec(6), &[0.1, 0.2]))
        .linear(11)
        .seed(2)
        .build()
        .unwrap()
}

fn tokens(t: usize, b: usize) -> (Array2<usize>, Array2<usize>) {
    let x = Array2::from_shape_fn((t, b), |(t, b)| (3 * t * t + 5 * b) % 11);
    let y = x.mapv(|token| (token + 3) % 11);
    (x, y)
}

fn weights(net: &impl Params<Elem = f32>) -> Vec<u32> {
    let mut bits = Vec::new();
    net.visit(&mut |_, array| bits.extend(array.iter().map(|x| x.to_bits())));
    bits
}

fn trained(threads: usize, shards: bool) -> Vec<u32> {
    let (x, y) = tokens(24, 20);
    let net = network();
    assert_eq!(net.splits_itself(), !shards);
    let mut bptt = Bptt::builder(net).optimizer(Adam::new(0.01)).threads(threads).seed(5).window(8).build().unwrap();
    for _ in 0..3 {
        bptt.train_next(&x, &y).unwrap();
    }
    weights(bptt.model())
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    // Zoneout has a cell of its own, so the engine shards the rows.
    let one = trained(1, true);
    for threads in [2, 3, 8] {
        assert!(one == trained(threads, true), "{threads} threads");
    }
}

#[test]
fn the_same_bits_under_a_memory_budget() {
    let net = || {
        let builder = Network::<f32>::builder(11).lstm(32).dropout(0.3).layer(WeightDrop::spec(Gru::spec(32), 0.3));
        builder.locked_dropout(0.2).linear(11).seed(2).build().unwrap()
    };
    let (x, y) = tokens(120, 6);
    let mut plain = Bptt::builder(net()).seed(5).build().unwrap();
    let bytes = plain.memory_estimate_for_tokens(120, 6).unwrap();
    plain.train_next(&x, &y).unwrap();
    for share in [0.9, 0.6, 0.5] {
        let budget = (bytes as f64 * share) as usize;
        let mut small = Bptt::builder(net()).seed(5).memory_budget(budget).build().unwrap();
        small.train_next(&x, &y).unwrap();
        assert!(weights(plain.model()) == weights(small.model()), "{share} of the memory");
    }
}

#[test]
fn evaluation_draws_nothing() {
    let mut init = Init::seeded(4);
    let xs: Array3<f64> = init.uniform((4, 3, 5), 1.0);
    for spec in [Dropout::<f64>::spec(0.7), Dropout::locked(0.7)] {
        let layer = build(&spec, 5);
        let mut ys = Array3::zeros((4, 3, 5));
        layer.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut (), None);
        assert_eq!(ys, xs);
        layer.forward(Context::train(1), (&xs).into(), ys.view_mut(), &mut (), None);
        assert!(ys.iter().zip(&xs).all(|(y, x)| *y == 0.0 || (*y - x / 0.3).abs() < 1e-12));
        let locked = ys.outer_iter().all(|y| y.mapv(|y| y == 0.0) == ys.slice(s![0, .., ..]).mapv(|y| y == 0.0));
        assert_eq!(locked, layer.describe().to_string().contains("locked"));
    }
    // Without weights the new state of a GRU is half the old one; of that p stays and 1 - p is halved.
    let zero = |shape| Array2::<f64>::zeros(shape);
    let cell = deep_rnn::cells::Gated::from_arrays(GruGates, zero((1, 3)), zero((1, 3)), None, None).unwrap();
    let zoneout = Zoneout::new(cell, &[0.25]).unwrap();
    let (mut state, mut y) = (zoneout.zero_state(1), [0.0]);
    state[0][[0, 0]] = 0.8;
    zoneout.step_rows(&[0.0], &mut y, &mut state).unwrap();
    assert_eq!((y, state[0][[0, 0]]), ([0.25 * 0.8 + 0.75 * 0.4], 0.25 * 0.8 + 0.75 * 0.4));
}

#[test]
fn keys_differ_from_window_to_window_and_seed_to_seed() {
    let losses = |seed: u64| {
        let net = Network::<f64>::builder(4).dropout(0.5).linear(4).seed(1).build().unwrap();
        let mut bptt = Bptt::builder(net).optimizer(Sgd::new(1e-30)).seed(seed).build().unwrap();
        let x = Array2::from_elem((6, 3), 2);
        [0; 3].map(|_| bptt.train_next(&x, &x).unwrap().loss())
    };
    let (one, other) = (losses(1), losses(2));
    assert!(one[0] != one[1] && one[1] != one[2] && one[0] != other[0]);
    assert_eq!(one, losses(1));
}

#[test]
fn rates_that_are_none_are_refused() {
    for rate in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY] {
        let dropout = Network::<f32>::builder(3).gru(4).dropout(rate).build();
        let message = dropout.unwrap_err().to_string();
        assert!(message.starts_with("layer 1: dropout: expected a probability from 0 to below 1, got "), "{message}");
        assert!(WeightDrop::new(build(&Gru::<f64>::spec(3), 3), rate).is_err());
        assert!(Zoneout::new(build(&Gru::<f64>::spec(3), 3), &[rate]).is_err());
        assert!(Embedding::<f32>::spec(3).word_dropout(rate).build(4, &mut Init::seeded(1)).is_err());
    }
    let two = Zoneout::new(build(&Gru::<f64>::spec(3), 3), &[0.1, 0.1]).unwrap_err().to_string();
    assert_eq!(two, "zoneout: expected 1 rates, one for each array of the state, got 2");
    let none = WeightDrop::new(build(&Linear::<f64>::spec(3), 3), 0.1).unwrap_err().to_string();
    assert!(none.starts_with("weight drop: expected the name of an array of Linear(3 → 3): one of w, b"), "{none}");
    assert!(Residual::new(build(&Gru::<f64>::spec(4), 3)).is_err());
}
