//! A cell whose maths sees whole rows is the same in each way it is run.

use deep_rnn::cells::{GatedSpec, Pointwise, RowBackward, RowCell, RowForward, Vector};
use deep_rnn::cpu::Threads;
use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;

use crate::norm_lstm::NormLstm;

/// A cell by its units, seen as one of rows.
#[derive(Clone, Copy, Debug)]
struct AsRow<P>(P);

impl<P: Pointwise> RowCell for AsRow<P> {
    type State<F: Float> = <P as RowCell>::State<F>;
    const NAME: &'static str = "AsRow";
    const X: usize = <P as RowCell>::X;
    const H: usize = <P as RowCell>::H;
    const SUMMED: bool = <P as RowCell>::SUMMED;
    fn vectors(&self) -> Vec<Vector> {
        RowCell::vectors(&self.0)
    }
    fn saved(&self, units: usize) -> usize {
        RowCell::saved(&self.0, units)
    }
    fn forward<F: Float>(&self, weights: &[&[F]], row: RowForward<'_, F>) {
        RowCell::forward(&self.0, weights, row);
    }
    fn backward<F: Float>(&self, weights: &[&[F]], row: RowBackward<'_, F>) {
        RowCell::backward(&self.0, weights, row);
    }
}

/// Outputs and gradients of a window, by name.
fn window<P: RowCell + 'static>(spec: GatedSpec<f64, P>, threads: usize) -> (Array3<f64>, Vec<(String, Vec<f64>)>) {
    let cell = spec.build(6, &mut Init::seeded(1)).unwrap();
    let xs: Array3<f64> = Init::seeded(2).uniform((30, 70, 6), 1.0);
    let (mut ys, mut d_xs) = (Array3::zeros((30, 70, cell.output_size())), Array3::zeros(xs.dim()));
    let (mut state, mut d_state) = (cell.zero_state(70), cell.zero_state(70));
    let (mut tape, mut grads) = (Default::default(), cell.zeros_like());
    Threads::new(threads).unwrap().install(|| {
        let cx = Context::default();
        cell.forward(cx, (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
        let d_ys = ys.mapv(|y| y + 0.5);
        let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
        cell.backward(cx, io, &mut tape, &mut d_state, &mut grads);
    });
    let mut all = vec![("d_x".to_string(), d_xs.iter().copied().collect::<Vec<_>>())];
    grads.visit(&mut |name, view| all.push((name.to_string(), view.iter().copied().collect())));
    (ys, all)
}

#[test]
fn a_row_of_units_gives_the_bits_of_the_units() {
    let gates = |spec: &GatedSpec<f64, _>| *spec.build(1, &mut Init::seeded(0)).unwrap().gates();
    let lstm = gates(&Lstm::<f64>::spec(1));
    assert!(window(GatedSpec::new(lstm, 20), 1) == window(GatedSpec::new(AsRow(lstm), 20), 1));
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    // Enough work for the parts to be divided.
    let of = |threads| window(GatedSpec::new(NormLstm, 200).projection(100), threads);
    let one = of(1);
    assert!(of(2) == one && of(3) == one);
    let of = |threads| window(Lstm::<f64>::spec(200).peepholes(), threads);
    assert!(of(2) == of(1));
    let of = |threads| window(GruResetBefore::<f64>::spec(200), threads);
    assert!(of(2) == of(1));
}

#[test]
fn a_row_of_units_is_packed_as_the_units_are() {
    let xs: Array3<f64> = Init::seeded(2).uniform((9, 3, 4), 1.0);
    let ys = |net: Network<f64>| net.prepare(Precision::Bf16).unwrap().predict(&xs).unwrap();
    let lstm = *Lstm::<f64>::spec(1).build(1, &mut Init::seeded(0)).unwrap().gates();
    let units = Network::builder(4).layer(GatedSpec::new(lstm, 20)).seed(1).build().unwrap();
    let rows = Network::builder(4).layer(GatedSpec::new(AsRow(lstm), 20)).seed(1).build().unwrap();
    assert_eq!(ys(units), ys(rows));
}
