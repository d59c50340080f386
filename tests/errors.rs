//! Bad input gets an `Err` that names the argument, what was expected and what came; never a panic. What is refused has
//! changed nothing.

use deep_rnn::ndarray::{Array1, Array2, Array3, ArrayRef2, ArrayRef3, ArrayView3, ArrayViewMut3, s};
use deep_rnn::prelude::*;
use deep_rnn::{
    Bias, Bidirectional, Chain, Clip, Linear, LstmGates, MeanSquared, Merge, Model, OneHot, Optimizer, Scheme, Spec,
    Threads, TokenInput,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::sync::atomic::{AtomicUsize, Ordering};

const V: usize = 5;
const HUGE: [usize; 5] = [usize::MAX, usize::MAX / 2 + 1, isize::MAX as usize, 1 << 40, 1 << 24];

/// The message of what must be refused has all these parts.
#[track_caller]
fn refused<T>(result: Result<T, Error>, parts: &[&str]) {
    let Err(error) = result else { panic!("accepted; the message should have {parts:?}") };
    let message = error.to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{message:?} should have {parts:?}");
}

fn spec(units: usize) -> deep_rnn::GatedSpec<f64, LstmGates> {
    Lstm::<f64>::spec(units)
}

fn seeded() -> Init {
    Init::seeded(1)
}

type Lm = LanguageModel<Stacked<Vec<Lstm<f64>>>>;

fn model() -> Lm {
    LanguageModel::new(Stacked::builder(V).repeat(2, spec(4)).build().unwrap(), 1).unwrap()
}

fn text(t: usize, b: usize) -> Array2<usize> {
    Array2::from_shape_fn((t, b), |(t, b)| (t * t + 2 * b) % V)
}

fn weights<P: Params>(params: &P) -> Vec<u64> {
    let mut bits = Vec::new();
    params.visit(&mut |_, array| bits.extend(array.iter().map(|x| x.as_f64().to_bits())));
    bits
}

fn state_bits<S: State<f64>>(state: Option<&S>) -> Option<Vec<u64>> {
    let mut bits = Vec::new();
    state?.visit(&mut |array| bits.extend(array.iter().map(|x| x.to_bits())));
    Some(bits)
}

#[test]
fn layers_that_do_not_fit() {
    let lstm = |inputs, units| spec(units).build(inputs, &mut seeded()).unwrap();
    let gru = |inputs, units| Gru::<f64>::spec(units).build(inputs, &mut seeded()).unwrap();
    let parts = ["layer 1: expected inputs of 4 columns, the width of layer 0 below it, got 5"];
    refused(Stacked::new((lstm(3, 4), gru(5, 2))), &parts);
    refused(Stacked::new(vec![lstm(3, 4), lstm(5, 2)]), &parts);
    refused(Chain::new((lstm(3, 4), gru(5, 2))), &parts);
    refused(Chain::new((lstm(3, 4), gru(4, 6), lstm(1, 1))), &["layer 2: expected inputs of 6 columns", "got 1"]);
    refused(Stacked::new(Vec::<Lstm<f64>>::new()), &["layers: expected at least 1, got 0"]);
    refused(Chain::new(Vec::<Lstm<f64>>::new()), &["layers: expected at least 1, got 0"]);
    refused(
        Bidirectional::new(lstm(3, 4), gru(2, 4), Merge::Concat),
        &["input_size of the backward", "expected 3", "got 2"],
    );
    refused(
        Bidirectional::new(lstm(3, 4), gru(3, 5), Merge::Sum),
        &["output_size of the backward", "expected 4", "got 5"],
    );
    let head = Linear::spec(V).build(4, &mut seeded()).unwrap();
    refused(LanguageModel::from_parts(lstm(V, 3), head), &["head.w: expected shape [3, 5], got [4, 5]"]);
    refused(LanguageModel::with_head(lstm(V, 3), &Linear::spec(7), 1), &["head.w: expected shape [3, 5], got [3, 7]"]);
}

#[test]
fn sizes_of_zero() {
    for repeat in [0, 10_001, usize::MAX] {
        let got = format!("layers: expected 1 to 10000, got {repeat}");
        refused(Stacked::builder(3).repeat(repeat, spec(4)).build(), &[&got]);
        refused(Chain::builder(3).repeat(repeat, spec(4)).build(), &[&got]);
    }
    let (units, inputs) = (["units: expected at least 1, got 0"], ["input_size: expected at least 1, got 0"]);
    fn both(spec: impl Spec, units: &[&str]) {
        refused(spec.build(3, &mut seeded()), units);
    }
    both(spec(0), &units);
    both(Gru::<f64>::spec(0), &units);
    both(Rnn::<f64>::spec(0), &units);
    both(GruResetBefore::<f64>::spec(0), &units);
    both(Bidirectional::spec(spec(0), Merge::Sum), &units);
    both(Linear::<f64>::spec(0), &["outputs: expected at least 1, got 0"]);
    both(Stacked::builder(1).layer(spec(2)).layer(spec(0)), &units);
    both(Stacked::builder(1).repeat(0, spec(2)), &["layers: expected 1 to 10000, got 0"]);
    refused(spec(4).build(0, &mut seeded()), &inputs);
    refused(GruResetBefore::<f64>::spec(4).build(0, &mut seeded()), &inputs);
    refused(Linear::<f64>::spec(4).build(0, &mut seeded()), &inputs);
    refused(Stacked::builder(0).layer(spec(4)).build(), &inputs);
    refused(Chain::builder(0).layer(Linear::<f64>::spec(4)).build(), &inputs);
}

#[test]
fn sizes_beyond_memory() {
    let parts = ["units: expected a matrix that memory can hold, got"];
    for n in HUGE {
        refused(spec(n).build(3, &mut seeded()), &parts);
        refused(Lstm::<f32>::spec(n).build(3, &mut seeded()), &parts);
        refused(spec(1 << 22).build(n, &mut seeded()), &parts);
        refused(Gru::<f64>::spec(n).init(Scheme::XavierOrthogonal).build(3, &mut seeded()), &parts);
        refused(Rnn::<f64>::spec(n).build(n, &mut seeded()), &parts);
        refused(GruResetBefore::<f64>::spec(n).build(1, &mut seeded()), &parts);
        refused(
            Linear::<f64>::spec(n).build(1 << 24, &mut seeded()),
            &["outputs: expected a matrix that memory can hold"],
        );
        refused(Stacked::builder(n).repeat(2, spec(1 << 24)).build(), &parts);
    }
}

#[test]
fn arrays_of_a_cell() {
    let cell = |w_x: [usize; 2], w_h: [usize; 2], b: Option<usize>, b_h: Option<usize>| {
        let (w_x, w_h) = (Array2::<f64>::zeros(w_x), Array2::zeros(w_h));
        Lstm::from_arrays(LstmGates, w_x, w_h, b.map(Array1::zeros), b_h.map(Array1::zeros))
    };
    assert!(cell([3, 8], [2, 8], Some(8), None).is_ok());
    for shape in [[3, 7], [3, 0], [0, 8], [3, 3]] {
        let got = format!("got {shape:?}");
        refused(cell(shape, [2, 8], None, None), &["w_x: expected shape [D, 4 H], D and H at least 1", &got]);
    }
    refused(cell([3, 8], [8, 2], None, None), &["w_h: expected shape [2, 8], got [8, 2]"]);
    refused(cell([3, 8], [2, 8], Some(2), None), &["b: expected shape [8], got [2]"]);
    refused(cell([3, 8], [2, 8], None, Some(9)), &["b_h: expected shape [8], got [9]"]);
    refused(Linear::from_arrays(Array2::<f64>::zeros((0, 3)), None), &["w: expected shape [D, V]", "got [0, 3]"]);
    refused(
        Linear::from_arrays(Array2::<f64>::zeros((2, 3)), Some(Array1::zeros(2))),
        &["b: expected shape [3], got [2]"],
    );
}

#[test]
fn options_of_a_spec() {
    for sigma in [f64::NAN, f64::INFINITY, -1.0] {
        let parts = ["scheme: expected a finite standard deviation of 0 or more", &format!("got {sigma}")];
        refused(spec(2).init(Scheme::Normal(sigma)).build(3, &mut seeded()), &parts);
        refused(Linear::<f64>::spec(2).init(Scheme::Normal(sigma)).build(3, &mut seeded()), &parts);
    }
    let lane = ["lane_bias: expected a finite value for a lane below 4"];
    refused(spec(2).lane_bias(4, 1.0).build(3, &mut seeded()), &[lane[0], "got 1 for 4"]);
    refused(spec(2).lane_bias(usize::MAX, 1.0).build(3, &mut seeded()), &lane);
    refused(spec(2).forget_bias(f64::NAN).build(3, &mut seeded()), &[lane[0], "got NaN for 1"]);
    refused(
        spec(2).bias(Bias::None).forget_bias(1.0).build(3, &mut seeded()),
        &["lane_bias: expected a cell with a bias, got Bias::None"],
    );
    for name in ["tanhh", "", "TANH "] {
        refused(name.parse::<Activation<f64>>(), &["activation: expected tanh, relu,", &format!("got {name}")]);
    }
    assert!("tanh".parse::<Activation<f64>>().is_ok());
}

#[test]
fn settings_of_an_engine() {
    fn with<O: Optimizer<Lm>>(optimizer: O, parts: &[&str]) {
        refused(Bptt::builder(model()).optimizer(optimizer).build(), parts);
    }
    for x in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let got = format!("got {x}");
        with(Sgd::new(x), &["lr: expected a finite number above 0 in f64", &got]);
        with(Adam::new(x), &["lr: expected a finite number above 0 in f64", &got]);
        with(Adam::new(0.1).epsilon(x), &["epsilon: expected a finite number above 0", &got]);
        refused(Bptt::builder(model()).clip_norm(x).build(), &["clip: expected a finite number above 0", &got]);
        refused(Bptt::builder(model()).clip_value(x).build(), &["clip: expected a finite number above 0", &got]);
        refused(Sampler::temperature(x, 1), &["temperature: expected a finite number above 0", &got]);
    }
    // Finite and above 0, but not in f32.
    let single = || LanguageModel::new(Stacked::builder(V).layer(Lstm::<f32>::spec(2)).build().unwrap(), 1).unwrap();
    for (x, got) in [(1e300, "got 1000"), (1e-300, "got 0.000")] {
        let parts = ["lr: expected a finite number above 0 in f32", got];
        refused(Bptt::builder(single()).optimizer(Sgd::new(x)).build(), &parts);
        refused(Bptt::builder(single()).optimizer(Adam::new(x)).build(), &parts);
        let adam = Adam::new(0.1).epsilon(x);
        refused(Bptt::builder(single()).optimizer(adam).build(), &["epsilon: expected", "in f32", got]);
    }
    for x in [1.0, -0.1, f64::NAN, f64::INFINITY] {
        let parts = ["betas: expected numbers from 0 to below 1", &format!("got {x}")];
        with(Adam::new(0.1).betas(x, 0.9), &parts);
        with(Adam::new(0.1).betas(0.9, x), &parts);
    }
    refused(Bptt::builder(model()).window(0).build(), &["window: expected at least 1 step, got 0"]);
    for threads in [0, 1025, usize::MAX] {
        let got = format!("threads: expected 1 to 1024, got {threads}");
        refused(Bptt::builder(model()).threads(threads).build(), &[&got]);
        refused(Threads::new(threads), &[&got]);
    }
    refused(Sampler::greedy().top_k(0), &["top_k: expected at least 1, got 0"]);
    assert_eq!(Clip::default(), Clip::None);
}

#[test]
fn tokens_and_targets() {
    let mut bptt = Bptt::builder(model()).window(2).build().unwrap();
    let (good, before) = (text(4, 3), weights(bptt.model()));
    for token in [V, V + 1, usize::MAX] {
        let mut bad = good.clone();
        bad[[3, 2]] = token;
        let got = format!("got {token}");
        refused(bptt.train(&bad, &*good), &["tokens: expected below 5", &got]);
        refused(bptt.train(&good, &*bad), &["targets: expected tokens below 5, the width of the output", &got]);
        let batch = Batch { x: bad.clone(), y: good.clone(), continues: false };
        refused(bptt.evaluate([batch]), &["tokens: expected below 5", &got]);
        refused(bptt.predict(&bad, &mut bptt.model().zero_state(3)), &["tokens: expected below 5", &got]);
        let model = bptt.model();
        let (mut state, mut logits) = (model.zero_state(1), Array1::zeros(V));
        refused(model.step(token, &mut state, logits.view_mut()), &["token: expected below 5", &got]);
        for prefix in [&[0, token][..], &[token, 0], &[token]] {
            refused(model.generate(prefix, 3, &mut Sampler::greedy()), &["token", "below 5", &got]);
        }
        refused(model.generate(&[token], 0, &mut Sampler::greedy()), &["prefix: expected tokens below 5", &got]);
    }
    for (t, b) in [(3, 3), (5, 3), (4, 2), (3, 4), (0, 3), (4, 0)] {
        let parts = ["targets: expected shape [4, 3, ..] as the inputs", &format!("got [{t}, {b}]")];
        refused(bptt.train(&good, &*text(t, b)), &parts);
        refused(bptt.evaluate([Batch { x: good.clone(), y: text(t, b), continues: false }]), &parts);
    }
    refused(bptt.model().generate(&[], 3, &mut Sampler::greedy()), &["prefix: expected at least one token, got none"]);
    assert_eq!(weights(bptt.model()), before);
    assert!(bptt.state().is_none());
}

#[test]
fn numbers_and_targets() {
    let net = Chain::builder(3).layer(spec(4)).layer(Linear::spec(2)).build().unwrap();
    let mut bptt = Bptt::builder(net).loss(MeanSquared).build().unwrap();
    let (x, y) = (Array3::zeros((4, 2, 3)), Array3::zeros((4, 2, 2)));
    for width in [0, 2, 4] {
        let (bad, parts) =
            (Array3::zeros((4, 2, width)), ["inputs: expected shape [T, B, 3]", &format!("got [4, 2, {width}]")]);
        refused(bptt.train(&bad, &*y), &parts);
        refused(bptt.predict(&bad, &mut bptt.model().zero_state(2)), &parts);
    }
    refused(bptt.train(&x, &*Array3::zeros((4, 2, 3))), &["targets: expected shape [4, 2, 2], got [4, 2, 3]"]);
    refused(
        bptt.train(&x, &*Array3::zeros((2, 4, 2))),
        &["targets: expected shape [4, 2, ..] as the inputs, got [2, 4]"],
    );
    let classes = Chain::builder(3).layer(spec(4)).layer(Linear::spec(2)).build().unwrap();
    let mut bptt = Bptt::builder(classes).build().unwrap();
    refused(bptt.train(&x, &*Array2::from_elem((4, 2), 2)), &["targets: expected tokens below 2", "got 2"]);
}

#[test]
fn states() {
    let mut bptt = Bptt::builder(model()).build().unwrap();
    let wider = LanguageModel::new(Stacked::builder(V).repeat(2, spec(5)).build().unwrap(), 1).unwrap();
    let deeper = LanguageModel::new(Stacked::builder(V).repeat(3, spec(4)).build().unwrap(), 1).unwrap();
    let expected = "state: expected arrays of shapes [[2, 4], [2, 4], [2, 4], [2, 4]], got [[";
    for wrong in [model().zero_state(3), wider.zero_state(2), deeper.zero_state(2), Vec::new()] {
        let got = format!("got {:?}", wrong.shapes());
        let parts = [&expected[..expected.len() - 2], &got];
        refused(bptt.set_state(wrong.clone(), 2), &parts);
        refused(bptt.predict(&text(3, 2), &mut wrong.clone()), &parts);
    }
    for batch in HUGE {
        refused(bptt.set_state(model().zero_state(2), batch), &["state: expected arrays of shapes", "got [[2, 4]"]);
    }
    assert!(bptt.state().is_none());
    let model = model();
    let mut logits = Array1::zeros(V);
    for (mut state, got) in [
        (model.zero_state(2), "[2, 4]"),
        (model.zero_state(0), "[0, 4]"),
        (wider.zero_state(1), "[1, 5]"),
        (deeper.zero_state(1), "[1, 4]"),
        (Vec::new(), "[]"),
    ] {
        refused(model.step(0, &mut state, logits.view_mut()), &["state: expected", got]);
    }
    let mut short = Array1::zeros(V - 1);
    refused(model.step(0, &mut model.zero_state(1), short.view_mut()), &["logits: expected shape [5], got [4]"]);
}

#[test]
fn the_batch_size_between_batches_that_continue() {
    let batch = |b, continues| Batch { x: text(3, b), y: text(3, b), continues };
    let mut bptt = Bptt::builder(model()).build().unwrap();
    let parts = ["batch: expected 2 rows, as in the batch it continues, got 3"];
    refused(bptt.epoch([batch(2, false), batch(3, true)]), &parts);
    refused(bptt.evaluate([batch(2, false), batch(3, true)]), &parts);
    refused(bptt.train(&text(3, 3), &*text(3, 3)), &parts);
    bptt.epoch([batch(2, true), batch(3, false), batch(3, true)]).unwrap();
    bptt.set_state(model().zero_state(7), 7).unwrap();
    refused(bptt.train(&text(3, 3), &*text(3, 3)), &["batch: expected 7 rows", "got 3"]);
}

#[test]
fn logits_for_a_sampler() {
    for mut sampler in [Sampler::greedy(), Sampler::temperature(1.0, 1).unwrap()] {
        let mut choose = |logits: &[f64]| sampler.choose(Array1::from_vec(logits.to_vec()).view());
        refused(choose(&[]), &["logits: expected shape [V], at least 1, got [0]"]);
        refused(choose(&[0.0, f64::NAN]), &["logits: expected numbers below infinity, got NaN"]);
        refused(choose(&[f64::INFINITY, 0.0]), &["logits: expected numbers below infinity, got inf"]);
        assert_eq!(choose(&[f64::NEG_INFINITY, 0.0]).unwrap(), 1);
        assert!(choose(&[f64::NEG_INFINITY; 3]).unwrap() < 3);
        assert!(choose(&[f64::MAX, -f64::MAX, f64::MIN_POSITIVE]).unwrap() < 3);
    }
    let mut cold = Sampler::temperature(f64::MIN_POSITIVE, 1).unwrap();
    assert!(cold.choose(Array1::from_vec(vec![-1.0, 1e300, 3.0]).view()).is_ok());
}

/// One way to spoil a batch, an input or a target; or the loss.
#[derive(Clone, Copy, Debug)]
enum Spoilt {
    Input(f64),
    Target(f64),
    Loss(f64),
    Gradient(f64),
}

/// Trains on good batches with the spoilt one between them, and on the good ones alone.
fn refused_batch_leaves_no_trace<M: Model<Elem = f64, Input = ArrayRef3<f64>>>(model: &M, rows: usize, spoilt: Spoilt) {
    use std::cell::Cell;
    let spoil = Cell::new(None);
    let loss = |ys: ArrayView3<'_, f64>, targets: &ArrayRef3<f64>, mut d_ys: ArrayViewMut3<'_, f64>| {
        let loss = deep_rnn::Loss::evaluate(&MeanSquared, ys, targets, d_ys.view_mut());
        match spoil.get() {
            Some(Spoilt::Loss(x)) => x,
            Some(Spoilt::Gradient(x)) => {
                d_ys[[1, 0, 0]] = x;
                loss
            }
            _ => loss,
        }
    };
    let engine = || {
        let builder = Bptt::builder(model.clone()).loss(loss).optimizer(Adam::new(0.01));
        builder.clip_norm(0.5).window(5).threads(2).build().unwrap()
    };
    let data = |k: usize| {
        let x = Array3::from_shape_fn((4, rows, 3), |(t, b, d)| ((k + t * 3 + b * 5 + d * 7) % 11) as f64 / 11.0);
        let y = Array3::from_shape_fn((4, rows, 2), |(t, b, d)| ((k + t * 5 + b + d * 2) % 7) as f64 / 7.0);
        (x, y)
    };
    let (mut with, mut without) = (engine(), engine());
    for k in 0..3 {
        let (x, y) = data(k);
        with.train(&x, &*y).unwrap();
        without.train(&x, &*y).unwrap();

        let (mut x, mut y) = data(k + 20);
        match spoilt {
            Spoilt::Input(bad) => x[[2, rows - 1, 1]] = bad,
            Spoilt::Target(bad) => y[[2, rows - 1, 1]] = bad,
            Spoilt::Loss(_) | Spoilt::Gradient(_) => spoil.set(Some(spoilt)),
        }
        let before = (weights(with.model()), state_bits(with.state()));
        refused(with.train(&x, &*y), &["expected a finite number, got", "no weight was changed"]);
        spoil.set(None);
        assert!((weights(with.model()), state_bits(with.state())) == before, "{spoilt:?} changed something");
    }
    let same = weights(with.model()) == weights(without.model());
    assert!(same && state_bits(with.state()) == state_bits(without.state()), "{spoilt:?} left a trace");
}

#[test]
fn numbers_that_are_not_finite_are_refused_and_leave_no_trace() {
    let whole = Chain::builder(3).layer(spec(6)).layer(Linear::spec(2)).build().unwrap();
    let sharded = Chain::builder(3).layer(GruResetBefore::<f64>::spec(6)).layer(Linear::spec(2)).build().unwrap();
    assert!(whole.splits_itself() && !sharded.splits_itself());
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for spoilt in [Spoilt::Input(bad), Spoilt::Target(bad), Spoilt::Loss(bad), Spoilt::Gradient(bad)] {
            refused_batch_leaves_no_trace(&whole, 11, spoilt);
            refused_batch_leaves_no_trace(&sharded, 11, spoilt);
        }
    }
    // Too large for their square to be finite.
    refused_batch_leaves_no_trace(&whole, 3, Spoilt::Target(f64::MAX));
    refused_batch_leaves_no_trace(&sharded, 3, Spoilt::Gradient(f64::MAX));
}

#[test]
fn a_weight_or_a_state_that_is_not_finite_is_refused_until_it_is_put_right() {
    let (x, y) = (text(4, 3), text(4, 3));
    let mut bptt = Bptt::builder(model()).build().unwrap();
    bptt.train(&x, &*y).unwrap();
    let good = bptt.model().clone();
    bptt.model_mut().visit_mut(&mut |name, mut array| {
        if name == "net.1.b" {
            array.fill(f64::NAN);
        }
    });
    let before = (weights(bptt.model()), state_bits(bptt.state()));
    refused(bptt.train(&x, &*y), &["loss: expected a finite number, got NaN"]);
    refused(
        bptt.evaluate([Batch { x: &x, y: &y, continues: false }].map(to_owned)),
        &["loss: expected a finite number"],
    );
    assert!((weights(bptt.model()), state_bits(bptt.state())) == before);
    *bptt.model_mut() = good;
    let mut state = bptt.state().unwrap().clone();
    state[0][1].fill(f64::NAN);
    bptt.set_state(state, 3).unwrap();
    refused(bptt.train(&x, &*y), &["loss: expected a finite number, got NaN"]);
    bptt.reset_state();
    bptt.train(&x, &*y).unwrap();
}

fn to_owned(batch: Batch<&Array2<usize>, &Array2<usize>>) -> Batch<Array2<usize>, Array2<usize>> {
    Batch { x: batch.x.clone(), y: batch.y.clone(), continues: batch.continues }
}

/// No steps, no rows or neither is legal and does nothing.
fn nothing<N: TokenInput<Elem = f64>>(net: N) {
    let model = LanguageModel::new(net, 1).unwrap();
    for window in [1, 3, usize::MAX] {
        let mut bptt = Bptt::builder(model.clone()).window(window).threads(2).build().unwrap();
        bptt.train(&text(4, 3), &*text(4, 3)).unwrap();
        let before = (weights(bptt.model()), state_bits(bptt.state()));
        for (t, b) in [(0, 3), (4, 0), (0, 0), (0, 9)] {
            let (x, y) = (text(t, b), text(t, b));
            let report = bptt.train(&x, &*y).unwrap();
            assert_eq!((report.tokens, report.updates, report.loss_sum), (0, 0, 0.0));
            let batch = || [Batch { x: x.clone(), y: y.clone(), continues: true }];
            assert_eq!(bptt.epoch(batch()).unwrap().tokens, 0);
            assert_eq!(bptt.evaluate(batch()).unwrap().tokens, 0);
            let ys = bptt.predict(&x, &mut bptt.model().zero_state(b)).unwrap();
            assert_eq!(ys.dim(), (t, b, V));
            assert!((weights(bptt.model()), state_bits(bptt.state())) == before);
        }
        let none: [Batch<Array2<usize>, Array2<usize>>; 0] = [];
        let report = bptt.epoch(none.clone()).unwrap();
        assert_eq!((report.tokens, report.updates), (0, 0));
        assert!(report.loss().is_nan() && bptt.evaluate(none).unwrap().loss().is_nan());
        assert!((weights(bptt.model()), state_bits(bptt.state())) == before);
        bptt.train(&text(4, 3), &*text(4, 3)).unwrap();
    }
}

#[test]
fn nothing_to_do() {
    nothing(Stacked::builder(V).repeat(2, spec(4)).build().unwrap());
    nothing(OneHot::new(Stacked::builder(V).layer(GruResetBefore::<f64>::spec(4)).layer(spec(3)).build().unwrap()));
    let both_ways = Bidirectional::spec(Gru::<f64>::spec(3), Merge::Sum);
    nothing(OneHot::new(Chain::builder(V).layer(both_ways).layer(Linear::spec(4)).build().unwrap()));
}

#[test]
fn nothing_to_evaluate_is_no_loss_of_a_closure_either() {
    let mean = |ys: ArrayView3<'_, f64>, _: &ArrayRef2<usize>, mut d_ys: ArrayViewMut3<'_, f64>| {
        d_ys.fill(0.0);
        ys.sum() / ys.len() as f64
    };
    let mut bptt = Bptt::builder(model()).loss(mean).build().unwrap();
    assert_eq!(bptt.train(&text(0, 2), &*text(0, 2)).unwrap().tokens, 0);
    let batch = Batch { x: text(0, 2), y: text(0, 2), continues: false };
    assert_eq!(bptt.evaluate([batch]).unwrap().tokens, 0);
}

/// What may be said to builders and engines, sense or nonsense.
#[derive(Clone, Debug)]
struct Wild {
    inputs: usize,
    units: [usize; 2],
    layers: usize,
    bias: Bias,
    sigma: Option<f64>,
    clip: Option<f64>,
    window: Option<usize>,
    threads: usize,
    rate: f64,
    x: [usize; 2],
    y: [usize; 2],
    token: usize,
    rows: usize,
    temperature: f64,
    top_k: usize,
    reversed: bool,
    scale: f64,
}

fn wild_size() -> impl Strategy<Value = usize> {
    prop_oneof![60 => 1_usize..6, 2 => Just(0), 1 => Just(usize::MAX), 1 => Just(1 << 50)]
}

fn wild_number() -> impl Strategy<Value = f64> {
    const ODD: [f64; 8] = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 1e-310];
    prop_oneof![30 => 1e-3..10.0, 2 => prop::sample::select(&ODD[..])]
}

fn small() -> impl Strategy<Value = usize> {
    prop_oneof![12 => 1_usize..7, 1 => Just(0), 1 => 7_usize..20]
}

fn wild() -> impl Strategy<Value = Wild> {
    let bias = prop::sample::select(&[Bias::None, Bias::One, Bias::Two][..]);
    let sizes =
        (wild_size(), [wild_size(), wild_size()], prop_oneof![30 => 1_usize..4, 1 => Just(0), 1 => Just(usize::MAX)]);
    let options = (bias, prop::option::of(wild_number()), prop::option::of(wild_number()));
    let engine = (prop::option::of(prop_oneof![small(), Just(usize::MAX)]), 0_usize..4, wild_number());
    let data = ([small(), small()], prop::option::weighted(0.2, [small(), small()]), 0_usize..7, small());
    let rest = (wild_number(), 0_usize..9, any::<bool>(), wild_number());
    (sizes, options, engine, data, rest).prop_map(|(sizes, options, engine, data, rest)| Wild {
        inputs: sizes.0,
        units: sizes.1,
        layers: sizes.2,
        bias: options.0,
        sigma: options.1,
        clip: options.2,
        window: engine.0,
        threads: engine.1,
        rate: engine.2,
        x: data.0,
        y: data.1.unwrap_or(data.0),
        token: data.2,
        rows: data.3,
        temperature: rest.0,
        top_k: rest.1,
        reversed: rest.2,
        scale: rest.3,
    })
}

impl Wild {
    /// Tokens, most of them in the vocabulary, in one of two layouts.
    fn tokens(&self, [t, b]: [usize; 2], v: usize) -> Array2<usize> {
        let token = |t: usize, b: usize| if t + 2 * b == 9 { self.token } else { (t * b + t) % v.max(1) };
        if self.reversed {
            let mut tokens = Array2::from_shape_fn((b, t), |(b, t)| token(t, b)).reversed_axes();
            tokens.invert_axis(deep_rnn::ndarray::Axis(0));
            tokens
        } else {
            Array2::from_shape_fn((t, b), |(t, b)| token(t, b))
        }
    }

    fn engine<M: Model<Elem = f64>, L>(&self, model: M, loss: L) -> Result<Bptt<M, L, Adam<f64>>, Error> {
        let mut builder = Bptt::builder(model).loss(loss).optimizer(Adam::new(self.rate)).threads(self.threads);
        builder = match self.clip {
            Some(clip) if self.reversed => builder.clip_value(clip),
            Some(clip) => builder.clip_norm(clip),
            None => builder,
        };
        builder = if let Some(window) = self.window { builder.window(window) } else { builder };
        builder.build()
    }

    /// Every door of a language model and its engine.
    fn language<N: TokenInput<Elem = f64>>(&self, net: Result<N, Error>) -> Result<(), String> {
        let model = match net.and_then(|net| LanguageModel::new(net, 1)) {
            Ok(model) => model,
            Err(error) => return self.count(&[Err(error)]),
        };
        let v = model.vocabulary();
        let (x, y) = (self.tokens(self.x, v), self.tokens(self.y, v));
        let mut bptt = match self.engine(model.clone(), CrossEntropy) {
            Ok(bptt) => bptt,
            Err(error) => return self.count(&[Err(error)]),
        };
        let mut outcomes = vec![
            bptt.set_state(model.zero_state(self.rows), self.x[1]),
            bptt.train(&x, &*y).map(drop),
            bptt.predict(&x, &mut model.zero_state(self.rows)).map(drop),
        ];
        let batch = |continues| Batch { x: x.clone(), y: y.clone(), continues };
        let other = Batch { x: self.tokens([2, self.rows], v), y: self.tokens([2, self.rows], v), continues: true };
        let batches = || [batch(true), batch(false), other.clone(), batch(true)];
        outcomes.extend([bptt.epoch(batches()).map(drop), bptt.evaluate(batches()).map(drop)]);
        let mut logits = Array1::zeros(if self.rows == 0 { v + 1 } else { v });
        outcomes.push(bptt.model().step(self.token, &mut model.zero_state(self.rows.min(2)), logits.view_mut()));
        let sampler = Sampler::temperature(self.temperature, 1).and_then(|sampler| sampler.top_k(self.top_k));
        let mut sampler = sampler.unwrap_or_else(|_| Sampler::greedy());
        let prefix = [0, self.token, 0];
        for n in 0..3 {
            outcomes.push(bptt.model().generate(&prefix[..n], self.rows, &mut sampler).map(drop));
        }
        outcomes.push(sampler.choose((logits * self.scale).view()).map(drop));
        self.count(&outcomes)
    }

    /// Every door of a layer's engine.
    fn layer<L: SeqLayer<Elem = f64>>(&self, layer: Result<L, Error>) -> Result<(), String> {
        let layer = match layer {
            Ok(layer) => layer,
            Err(error) => return self.count(&[Err(error)]),
        };
        let ([t, b], [t_y, b_y]) = (self.x, self.y);
        let width = if self.token == 0 { self.rows } else { layer.input_size() };
        let x = Array3::from_shape_fn((b, t, width), |(b, t, d)| self.scale * ((b + t * d) % 5) as f64);
        let x = x.permuted_axes([1, 0, 2]);
        let y = Array3::zeros((t_y, b_y, if self.token == 1 { self.rows } else { layer.output_size() }));
        let mut bptt = match self.engine(layer.clone(), MeanSquared) {
            Ok(bptt) => bptt,
            Err(error) => return self.count(&[Err(error)]),
        };
        let outcomes = [
            bptt.set_state(layer.zero_state(self.rows), b),
            bptt.train(&x, &*y).map(drop),
            bptt.train(&x.slice(s![..;-1, .., ..]), &*y).map(drop),
            bptt.predict(&x, &mut layer.zero_state(self.rows)).map(drop),
            bptt.evaluate([Batch { x, y, continues: true }]).map(drop),
        ];
        self.count(&outcomes)
    }

    /// Counts the calls that were accepted and hands on the first refusal.
    fn count(&self, outcomes: &[Result<(), Error>]) -> Result<(), String> {
        let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        CALLS.fetch_add(outcomes.len(), Ordering::Relaxed);
        ACCEPTED.fetch_add(accepted, Ordering::Relaxed);
        let mut refusals = outcomes.iter().filter_map(|outcome| outcome.as_ref().err().map(Error::to_string));
        refusals.find(|message| !is_an_error_message(message)).map_or(Ok(()), Err)
    }
}

static CALLS: AtomicUsize = AtomicUsize::new(0);
static ACCEPTED: AtomicUsize = AtomicUsize::new(0);

/// Names the argument, what was expected and what came.
fn is_an_error_message(message: &str) -> bool {
    message.contains(": expected ") && message.contains(", got ")
}

fn no_door_of(wild: &Wild) -> Result<(), String> {
    let Wild { inputs, units: [first, second], layers, bias, sigma, .. } = *wild;
    let scheme = sigma.map_or(Scheme::XavierOrthogonal, Scheme::Normal);
    let lstm = |units| Lstm::<f64>::spec(units).bias(bias).init(scheme);
    let gru = Gru::<f64>::spec(second).bias(bias).init(scheme);
    let before = GruResetBefore::<f64>::spec(first).bias(bias).init(scheme);
    let rnn = Rnn::<f64>::spec(second).bias(bias).activation(Activation::Relu);
    let rnn = if wild.top_k == 0 { rnn.lane_bias(wild.rows, wild.scale) } else { rnn };
    let both_ways = Bidirectional::spec(rnn.clone(), if wild.reversed { Merge::Sum } else { Merge::Concat });
    let head = Linear::<f64>::spec(second).bias(bias != Bias::None).init(scheme);
    let inner = Stacked::builder(1).repeat(layers, gru.clone());
    wild.language(Stacked::builder(inputs).repeat(layers, lstm(first)).build())?;
    wild.language(Stacked::builder(inputs).layer(lstm(first)).layer(gru.clone()).layer(before).seed(7).build())?;
    wild.language(Chain::builder(inputs).layer(gru.clone()).layer(both_ways.clone()).build())?;
    wild.language(Chain::builder(inputs).layer(both_ways.clone()).layer(head).build().map(OneHot::new))?;
    wild.layer(Chain::builder(inputs).layer(both_ways).layer(rnn).layer(head).build())?;
    wild.layer(Stacked::builder(inputs).layer(before).layer(inner).build())?;
    wild.layer(head.build(inputs, &mut seeded()))
}

#[test]
fn no_door_panics() {
    let config = ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    runner.run(&wild(), |wild| no_door_of(&wild).map_err(TestCaseError::fail)).unwrap_or_else(|e| panic!("{e}"));
    let (calls, accepted) = (CALLS.load(Ordering::Relaxed), ACCEPTED.load(Ordering::Relaxed));
    println!("{calls} calls, {accepted} accepted, the others refused with an error");
    assert!(calls > 100_000 && accepted > calls / 4 && accepted < calls, "{calls} calls, {accepted} accepted");
}
