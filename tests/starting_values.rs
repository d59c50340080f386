//! What networks start with: every array of every cell and scheme against numbers drawn here, by ChaCha8 alone, in the
//! order written down here. Whatever changes one of these changes every network that was ever seeded.

use deep_rnn::cells::{Gated, GatedSpec, RowCell};
use deep_rnn::ndarray::{Array1, Array2, ArrayView2, Axis, s};
use deep_rnn::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The numbers of a seed, beside the crate's [`Init`].
struct Drawn(ChaCha8Rng);

impl Drawn {
    fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Drawn(rng)
    }

    /// From 0 to below 1, in steps of 2⁻⁵³.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn uniform(&mut self, len: usize, bound: f64) -> Vec<f64> {
        (0..len).map(|_| (2.0 * self.unit() - 1.0) * bound).collect()
    }

    fn normal(&mut self, len: usize, sigma: f64) -> Vec<f64> {
        let one = |_| {
            let (u, v) = (self.unit(), self.unit());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos() * sigma
        };
        (0..len).map(one).collect()
    }
}

/// Each array, by name.
type Arrays = Vec<(String, Vec<f64>)>;

fn arrays<P: Params>(params: &P) -> Arrays {
    let mut arrays = Vec::new();
    params.visit(&mut |name, view| arrays.push((name.to_string(), view.iter().map(|x| x.as_f64()).collect())));
    arrays
}

#[track_caller]
fn same(got: &[(String, Vec<f64>)], expected: &[(&str, Vec<f64>)]) {
    let names = |list: &[(&str, Vec<f64>)]| list.iter().map(|(name, _)| (*name).to_string()).collect::<Vec<_>>();
    assert_eq!(got.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names(expected));
    for ((name, got), (_, expected)) in got.iter().zip(expected) {
        assert_eq!(got.len(), expected.len(), "{name}");
        // The platform's logarithm and cosine may be off by a rounding.
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-14 * b.abs();
        assert!(got.iter().zip(expected).all(near), "{name}: {got:?}\nexpected {expected:?}");
    }
}

const D: usize = 5;
const H: usize = 3;

/// Every cell with both biases under `scheme`: its name, its gates, its arrays.
fn cells(scheme: Scheme, seed: u64) -> Vec<(&'static str, usize, Arrays)> {
    fn of<S: Spec>(spec: &S, seed: u64) -> Arrays {
        arrays(&spec.build(D, &mut Init::seeded(seed)).unwrap())
    }
    vec![
        ("rnn", 1, of(&Rnn::<f64>::spec(H).bias(Bias::Two).init(scheme), seed)),
        ("gru", 3, of(&Gru::<f64>::spec(H).bias(Bias::Two).init(scheme), seed)),
        ("gru, reset before", 3, of(&GruResetBefore::<f64>::spec(H).bias(Bias::Two).init(scheme), seed)),
        ("lstm", 4, of(&Lstm::<f64>::spec(H).bias(Bias::Two).init(scheme), seed)),
    ]
}

#[test]
fn uniform_numbers_fill_their_range() {
    let n = 100_000;
    for bound in [0.25, 3.0] {
        let x: Array1<f64> = Init::seeded(4).uniform(n, bound);
        assert!(x.iter().all(|x| (-bound..bound).contains(x)));
        for end in [-bound, bound] {
            assert!(x.iter().any(|x| (x - end).abs() < 1e-3 * bound), "{end}");
        }
        // Five standard errors.
        assert!(x.mean().unwrap().abs() < 5.0 * bound / (3.0 * n as f64).sqrt());
        let variance = x.mapv(|x| x * x).mean().unwrap();
        assert!((variance - bound * bound / 3.0).abs() < 5.0 * bound * bound * (4.0 / 45.0 / n as f64).sqrt());
    }
    let single: Array1<f32> = Init::seeded(4).uniform(50, 0.3);
    assert_eq!(single, Init::seeded(4).uniform::<f64, _, _>(50, 0.3).mapv(|x| x as f32));
}

#[test]
fn xavier_is_the_root_of_six_over_rows_and_columns() {
    for (rows, cols) in [(30, 170), (170, 30)] {
        let w: Array2<f64> = Init::seeded(7).xavier((rows, cols));
        let bound = (6.0 / 200.0_f64).sqrt();
        let largest = w.iter().fold(0.0_f64, |largest, w| largest.max(w.abs()));
        assert!(largest < bound && largest > 0.999 * bound, "{largest} of {bound}");
        assert_eq!(w.into_raw_vec_and_offset().0, Drawn::new(7, 0).uniform(rows * cols, bound));
    }
}

/// Everything uniform on ±1/√H: x's weights, h's weights, then the biases.
#[test]
fn pytorch_values_of_every_cell() {
    let bound = 1.0 / (H as f64).sqrt();
    for (name, gates, got) in cells(Scheme::PyTorch, 11) {
        println!("{name}");
        let mut drawn = Drawn::new(11, 0);
        let mut array = |len| drawn.uniform(len, bound);
        let w = [("w_x", array(D * gates * H)), ("w_h", array(H * gates * H))];
        let b = [("b", array(gates * H)), ("b_h", array(gates * H))];
        same(&got, &[w, b].concat());
    }
    // The scheme of a spec of which nothing is said; which biases there are does not move the weights.
    let lstm = |bias| Lstm::<f64>::spec(H).bias(bias).build(D, &mut Init::seeded(11)).unwrap();
    let all = arrays(&lstm(Bias::Two));
    assert_eq!(arrays(&Lstm::<f64>::spec(H).build(D, &mut Init::seeded(11)).unwrap()), all[..3]);
    assert_eq!(arrays(&lstm(Bias::One)), all[..3]);
    assert_eq!(arrays(&lstm(Bias::None)), all[..2]);
    let names = |arrays: Arrays| arrays.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let gru = Gru::<f64>::spec(H).build(D, &mut Init::seeded(11)).unwrap();
    assert_eq!(names(arrays(&gru)), ["w_x", "w_h", "b", "b_h"]);
    let gru = GruResetBefore::<f64>::spec(H).build(D, &mut Init::seeded(11)).unwrap();
    assert_eq!(names(arrays(&gru)), ["w_x", "w_h", "b"]);
}

#[test]
fn normal_values_of_every_cell() {
    for sigma in [0.01, 0.7, 0.0] {
        for (name, gates, got) in cells(Scheme::Normal(sigma), 12) {
            println!("{name}, {sigma}");
            let mut drawn = Drawn::new(12, 0);
            let w = [("w_x", drawn.normal(D * gates * H, sigma)), ("w_h", drawn.normal(H * gates * H, sigma))];
            let zeros = vec![0.0; gates * H];
            same(&got, &[w, [("b", zeros.clone()), ("b_h", zeros)]].concat());
        }
    }
}

fn columns(w: &[f64], gate: usize, gates: usize) -> Array2<f64> {
    let w = ArrayView2::from_shape((w.len() / (gates * H), gates * H), w).unwrap();
    w.slice(s![.., gate * H..(gate + 1) * H]).to_owned()
}

/// Gate after gate, x's first: Xavier by the sizes of one gate, and orthogonal.
#[test]
fn xavier_and_orthogonal_values_of_every_cell() {
    for (name, gates, got) in cells(Scheme::XavierOrthogonal, 13) {
        println!("{name}");
        let (mut drawn, mut init) = (Drawn::new(13, 0), Init::seeded(13));
        let bound = (6.0 / (D + H) as f64).sqrt();
        for gate in 0..gates {
            let expected = drawn.uniform(D * H, bound);
            assert_eq!(columns(&got[0].1, gate, gates).into_raw_vec_and_offset().0, expected, "gate {gate}");
            let _: Array2<f64> = init.xavier((D, H));
        }
        for gate in 0..gates {
            let q = columns(&got[1].1, gate, gates);
            assert!((q.t().dot(&q) - Array2::<f64>::eye(H)).iter().all(|off| off.abs() < 1e-14), "gate {gate}");
            assert_eq!(q, init.orthogonal::<f64>((H, H)), "gate {gate}");
        }
        for (name, bias) in &got[2..] {
            assert_eq!(*bias, vec![0.0; gates * H], "{name}");
        }
        assert_eq!(got.len(), 4);
    }
}

/// ±1/√D, D the inputs: with as many outputs it would not be seen which of the two is meant.
#[test]
fn values_of_a_linear_layer() {
    let (d, v) = (4, 25);
    let linear = |scheme| Linear::<f64>::spec(v).init(scheme).build(d, &mut Init::seeded(14)).unwrap();
    let drawn = || Drawn::new(14, 0);
    let (mut uniform, bound) = (drawn(), 0.5);
    let pytorch = [("w", uniform.uniform(d * v, bound)), ("b", uniform.uniform(v, bound))];
    same(&arrays(&linear(Scheme::PyTorch)), &pytorch);
    let unsaid = |bias| Linear::<f64>::spec(v).bias(bias).build(d, &mut Init::seeded(14)).unwrap();
    same(&arrays(&unsaid(true)), &pytorch);
    same(&arrays(&unsaid(false)), &pytorch[..1]);
    same(&arrays(&Linear::<f64>::spec(v).build(d, &mut Init::seeded(14)).unwrap()), &pytorch);
    let zeros = ("b", vec![0.0; v]);
    same(&arrays(&linear(Scheme::Normal(0.3))), &[("w", drawn().normal(d * v, 0.3)), zeros.clone()]);
    let bound = (6.0 / (d + v) as f64).sqrt();
    same(&arrays(&linear(Scheme::XavierOrthogonal)), &[("w", drawn().uniform(d * v, bound)), zeros]);
}

/// The lane's numbers of the first bias are the value, those of the second 0; all else is as without it.
#[test]
fn a_bias_of_one_gate() {
    fn check<P: RowCell>(spec: &GatedSpec<f64, P>, with: &GatedSpec<f64, P>, lane: usize, value: f64) {
        let build = |spec: &GatedSpec<f64, P>| -> Gated<f64, P> { spec.build(D, &mut Init::seeded(15)).unwrap() };
        let (mut expected, got) = (arrays(&build(spec)), arrays(&build(with)));
        for (name, numbers) in &mut expected {
            match name.as_str() {
                "b" => numbers[lane * H..(lane + 1) * H].fill(value),
                "b_h" => numbers[lane * H..(lane + 1) * H].fill(0.0),
                _ => {}
            }
        }
        assert_eq!(got, expected);
    }
    for bias in [Bias::One, Bias::Two] {
        let lstm = Lstm::<f64>::spec(H).bias(bias);
        check(&lstm, &lstm.clone().forget_bias(1.5), 1, 1.5);
        for lane in 0..4 {
            check(&lstm, &lstm.clone().lane_bias(lane, -2.0), lane, -2.0);
        }
        let gru = Gru::<f64>::spec(H).bias(bias);
        for lane in 0..3 {
            check(&gru, &gru.clone().lane_bias(lane, 0.5), lane, 0.5);
        }
        let rnn = Rnn::<f64>::spec(H).bias(bias);
        check(&rnn, &rnn.clone().lane_bias(0, 0.25), 0, 0.25);
        let error = rnn.lane_bias(1, 0.25).build(D, &mut Init::seeded(15)).unwrap_err().to_string();
        assert_eq!(
            error,
            "lane_bias: expected a finite value for a lane below 1 (in f64, not denormal), got 0.25 for 1"
        );
    }
}

/// Layers of a stack, typed or not, and of both directions: one after the other from one run of numbers.
#[test]
fn layers_draw_one_after_the_other() {
    // A GRU of 3 units has w_x, w_h, b and b_h, an LSTM of 2 above it w_x, w_h and b.
    let by_hand = |seed| {
        let mut drawn = Drawn::new(seed, 0);
        let gru = [D * 9, H * 9, 9, 9].map(|len| drawn.uniform(len, 1.0 / 3.0_f64.sqrt()));
        let lstm = [H * 8, 2 * 8, 8].map(|len| drawn.uniform(len, 1.0 / 2.0_f64.sqrt()));
        gru.into_iter().chain(lstm).collect::<Vec<_>>()
    };
    let numbers = |arrays: Arrays| arrays.into_iter().map(|(_, numbers)| numbers).collect::<Vec<_>>();
    let stack = || Network::<f64>::builder(D).gru(H).lstm(2);
    assert_eq!(numbers(arrays(&stack().seed(16).build().unwrap())), by_hand(16));
    assert_eq!(numbers(arrays(&stack().build().unwrap())), by_hand(0), "the seed is 0 if not said");
    // A network within a network draws from the same run of numbers.
    let within = Network::<f64>::builder(D).layer(Network::<f64>::part().gru(H)).lstm(2).seed(16);
    assert_eq!(numbers(arrays(&within.build().unwrap())), by_hand(16));

    let both = Bidirectional::spec(Rnn::<f64>::spec(H), Merge::Sum).build(D, &mut Init::seeded(17)).unwrap();
    let mut init = Init::seeded(17);
    let one = |init: &mut Init| Rnn::<f64>::spec(H).build(D, init).unwrap();
    assert_eq!(arrays(both.forward_layer()), arrays(&one(&mut init)));
    assert_eq!(arrays(both.backward_layer()), arrays(&one(&mut init)));
    let repeated = Stacked::repeat(H, 2, &Rnn::<f64>::spec(H), 18).unwrap();
    let boxed = Network::<f64>::builder(H).repeat(2, Rnn::spec(H)).seed(18).build().unwrap();
    assert_eq!(arrays(&repeated), arrays(&boxed));
    let numbers = numbers(arrays(&repeated));
    let rnn = 2 * H * H + H;
    assert_eq!(numbers.concat(), Drawn::new(18, 0).uniform(2 * rnn, 1.0 / (H as f64).sqrt()));
}

/// The head of a language model has the stream number 1 of the seed, so its numbers are none of the network's.
#[test]
fn the_head_has_a_stream_of_its_own() {
    let net = Network::<f64>::builder(7).lstm(4).seed(19).build().unwrap();
    let model = LanguageModel::new(net, 19).unwrap();
    let mut drawn = Drawn::new(19, 1);
    same(&arrays(model.head()), &[("w", drawn.uniform(4 * 7, 0.5)), ("b", drawn.uniform(7, 0.5))]);
    assert_eq!(model.head().w().len_of(Axis(0)), 4);
}
