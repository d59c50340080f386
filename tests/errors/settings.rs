//! Settings of engines, optimisers, threads and samplers.

use deep_rnn::prelude::*;
use deep_rnn::{
    cpu::Threads,
    optim::{Clip, Optimizer},
};

use crate::refused;
use crate::small_model::{Lm, V, model};

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
    let single = || LanguageModel::new(Network::<f32>::builder(V).lstm(2).build().unwrap(), 1).unwrap();
    for (x, got) in [(1e300, "got 1000"), (1e-300, "got 0.000")] {
        let parts = ["lr: expected a finite number above 0 in f32", got];
        refused(Bptt::builder(single()).optimizer(Sgd::new(x)).build(), &parts);
        refused(Bptt::builder(single()).optimizer(Adam::new(x)).build(), &parts);
        let adam = Adam::new(0.1).epsilon(x);
        refused(Bptt::builder(single()).optimizer(adam).build(), &["epsilon: expected", "in f32", got]);
    }
    for (x, got) in [(1e300, "got 1000"), (1e-50, "got 0.000"), (1e-40, "got 0.000")] {
        let parts = ["clip: expected a finite number above 0 in f32 (from 1.1754944e-38 on)", got];
        refused(Bptt::builder(single()).clip_norm(x).build(), &parts);
        refused(Bptt::builder(single()).clip_value(x).build(), &parts);
        refused(Bptt::builder(single()).optimizer(Sgd::new(x)).build(), &["lr: expected", "in f32", got]);
        assert!(Bptt::builder(model()).clip_norm(x).build().is_ok());
    }
    for x in [0.999_999_999_9, 1.0 - 1e-8, -1e-300] {
        let parts = ["betas: expected numbers from 0 to below 1 in f32", &format!("got {x}")];
        refused(Bptt::builder(single()).optimizer(Adam::new(0.1).betas(x, 0.9)).build(), &parts);
        refused(Bptt::builder(single()).optimizer(Adam::new(0.1).betas(0.9, x)).build(), &parts);
    }
    assert!(Bptt::builder(model()).optimizer(Adam::new(0.1).betas(0.9, 0.999_999_999_9)).build().is_ok());
    let fast = Adam::new(1e38).betas(0.999, 0.9);
    refused(
        Bptt::builder(single()).optimizer(fast).build(),
        &["lr: expected a rate that over 1 - β₁ is finite in f32"],
    );
    for x in [1.0, -0.1, f64::NAN, f64::INFINITY] {
        let parts = ["betas: expected numbers from 0 to below 1", &format!("got {x}")];
        with(Adam::new(0.1).betas(x, 0.9), &parts);
        with(Adam::new(0.1).betas(0.9, x), &parts);
    }
    refused(Bptt::builder(model()).window(0).build(), &["window: expected at least 1, got 0"]);
    refused(Bptt::builder(model()).accumulate(0).build(), &["accumulate: expected at least 1, got 0"]);
    for threads in [0, 1025, usize::MAX] {
        let got = format!("threads: expected 1 to 1024, got {threads}");
        refused(Bptt::builder(model()).threads(threads).build(), &[&got]);
        refused(Threads::new(threads), &[&got]);
    }
    assert_eq!([1, 2, 1024].map(|number| Threads::new(number).unwrap().number()), [1, 2, 1024]);
    let stack = |count| Stacked::repeat(1, count, &Rnn::<f32>::spec(1), 0);
    let network = |count| Network::builder(1).repeat(count, Rnn::<f32>::spec(1)).build();
    assert_eq!(stack(10_000).unwrap().num_params(), 30_000);
    assert_eq!(network(10_000).unwrap().num_params(), 30_000);
    for count in [0, 10_001, usize::MAX] {
        refused(stack(count), &[&format!("layers: expected 1 to 10000, got {count}")]);
        refused(network(count), &[&format!("layers: expected 1 to 10000, got {count}")]);
    }
    refused(Sampler::greedy().top_k(0), &["top_k: expected at least 1, got 0"]);
    assert_eq!(Clip::default(), Clip::None);
}
