//! The problem of a case: weights from the file's streams, a pass there and back, and the comparison.

use deep_rnn::cells::{Bias, GatedArrays, GatedSpec, RowCell};
use deep_rnn::cpu::Threads;
use deep_rnn::data::{flat_state, state_from_flat};
use deep_rnn::layers::Boxed;
use deep_rnn::ndarray::{Array1, Array2, Array3, ArrayD, Axis};
use deep_rnn::prelude::*;

use crate::fixture::{self, Part};
use crate::tally::Tally;

/// The number of case 0 of `variants.py`.
const FIRST: usize = 600;
pub(crate) const T: usize = 7;
pub(crate) const B: usize = 4;
pub(crate) const D: usize = 3;
pub(crate) const H: usize = 5;
pub(crate) const R: usize = 2;

/// The lengths that cases have.
pub(crate) const A: [usize; B] = [3, 7, 1, 5];
pub(crate) const SORTED_OTHERWISE: [usize; B] = [7, 2, 7, 4];
pub(crate) const C: [usize; B] = [1, 1, 6, 1];
pub(crate) const WITH_NONE: [usize; B] = [3, 7, 0, 5];

/// How the blocks of PyTorch's rows lie in a cell of ours, where some are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Gates that the file has.
    pub(crate) gates: usize,
    /// Those that the cell has, in its order.
    pub(crate) kept: &'static [usize],
    /// Rows of the file's peepholes that the cell has.
    pub(crate) peepholes: &'static [usize],
}

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) layout: Layout,
    pub(crate) layers: usize,
    pub(crate) directions: usize,
    /// The second direction alone: the only one of a "reverse" layer.
    pub(crate) projected: bool,
    /// The factor on weights and biases.
    pub(crate) scale: f64,
    pub(crate) lengths: [usize; B],
    /// Whether the file has both biases.
    pub(crate) two_biases: bool,
}

impl Case {
    fn stream(&self, tensor: usize) -> u64 {
        fixture::stream(FIRST + self.index, tensor)
    }

    pub(crate) fn out(&self) -> usize {
        if self.projected { R } else { H }
    }

    fn made<F: Float>(&self, tensor: usize, shape: [usize; 3]) -> Array3<F> {
        fixture::array3(self.stream(tensor), shape, 2.0).mapv(F::from_f64)
    }

    /// Rows of the kept gates of `[G·H, n]`, as columns.
    fn columns<F: Float>(&self, array: &Array2<f64>) -> Array2<F> {
        let blocks: Vec<_> = array.axis_chunks_iter(Axis(0), H).collect();
        let kept: Vec<_> = self.layout.kept.iter().map(|gate| blocks[*gate]).collect();
        let rows = deep_rnn::ndarray::concatenate(Axis(0), &kept).unwrap();
        rows.reversed_axes().mapv(F::from_f64)
    }

    /// The cell of these gates in this place.
    pub(crate) fn cell<F: Float, P: RowCell>(
        &self,
        gates: &GatedSpec<F, P>,
        layer: usize,
        direction: usize,
    ) -> deep_rnn::cells::Gated<F, P> {
        let gates = gates.clone().bias(Bias::None).build(1, &mut Init::seeded(0)).unwrap();
        let (inputs, rows) = (if layer == 0 { D } else { self.directions * self.out() }, self.layout.gates * H);
        let stream = |part| self.stream(fixture::weight_tensor(layer, direction, part));
        let weight = |part, inputs| self.columns(&fixture::array2(stream(part), [rows, inputs], self.scale));
        let bias = |part| -> Array1<F> {
            let column = fixture::array1(stream(part), rows, self.scale).insert_axis(Axis(1));
            self.columns::<F>(&column).remove_axis(Axis(0))
        };
        let mut arrays = GatedArrays::new(weight(Part::WeightIh, inputs), weight(Part::WeightHh, self.out()));
        let [first, second] = [bias(Part::BiasIh), bias(Part::BiasHh)];
        if self.two_biases {
            (arrays.b, arrays.b_h) = (Some(first), Some(second));
        } else {
            arrays.b = Some(first + second);
        }
        if self.projected {
            let w = fixture::array2(self.stream(40 + 2 * layer + direction), [R, H], 1.0);
            arrays.w_p = Some(w.reversed_axes().mapv(F::from_f64));
        }
        let peepholes = fixture::array2(self.stream(44 + direction), [3, H], self.scale).mapv(F::from_f64);
        arrays.vectors = self.layout.peepholes.iter().map(|row| peepholes.row(*row).to_owned()).collect();
        arrays.into_cell(gates.gates().clone()).unwrap()
    }

    fn states<F: Float>(&self, tensors: [usize; 2], lanes: usize) -> Vec<Array3<F>> {
        let n = self.layers * self.directions;
        let widths = [self.out(), H];
        let made = tensors.iter().zip(widths).map(|(tensor, width)| self.made(*tensor, [n, B, width]));
        made.take(lanes).collect()
    }

    /// Runs there and back, with NaN in all padding, and compares with the file. `prefix` is that of the outputs there.
    pub(crate) fn check<F: Float>(&self, net: &Network<F>, tally: &mut Tally, prefix: &str, threads: &Threads) {
        let lanes = flat_state(net, &net.zero_state(1)).unwrap().len();
        let xs = with_nan(self.made(0, [T, B, D]), &self.lengths);
        let d_ys = with_nan(self.made(3, [T, B, self.directions * self.out()]), &self.lengths);
        let mut state = state_from_flat(net, &self.states([1, 2], lanes)).unwrap();
        let mut d_state = state_from_flat(net, &self.states([4, 5], lanes)).unwrap();
        let (mut ys, mut d_xs) = (Array3::zeros(d_ys.dim()), Array3::zeros(xs.dim()));
        let (mut tape, mut grads) = (Default::default(), net.zeros_like());
        let cx = Context::default().with_lengths(&self.lengths);
        threads.install(|| {
            net.forward(cx, (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
            let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
            net.backward(cx, io, &mut tape, &mut d_state, &mut grads);
        });
        let name = &self.name;
        tally.compare(name, &format!("{prefix}out"), ys.view().into_dyn());
        tally.compare(name, "d_x", d_xs.view().into_dyn());
        let (last, first) = (flat_state(net, &state).unwrap(), flat_state(net, &d_state).unwrap());
        for (letter, (last, first)) in ["h", "c"].into_iter().zip(last.iter().zip(&first)) {
            tally.compare(name, &format!("{prefix}{letter}_n"), last.view().into_dyn());
            tally.compare(name, &format!("d_{letter}0"), first.view().into_dyn());
        }
        for (layer, direction) in (0..self.layers).flat_map(|layer| (0..self.directions).map(move |d| (layer, d))) {
            self.gradients(&grads, tally, layer, direction);
        }
        self.same_bits_when_packed(net, &xs, &ys);
        tally.runs += 1;
    }

    /// The gradients of a cell, put back into the file's blocks; those of blocks that the cell has not are 0.
    fn gradients<F: Float>(&self, grads: &Network<F>, tally: &mut Tally, layer: usize, direction: usize) {
        let end = format!("_l{layer}{}", ["", "_reverse"][direction]);
        let mut peepholes = Array2::zeros((3, H));
        let mut taken = 0;
        grads.visit(&mut |path, array| {
            let (in_layer, in_direction) =
                (path.split('.').next() == Some(&layer.to_string()), usize::from(path.contains("backward")));
            if !in_layer || in_direction != direction {
                return;
            }
            let blocks = |array: ArrayD<F>| {
                let mut all = Array2::zeros((self.layout.gates * H, array.len() / (self.layout.kept.len() * H)));
                let rows = if array.ndim() == 1 { array.insert_axis(Axis(1)) } else { array.reversed_axes() };
                for (gate, rows) in self.layout.kept.iter().zip(rows.axis_chunks_iter(Axis(0), H)) {
                    all.slice_mut(deep_rnn::ndarray::s![gate * H..(gate + 1) * H, ..])
                        .assign(&rows.into_dimensionality::<deep_rnn::ndarray::Ix2>().unwrap());
                }
                all.into_dyn()
            };
            let array = array.to_owned();
            match path.rsplit('.').next().unwrap() {
                "w_x" => tally.compare(&self.name, &format!("d_weight_ih{end}"), blocks(array).view()),
                "w_h" => tally.compare(&self.name, &format!("d_weight_hh{end}"), blocks(array).view()),
                "b" => {
                    let b = blocks(array).remove_axis(Axis(1));
                    tally.compare(&self.name, &format!("d_bias_ih{end}"), b.view());
                }
                "b_h" => {
                    let b = blocks(array).remove_axis(Axis(1));
                    tally.compare(&self.name, &format!("d_bias_hh{end}"), b.view());
                }
                "w_p" => tally.compare(&self.name, &format!("d_weight_hr{end}"), array.reversed_axes().view()),
                _ => {
                    let row = self.layout.peepholes[taken];
                    peepholes.row_mut(row).assign(&array.into_dimensionality::<deep_rnn::ndarray::Ix1>().unwrap());
                    taken += 1;
                }
            }
        });
        assert_eq!(taken, self.layout.peepholes.len());
        if taken > 0 {
            tally.compare(&self.name, &format!("d_peephole{end}"), peepholes.view().into_dyn());
        }
    }

    /// A packed network gives the bits of the network.
    fn same_bits_when_packed<F: Float>(&self, net: &Network<F>, xs: &Array3<F>, expected: &Array3<F>) {
        let packed = net.prepare(Precision::Full).unwrap();
        let lanes = flat_state(net, &net.zero_state(1)).unwrap().len();
        let mut state = state_from_flat(net, &self.states([1, 2], lanes)).unwrap();
        let mut ys = Array3::zeros(expected.dim());
        let cx = Context::default().with_lengths(&self.lengths);
        packed.forward(cx, xs.into(), ys.view_mut(), &mut state, None);
        let bits = |ys: &Array3<F>| ys.iter().map(|y| y.as_f64().to_bits()).collect::<Vec<_>>();
        assert!(bits(&ys) == bits(expected), "{}: packed, the same bits", self.name);
    }
}

/// One layer of one direction or two.
pub(crate) fn layer<F: Float, P: RowCell + 'static>(
    case: &Case,
    gates: [&GatedSpec<F, P>; 2],
    layer: usize,
    reversed: bool,
) -> Boxed<F> {
    let ahead = case.cell(gates[0], layer, 0);
    if case.directions == 2 {
        let behind = case.cell(gates[1], layer, 1);
        return Boxed::new(Bidirectional::new(ahead, behind, Merge::Concat).unwrap());
    }
    if reversed { Boxed::new(deep_rnn::layers::Reversed::new(ahead)) } else { Boxed::new(ahead) }
}

/// NaN where a row is over.
fn with_nan<F: Float>(mut xs: Array3<F>, lengths: &[usize]) -> Array3<F> {
    for (row, length) in lengths.iter().enumerate() {
        xs.slice_mut(deep_rnn::ndarray::s![*length.., row, ..]).fill(F::from_f64(f64::NAN));
    }
    xs
}
