//! The files, their inputs and outputs, and a network run on them the way the file has its axes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use deep_rnn::data::{flat_state, state_from_flat};
use deep_rnn::ndarray::{Array2, Array3, ArrayD, Axis as Dim, Ix2, Ix3, IxDyn};
use deep_rnn::onnx::{Axis, Imported};
use deep_rnn::prelude::*;
use safetensors::{Dtype, SafeTensors};

/// The folder of files.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/onnx")
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.onnx"))).unwrap()
}

/// The names of all files that begin so.
pub(crate) fn names(prefix: &str) -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files
        .filter_map(|file| file.strip_suffix(".onnx").map(str::to_string))
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    names
}

/// Arrays by name.
pub(crate) struct Arrays {
    numbers: BTreeMap<String, ArrayD<f64>>,
    /// Those that are whole numbers.
    tokens: BTreeMap<String, ArrayD<usize>>,
}

impl Arrays {
    pub(crate) fn of(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (mut numbers, mut tokens) = (BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in file.tensors() {
            let shape = IxDyn(tensor.shape());
            match tensor.dtype() {
                Dtype::I64 => {
                    let read = |c: &[u8]| i64::from_le_bytes(c.try_into().unwrap()) as usize;
                    let data = tensor.data().chunks_exact(8).map(read).collect();
                    tokens.insert(name, ArrayD::from_shape_vec(shape, data).unwrap());
                }
                Dtype::F32 => {
                    let read = |c: &[u8]| f64::from(f32::from_le_bytes(c.try_into().unwrap()));
                    let data = tensor.data().chunks_exact(4).map(read).collect();
                    numbers.insert(name, ArrayD::from_shape_vec(shape, data).unwrap());
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        Arrays { numbers, tokens }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ArrayD<f64>> {
        self.numbers.get(name)
    }

    /// The cases that there are inputs of.
    pub(crate) fn cases(&self) -> Vec<String> {
        let all = self.numbers.keys().chain(self.tokens.keys());
        let mut cases: Vec<String> = all.filter_map(|name| name.strip_suffix(".x").map(str::to_string)).collect();
        cases.sort();
        cases
    }
}

pub(crate) fn stored() -> Arrays {
    Arrays::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/onnx_io.safetensors"))
}

/// Time first, then batch, whatever the file has.
fn turned<T: Clone>(array: &ArrayD<T>, axes: &[Axis]) -> ArrayD<T> {
    let mut own = array.clone();
    let mut axes = axes.to_vec();
    for (to, wanted) in [Axis::Time, Axis::Batch].into_iter().enumerate() {
        match axes.iter().position(|axis| *axis == wanted) {
            Some(from) => {
                own.swap_axes(from, to);
                axes.swap(from, to);
            }
            // Without a batch.
            None => {
                own = own.insert_axis(Dim(to));
                axes.insert(to, wanted);
            }
        }
    }
    own
}

/// What the network gives for a case, in the file's axes, and the largest difference to what it should give.
pub(crate) fn difference<F: Float>(case: &str, imported: &Imported<F>, arrays: &Arrays) -> f64 {
    let Imported { network, input, output, .. } = imported;
    let x = format!("{case}.x");
    let batch = |rows: usize| -> <Network<F> as Recurrent>::State {
        let lanes: Vec<Array3<F>> = ["h", "c"]
            .iter()
            .filter_map(|lane| arrays.get(&format!("{case}.{lane}")))
            .map(|array| array.mapv(F::from_f64).into_dimensionality::<Ix3>().unwrap())
            .collect();
        if lanes.is_empty() { network.initial_state(rows) } else { state_from_flat(network, &lanes).unwrap() }
    };
    let (ys, state) = if let Some(tokens) = arrays.tokens.get(&x) {
        let tokens: Array2<usize> = turned(tokens, &input.axes).into_dimensionality::<Ix2>().unwrap();
        run(network, &tokens, tokens.dim(), batch(tokens.ncols()))
    } else {
        let xs = turned(arrays.get(&x).unwrap(), &input.axes).mapv(F::from_f64);
        let xs: Array3<F> = xs.into_dimensionality::<Ix3>().unwrap();
        let (t, b, _) = xs.dim();
        run(network, &xs, (t, b), batch(b))
    };
    let mut largest = 0.0_f64;
    let expected = &arrays.get(&format!("{case}.y")).unwrap();
    let (ours, (steps, rows, columns)) = (&ys, ys.dim());
    assert_eq!(expected.ndim(), output.axes.len(), "{case}: {:?} {:?}", expected.shape(), output.axes);
    assert_eq!(expected.len(), ours.len(), "{case}: {:?} {:?}", expected.shape(), ours.shape());
    let directions = output.axes.iter().position(|axis| *axis == Axis::Directions).map_or(1, |i| expected.shape()[i]);
    for (place, y) in expected.indexed_iter() {
        let (mut t, mut b, mut column) = (0, 0, 0);
        for (i, axis) in output.axes.iter().enumerate() {
            let at = place[i];
            match axis {
                Axis::Time => t = at,
                Axis::Batch => b = at,
                Axis::Columns => column += at,
                Axis::Directions => column += at * (columns / directions),
                Axis::TimeAndBatch => (t, b) = (at / rows, at % rows),
                Axis::BatchAndTime => (t, b) = (at % steps, at / steps),
                _ => {}
            }
        }
        largest = largest.max((ours[[t, b, column]].as_f64() - y).abs());
    }
    if arrays.get(&format!("{case}.hn")).is_some() {
        let lanes = flat_state(network, &state).unwrap();
        for (lane, array) in ["hn", "cn"].iter().zip(lanes) {
            let expected = arrays.get(&format!("{case}.{lane}")).unwrap();
            assert_eq!(expected.shape(), array.shape(), "{case}.{lane}");
            for (ours, theirs) in array.iter().zip(expected.iter()) {
                largest = largest.max((ours.as_f64() - theirs).abs());
            }
        }
    }
    assert!(largest.is_finite(), "{case}");
    largest
}

fn run<F: Float, X: deep_rnn::data::AsInput<F>>(
    network: &Network<F>,
    xs: &X,
    (t, b): (usize, usize),
    mut state: <Network<F> as Recurrent>::State,
) -> (Array3<F>, <Network<F> as Recurrent>::State) {
    let mut ys = Array3::zeros((network.output_steps(t), b, network.output_size()));
    network.forward(Context::default(), xs.as_input(), ys.view_mut(), &mut state, None);
    (ys, state)
}
