//! Products of operands rounded to bfloat16: near those of `f32`, the same bits for any number of threads and on every
//! instruction set, refused where they cannot be.

use deep_rnn::prelude::*;
use deep_rnn::{Context, cpu::Threads, loss::MeanSquared, train::Products};
use ndarray::{Array2, Array3, s};

#[path = "support/bits.rs"]
mod bits;
use bits::{state_bits, weights};

const V: usize = 11;

fn text(t: usize, b: usize) -> Array2<usize> {
    Array2::from_shape_fn((t, b), |(t, b)| (t * t + 3 * t * b + b) % V)
}

fn rows(t: usize, b: usize, d: usize) -> Array3<f32> {
    Init::seeded(9).normal((t, b, d), 1.0)
}

/// Networks of all kinds of products: cells of all gates, projected, both ways, tied, an input of numbers.
fn networks() -> Vec<(&'static str, Network<f32>)> {
    let net = || Network::<f32>::builder(V).seed(5);
    vec![
        ("LSTM", net().lstm(33).lstm(20).linear(V).build().unwrap()),
        ("GRU", net().gru(40).linear(V).build().unwrap()),
        ("RNN", net().rnn(17).rnn(70).linear(V).build().unwrap()),
        ("projection", net().layer(Lstm::spec(40).projection(12)).linear(V).build().unwrap()),
        ("both ways", net().layer(Bidirectional::spec(Gru::spec(24), Merge::Concat)).linear(V).build().unwrap()),
        ("tied", net().embedding(32).lstm(32).tied().build().unwrap()),
        ("after a gate", net().layer(Gru::spec(24)).activation(Activation::Tanh).linear(V).build().unwrap()),
    ]
}

fn engine(
    net: Network<f32>,
    threads: usize,
    precision: Precision,
) -> Bptt<Network<f32>, CrossEntropy, Adam<Network<f32>>> {
    let builder = Bptt::builder(net).optimizer(Adam::new(1e-2)).clip_norm(1.0);
    builder.threads(threads).matmul_precision(precision).build().unwrap()
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let text = text(70, 9);
    for (name, net) in networks() {
        let run = |threads| {
            let mut bptt = engine(net.clone(), threads, Precision::Bf16);
            let losses: Vec<u64> = (0..3).map(|_| bptt.train_next(&text, &text).unwrap().loss().to_bits()).collect();
            let predicted: Vec<u32> = bptt.predict(&text).unwrap().iter().map(|y| y.to_bits()).collect();
            (losses, weights(bptt.model()), predicted)
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            assert!(run(threads) == one, "{name}, {threads} threads");
        }
    }
}

#[test]
fn gradients_are_near_those_of_f32_and_not_the_same() {
    let text = text(30, 8);
    for (name, net) in networks() {
        let gradients = |precision| {
            let mut bptt = engine(net.clone(), 2, precision);
            let report = bptt.train(&text, &text).unwrap();
            (report, bptt.gradients().clone())
        };
        let (full, mut expected) = gradients(Precision::Full);
        let (report, got) = gradients(Precision::Bf16);
        assert_eq!(full.products, Products::Full, "{name}");
        assert_ne!(report.products, Products::Full, "{name}");
        assert!((report.loss() - full.loss()).abs() < 2e-3, "{name}: {} against {}", report.loss(), full.loss());
        let size = expected.norm();
        expected.add_scaled(&got, -1.0);
        let off = expected.norm() / size;
        assert!(off > 1e-5, "{name}: the gradients are those of f32");
        assert!(off < 2e-2, "{name}: off by {off:.1e} of their norm");
    }
}

#[test]
fn a_network_learns_as_well() {
    let text = Array2::from_shape_fn((400, 4), |(t, b)| (t + b) % V);
    let learnt = |precision| {
        let net = Network::<f32>::builder(V).lstm(24).linear(V).seed(3).build().unwrap();
        let mut bptt = engine(net, 1, precision);
        let (x, y) = (text.slice(s![..-1, ..]).to_owned(), text.slice(s![1.., ..]).to_owned());
        let first = bptt.train(&x, &y).unwrap().loss();
        let last = (0..60).map(|_| bptt.train(&x, &y).unwrap().loss()).last().unwrap();
        (first, last)
    };
    let ((first, full), (_, rounded)) = (learnt(Precision::Full), learnt(Precision::Bf16));
    println!("loss {first:.3}, learnt {full:.4} in f32 and {rounded:.4} in bf16");
    assert!(rounded < 0.1 * first && rounded < 1.2 * full + 0.01, "{rounded} against {full}");
}

/// The bits of a sequence of what no instruction set changes: a network's outputs, its state.
fn fingerprint(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, bits| (hash ^ bits).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn the_same_bits_on_every_instruction_set() {
    // Printed by this test: `DEEP_RNN_SIMD=baseline cargo test --test bf16 -- --nocapture`, and the same by any other way. tanh and sigmoid are
    // fused where the processor has the operation (which changes less than one in a hundred of them), relu is nowhere.
    const PLAIN: [u64; 4] =
        [0x4119_460e_d7e0_ecd8, 0xbab0_b300_e9fc_c72e, 0x2715_c4e8_d9db_53ef, 0x103a_d0c1_2106_2c71];
    const FUSED: [u64; 4] = [0xd186_0944_f7e0_ecd8, 0x9baa_5049_c9fc_c72e, PLAIN[2], PLAIN[3]];
    let expected = if deep_rnn::cpu::simd_level() == "baseline" { PLAIN } else { FUSED };
    let threads = Threads::new(1).unwrap().matmul_precision(Precision::Bf16).unwrap();
    let xs = rows(20, 5, 7);
    let specs: [Network<f32>; 4] = [
        Network::builder(7).lstm(40).lstm(33).linear(9).seed(1).build().unwrap(),
        Network::builder(7).gru(65).linear(9).seed(2).build().unwrap(),
        Network::builder(7).rnn(20).linear(70).seed(3).build().unwrap(),
        Network::builder(7).layer(Rnn::spec(33).activation(Activation::Relu)).linear(9).seed(4).build().unwrap(),
    ];
    let got = specs.map(|net| {
        let mut state = net.zero_state(5);
        let ys = threads.install(|| net.predict_with(Context::default(), &xs, &mut state)).unwrap();
        fingerprint(ys.iter().map(|y| u64::from(y.to_bits())).chain(state_bits(&state)))
    });
    println!("{}: {got:#018x?}", deep_rnn::cpu::simd_level());
    assert_eq!(got, expected);
}

#[test]
fn a_product_is_that_of_rounded_operands() {
    let round = |x: f32| {
        let bits = x.to_bits();
        f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
    };
    let net = Linear::<f32>::spec(6).build(3, &mut Init::seeded(4)).unwrap();
    let threads = Threads::new(1).unwrap().matmul_precision(Precision::Bf16).unwrap();
    let xs = rows(4, 2, 3);
    let ys = threads.install(|| net.predict(&xs)).unwrap();
    for ((t, b, j), y) in ys.indexed_iter() {
        let term = |p: usize| round(xs[[t, b, p]]) * round(net.w()[[p, j]]);
        let expected = net.b().unwrap()[j] + (term(0) + term(2) + term(1));
        assert_eq!(*y, expected, "{t} {b} {j}");
    }
    // Outside of the call, and of numbers in f64, all is as it was.
    assert_ne!(net.predict(&xs).unwrap(), ys);
    let double = Linear::<f64>::spec(6).build(3, &mut Init::seeded(4)).unwrap();
    let xs = xs.mapv(f64::from);
    assert_eq!(threads.install(|| double.predict(&xs)).unwrap(), double.predict(&xs).unwrap());
}

/// Rows of the batch and pieces of a sequence come out as in the whole, few rows too.
#[test]
fn rows_and_pieces_have_the_bits_of_the_whole() {
    let threads = Threads::new(2).unwrap().matmul_precision(Precision::Bf16).unwrap();
    let xs = rows(13, 6, V);
    for (name, net) in networks() {
        let run = |xs: &Array3<f32>, state: &mut _| {
            threads.install(|| net.predict_with(Context::default(), xs, state)).unwrap()
        };
        let whole = run(&xs, &mut net.zero_state(6));
        for b in 0..6 {
            let row = run(&xs.slice(s![.., b..=b, ..]).to_owned(), &mut net.zero_state(1));
            assert!(row == whole.slice(s![.., b..=b, ..]), "{name}, row {b}");
        }
        if name != "both ways" {
            let mut state = net.zero_state(6);
            for t in 0..13 {
                let step = run(&xs.slice(s![t..=t, .., ..]).to_owned(), &mut state);
                assert!(step == whole.slice(s![t..=t, .., ..]), "{name}, step {t}");
            }
        }
        let lengths = [13, 1, 7, 0, 12, 13];
        let cx = Context::default().with_lengths(&lengths);
        let ragged = threads.install(|| net.predict_with(cx, &xs, &mut net.zero_state(6))).unwrap();
        for (b, length) in lengths.into_iter().enumerate().filter(|_| name != "both ways") {
            assert!(ragged.slice(s![..length, b, ..]) == whole.slice(s![..length, b, ..]), "{name}, ragged row {b}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let single = || Network::<f32>::builder(V).gru(4).linear(V).build().unwrap();
    let double = Network::<f64>::builder(V).gru(4).linear(V).build().unwrap();
    let error = |result: Result<(), Error>| result.unwrap_err().to_string();
    let int8 = error(Bptt::builder(single()).matmul_precision(Precision::Int8).build().map(drop));
    assert!(int8.contains("matmul_precision") && int8.contains("full or bf16") && int8.contains("int8"), "{int8}");
    let f64 = error(Bptt::builder(double.clone()).matmul_precision(Precision::Bf16).build().map(drop));
    assert!(f64.contains("matmul_precision") && f64.contains("f64"), "{f64}");
    assert!(Bptt::builder(double).matmul_precision(Precision::Full).build().is_ok());
    assert!(Threads::new(1).unwrap().matmul_precision(Precision::Int8).is_err());
    // Settings that come before or after it stay.
    let loss = MeanSquared;
    let bptt = Bptt::builder(single()).matmul_precision(Precision::Bf16).loss(loss).optimizer(Adam::new(0.1));
    let mut bptt = bptt.build().unwrap();
    let report = bptt.train(&rows(5, 2, V), &rows(5, 2, V)).unwrap();
    // Which of the two it is, the processor decides.
    assert!(["bf16, plain loop", "bf16, AMX"].contains(&report.products.to_string().as_str()), "{}", report.products);
    let evaluated = bptt.evaluate([Batch::new(rows(5, 2, V), rows(5, 2, V))]).unwrap();
    assert_eq!(evaluated.products, report.products);
}

/// A window in a budget: other last digits, still near.
#[test]
fn a_budget_holds() {
    let text = text(300, 4);
    let (_, net) = networks().remove(0);
    let plain = engine(net.clone(), 1, Precision::Bf16).memory_estimate_for_tokens(300, 4).unwrap();
    let builder = Bptt::builder(net.clone()).optimizer(Adam::new(1e-2)).clip_norm(1.0).memory_budget(plain * 2 / 3);
    let mut small = builder.matmul_precision(Precision::Bf16).build().unwrap();
    let mut whole = engine(net, 1, Precision::Bf16);
    let (a, b) = (small.train(&text, &text).unwrap(), whole.train(&text, &text).unwrap());
    assert_eq!(a.loss().to_bits(), b.loss().to_bits());
    let mut off = small.gradients().clone();
    off.add_scaled(whole.gradients(), -1.0);
    assert!(off.norm() < 1e-4 * whole.gradients().norm(), "{}", off.norm());
}
