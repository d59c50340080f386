//! Adam's moments: their numbers, their names, and an optimiser that goes on from them.

use deep_rnn::ndarray::{Array1, Array2, ArrayD, array};
use deep_rnn::prelude::*;
use deep_rnn::{Error, optim::Optimizer};

use crate::bits::weights;
use crate::small_model::{V, lstm, text};

pub(crate) fn network() -> Network<f64> {
    Network::builder(V).lstm(5).gru(4).linear(V).seed(1).build().unwrap()
}

/// Gradients of all arrays of a model, others at each step.
pub(crate) fn gradients<P: Params>(like: &P, step: usize) -> P {
    let (mut grads, mut place) = (like.zeros_like(), step);
    grads.visit_mut(&mut |_, array| {
        for g in array {
            place += 1;
            *g = P::Elem::from_f64((0.7 * place as f64).sin() * if place.is_multiple_of(3) { 1e-4 } else { 2.0 });
        }
    });
    grads
}

/// Names and arrays, as a file would have them.
fn written<P: Params>(params: &P) -> Vec<(String, ArrayD<P::Elem>)> {
    let mut list = Vec::new();
    params.visit(&mut |name, array| list.push((name.to_string(), array.to_owned())));
    list
}

fn read<P: Params>(like: &P, list: &[(String, ArrayD<P::Elem>)]) -> P {
    let mut read = like.zeros_like();
    read.visit_mut(&mut |name, mut array| array.assign(&list.iter().find(|(known, _)| known == name).unwrap().1));
    read
}

/// The equations as the documentation has them, each step rounded as the crate's.
fn bit_by_bit<F: Float>() {
    let (lr, beta_1, beta_2, epsilon) = (0.01, 0.9_f64, 0.999_f64, 1e-8);
    let number = F::from_f64;
    let start = Array1::from_shape_fn(53, |i| number(0.1 * i as f64 - 2.0));
    let (mut adam, mut params) = (Adam::new(lr), start.clone());
    let (mut p, mut m, mut r) = (start.to_vec(), [F::zero(); 53], [F::zero(); 53]);
    for t in 1..=300 {
        let g = gradients(&params, t);
        adam.step(&mut params, &g).unwrap();
        let power = |beta: f64| -f64::exp_m1(t as f64 * beta.ln());
        let correction = power(beta_2).sqrt();
        let rate = number(lr * correction / power(beta_1));
        let take = number(1.0 - beta_1);
        let slip = number((1.0 - beta_2) / (1.0 + beta_2.sqrt()));
        for i in 0..53 {
            m[i] += take * g[i] - take * m[i];
            let (a, b) = (r[i] - slip * r[i], number((1.0 - beta_2).sqrt()) * g[i].abs());
            let (long, short) = if a > b { (a, b) } else { (b, a) };
            let q = short / long;
            r[i] = long * Float::sqrt(F::one() + q * q);
            p[i] -= rate * (m[i] / (r[i] + number(epsilon * correction)));
        }
    }
    assert_eq!(weights(&params), weights(&Array1::from(p)), "{}", F::NAME);
    assert_eq!(weights(adam.mean().unwrap()), weights(&Array1::from(m.to_vec())), "m, {}", F::NAME);
    assert_eq!(weights(adam.root().unwrap()), weights(&Array1::from(r.to_vec())), "r, {}", F::NAME);
}

#[test]
fn the_bits_of_the_equations() {
    bit_by_bit::<f32>();
    bit_by_bit::<f64>();
}

fn named<P: SeqLayer<Elem = f64>>(model: P) {
    let adam = Adam::new(0.01);
    assert!(adam.mean().is_none() && adam.root().is_none() && adam.steps() == 0);
    let mut bptt = Bptt::builder(model).optimizer(adam).build().unwrap();
    bptt.train(&text(0, 6, 3), &text(1, 6, 3)).unwrap();
    let (adam, model) = (bptt.optimizer(), bptt.model());
    let arrays = |params: &P| -> Vec<_> {
        written(params).into_iter().map(|(name, array)| (name, array.shape().to_vec())).collect()
    };
    assert_eq!(arrays(adam.mean().unwrap()), arrays(model));
    assert_eq!(arrays(adam.root().unwrap()), arrays(model));
    assert_eq!(adam.steps(), 1);
    // After one step m = (1-β₁)g and v = r² = (1-β₂)g².
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs();
    let all = |params: &P| -> Vec<f64> { weights(params).into_iter().map(f64::from_bits).collect() };
    for ((m, r), g) in all(adam.mean().unwrap()).iter().zip(all(adam.root().unwrap())).zip(all(bptt.gradients())) {
        assert!(near(*m, 0.1 * g) && near(r * r, 0.001 * g * g), "{m}, {r}, {g}");
    }
}

#[test]
fn moments_have_the_names_of_the_model() {
    named(lstm::<f64>(5, 1));
    named(network());
}

/// Each value by its names into a new one, as from a file.
fn goes_on<P: SeqLayer>(model: P, lowest: &str) {
    let adam = || Adam::new(0.01).betas(0.8, 0.99).group(lowest, 0.5);
    let mut never = Bptt::builder(model.clone()).optimizer(adam()).clip_norm(1.0).build().unwrap();
    let train = |bptt: &mut Bptt<P, CrossEntropy, Adam<P>>, k: usize| {
        bptt.reset_state();
        bptt.train(&text(4 * k, 6, 3), &text(4 * k + 1, 6, 3)).unwrap();
    };
    (0..3).for_each(|k| train(&mut never, k));

    let (before, old) = (never.model(), never.optimizer());
    let mut new = adam();
    let (mean, root) = (read(&model, &written(old.mean().unwrap())), read(&model, &written(old.root().unwrap())));
    new.set_moments(old.steps(), mean, root).unwrap();
    let again = read(&model, &written(before));
    let mut stopped = Bptt::builder(again).optimizer(new).clip_norm(1.0).build().unwrap();
    for k in 3..7 {
        train(&mut never, k);
        train(&mut stopped, k);
        assert!(weights(never.model()) == weights(stopped.model()), "update {k}");
    }
    let (one, other) = (never.optimizer(), stopped.optimizer());
    assert_eq!((one.steps(), other.steps()), (7, 7));
    assert!(weights(one.mean().unwrap()) == weights(other.mean().unwrap()));
    assert!(weights(one.root().unwrap()) == weights(other.root().unwrap()));
}

#[test]
fn to_go_on_is_never_to_have_stopped() {
    goes_on(lstm::<f64>(5, 1), "net.0");
    goes_on(lstm::<f32>(5, 1), "net.0");
    goes_on(network(), "0");
}

#[track_caller]
fn says<T>(result: Result<T, Error>, parts: &[&str]) {
    let message = result.err().expect("an error").to_string();
    parts.iter().for_each(|part| assert!(message.contains(part), "{message}"));
}

#[test]
fn moments_that_are_none_are_refused() {
    let good = || array![0.5, 0.25];
    let mut adam = Adam::new(0.1);
    adam.set_moments(3, good(), good()).unwrap();
    let bad = |x: f64| array![0.5, x];
    says(adam.set_moments(0, good(), good()), &["steps: expected at least 1", "a new Adam", "got 0"]);
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        says(adam.set_moments(1, bad(x), good()), &["mean: expected finite numbers", &format!("got {x}")]);
        says(adam.set_moments(1, good(), bad(x)), &["root: expected finite numbers", &format!("got {x}")]);
    }
    says(adam.set_moments(1, good(), bad(-1e-9)), &["root: expected finite numbers from 0 on", "got -0.000000001"]);
    says(adam.set_moments(1, good(), Array1::zeros(3)), &["root: expected the arrays of the mean: [2], got [3]"]);
    assert_eq!((adam.steps(), adam.mean(), adam.root()), (3, Some(&good()), Some(&good())));
    adam.set_moments(1, bad(-1e300), bad(0.0)).unwrap();
}

#[test]
fn moments_of_another_model_are_refused() {
    let model = network();
    let other = Network::<f64>::builder(V).lstm(5).gru(3).linear(V).build().unwrap();
    let moments = |of: &Network<f64>| {
        let mut adam = Adam::new(0.01);
        adam.set_moments(5, gradients(of, 1), of.zeros_like()).unwrap();
        adam
    };
    let words =
        ["params: expected the arrays of Adam's moments (for others, a new Adam): 1.w_x [5, 9], got 1.w_x [5, 12]"];
    says(Bptt::builder(model.clone()).optimizer(moments(&other)).build(), &words);
    let (mut adam, mut params) = (moments(&other), model.clone());
    says(adam.step(&mut params, &gradients(&model, 2)), &words);
    assert_eq!(weights(&params), weights(&model));
    assert_eq!((adam.steps(), weights(adam.mean().unwrap())), (5, weights(&gradients(&other, 1))));
    // With its own it goes on.
    adam.step(&mut other.clone(), &gradients(&other, 2)).unwrap();

    // Put in between updates: the engine's next update says so.
    let mut bptt = Bptt::builder(model.clone()).optimizer(moments(&model)).build().unwrap();
    bptt.train(&text(0, 4, 2), &text(1, 4, 2)).unwrap();
    let before = weights(bptt.model());
    bptt.optimizer_mut().set_moments(9, other.zeros_like(), other.zeros_like()).unwrap();
    says(bptt.train(&text(0, 4, 2), &text(1, 4, 2)), &words);
    assert_eq!((weights(bptt.model()), bptt.optimizer().steps()), (before, 9));
}

/// As many numbers of the same shape, in another place.
#[test]
fn moments_of_other_names_are_refused() {
    let (one, other) = ((Some(array![1.0]), None), (None, Some(array![1.0])));
    let (mut adam, mut params) = (Adam::new(0.1), one.clone());
    adam.step(&mut params, &one).unwrap();
    let before = params.clone();
    says(adam.step(&mut other.clone(), &other), &["Adam's moments", "0 [1], got 1 [1]"]);
    says(Sgd::new(0.1).step(&mut params, &other), &["grads: expected arrays as the parameters': 0 [1], got 1 [1]"]);
    assert_eq!((params, adam.steps()), (before, 1));
}

#[test]
fn a_first_update_that_is_refused_leaves_no_moments() {
    let (mut adam, mut params) = (Adam::new(0.1), array![1.0, 2.0]);
    assert!(adam.step(&mut params, &array![1.0, f64::NAN]).is_err());
    assert!(adam.mean().is_none() && adam.steps() == 0 && params == array![1.0, 2.0]);
}

/// Moments that lie otherwise in memory than the parameters do.
#[test]
fn layouts_of_moments_do_not_matter() {
    let start = Array2::from_shape_fn((5, 7), |(i, j)| i as f32 - 0.3 * j as f32);
    let turned = |a: &Array2<f32>| a.t().as_standard_layout().into_owned().reversed_axes();
    let (mut before, mut params) = (Adam::new(0.1), start.clone());
    (0..3).for_each(|t| before.step(&mut params, &gradients(&start, t)).unwrap());
    let (mean, root) = (before.mean().unwrap(), before.root().unwrap());
    let mut after = Adam::new(0.1);
    after.set_moments(3, turned(mean), turned(root)).unwrap();
    let mut same = turned(&params);
    for t in 3..9 {
        before.step(&mut params, &gradients(&start, t)).unwrap();
        after.step(&mut same, &gradients(&start, t)).unwrap();
        assert_eq!(params, same);
    }
    assert_eq!((before.mean(), before.root()), (after.mean(), after.root()));
}

#[test]
fn printed_without_its_numbers() {
    let mut adam = Adam::new(0.01).group("0", 2.0).freeze("1");
    let params = vec![array![0.125], array![0.5, 0.75]];
    adam.step(&mut params.clone(), &params).unwrap();
    let printed = format!("{adam:?}");
    assert_eq!(
        printed,
        "Adam { lr: 0.01, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0, groups: {\"0\": 2.0, \"1\": 0.0}, steps: 1, moments: 6, .. }"
    );
    assert_eq!(format!("{:?}", Sgd::new(0.5).freeze("net")), "Sgd { lr: 0.5, groups: {\"net\": 0.0} }");
}
