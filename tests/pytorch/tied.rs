//! One weight for embedding and head (`tests/data/tied.py`).

use deep_rnn::prelude::*;
use deep_rnn::{
    cpu::Threads,
    data::{flat_state, state_from_flat},
    layers::{Embedding, Tied},
};
use ndarray::{Array2, Array3, ArrayD, s};

use crate::fixture::{self, Kind, Part};
use crate::tally::Tally;

const FIRST: usize = 400;
const T: usize = 7;
const B: usize = 4;
const V: usize = 6;
const E: usize = 4;
const LAYERS: usize = 2;
const LENGTHS: [usize; B] = [3, 7, 1, 5];

struct Case {
    name: String,
    index: usize,
    kind: Kind,
    tokens: bool,
    ragged: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, kind_name) in [(Kind::Gru, "gru"), (Kind::Lstm, "lstm")] {
        for given in ["tokens", "rows"] {
            for rows in ["all", "ragged"] {
                let name = format!("tied.{kind_name}.{given}.{rows}");
                let (index, tokens, ragged) = (FIRST + cases.len(), given == "tokens", rows == "ragged");
                cases.push(Case { name, index, kind, tokens, ragged });
            }
        }
    }
    cases
}

/// PyTorch's name for an array.
fn torch_name(path: &str) -> String {
    match path.strip_prefix("inner.").and_then(|path| path.split_once('.')) {
        None => path.rsplit('.').next().unwrap_or(path).to_string(),
        Some((layer, array)) => {
            let part = match array {
                "w_x" => Part::WeightIh,
                "w_h" => Part::WeightHh,
                "b" => Part::BiasIh,
                _ => Part::BiasHh,
            };
            part.name(layer.parse().unwrap(), 0)
        }
    }
}

impl Case {
    fn stream(&self, tensor: usize) -> u64 {
        fixture::stream(self.index, tensor)
    }

    fn made<F: Float>(&self, tensor: usize, shape: [usize; 3]) -> Array3<F> {
        fixture::array3(self.stream(tensor), shape, 2.0).mapv(F::from_f64)
    }

    fn network<F: Float>(&self) -> Tied<Network<F>> {
        let builder = Network::<F>::builder(E);
        let inner = match self.kind {
            Kind::Gru => builder.repeat(LAYERS, Gru::spec(E).bias(Bias::Two)),
            _ => builder.repeat(LAYERS, Lstm::spec(E).bias(Bias::Two)),
        };
        let w = fixture::array2(self.stream(6), [V, E], 2.0).mapv(F::from_f64);
        let b = fixture::array1(self.stream(7), V, 2.0).mapv(F::from_f64);
        let mut tied = Tied::from_parts(Embedding::from_array(w).unwrap(), inner.build().unwrap(), b).unwrap();
        tied.visit_mut(&mut |path, mut array| {
            let Some((layer, name)) = path.strip_prefix("inner.").and_then(|path| path.split_once('.')) else { return };
            let part = ["w_x", "w_h", "b", "b_h"].iter().position(|part| *part == name).unwrap();
            let stream = self.stream(fixture::weight_tensor(layer.parse().unwrap(), 0, Part::ALL[part]));
            let theirs: ArrayD<f64> = match *array.shape() {
                [inputs, rows] => fixture::array2(stream, [rows, inputs], 1.0).reversed_axes().into_dyn(),
                _ => fixture::array1(stream, array.len(), 1.0).into_dyn(),
            };
            array.assign(&theirs.mapv(F::from_f64));
        });
        tied
    }

    fn state<F: Float, N: Recurrent<Elem = F>>(&self, net: &N, tensors: [usize; 2]) -> N::State {
        let lanes = if self.kind == Kind::Lstm { 2 } else { 1 };
        let arrays: Vec<_> = tensors.into_iter().take(lanes).map(|tensor| self.made(tensor, [LAYERS, B, E])).collect();
        state_from_flat(net, &arrays).unwrap()
    }

    /// Forward and backward, with NaN in all padding.
    fn check<F: Float>(&self, tally: &mut Tally, threads: &Threads) {
        let net = self.network::<F>();
        let (mut xs, mut d_ys): (Array3<F>, Array3<F>) = (self.made(0, [T, B, V]), self.made(3, [T, B, V]));
        let tokens: Array2<usize> = fixture::tokens(self.stream(0), [T, B], V);
        let mut cx = Context::default();
        if self.ragged {
            cx = cx.with_lengths(&LENGTHS);
            for array in [&mut xs, &mut d_ys] {
                for (row, length) in LENGTHS.into_iter().enumerate() {
                    array.slice_mut(s![length.., row, ..]).fill(F::nan());
                }
            }
        }
        let (mut state, mut d_state) = (self.state(&net, [1, 2]), self.state(&net, [4, 5]));
        let (mut ys, mut d_xs) = (Array3::zeros((T, B, V)), Array3::zeros((T, B, V)));
        let (mut tape, mut grads) = (Default::default(), net.zeros_like());
        let x = if self.tokens { Input::from(&tokens) } else { Input::from(&xs) };
        threads.install(|| {
            net.forward(cx, x, ys.view_mut(), &mut state, Some(&mut tape));
            let d_x = (!self.tokens).then(|| d_xs.view_mut());
            net.backward(cx, SeqGradIo { x, y: ys.view(), d_y: d_ys.view(), d_x }, &mut tape, &mut d_state, &mut grads);
        });
        let before = tally.tensors;
        tally.compare(&self.name, "out", ys.view().into_dyn());
        if !self.tokens {
            tally.compare(&self.name, "d_x", d_xs.view().into_dyn());
        }
        let (last, first) = (flat_state(&net, &state).unwrap(), flat_state(&net, &d_state).unwrap());
        for (letter, (last, first)) in ["h", "c"].into_iter().zip(last.iter().zip(&first)) {
            tally.compare(&self.name, &format!("{letter}_n"), last.view().into_dyn());
            tally.compare(&self.name, &format!("d_{letter}0"), first.view().into_dyn());
        }
        grads.visit(&mut |path, array| {
            let array = if path.starts_with("inner") { array.reversed_axes() } else { array };
            tally.compare(&self.name, &format!("d_{}", torch_name(path)), array);
        });
        assert_eq!(tally.tensors - before, fixture::names(&self.name).len(), "{}", self.name);
        tally.runs += 1;
    }
}

fn tied<F: Float>() {
    let threads = [Threads::new(1).unwrap(), Threads::new(2).unwrap()];
    let mut tally = Tally::of::<F>();
    for case in cases() {
        threads.iter().for_each(|threads| case.check::<F>(&mut tally, threads));
        tally.fixtures += 1;
    }
    assert_eq!(tally.fixtures, 8);
    tally.print("tied");
}

#[test]
fn embedding_and_head_of_one_weight() {
    tied::<f64>();
    tied::<f32>();
}
