//! Packed networks against the networks they came from.

use std::thread;

use deep_rnn::infer::Unprepared;
use deep_rnn::prelude::*;
use deep_rnn::{Chain, GatedSpec, Linear, OneHot, Params, Pointwise};
use ndarray::{Array1, Array2, Array3, Axis, ShapeBuilder, s};

/// Gate maths from outside: five lanes of x·w_x, three of h·w_h, three of state.
#[derive(Clone, Copy, Debug)]
struct Odd;

impl<F: Float> Pointwise<F> for Odd {
    type X = [F; 5];
    type H = [F; 3];
    type State = [F; 3];
    type Saved = [F; 1];
    const NAME: &'static str = "Odd";
    #[inline(always)]
    fn forward(&self, x: [F; 5], u: [F; 3], [h, c, d]: [F; 3]) -> ([F; 3], [F; 1]) {
        let c = (x[0] * u[0]).sigmoid() * c + Float::tanh(x[1] + x[4]);
        let d = d * x[2].sigmoid() + u[1] - h;
        ([Float::tanh(c + d * x[3] + u[2]), c, d], [F::zero()])
    }
    fn backward(&self, _: [F; 1], _: [F; 3], _: [F; 3]) -> ([F; 5], [F; 3], [F; 3]) {
        unreachable!("only run forward")
    }
}

/// Gates that do not look at h·w_h at all.
#[derive(Clone, Copy, Debug)]
struct Min;

impl<F: Float> Pointwise<F> for Min {
    type X = [F; 2];
    type H = [F; 0];
    type State = [F; 1];
    type Saved = [F; 1];
    const NAME: &'static str = "Min";
    #[inline(always)]
    fn forward(&self, x: [F; 2], _: [F; 0], [h]: [F; 1]) -> ([F; 1], [F; 1]) {
        let z = x[0].sigmoid();
        ([h + z * (x[1] - h)], [F::zero()])
    }
    fn backward(&self, _: [F; 1], _: [F; 1], _: [F; 1]) -> ([F; 2], [F; 0], [F; 1]) {
        unreachable!("only run forward")
    }
}

fn numbers<F: Float>(shape: (usize, usize, usize), seed: u64) -> Array3<F> {
    Init::seeded(seed).normal(shape, 1.0)
}

/// `net` made of numbers that bf16 can hold: of the weights, that is, and not of the biases.
fn rounded<P: Params>(net: &P) -> P {
    let mut net = net.clone();
    net.visit_mut(&mut |name, mut array| {
        if name.rsplit('.').next().is_some_and(|name| name.starts_with('w')) {
            array.mapv_inplace(|w| {
                let spacing = (w.as_f64().abs().log2().floor() - 7.0).exp2(); // of numbers with 8 digits
                P::Elem::from_f64((w.as_f64() / spacing).round_ties_even() * spacing)
            });
        }
    });
    net
}

/// As `rounded`, for the whole numbers and scales of int8.
fn scaled<P: Params>(net: &P) -> P {
    let mut net = net.clone();
    net.visit_mut(&mut |name, mut array| {
        if name.rsplit('.').next().is_some_and(|name| name.starts_with('w')) {
            for mut column in array.axis_iter_mut(Axis(1)) {
                let largest = column.iter().map(|w| w.as_f64().abs()).fold(0.0, f64::max);
                let scale = P::Elem::from_f64(largest) / P::Elem::from_f64(127.0);
                column.mapv_inplace(|w| P::Elem::from_f64((w / scale).as_f64().round() * scale.as_f64()));
            }
        }
    });
    net
}

/// Steps both from the same state; the largest difference of outputs and of states.
fn difference<N, I>(net: &N, packed: &I, (t, b): (usize, usize)) -> f64
where
    N: SeqLayer,
    I: Infer<Elem = N::Elem, State = N::State>,
{
    let (d, h) = (net.input_size(), net.output_size());
    assert_eq!((packed.input_size(), packed.output_size()), (d, h));
    let xs = numbers::<N::Elem>((t, b, d), 5);
    let (mut expected, mut ys) = (numbers((t, b, h), 6), numbers((t, b, h), 7));
    let (mut ours, mut theirs) = (packed.zero_state(b), net.zero_state(b));
    let mut start = Init::seeded(8);
    theirs.visit_mut(&mut |mut array| {
        let numbers = start.normal::<N::Elem, _, _>(array.dim(), 0.5);
        array.assign(&numbers);
    });
    ours.copy_rows(0, &theirs, 0..b);
    net.forward(xs.view(), expected.view_mut(), &mut theirs, None);
    packed.scan(xs.view(), ys.view_mut(), &mut ours);
    let mut worst = 0.0_f64;
    let mut compare = |a: N::Elem, b: N::Elem| worst = worst.max((a.as_f64() - b.as_f64()).abs());
    ys.iter().zip(&expected).for_each(|(a, b)| compare(*a, *b));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    ours.visit(&mut |array| a.extend(array.iter().copied()));
    theirs.visit(&mut |array| b.extend(array.iter().copied()));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).for_each(|(a, b)| compare(*a, *b));
    assert!(ys.iter().all(|y| y.as_f64().is_finite()));
    worst
}

/// Full: the same bits. bf16: those of a network of rounded weights. int8: next to those of one of such weights.
fn check<N: SeqLayer + Prepare>(name: &str, net: &N, int8: f64) {
    for rows in [1, 2, 3, 4, 6, 9] {
        let shape = (5, rows);
        let of = |precision| net.prepare(precision).unwrap();
        assert_eq!(difference(net, &of(Precision::Full), shape), 0.0, "{name}, {rows} rows");
        assert_eq!(difference(&rounded(net), &of(Precision::Bf16), shape), 0.0, "{name}, {rows} rows, bf16");
        let error = difference(&scaled(net), &of(Precision::Int8), shape);

        assert!(error <= int8, "{name}, {rows} rows, int8: {error:e}");
    }
}

fn check_all<F: Float>(int8: f64) {
    for (d, h) in [(1, 1), (1, 8), (3, 16), (28, 17), (5, 64), (7, 83)] {
        let name = |cell: &str| format!("{cell} of {}, {d} -> {h}", F::NAME);
        for bias in [Bias::None, Bias::One, Bias::Two] {
            let init = &mut Init::seeded(1);
            check(&name("Rnn"), &Rnn::<F>::spec(h).bias(bias).build(d, init).unwrap(), int8);
            check(&name("Gru"), &Gru::<F>::spec(h).bias(bias).build(d, init).unwrap(), int8);
            check(&name("Lstm"), &Lstm::<F>::spec(h).bias(bias).build(d, init).unwrap(), int8);
        }
        let init = &mut Init::seeded(2);
        check(&name("Linear"), &Linear::<F>::spec(h).build(d, init).unwrap(), 10.0 * int8);
        check(&name("Linear"), &Linear::<F>::spec(h).bias(false).build(d, init).unwrap(), 10.0 * int8);
        let relu = Rnn::<F>::spec(h).activation(Activation::Relu);
        let stack = Stacked::builder(d).layer(Lstm::<F>::spec(h)).layer(Gru::spec(9)).layer(relu).build().unwrap();
        check(&name("three kinds"), &stack, 10.0 * int8);
        let deep = Stacked::builder(d).repeat(4, Gru::<F>::spec(h)).build().unwrap();
        check(&name("four layers"), &deep, int8);
        let chain = Chain::builder(d).layer(Lstm::<F>::spec(h)).layer(Linear::spec(3)).build().unwrap();
        check(&name("a chain"), &chain, 10.0 * int8);
    }
}

#[test]
fn a_cell_from_outside_is_packed_like_ours() {
    for (d, h) in [(1, 1), (2, 16), (5, 83)] {
        for bias in [Bias::None, Bias::Two] {
            let init = &mut Init::seeded(1);
            check("Odd", &GatedSpec::<f32, Odd>::new(Odd, h).bias(bias).build(d, init).unwrap(), 1e-5);
            check("Min", &GatedSpec::<f64, Min>::new(Min, h).bias(bias).build(d, init).unwrap(), 5e-15);
        }
    }
}

#[test]
fn packed_f32_networks_give_the_results_of_their_weights() {
    check_all::<f32>(2e-6);
}

#[test]
fn packed_f64_networks_give_the_results_of_their_weights() {
    check_all::<f64>(5e-15);
}

#[test]
fn cells_without_a_packed_form_take_part() {
    let before = Stacked::builder(5).layer(GruResetBefore::<f64>::spec(7)).layer(Lstm::spec(6)).build().unwrap();
    assert_eq!(difference(&before, &before.prepare(Precision::Full).unwrap(), (6, 3)), 0.0);
    let cell = GruResetBefore::<f32>::spec(7).build(5, &mut Init::seeded(1)).unwrap();
    assert_eq!(difference(&cell, &Unprepared::new(cell.clone()), (6, 3)), 0.0);
}

#[test]
fn views_of_any_layout_and_empty_batches() {
    let net = Stacked::builder(3).repeat(2, Lstm::<f32>::spec(20)).seed(1).build().unwrap();
    let packed = net.prepare(Precision::Full).unwrap();
    let xs = numbers::<f32>((4, 3, 2), 1).permuted_axes([2, 0, 1]); // [2, 4, 3], nothing side by side
    let mut expected = Array3::zeros((2, 4, 20));
    net.scan(xs.view(), expected.view_mut(), &mut net.zero_state(4), None);
    let mut ys = Array3::zeros((2, 20, 4)).permuted_axes([0, 2, 1]);
    // A state whose arrays are column-major is as good.
    let mut state = packed.zero_state(4);
    state.iter_mut().flatten().for_each(|array| *array = Array2::zeros((4, 20).f()));
    packed.scan(xs.view(), ys.view_mut(), &mut state);
    assert_eq!(ys, expected);
    packed.step(Array2::zeros((0, 3)).view(), Array2::zeros((0, 20)).view_mut(), &mut packed.zero_state(0));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let net = Stacked::builder(3).repeat(2, Gru::<f32>::spec(8)).build().unwrap().prepare(Precision::Full).unwrap();
    let run = |x: (usize, usize), y: (usize, usize), rows: usize| {
        let (x, mut y, mut state) = (Array2::zeros(x), Array2::zeros(y), net.zero_state(rows));
        let step = std::panic::AssertUnwindSafe(|| net.step(x.view(), y.view_mut(), &mut state));
        std::panic::catch_unwind(step).is_ok()
    };
    assert!(run((2, 3), (2, 8), 2));
    for (x, y, rows) in [((2, 4), (2, 8), 2), ((2, 3), (2, 7), 2), ((2, 3), (3, 8), 2), ((2, 3), (2, 8), 1)] {
        assert!(!run(x, y, rows), "{x:?} {y:?} {rows}");
    }
    let rows = std::panic::AssertUnwindSafe(|| net.step_rows(&[0.0; 5], &mut [0.0; 16], &mut net.zero_state(2)));
    assert!(std::panic::catch_unwind(rows).is_err());
}

#[test]
fn threads_share_one_packed_network() {
    let net = Stacked::builder(4).layer(Lstm::<f32>::spec(40)).layer(Gru::spec(100)).seed(3).build().unwrap();
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        let packed = net.prepare(precision).unwrap();
        let run = |seed: u64| {
            let (xs, mut ys) = (numbers::<f32>((50, 1, 4), seed), Array3::zeros((50, 1, 100)));
            packed.scan(xs.view(), ys.view_mut(), &mut packed.zero_state(1));
            ys
        };
        let together: Vec<Array3<f32>> = thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|seed| scope.spawn(move || run(seed))).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (seed, ys) in together.iter().enumerate() {
            assert_eq!(ys, run(seed as u64), "{precision}, stream {seed}");
        }
        assert!(together[0] != together[1]);
    }
}

#[test]
fn what_cannot_be_kept_is_refused() {
    fn spoiled(at: &str, value: f32) -> Stacked<Vec<Lstm<f32>>> {
        let mut net = Stacked::builder(3).repeat(2, Lstm::<f32>::spec(4)).build().unwrap();
        net.visit_mut(&mut |name, mut array| {
            if name == at {
                *array.iter_mut().last().unwrap() = value;
            }
        });
        net
    }
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        for name in ["0.w_x", "1.w_h", "1.b"] {
            for value in [f32::NAN, f32::INFINITY] {
                let error = spoiled(name, value).prepare(precision).unwrap_err().to_string();
                assert!(error.contains(&name[2..]) && error.contains("finite"), "{error}");
            }
        }
        assert_eq!(spoiled("1.w_h", f32::MAX).prepare(precision).is_err(), precision == Precision::Bf16);
    }
}

#[test]
fn a_packed_language_model_says_what_the_model_says() {
    let net = Stacked::builder(13).layer(Gru::<f32>::spec(24)).layer(Lstm::spec(18)).seed(1).build().unwrap();
    let model = LanguageModel::new(net, 1).unwrap();
    let one_hot = LanguageModel::from_parts(OneHot::new(model.net().clone()), model.head().clone()).unwrap();
    let of_rounded = rounded(&model);
    let full = model.prepare(Precision::Full).unwrap();
    let (bf16, int8) = (model.prepare(Precision::Bf16).unwrap(), model.prepare(Precision::Int8).unwrap());
    let one_hot = one_hot.prepare(Precision::Full).unwrap();
    let sizes = [full.bytes(), bf16.bytes(), int8.bytes()];
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
    let mut states =
        [full.zero_state(1), model.zero_state(1), bf16.zero_state(1), full.zero_state(1), full.zero_state(1)];
    let mut logits = Array2::<f32>::zeros((5, 13));
    for t in 0..40 {
        let token = (t * t + 3) % 13;
        let [a, b, c, d, e] = &mut states;
        full.step(token, a, logits.row_mut(0)).unwrap();
        model.step(token, b, logits.row_mut(1)).unwrap();
        bf16.step(token, c, logits.row_mut(2)).unwrap();
        of_rounded.step(token, d, logits.row_mut(3)).unwrap();
        one_hot.step(token, e, logits.row_mut(4)).unwrap();
        assert_eq!(logits.row(0), logits.row(1));
        assert_eq!(logits.row(2), logits.row(3));
        assert_eq!(logits.row(4), logits.row(1));
        if t == 20 {
            states.swap(0, 1); // a stream may go from the one to the other
        }
    }
    assert!(full.step(13, &mut full.zero_state(1), logits.row_mut(0)).is_err());
    assert!(full.step(0, &mut full.zero_state(2), logits.row_mut(0)).is_err());
    assert!(full.step(0, &mut full.zero_state(1), logits.slice_mut(s![0, ..12])).is_err());
    let mut far = Array1::zeros(26);
    full.step(3, &mut full.zero_state(1), far.slice_mut(s![..;2])).unwrap();
    full.step(3, &mut full.zero_state(1), logits.row_mut(0)).unwrap();
    assert_eq!(far.slice(s![..;2]), logits.row(0));
}

/// Bounds on what the smaller forms cost, over twice what was measured when they were written.
#[test]
fn bf16_and_int8_stay_near() {
    let net = Stacked::builder(28).repeat(2, Lstm::<f32>::spec(64)).seed(1).build().unwrap();
    let error = |precision| difference(&net, &net.prepare(precision).unwrap(), (200, 1));
    let (bf16, int8) = (error(Precision::Bf16), error(Precision::Int8));
    println!("largest differences after 200 steps: bf16 {bf16:e}, int8 {int8:e}");
    assert!(bf16 > 1e-5 && bf16 < 2e-3, "{bf16:e}");
    assert!(int8 > 1e-5 && int8 < 4e-3, "{int8:e}");
}
