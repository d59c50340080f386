//! The engine: where the past is cut, what is carried, what evaluation leaves alone, clips and reports, threads,
//! generation, and the training runs of PyTorch.

#[path = "support/fixture.rs"]
mod fixture;

use deep_rnn::ndarray::{Array1, Array2, Array3, ArrayRef2, ArrayView2, ArrayView3, ArrayViewMut3, Axis, s};
use deep_rnn::prelude::*;
use deep_rnn::{Bias, Linear, Loss, MeanSquared, Optimizer, Report};
use fixture::{Part, get, max_rel_error};

const V: usize = 7;

type Lm<F> = LanguageModel<Stacked<Vec<Lstm<F>>>>;

fn lstm<F: Float>(units: usize, seed: u64) -> Lm<F> {
    LanguageModel::new(Stacked::builder(V).repeat(2, Lstm::spec(units)).seed(seed).build().unwrap(), seed).unwrap()
}

/// Some text, `[T, B]`, from place `start` on.
fn text(start: usize, t: usize, b: usize) -> Array2<usize> {
    Array2::from_shape_fn((t, b), |(t, b)| {
        let i = start + t + 13 * b;
        (i * i / 3 + 2 * i + b) % V
    })
}

fn weights<P: Params>(params: &P) -> Vec<u64> {
    let mut bits = Vec::new();
    params.visit(&mut |_, array| bits.extend(array.iter().map(|x| x.as_f64().to_bits())));
    bits
}

fn state_bits<F: Float, S: State<F>>(state: &S) -> Vec<u64> {
    let mut bits = Vec::new();
    state.visit(&mut |array| bits.extend(array.iter().map(|x| x.as_f64().to_bits())));
    bits
}

fn batch(start: usize, t: usize, b: usize, continues: bool) -> Batch<Array2<usize>, Array2<usize>> {
    Batch { x: text(start, t, b), y: text(start + 1, t, b), continues }
}

/// An optimiser that leaves everything where it is.
struct Frozen;
impl<P: Params> Optimizer<P> for Frozen {
    fn step(&mut self, _: &mut P, _: &P) {}
}

#[test]
fn a_window_is_cut_exactly_at_its_boundary() {
    let (x, y) = (text(0, 10, 3), text(1, 10, 3));
    let mut cut = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).window(6).build().unwrap();
    assert_eq!(cut.train(&x, &*y).unwrap().updates, 2);

    // The second window alone, from the state the first one leaves.
    let mut state = cut.model().zero_state(3);
    cut.predict(&x.slice(s![..6, ..]), &mut state).unwrap();
    let mut alone = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
    alone.set_state(state, 3).unwrap();
    alone.train(&x.slice(s![6.., ..]), &*y.slice(s![6.., ..])).unwrap();
    assert_eq!(weights(cut.gradients()), weights(alone.gradients()));
    assert_eq!(state_bits(cut.state().unwrap()), state_bits(alone.state().unwrap()));

    // Without the cut they are others.
    let mut whole = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
    whole.train(&x, &*y).unwrap();
    assert_ne!(weights(cut.gradients()), weights(whole.gradients()));
}

#[test]
fn windows_of_a_batch_equal_calls_one_after_the_other() {
    let (x, y) = (text(0, 9, 3), text(1, 9, 3));
    let mut windows = Bptt::builder(lstm::<f64>(5, 1)).window(4).clip_norm(0.1).build().unwrap();
    let mut calls = Bptt::builder(lstm::<f64>(5, 1)).clip_norm(0.1).build().unwrap();
    let one = windows.train(&x, &*y).unwrap();
    let mut sum = 0.0;
    for steps in [0..4, 4..8, 8..9] {
        let report = calls.train(&x.slice(s![steps.clone(), ..]), &*y.slice(s![steps, ..])).unwrap();
        sum += report.loss_sum;
    }
    assert_eq!((one.updates, one.tokens), (3, 27));
    assert_eq!(one.loss_sum, sum);
    assert_eq!(weights(windows.model()), weights(calls.model()));
}

#[test]
fn a_window_as_long_as_the_batch_is_full_back_propagation() {
    let (x, y) = (text(0, 9, 2), text(1, 9, 2));
    let trained = |window: Option<usize>| {
        let builder = Bptt::builder(lstm::<f64>(5, 1)).clip_norm(1.0);
        let mut bptt = match window {
            Some(window) => builder.window(window).build().unwrap(),
            None => builder.build().unwrap(),
        };
        (0..3).for_each(|_| _ = bptt.train(&x, &*y).unwrap());
        weights(bptt.model())
    };
    let full = trained(None);
    assert!([9, 10, usize::MAX].into_iter().all(|window| trained(Some(window)) == full));
    assert!(trained(Some(8)) != full);
}

#[test]
fn the_state_is_carried_where_a_batch_continues_and_zero_where_not() {
    let after = |continues: bool| {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).build().unwrap();
        bptt.epoch([batch(0, 4, 2, false), batch(4, 4, 2, continues)]).unwrap();
        weights(bptt.model())
    };
    let by_hand = |reset: bool| {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).build().unwrap();
        bptt.train(&text(0, 4, 2), &*text(1, 4, 2)).unwrap();
        if reset {
            bptt.reset_state();
            assert!(bptt.state().is_none());
        }
        bptt.train(&text(4, 4, 2), &*text(5, 4, 2)).unwrap();
        weights(bptt.model())
    };
    assert_eq!(after(true), by_hand(false));
    assert_eq!(after(false), by_hand(true));
    assert_ne!(after(true), after(false));
}

#[test]
fn evaluation_leaves_everything_alone() {
    let mut one = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Adam::new(0.05)).clip_norm(1.0).build().unwrap();
    let mut two = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Adam::new(0.05)).clip_norm(1.0).build().unwrap();
    for start in [0, 4, 8] {
        one.train(&text(start, 4, 2), &*text(start + 1, 4, 2)).unwrap();
        two.train(&text(start, 4, 2), &*text(start + 1, 4, 2)).unwrap();
        let (before, state) = (weights(one.model()), state_bits(one.state().unwrap()));
        let report = one.evaluate([batch(50, 6, 3, false), batch(56, 6, 3, true), batch(9, 2, 5, false)]).unwrap();
        assert_eq!((report.tokens, report.updates), (46, 0));
        assert!(one.evaluate([batch(50, 6, 3, false), batch(0, 2, 2, true)]).is_err());
        one.predict(&text(7, 3, 4), &mut one.model().zero_state(4)).unwrap();
        assert_eq!(before, weights(one.model()));
        assert_eq!(state, state_bits(one.state().unwrap()));
    }
    assert_eq!(weights(one.model()), weights(two.model()));
    assert_eq!(state_bits(one.state().unwrap()), state_bits(two.state().unwrap()));
}

#[test]
fn evaluation_carries_its_own_state_and_equals_the_training_loss_of_frozen_weights() {
    let batches = || [batch(0, 4, 2, false), batch(4, 4, 2, true), batch(8, 4, 2, true), batch(30, 3, 2, false)];
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
    let (evaluated, trained) = (bptt.evaluate(batches()).unwrap(), bptt.epoch(batches()).unwrap());
    assert_eq!(evaluated.loss_sum, trained.loss_sum);
}

/// The mean of log Σ exp(y) - y[target] as a user would write it.
fn own_cross_entropy(ys: ArrayView3<'_, f64>, targets: &ArrayRef2<usize>, mut d_ys: ArrayViewMut3<'_, f64>) -> f64 {
    let n = targets.len() as f64;
    let mut loss = 0.0;
    for ((y, mut d), &target) in ys.rows().into_iter().zip(d_ys.rows_mut()).zip(targets) {
        let sum: f64 = y.iter().map(|y| y.exp()).sum();
        loss += (sum.ln() - y[target]) / n;
        d.assign(&y.mapv(|y| y.exp() / sum / n));
        d[target] -= 1.0 / n;
    }
    loss
}

#[test]
fn a_closure_is_a_loss() {
    let (x, y) = (text(0, 6, 3), text(1, 6, 3));
    let mut ours = Bptt::builder(lstm::<f64>(5, 1)).build().unwrap();
    let loss = |ys: ArrayView3<'_, f64>, targets: &ArrayRef2<usize>, d_ys: ArrayViewMut3<'_, f64>| {
        own_cross_entropy(ys, targets, d_ys)
    };
    let mut closure = Bptt::builder(lstm::<f64>(5, 1)).loss(loss).build().unwrap();
    for _ in 0..4 {
        let (a, b) = (ours.train(&x, &*y).unwrap(), closure.train(&x, &*y).unwrap());
        assert!((a.loss() - b.loss()).abs() < 1e-13 && (a.norm_sum - b.norm_sum).abs() < 1e-13);
    }
    let mut far = ours.model().clone();
    far.add_scaled(closure.model(), -1.0);
    assert!(far.norm() < 1e-12);
}

#[test]
fn clips() {
    let (x, y) = (text(0, 6, 3), text(1, 6, 3));
    let free = {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).build().unwrap();
        assert_eq!(bptt.train(&x, &*y).unwrap().clipped, 0);
        bptt.gradients().clone()
    };
    let norm = free.norm();

    for (bound, clipped) in [(norm / 3.0, 1), (norm * 1.01, 0)] {
        let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_norm(bound).build().unwrap();
        let report = bptt.train(&x, &*y).unwrap();
        assert_eq!((report.clipped, report.largest_norm), (clipped, norm));
        let mut expected = free.clone();
        expected.scale((bound / norm).min(1.0));
        expected.add_scaled(bptt.gradients(), -1.0);
        assert!(expected.norm() <= 1e-15 * norm);
        assert!(bptt.gradients().norm() <= bound * (1.0 + 1e-14));
    }

    let bound = 0.01;
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_value(bound).build().unwrap();
    assert_eq!(bptt.train(&x, &*y).unwrap().clipped, 1);
    let mut expected = free.clone();
    expected.visit_mut(&mut |_, mut array| array.map_inplace(|g| *g = g.clamp(-bound, bound)));
    assert_eq!(weights(&expected), weights(bptt.gradients()));
    let mut bptt = Bptt::builder(lstm::<f64>(5, 1)).optimizer(Frozen).clip_value(norm).build().unwrap();
    assert_eq!(bptt.train(&x, &*y).unwrap().clipped, 0);
    assert_eq!(weights(&free), weights(bptt.gradients()));
}

/// With every weight 0 all logits are 0, and so are all gradients but that of the head's bias, which is the mean over
/// tokens of 1/V - one-hot(target).
#[test]
fn the_report_by_hand() {
    let mut model = lstm::<f64>(5, 1);
    model.set_zero();
    let mut bptt = Bptt::builder(model).optimizer(Frozen).clip_norm(0.2).build().unwrap();
    let report = bptt.epoch([batch(0, 6, 3, false), batch(6, 2, 3, true)]).unwrap();
    let norm = |start: usize, t: usize| {
        let y = text(start, t, 3);
        let share = |k| y.iter().filter(|y| **y == k).count() as f64 / y.len() as f64;
        (0..V).map(|k| (1.0 / V as f64 - share(k)).powi(2)).sum::<f64>().sqrt()
    };
    let norms = [norm(1, 6), norm(7, 2)];
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-14 * b.abs(), "{a} against {b}");
    assert_eq!((report.tokens, report.updates), (24, 2));
    assert_eq!(report.clipped, norms.iter().filter(|norm| **norm > 0.2).count());
    near(report.loss(), (V as f64).ln());
    near(report.loss_sum, 24.0 * (V as f64).ln());
    near(report.perplexity(), V as f64);
    near(report.bits_per_character(), (V as f64).log2());
    near(report.gradient_norm(), (norms[0] + norms[1]) / 2.0);
    near(report.largest_norm, norms[0].max(norms[1]));
    assert!(report.seconds > 0.0 && report.tokens_per_second() == 24.0 / report.seconds);
    assert!(Report::default().loss().is_nan());
}

#[test]
fn same_bits_for_any_number_of_threads() {
    let trained = |threads: usize| {
        let net = Stacked::builder(28).layer(Lstm::<f32>::spec(128)).seed(3).build().unwrap();
        let model = LanguageModel::new(net, 3).unwrap();
        let mut bptt = Bptt::builder(model).clip_norm(1.0).threads(threads).build().unwrap();
        for k in 0..20 {
            let tokens = Array2::from_shape_fn((21, 32), |(t, b)| (k * 20 + t + b * b + t * b / 5) % 28);
            bptt.train(&tokens.slice(s![..20, ..]), &*tokens.slice(s![1.., ..])).unwrap();
        }
        (weights(bptt.model()), state_bits(bptt.state().unwrap()))
    };
    let one = trained(1);
    for threads in [2, 3, 8] {
        assert!(trained(threads) == one, "{threads} threads give other bits");
    }
}

fn learns<F: Float>() -> f64 {
    let mut bptt = Bptt::builder(lstm::<F>(12, 1)).optimizer(Adam::new(0.02)).clip_norm(1.0).build().unwrap();
    let (x, y) = (text(0, 8, 3), text(1, 8, 3));
    let mut losses = (0..80).map(|_| {
        bptt.reset_state();
        bptt.train(&x, &*y).unwrap().loss()
    });
    let first = losses.next().unwrap();
    let last = losses.last().unwrap();
    assert!(last < 0.2 * first, "{}: {first} to {last}", F::NAME);
    first
}

#[test]
fn both_types_train_and_start_at_the_same_place() {
    let (single, double) = (learns::<f32>(), learns::<f64>());
    assert!((single - double).abs() < 1e-6);
}

#[test]
fn a_seed_is_a_network() {
    assert_eq!(weights(&lstm::<f32>(5, 4)), weights(&lstm::<f32>(5, 4)));
    let (a, b) = (lstm::<f32>(5, 4), lstm::<f32>(5, 5));
    let (mut seen, mut theirs) = (Vec::new(), Vec::new());
    b.visit(&mut |_, array| theirs.push(array.to_owned()));
    a.visit(&mut |name, array| seen.push((name.to_owned(), array.to_owned())));
    for ((name, ours), theirs) in seen.iter().zip(&theirs) {
        assert!(ours.iter().zip(theirs).all(|(a, b)| a != b), "{name} does not depend on the seed");
    }
}

/// A model with something to say.
fn trained() -> Lm<f32> {
    let mut bptt = Bptt::builder(lstm::<f32>(12, 1)).optimizer(Adam::new(0.02)).build().unwrap();
    for _ in 0..30 {
        bptt.epoch([batch(0, 8, 3, false), batch(8, 8, 3, true)]).unwrap();
    }
    bptt.into_model()
}

#[test]
fn a_step_at_a_time_equals_the_sequence() {
    let model = trained();
    let tokens = text(3, 12, 1);
    let bptt = Bptt::builder(model.clone()).threads(2).build().unwrap();
    let (mut state, mut own) = (model.zero_state(1), model.zero_state(1));
    let all = bptt.predict(&tokens, &mut state).unwrap();
    let mut logits = Array1::zeros(V);
    for (token, expected) in tokens.iter().zip(all.outer_iter()) {
        model.step(*token, &mut own, logits.view_mut()).unwrap();
        assert_eq!(logits.mapv(f32::to_bits), expected.row(0).mapv(f32::to_bits));
    }
    assert_eq!(state_bits(&state), state_bits(&own));
}

#[test]
fn generation() {
    let model = trained();
    let prefix = text(2, 6, 1).into_raw_vec_and_offset().0;
    let greedy = model.generate(&prefix, 20, &mut Sampler::greedy()).unwrap();
    assert_eq!(greedy, model.generate(&prefix, 20, &mut Sampler::greedy()).unwrap());
    assert_eq!(greedy.len(), 20);

    // The warm-up is the prefix run as a sequence; and what is written is read.
    let bptt = Bptt::builder(model.clone()).build().unwrap();
    let read: Vec<usize> = prefix.iter().chain(&greedy).copied().collect();
    let tokens = ArrayView2::from_shape((read.len(), 1), &read).unwrap();
    let logits = bptt.predict(&tokens, &mut model.zero_state(1)).unwrap();
    for (k, token) in greedy.iter().enumerate() {
        let row = logits.slice(s![prefix.len() - 1 + k, 0, ..]);
        assert!(row.iter().all(|logit| *logit <= row[*token]));
    }

    let sampled = |seed| model.generate(&prefix, 40, &mut Sampler::temperature(1.5, seed).unwrap()).unwrap();
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
    let one = Sampler::temperature(1.5, 7).unwrap().top_k(1).unwrap();
    assert_eq!(model.generate(&prefix, 20, &mut one.clone()).unwrap(), greedy);
    let cold = Sampler::temperature(1e-6, 7).unwrap();
    assert_eq!(model.generate(&prefix, 20, &mut cold.clone()).unwrap(), greedy);
    assert!(model.generate(&prefix, 0, &mut one.clone()).unwrap().is_empty());
}

#[test]
fn a_sampler_follows_the_probabilities() {
    let logits = Array1::from_vec(vec![0.0_f64, 2.0_f64.ln(), f64::NEG_INFINITY, 5.0_f64.ln()]);
    let mut sampler = Sampler::temperature(1.0, 3).unwrap();
    let mut counts = [0_usize; 4];
    (0..80_000).for_each(|_| counts[sampler.choose(logits.view()).unwrap()] += 1);
    // Within four standard deviations of 10000, 20000, 0 and 50000.
    assert_eq!(counts[2], 0);
    assert!(counts[0].abs_diff(10_000) < 380 && counts[1].abs_diff(20_000) < 490, "{counts:?}");
    let mut two = Sampler::temperature(1.0, 3).unwrap().top_k(2).unwrap();
    assert!((0..1000).all(|_| [1, 3].contains(&two.choose(logits.view()).unwrap())));
}

/// Saturated logits: the loss is log Σ exp to the last digits, not infinite.
#[test]
fn the_loss_of_extreme_logits() {
    let cases: [([f64; 3], usize, f64); 5] = [
        ([1e4, -1e4, 0.0], 0, 0.0),
        ([1e4, -1e4, 0.0], 1, 2e4),
        ([3.0, 3.0, 3.0], 2, 3.0_f64.ln()),
        ([-1e4, -1e4, -1e4], 0, 3.0_f64.ln()),
        ([f64::NEG_INFINITY, 0.0, 0.0], 1, 2.0_f64.ln()),
    ];
    for (logits, target, expected) in cases {
        let ys = Array3::from_shape_vec((1, 1, 3), logits.to_vec()).unwrap();
        let (mut d_ys, targets) = (Array3::from_elem((1, 1, 3), f64::NAN), Array2::from_elem((1, 1), target));
        let loss = CrossEntropy.evaluate(ys.view(), &*targets, d_ys.view_mut());
        assert!((loss - expected).abs() <= 1e-14 * expected.max(1.0), "{logits:?}: {loss}");
        assert!(d_ys.iter().all(|d| d.is_finite()) && d_ys.sum().abs() < 1e-15);
    }
}

/// What PyTorch says of the losses.
#[test]
fn losses_of_pytorch() {
    let logits = get("softmax", "logits").into_dimensionality().unwrap();
    let targets = get("softmax", "targets").into_dimensionality().unwrap().mapv(|t: f64| t as usize);
    let mut d_ys = Array3::zeros(logits.raw_dim());
    let loss = CrossEntropy.evaluate(logits.view(), &*targets, d_ys.view_mut());
    let error = (loss - get("softmax", "loss")[0]).abs() / loss;
    let slope = max_rel_error(d_ys.view().into_dyn(), get("softmax", "d_logits").view());
    println!("softmax: loss {error:.1e}, gradient {slope:.1e}");
    assert!(error < 1e-14 && slope < 1e-12);

    let prediction = fixture::array3(fixture::stream(203, 0), [4, 3, 2], 2.0);
    let target = fixture::array3(fixture::stream(203, 1), [4, 3, 2], 2.0);
    let mut d_ys = Array3::zeros(prediction.raw_dim());
    let loss = MeanSquared.evaluate(prediction.view(), &*target, d_ys.view_mut());
    let error = (loss - get("mse", "loss")[0]).abs() / loss;
    let slope = max_rel_error(d_ys.view().into_dyn(), get("mse", "d_pred").view());
    println!("mse: loss {error:.1e}, gradient {slope:.1e}");
    assert!(error < 1e-14 && slope < 1e-14);
}

/// PyTorch's name and array for a parameter of ours.
fn pytorch_name(name: &str) -> String {
    match name.split('.').collect::<Vec<_>>()[..] {
        ["net", layer, "w_x"] => format!("weight_ih_l{layer}"),
        ["net", layer, "w_h"] => format!("weight_hh_l{layer}"),
        ["net", layer, "b"] => format!("bias_ih_l{layer}"),
        ["net", layer, "b_h"] => format!("bias_hh_l{layer}"),
        ["head", "w"] => "head_weight".to_owned(),
        ["head", "b"] => "head_bias".to_owned(),
        _ => panic!("unknown parameter {name}"),
    }
}

/// Six batches of training as PyTorch did them; the greatest relative error of losses, norms, first gradients, last
/// states and last weights.
fn pytorch_run(case: &str, optimizer: impl Optimizer<Lm<f64>>, clip: Option<f64>) -> f64 {
    const TOKENS: usize = 6;
    let spec = Lstm::<f64>::spec(8).bias(Bias::Two);
    let net = Stacked::builder(TOKENS).repeat(2, spec).build().unwrap();
    let mut model = LanguageModel::with_head(net, &Linear::spec(TOKENS), 0).unwrap();
    model.visit_mut(&mut |name, mut array| {
        let name = pytorch_name(name);
        let number = match &name[..] {
            "head_weight" => 6,
            "head_bias" => 7,
            name => {
                let layer = usize::from(name.ends_with('1'));
                let part = Part::ALL.into_iter().find(|part| part.name(layer, 0) == name).unwrap();
                fixture::weight_tensor(layer, 0, part)
            }
        };
        let scale = if number == 6 { 8.0 } else { 1.0 };
        // PyTorch's shape is the reverse of ours, and its transpose has ours.
        let shape = array.t().raw_dim();
        let numbers = fixture::array1(fixture::stream(204, number), array.len(), scale);
        array.assign(&numbers.into_shape_with_order(shape).unwrap().t());
    });
    let builder = Bptt::builder(model).optimizer(optimizer);
    let builder = if let Some(bound) = clip { builder.clip_norm(bound) } else { builder };
    let mut bptt = builder.build().unwrap();
    let text = fixture::tokens(fixture::stream(204, 0), [2, 31], TOKENS);

    let mut worst: f64 = 0.0;
    let mut compared = 0;
    let mut compare = |ours: Vec<f64>, tensor: &str| {
        let theirs = get(case, tensor);
        let ours = Array1::from_vec(ours).into_shape_with_order(theirs.raw_dim()).unwrap();
        worst = worst.max(max_rel_error(ours.view().into_dyn(), theirs.view()));
        compared += 1;
    };
    let numbers = |array: deep_rnn::ndarray::ArrayViewD<'_, f64>| array.t().iter().copied().collect::<Vec<_>>();
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for k in 0..6 {
        let x = text.slice(s![.., 5 * k..5 * k + 5]).reversed_axes();
        let y = text.slice(s![.., 5 * k + 1..5 * k + 6]).reversed_axes();
        let report = bptt.train(&x, &*y).unwrap();
        losses.push(report.loss());
        norms.push(report.gradient_norm());
        assert_eq!(report.clipped, usize::from(clip.is_some() && report.gradient_norm() > 1.0));
        if k == 0 {
            let factor = if report.clipped == 1 { report.gradient_norm() } else { 1.0 };
            bptt.gradients().visit(&mut |name, array| {
                let before_clip = array.mapv(|g| g * factor);
                compare(numbers(before_clip.view()), &format!("d_first_{}", pytorch_name(name)));
            });
        }
    }
    compare(losses, "losses");
    compare(norms, "norms");
    let state = bptt.state().unwrap();
    for (lane, tensor) in ["h_n", "c_n"].into_iter().enumerate() {
        let layers = [state[0][lane].view(), state[1][lane].view()];
        let both = deep_rnn::ndarray::stack(Axis(0), &layers).unwrap();
        compare(both.iter().copied().collect(), tensor);
    }
    bptt.model().visit(&mut |name, array| compare(numbers(array), &format!("final_{}", pytorch_name(name))));
    assert_eq!(compared, fixture::names(case).len());
    worst
}

#[test]
fn training_runs_of_pytorch() {
    let sgd = pytorch_run("train.sgd", Sgd::new(2.0), Some(1.0));
    let adam = pytorch_run("train.adam", Adam::new(0.01), None);
    println!("worst relative error against PyTorch: SGD {sgd:.1e}, Adam {adam:.1e}");
    assert!(sgd < 1e-10 && adam < 1e-10, "SGD {sgd}, Adam {adam}");
}
