//! Rows of several lengths: packed sequences of PyTorch, sequence_lens of ONNX Runtime, masks of Keras (`tests/data/ragged.py`).

use deep_rnn::prelude::*;
use deep_rnn::{
    cells::{Gated, GruGates, LstmGates, RnnGates},
    cpu::Threads,
    data::{flat_state, state_from_flat},
    layers::{Boxed, Reversed},
};
use ndarray::{Array3, Axis};

use crate::fixture::{self, Kind, Part};
use crate::gates::Kept;
use crate::tally::Tally;

const FIRST: usize = 300;
const T: usize = 7;
const B: usize = 4;
const D: usize = 3;
const H: usize = 4;

/// One case: its number, kind, layers and directions.
#[derive(Clone, Copy)]
struct Case {
    index: usize,
    kind: Kind,
    layers: usize,
    directions: usize,
}

impl Case {
    fn stream(&self, tensor: usize) -> u64 {
        fixture::stream(FIRST + self.index, tensor)
    }

    fn made<F: Float>(&self, tensor: usize, shape: [usize; 3]) -> Array3<F> {
        fixture::array3(self.stream(tensor), shape, 2.0).mapv(F::from_f64)
    }

    fn cell<F: Float, P: Kept<F> + 'static>(&self, layer: usize, direction: usize) -> Gated<F, P> {
        let (inputs, rows) = (if layer == 0 { D } else { self.directions * H }, self.kind.gates() * H);
        let stream = |part| self.stream(fixture::weight_tensor(layer, direction, part));
        let weight =
            |part, inputs| fixture::array2(stream(part), [rows, inputs], 1.0).reversed_axes().mapv(F::from_f64);
        let bias = |part| Some(fixture::array1(stream(part), rows, 1.0).mapv(F::from_f64));
        let (w_x, w_h) = (weight(Part::WeightIh, inputs), weight(Part::WeightHh, H));
        Gated::from_arrays(P::of(self.kind), w_x, w_h, bias(Part::BiasIh), bias(Part::BiasHh)).unwrap()
    }

    fn layer<F: Float, P: Kept<F> + 'static>(&self, layer: usize) -> Boxed<F> {
        match self.directions {
            1 => Boxed::new(self.cell::<F, P>(layer, 0)),
            _ => {
                let (ahead, behind) = (self.cell::<F, P>(layer, 0), self.cell::<F, P>(layer, 1));
                Boxed::new(Bidirectional::new(ahead, behind, Merge::Concat).unwrap())
            }
        }
    }

    fn network<F: Float>(&self) -> Network<F> {
        let of = match self.kind {
            Kind::RnnTanh | Kind::RnnRelu => Case::layer::<F, RnnGates>,
            Kind::Gru => Case::layer::<F, GruGates>,
            Kind::Lstm => Case::layer::<F, LstmGates>,
        };
        Stacked::new((0..self.layers).map(|layer| of(self, layer)).collect()).unwrap()
    }

    fn lanes(&self) -> usize {
        if self.kind == Kind::Lstm { 2 } else { 1 }
    }

    /// PyTorch's arrays `[layers * directions, B, H]`, h and, of an LSTM, c.
    fn states<F: Float>(&self, tensors: [usize; 2]) -> Vec<Array3<F>> {
        let made = tensors.map(|tensor| self.made(tensor, [self.layers * self.directions, B, H]));
        made.into_iter().take(self.lanes()).collect()
    }
}

fn lengths(meta: &str, pattern: usize) -> Vec<usize> {
    fixture::get("meta", meta).index_axis(Axis(0), pattern).iter().map(|length| *length as usize).collect()
}

/// NaN where a row is over.
fn with_nan<F: Float>(mut xs: Array3<F>, lengths: &[usize]) -> Array3<F> {
    for (row, length) in lengths.iter().enumerate() {
        xs.slice_mut(ndarray::s![*length.., row, ..]).fill(F::from_f64(f64::NAN));
    }
    xs
}

/// Forward and backward, with NaN in all padding.
fn check<F: Float>(tally: &mut Tally, case: Case, name: &str, lengths: &[usize], threads: &Threads) {
    let net = case.network::<F>();
    let xs = with_nan(case.made(0, [T, B, D]), lengths);
    let d_ys = with_nan(case.made(3, [T, B, case.directions * H]), lengths);
    let mut state = state_from_flat(&net, &case.states([1, 2])).unwrap();
    let mut d_state = state_from_flat(&net, &case.states([4, 5])).unwrap();
    let (mut ys, mut d_xs) = (Array3::zeros(d_ys.dim()), Array3::zeros(xs.dim()));
    let (mut tape, mut grads) = (Default::default(), net.zeros_like());
    let cx = Context::default().with_lengths(lengths);
    threads.install(|| {
        net.forward(cx, (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
        let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
        net.backward(cx, io, &mut tape, &mut d_state, &mut grads);
    });
    let before = tally.tensors;
    tally.compare(name, "out", ys.view().into_dyn());
    tally.compare(name, "d_x", d_xs.view().into_dyn());
    let (last, first) = (flat_state(&net, &state).unwrap(), flat_state(&net, &d_state).unwrap());
    for (letter, (last, first)) in ["h", "c"].into_iter().zip(last.iter().zip(&first)) {
        tally.compare(name, &format!("{letter}_n"), last.view().into_dyn());
        tally.compare(name, &format!("d_{letter}0"), first.view().into_dyn());
    }
    grads.visit(&mut |path, array| {
        let layer = path.split('.').next().and_then(|layer| layer.parse().ok()).unwrap();
        let direction = usize::from(path.contains("backward"));
        let part = match path.rsplit('.').next() {
            Some("w_x") => Part::WeightIh,
            Some("w_h") => Part::WeightHh,
            Some("b") => Part::BiasIh,
            _ => Part::BiasHh,
        };
        tally.compare(name, &format!("d_{}", part.name(layer, direction)), array.reversed_axes());
    });
    assert_eq!(tally.tensors - before, fixture::names(name).len(), "{name}: every stored tensor is compared");
    tally.runs += 1;
}

fn packed_sequences<F: Float>() {
    let threads = [Threads::new(1).unwrap(), Threads::new(2).unwrap()];
    let mut tally = Tally::of::<F>();
    let mut index = 0;
    for (kind, name) in [(Kind::RnnTanh, "rnn_tanh"), (Kind::Gru, "gru"), (Kind::Lstm, "lstm")] {
        for layers in 1..=3 {
            for directions in 1..=2 {
                for pattern in 0..3 {
                    let case = Case { index, kind, layers, directions };
                    let name = format!("{name}.l{layers}.d{directions}.{pattern}");
                    threads.iter().for_each(|n| check::<F>(&mut tally, case, &name, &lengths("lengths", pattern), n));
                    tally.fixtures += 1;
                    index += 1;
                }
            }
        }
    }
    assert_eq!(index, 54);
    tally.print("packed sequences");
}

#[test]
fn packed_sequences_of_pytorch() {
    packed_sequences::<f64>();
}

#[test]
fn packed_sequences_of_pytorch_in_f32() {
    packed_sequences::<f32>();
}

/// One layer forward: outputs and last states, f32 on the other side.
fn forward(tally: &mut Tally, case: Case, net: &Boxed<f32>, name: &str, lengths: &[usize]) {
    let xs = with_nan(case.made(0, [T, B, D]), lengths);
    let mut state = state_from_flat(net, &case.states([1, 2])).unwrap();
    let mut ys = Array3::zeros((T, B, case.directions * H));
    net.forward(Context::default().with_lengths(lengths), (&xs).into(), ys.view_mut(), &mut state, None);
    tally.compare(name, "out", ys.view().into_dyn());
    for (lane, mut last) in flat_state(net, &state).unwrap().into_iter().enumerate() {
        // The last state of a row without steps is its first one here, and zeros in ONNX Runtime.
        for (row, _) in lengths.iter().enumerate().filter(|(_, length)| **length == 0) {
            assert_eq!(last.index_axis(Axis(1), row), case.states::<f32>([1, 2])[lane].index_axis(Axis(1), row));
            last.index_axis_mut(Axis(1), row).fill(0.0);
        }
        let last = last.into_dyn();
        let ours = if name.starts_with("keras") { last.index_axis(Axis(0), 0) } else { last.view() };
        tally.compare(name, &format!("{}_n", ["h", "c"][lane]), ours);
    }
    tally.fixtures += 1;
    tally.runs += 1;
}

const KINDS: [(Kind, &str); 3] = [(Kind::RnnTanh, "rnn"), (Kind::Gru, "gru"), (Kind::Lstm, "lstm")];

fn reversed<P: Kept<f32> + 'static>(case: &Case) -> Boxed<f32> {
    Boxed::new(Reversed::new(case.cell::<f32, P>(0, 0)))
}

#[test]
fn sequence_lens_of_onnx_runtime() {
    let mut tally = Tally::within::<f32>(1e-5);
    let mut index = 60;
    for (kind, kind_name) in KINDS {
        for direction in ["forward", "reverse", "bidirectional"] {
            for pattern in 0..2 {
                let case =
                    Case { index, kind, layers: 1, directions: if direction == "bidirectional" { 2 } else { 1 } };
                let net = match (direction, kind) {
                    ("reverse", Kind::Gru) => reversed::<GruGates>(&case),
                    ("reverse", Kind::Lstm) => reversed::<LstmGates>(&case),
                    ("reverse", _) => reversed::<RnnGates>(&case),
                    _ => case.network::<f32>().layers()[0].clone(),
                };
                let name = format!("onnx.{kind_name}.{direction}.{pattern}");
                forward(&mut tally, case, &net, &name, &lengths("onnx_lengths", pattern));
                index += 1;
            }
        }
    }
    assert_eq!(index, 78);
    tally.print("sequence_lens");
}

#[test]
fn masks_of_keras() {
    let mut tally = Tally::within::<f32>(1e-5);
    let mut index = 80;
    for (kind, kind_name) in KINDS {
        for pattern in 0..2 {
            let case = Case { index, kind, layers: 1, directions: 1 };
            let net = case.network::<f32>().layers()[0].clone();
            forward(&mut tally, case, &net, &format!("keras.{kind_name}.{pattern}"), &lengths("lengths", pattern));
            index += 1;
        }
    }
    assert_eq!(index, 86);
    tally.print("masks");
}
