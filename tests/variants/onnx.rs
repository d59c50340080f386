//! The nodes RNN, GRU and LSTM of ONNX Runtime, with all their options. The file has what ONNX Runtime gives in `f32`, and what
//! a model of the same equations in `f64` gives, with its gradients.

use deep_rnn::cells::{Activation, GatedSpec, RowCell};
use deep_rnn::cpu::Threads;
use deep_rnn::data::{flat_state, state_from_flat};
use deep_rnn::layers::Boxed;
use deep_rnn::prelude::*;

use crate::case::{B, Case, D, H, Layout, SORTED_OTHERWISE, T, WITH_NONE, layer};
use crate::fixture;
use crate::tally::Tally;

const CLIP: f64 = 0.75;

const LSTM: Layout = Layout { gates: 4, kept: &[0, 1, 2, 3], peepholes: &[] };
const COUPLED: Layout = Layout { gates: 4, kept: &[0, 2, 3], peepholes: &[] };
const PEEPHOLES: Layout = Layout { gates: 4, kept: &[0, 1, 2, 3], peepholes: &[0, 1, 2] };
const COUPLED_PEEPHOLES: Layout = Layout { gates: 4, kept: &[0, 2, 3], peepholes: &[0, 2] };
const GRU: Layout = Layout { gates: 3, kept: &[0, 1, 2], peepholes: &[] };
const RNN: Layout = Layout { gates: 1, kept: &[0], peepholes: &[] };

/// The functions of the file, by their numbers there.
fn function(k: usize) -> Activation {
    [
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Relu,
        Activation::HARD_SIGMOID,
        Activation::HARD_SIGMOID_6,
        Activation::LeakyRelu(0.1),
        Activation::Elu(0.7),
        Activation::Softsign,
        Activation::Identity,
        Activation::Affine(0.5, 0.1),
        Activation::ScaledTanh(1.7, 0.6),
        Activation::ThresholdedRelu(0.2),
        Activation::Softplus,
    ][k % 13]
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Forward,
    Reverse,
    Both,
}

/// What has been compared: with the model, and with ONNX Runtime.
struct Tallies {
    model: Tally,
    runtime: Tally,
}

impl Tallies {
    fn new() -> Self {
        Tallies { model: Tally::of::<f64>(), runtime: Tally::within::<f32>(1e-5) }
    }
    fn print(&self, what: &str) {
        self.model.print(what);
        self.runtime.print(what);
    }
}

fn case(index: usize, name: String, layout: Layout, direction: Direction, clip: bool) -> Case {
    let four = [43, 53, 54, 75, 91, 106, 108].contains(&index);
    let scale = if four {
        4.0
    } else if clip {
        2.0
    } else {
        1.0
    };
    let lengths = if clip { SORTED_OTHERWISE } else { WITH_NONE };
    let directions = if direction == Direction::Both { 2 } else { 1 };
    Case { index, name, layout, layers: 1, directions, projected: false, scale, lengths, two_biases: true }
}

/// Compares in both types. The specs are made for each type by the two functions, one for each direction.
macro_rules! check {
    ($tallies:expr, $case:expr, $direction:expr, |$direction_index:ident| $spec:expr) => {{
        let (case, reversed) = ($case, $direction == Direction::Reverse);
        macro_rules! network {
            ($f:ty) => {{
                type F = $f;
                let of = |$direction_index: usize| $spec;
                let specs = [of(0), of(1)];
                let boxed: Boxed<F> = layer(&case, [&specs[0], &specs[1]], 0, reversed);
                Stacked::new(vec![boxed]).unwrap()
            }};
        }
        compare(&mut $tallies, &case, &network!(f64), &network!(f32));
    }};
}

fn compare(tallies: &mut Tallies, case: &Case, net: &Network<f64>, in_f32: &Network<f32>) {
    let before = (tallies.model.tensors, tallies.runtime.tensors);
    for threads in [1, 2] {
        case.check(net, &mut tallies.model, "ref_", &Threads::new(threads).unwrap());
    }
    runtime(case, in_f32, &mut tallies.runtime);
    let compared = (tallies.model.tensors - before.0) / 2 + tallies.runtime.tensors - before.1;
    assert_eq!(compared, fixture::names(&case.name).len(), "{}: every stored tensor is compared", case.name);
    tallies.model.fixtures += 1;
}

/// ONNX Runtime's own results: outputs, and last states of rows with steps.
fn runtime(case: &Case, net: &Network<f32>, tally: &mut Tally) {
    let lanes = flat_state(net, &net.zero_state(1)).unwrap().len();
    let made =
        |tensor, shape| fixture::array3(fixture::stream(600 + case.index, tensor), shape, 2.0).mapv(|x| x as f32);
    let xs = made(0, [T, B, D]);
    let first: Vec<_> = (1..=lanes).map(|tensor| made(tensor, [case.directions, B, H])).collect();
    let mut state = state_from_flat(net, &first).unwrap();
    let mut ys = deep_rnn::ndarray::Array3::zeros((T, B, case.directions * H));
    net.forward(Context::default().with_lengths(&case.lengths), (&xs).into(), ys.view_mut(), &mut state, None);
    tally.compare(&case.name, "out", ys.view().into_dyn());
    for (lane, mut last) in flat_state(net, &state).unwrap().into_iter().enumerate() {
        // The last state of a row without steps is its first one here, and zeros in ONNX Runtime.
        for (row, _) in case.lengths.iter().enumerate().filter(|(_, length)| **length == 0) {
            last.index_axis_mut(deep_rnn::ndarray::Axis(1), row).fill(0.0);
        }
        tally.compare(&case.name, &format!("{}_n", ["h", "c"][lane]), last.view().into_dyn());
    }
    tally.fixtures += 1;
    tally.runs += 1;
}

/// With the clip, where there is one.
fn clipped<S>(spec: S, clip: bool, with: impl Fn(S, f64) -> S) -> S {
    if clip { with(spec, CLIP) } else { spec }
}

fn of<F: Float, P: RowCell>(spec: GatedSpec<F, P>) -> GatedSpec<F, P> {
    spec
}

#[test]
fn peepholes() {
    let mut tallies = Tallies::new();
    let mut index = 20;
    for (direction, word) in
        [(Direction::Forward, "forward"), (Direction::Reverse, "reverse"), (Direction::Both, "bidirectional")]
    {
        for (clip, clip_word) in [(false, "free"), (true, "clip")] {
            for pattern in 0..2 {
                let name = format!("onnx.peephole.{word}.{clip_word}.{pattern}");
                let mut case = case(index, name, PEEPHOLES, direction, clip);
                case.lengths = [WITH_NONE, SORTED_OTHERWISE][pattern];
                check!(tallies, case, direction, |_d| {
                    clipped(of(Lstm::<F>::spec(H).peepholes()), clip, |spec, clip| spec.clip_gates(clip))
                });
                index += 1;
            }
        }
    }
    tallies.print("peepholes");
}

#[test]
fn input_forget() {
    let mut tallies = Tallies::new();
    let mut index = 32;
    for (peepholes, kind) in [(false, "plain"), (true, "peephole")] {
        for (direction, word) in [(Direction::Forward, "forward"), (Direction::Both, "bidirectional")] {
            for (clip, clip_word) in [(false, "free"), (true, "clip")] {
                let name = format!("onnx.input_forget.{kind}.{word}.{clip_word}");
                if peepholes {
                    let case = case(index, name, COUPLED_PEEPHOLES, direction, clip);
                    check!(tallies, case, direction, |_d| {
                        clipped(Lstm::<F>::spec(H).peepholes().coupled(), clip, |spec, clip| spec.clip_gates(clip))
                    });
                } else {
                    let case = case(index, name, COUPLED, direction, clip);
                    check!(tallies, case, direction, |_d| {
                        clipped(Lstm::<F>::spec(H).coupled(), clip, |spec, clip| spec.clip_gates(clip))
                    });
                }
                index += 1;
            }
        }
    }
    tallies.print("input_forget");
}

fn direction_of(k: usize) -> Direction {
    match k % 4 {
        1 => Direction::Reverse,
        2 => Direction::Both,
        _ => Direction::Forward,
    }
}

#[test]
fn lstm_activations() {
    let mut tallies = Tallies::new();
    for k in 0..13 {
        let direction = direction_of(k);
        let (peepholes, clip) = (k % 2 == 1, [2, 7, 9, 10, 11].contains(&k));
        let name = format!("onnx.lstm.acts.{k}");
        let functions = move |d: usize| [k + d, k + 4 + d, k + 8 + d].map(function);
        if peepholes {
            let case = case(40 + k, name, PEEPHOLES, direction, clip);
            check!(tallies, case, direction, |d| {
                let [f, g, h] = functions(d);
                clipped(Lstm::<F>::spec(H).peepholes().activations(f, g, h), clip, |spec, clip| spec.clip_gates(clip))
            });
        } else {
            let case = case(40 + k, name, LSTM, direction, clip);
            check!(tallies, case, direction, |d| {
                let [f, g, h] = functions(d);
                clipped(Lstm::<F>::spec(H).activations(f, g, h), clip, |spec, clip| spec.clip_gates(clip))
            });
        }
    }
    let more = [(13, [3, 1, 1], Direction::Forward), (15, [0, 2, 2], Direction::Reverse)];
    for (k, functions, direction) in more {
        let case = case(40 + k, format!("onnx.lstm.acts.{k}"), LSTM, direction, false);
        let [f, g, h] = functions.map(function);
        check!(tallies, case, direction, |_d| Lstm::<F>::spec(H).activations(f, g, h));
    }
    let [f, g, h] = [4, 1, 1].map(function);
    let both = case(54, "onnx.lstm.acts.14".into(), PEEPHOLES, Direction::Both, false);
    check!(tallies, both, Direction::Both, |_d| Lstm::<F>::spec(H).activations(f, g, h).peepholes());
    let [f, g, h] = [4, 7, 7].map(function);
    let all = case(56, "onnx.lstm.acts.16".into(), COUPLED_PEEPHOLES, Direction::Forward, true);
    check!(tallies, all, Direction::Forward, |_d| {
        Lstm::<F>::spec(H).coupled().peepholes().activations(f, g, h).clip_gates(CLIP)
    });
    tallies.print("activations of the LSTM");
}

#[test]
fn gru_activations() {
    let mut tallies = Tallies::new();
    for after in [false, true] {
        for k in 0..16 {
            let lbr = usize::from(after);
            let (direction, functions, clip) = match k {
                13 => (Direction::Forward, [0, 1], false),
                14 => (Direction::Both, [0, 1], true),
                15 => (Direction::Forward, [3, 1], false),
                _ => (direction_of(k), [k, k + 5], (k + lbr) % 2 == 1),
            };
            let next = usize::from(k < 13);
            let case = case(60 + 16 * lbr + k, format!("onnx.gru.acts.lbr{lbr}.{k}"), GRU, direction, clip);
            if after {
                check!(tallies, case, direction, |d| {
                    let [f, g] = functions.map(|k| function(k + d * next));
                    clipped(Gru::<F>::spec(H).activations(f, g), clip, |spec, clip| spec.clip_gates(clip))
                });
            } else {
                check!(tallies, case, direction, |d| {
                    let [f, g] = functions.map(|k| function(k + d * next));
                    clipped(GruResetBefore::<F>::spec(H).activations(f, g), clip, |spec, clip| spec.clip_gates(clip))
                });
            }
        }
    }
    tallies.print("activations of the GRU");
}

#[test]
fn rnn_activations() {
    let mut tallies = Tallies::new();
    for k in 0..15 {
        for (clip, word) in [(false, "free"), (true, "clip")] {
            let (direction, functions) = match k {
                13 => (Direction::Both, [2, 7]),
                14 => (Direction::Both, [5, 3]),
                _ => (if k % 2 == 0 { Direction::Forward } else { Direction::Reverse }, [k, k]),
            };
            let index = 100 + 2 * k + usize::from(clip);
            let case = case(index, format!("onnx.rnn.acts.{k}.{word}"), RNN, direction, clip);
            check!(tallies, case, direction, |d| {
                clipped(Rnn::<F>::spec(H).activation(function(functions[d])), clip, |spec, clip| spec.clip_gates(clip))
            });
        }
    }
    tallies.print("activations of the RNN");
}

/// The plain cells with their usual functions named are the same cells.
#[test]
fn the_usual_functions_give_the_bits_of_the_plain_cell() {
    let xs = fixture::array3(1, [T, B, D], 2.0);
    let ys = |net: Result<Network<f64>, Error>| net.unwrap().predict(&xs).unwrap();
    let builder = || Network::<f64>::builder(D).seed(1);
    let (sigmoid, tanh) = (Activation::Sigmoid, Activation::Tanh);
    let named = Lstm::<f64>::spec(H).activations(sigmoid, tanh, tanh);
    assert_eq!(ys(builder().lstm(H).build()), ys(builder().layer(named).build()));
    let named = Gru::<f64>::spec(H).activations(sigmoid, tanh);
    assert_eq!(ys(builder().gru(H).build()), ys(builder().layer(named).build()));
    let (plain, named) = (GruResetBefore::<f64>::spec(H), GruResetBefore::<f64>::spec(H).activations(sigmoid, tanh));
    assert_eq!(ys(builder().layer(plain).build()), ys(builder().layer(named).build()));
}
