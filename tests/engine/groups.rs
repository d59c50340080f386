//! Arrays with a rate of their own, and arrays that stay as they are.

use std::collections::HashMap;

use deep_rnn::ndarray::array;
use deep_rnn::prelude::*;
use deep_rnn::{Error, optim::Optimizer};

use crate::bits::weights;
use crate::moments::{gradients, network};
use crate::small_model::{Frozen, V, lstm, text};

/// The bits of each array.
fn arrays<P: Params>(params: &P) -> HashMap<String, Vec<u64>> {
    let mut all = HashMap::new();
    params.visit(&mut |name, array| {
        all.insert(name.to_string(), array.iter().map(|x| x.as_f64().to_bits()).collect());
    });
    all
}

fn run<P: Params, O: Optimizer<P>>(model: &P, mut optimizer: O) -> (P, O) {
    let mut params = model.clone();
    (0..20).for_each(|t| optimizer.step(&mut params, &gradients(model, t)).unwrap());
    (params, optimizer)
}

/// Each array is the one of a run in which all have its rate.
fn as_in_separate_runs<P: Params, O: Optimizer<P>>(
    model: &P,
    whole: [&str; 3],
    with: impl Fn(f64, &[(&str, f64)]) -> O,
) {
    let [lower, upper, bias] = whole;
    let (lr, groups) = (0.01, [(lower, 0.3), (upper, 2.0), (bias, 5.0)]);
    let together = arrays(&run(model, with(lr, &groups)).0);
    let mut seen = 0;
    for factor in [1.0, 0.3, 2.0, 5.0] {
        for (name, bits) in arrays(&run(model, with(lr * factor, &[])).0) {
            let expected = match name.as_str() {
                name if name == bias => 5.0,
                name if name.starts_with(&format!("{lower}.")) => 0.3,
                name if name.starts_with(&format!("{upper}.")) => 2.0,
                _ => 1.0,
            };
            assert_eq!(together[&name] == bits, expected == factor, "{name} at {factor}");
            seen += usize::from(expected == factor);
        }
    }
    assert_eq!(seen, together.len());
}

fn sgd(lr: f64, groups: &[(&str, f64)]) -> Sgd {
    groups.iter().fold(Sgd::new(lr), |sgd, (prefix, factor)| sgd.group(prefix, *factor))
}

fn adam<P: Params>(lr: f64, groups: &[(&str, f64)]) -> Adam<P> {
    groups.iter().fold(Adam::new(lr), |adam, (prefix, factor)| adam.group(prefix, *factor))
}

#[test]
fn groups_are_separate_runs() {
    let (typed, boxed) = (lstm::<f64>(5, 1), network());
    let (lm, net) = (["net.0", "net.1", "net.1.b"], ["0", "1", "1.b"]);
    as_in_separate_runs(&typed, lm, sgd);
    as_in_separate_runs(&typed, lm, adam);
    as_in_separate_runs(&lstm::<f32>(5, 1), lm, adam);
    as_in_separate_runs(&boxed, net, sgd);
    as_in_separate_runs(&boxed, net, adam);
}

#[test]
fn a_layer_is_not_its_tens() {
    let model = Network::<f64>::builder(2).repeat(11, Rnn::spec(2)).build().unwrap();
    let after = arrays(&run(&model, Sgd::new(0.1).freeze("1")).0);
    for (name, before) in arrays(&model) {
        assert_eq!(after[&name] == before, name.starts_with("1."), "{name}");
    }
}

#[test]
fn the_factor_of_an_array() {
    let mut adam: Adam<Network<f64>> = Adam::new(0.1).group("net", 0.5).freeze("net.0");
    let factors = |adam: &Adam<_>| ["net.0.w_x", "net.1.w_x", "head.w"].map(|name| adam.factor(name));
    assert_eq!(factors(&adam), [0.0, 0.5, 1.0]);
    assert_eq!(["net.0.w_x", "net.1.w_x"].map(|name| adam.is_frozen(name)), [true, false]);
    adam.set_group("net.0", 3.0);
    assert_eq!(factors(&adam), [3.0, 0.5, 1.0]);
    assert_eq!(Sgd::new(0.1).freeze("head").factor("head.w"), 0.0);
}

/// Frozen, then moving, then frozen again: weights and moments to the bit, whatever their gradients are.
#[test]
fn what_is_frozen_is_left_to_the_bit() {
    fn check<P: Params>(mut params: P, below: &str) {
        let in_group = |name: &str| name.starts_with(&format!("{below}."));
        let same = |one: &P, other: &P| {
            let other = arrays(other);
            for (name, bits) in arrays(one) {
                assert_eq!(other[&name] == bits, in_group(&name), "{name}");
            }
        };
        let wild = |t: usize| {
            let mut grads = gradients(&params, t);
            grads.visit_mut(&mut |name, mut array| {
                if in_group(name) {
                    array.fill(P::Elem::from_f64([f64::NAN, f64::INFINITY, 1e30][t % 3]));
                }
            });
            grads
        };
        let wild = [wild(0), wild(1), wild(2)];
        let (mut adam, mut sgd) = (Adam::new(0.01).freeze(below), Sgd::new(0.01).freeze(below));
        for (t, wild) in wild.iter().enumerate() {
            let before = params.clone();
            adam.step(&mut params, wild).unwrap();
            same(&before, &params);
            sgd.step(&mut params, wild).unwrap();
            same(&before, &params);
            assert_eq!(adam.steps(), t as u64 + 1);
        }
        same(&params.zeros_like(), adam.mean().unwrap());
        adam.set_group(below, 1.0);
        let before = params.clone();
        (0..3).for_each(|t| adam.step(&mut params, &gradients(&before, t)).unwrap());
        let now = arrays(&params);
        assert!(arrays(&before).iter().all(|(name, bits)| now[name] != *bits), "all move");
        adam.set_group(below, 0.0);
        let (before, mean, root) = (params.clone(), adam.mean().unwrap().clone(), adam.root().unwrap().clone());
        wild.iter().for_each(|wild| adam.step(&mut params, wild).unwrap());
        same(&before, &params);
        same(&mean, adam.mean().unwrap());
        same(&root, adam.root().unwrap());
    }
    check(lstm::<f64>(5, 1), "net.0");
    check(lstm::<f32>(5, 1), "net.1");
    check(network(), "2");
}

/// The norm of all arrays but those under a name.
fn norm_without<P: Params>(grads: &P, below: &str) -> f64 {
    let mut sum = 0.0;
    grads.visit(&mut |name, array| {
        if !name.starts_with(&format!("{below}.")) {
            sum += array.iter().map(|g| g.as_f64() * g.as_f64()).sum::<f64>();
        }
    });
    sum.sqrt()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * b
}

/// The engine's norm and clip are those of what moves.
fn norm_of_the_others<P: SeqLayer<Elem = f64>, O: Optimizer<P>>(model: &P, below: &str, optimizer: impl Fn() -> O) {
    let (x, y) = (text(0, 6, 3), text(1, 6, 3));
    let mut all = Bptt::builder(model.clone()).optimizer(Frozen).build().unwrap();
    let norm = all.train(&x, &y).unwrap().gradient_norm();
    let others = norm_without(all.gradients(), below);
    assert!(others < 0.999 * norm);

    let bound = 0.5 * others;
    let builder = || Bptt::builder(model.clone()).optimizer(optimizer());
    let add_one = |grads: &mut P| {
        grads.visit_mut(&mut |_, mut array| array.mapv_inplace(|g| g + 1.0));
    };
    for (clipped, mut bptt) in [(0, builder().build().unwrap()), (1, builder().clip_norm(bound).build().unwrap())] {
        let report = bptt.train(&x, &y).unwrap();
        assert!(near(report.gradient_norm(), others), "{}, not {others}", report.gradient_norm());
        assert_eq!(report.clipped, clipped);
        assert!(near(bptt.gradients().norm(), if clipped == 1 { bound } else { others }));
        let (before, after) = (arrays(model), arrays(bptt.model()));
        for (name, bits) in arrays(bptt.gradients()) {
            let frozen = name.starts_with(&format!("{below}."));
            assert_eq!(bits.iter().all(|bits| *bits == 0), frozen, "{name}");
            assert_eq!(before[&name] == after[&name], frozen, "{name}");
        }
    }
    // What a hook adds to frozen arrays does not count either.
    let mut plain = Bptt::builder(model.clone()).optimizer(Frozen).on_gradients(add_one).build().unwrap();
    let mut hooked = builder().on_gradients(add_one).build().unwrap();
    plain.train(&x, &y).unwrap();
    let norm = hooked.train(&x, &y).unwrap().gradient_norm();
    assert!(near(norm, norm_without(plain.gradients(), below)));
}

#[test]
fn norms_are_those_of_what_moves() {
    let (typed, boxed) = (lstm::<f64>(5, 1), network());
    norm_of_the_others(&typed, "net.0", || Adam::new(0.01).freeze("net.0"));
    norm_of_the_others(&typed, "net", || Sgd::new(0.01).freeze("net"));
    norm_of_the_others(&boxed, "2", || Adam::new(0.01).freeze("2"));
    norm_of_the_others(&boxed, "1", || Sgd::new(0.01).freeze("1"));
    // One of one's own, in a few lines.
    struct Head;
    impl<P: Params> Optimizer<P> for Head {
        fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error> {
            params.add_scaled(grads, P::Elem::from_f64(-0.1));
            Ok(())
        }
        fn is_frozen(&self, name: &str) -> bool {
            name.starts_with("net.")
        }
    }
    norm_of_the_others(&typed, "net", || Head);
}

/// A schedule lets a layer move from the third update on: that update counts it already.
#[test]
fn a_schedule_thaws() {
    let model = lstm::<f64>(5, 1);
    let mut bptt = Bptt::builder(model.clone())
        .optimizer(Adam::new(0.01))
        .schedule(|updates, adam| adam.set_group("net.0", if updates < 2 { 0.0 } else { 0.1 }))
        .build()
        .unwrap();
    for update in 0..4 {
        let before = arrays(bptt.model());
        let report = bptt.train(&text(0, 6, 3), &text(1, 6, 3)).unwrap();
        let after = arrays(bptt.model());
        assert_eq!(before["net.0.w_x"] == after["net.0.w_x"], update < 2, "update {update}");
        assert_ne!(before["net.1.w_x"], after["net.1.w_x"]);
        assert!(near(report.gradient_norm(), bptt.gradients().norm()));
        let others = norm_without(bptt.gradients(), "net.0");
        assert_eq!(near(report.gradient_norm(), others), update < 2, "update {update}");
    }
}

fn refused<P: SeqLayer>(model: &P, prefix: &str, factor: f64, words: &[&str]) {
    fn check<P: SeqLayer>(model: &P, mut optimizer: impl Optimizer<P> + Clone, words: &[&str]) {
        let mut params = model.clone();
        let messages = [
            Bptt::builder(model.clone()).optimizer(optimizer.clone()).build().map(|_| ()).unwrap_err().to_string(),
            optimizer.step(&mut params, &gradients(model, 1)).unwrap_err().to_string(),
        ];
        assert_eq!(messages[0], messages[1]);
        words.iter().for_each(|word| assert!(messages[0].contains(word), "{}", messages[0]));
        assert_eq!(weights(&params), weights(model));
    }
    check(model, Sgd::new(0.01).group(prefix, factor), words);
    let adam = Adam::new(0.01).group(prefix, factor);
    assert!(adam.mean().is_none());
    check(model, adam, words);
}

#[test]
fn groups_that_cannot_be_are_refused() {
    let (typed, boxed) = (lstm::<f64>(5, 1), network());
    let names = "group: expected the name of an array or its beginning up to a dot, of net.0.w_x, net.0.w_h, net.0.b";
    for prefix in ["net.2", "ne", "net.", "net.0.w", "0", "", "head.w.x"] {
        refused(&typed, prefix, 0.5, &[names, &format!("got {prefix:?}")]);
        refused(&typed, prefix, 0.0, &[names]);
    }
    refused(&boxed, "net", 0.5, &["of 0.w_x, 0.w_h, 0.b, 1.w_x", "2.b, got \"net\""]);
    let deep = Network::<f64>::builder(V).repeat(9, Rnn::spec(2)).linear(V).build().unwrap();
    refused(&deep, "net", 0.5, &["3.b, 17 more, got \"net\""]);
    for factor in [-1.0, -1e-300, f64::NAN, f64::INFINITY] {
        let words = ["group \"2\": factor: expected a finite number, 0 (frozen) or above", &format!("got {factor}")];
        refused(&boxed, "2", factor, &words);
    }
    let single = lstm::<f32>(5, 1);
    for (factor, got) in [(1e41, "1000"), (1e-39, "0.000"), (f64::MAX, "1797"), (f64::MIN_POSITIVE, "0.000")] {
        let words = ["group \"head\": lr times the factor: expected a finite number above 0 in f32", "got", got];
        refused(&single, "head", factor, &words);
    }
    // Over 1 - β₁ it is none.
    let mut adam = Adam::new(1.0).group("", 1e38);
    let message = adam.step(&mut array![1.0_f32], &array![1.0]).unwrap_err().to_string();
    assert!(
        message.starts_with("group \"\": lr times the factor: expected a rate that over 1 - β₁ is finite"),
        "{message}"
    );
    adam.set_group("", 1e30);
    adam.step(&mut array![1.0_f32], &array![1.0]).unwrap();
}

/// A group that a schedule gets wrong is refused by the update, with nothing changed.
#[test]
fn a_wrong_group_between_updates() {
    let mut bptt = Bptt::builder(network()).optimizer(Adam::new(0.01)).build().unwrap();
    let train = |bptt: &mut Bptt<_, _, Adam<_>>| bptt.train(&text(0, 4, 2), &text(1, 4, 2)).map(|_| ());
    train(&mut bptt).unwrap();
    let before = (weights(bptt.model()), bptt.optimizer().mean().map(weights));
    bptt.optimizer_mut().set_group("encoder", 0.0);
    let message = train(&mut bptt).unwrap_err().to_string();
    assert!(message.contains("got \"encoder\""), "{message}");
    assert_eq!((weights(bptt.model()), bptt.optimizer().mean().map(weights)), before);
    assert_eq!((bptt.optimizer().steps(), bptt.updates()), (1, 1));
}
