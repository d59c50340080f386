//! The GRU that resets before the product, which PyTorch does not have; `gen.py` writes it out.

use deep_rnn::{Float, cells::GruResetBefore, cpu::Threads, custom::Params, init::Init};
use ndarray::ArrayD;

use crate::fixture::{self, Case};
use crate::pass::{Problem, run_steps};
use crate::tally::Tally;
use crate::threads::with_threads;

/// Sets a cell's arrays by name.
fn set<F: Float>(cell: &mut impl Params<Elem = F>, arrays: &[(&str, ArrayD<f64>)]) {
    let mut count = 0;
    cell.visit_mut(&mut |name, mut view| {
        let (_, array) = arrays.iter().find(|(n, _)| *n == name).expect(name);
        view.assign(&array.mapv(F::from_f64));
        count += 1;
    });
    assert_eq!(count, arrays.len());
}

#[test]
fn gru_with_the_reset_before_the_product() {
    reset_before::<f64>();
    reset_before::<f32>();
}

fn reset_before<F: Float>() {
    let (d, h) = (Case::D, Case::H);
    let threads = Threads::new(2).unwrap();
    let mut tally = Tally::of::<F>();
    for (k, (t, b)) in [1, 2, 7, 40].into_iter().flat_map(|t| [(t, 1), (t, 3)]).enumerate() {
        let stream = |tensor| fixture::stream(192 + k, tensor);
        let mut cell = GruResetBefore::<F>::spec(h).build(d, &mut Init::seeded(0)).unwrap();
        let arrays = [
            ("w_x", fixture::array2(stream(8), [d, 3 * h], 1.0).into_dyn()),
            ("w_h", fixture::array2(stream(9), [h, 3 * h], 1.0).into_dyn()),
            ("b", fixture::array1(stream(10), 3 * h, 1.0).into_dyn()),
        ];
        set(&mut cell, &arrays);
        let problem = Problem {
            xs: fixture::array3(stream(0), [t, b, d], 2.0).mapv(F::from_f64),
            state: [fixture::array2(stream(1), [b, h], 2.0).mapv(F::from_f64)],
            d_ys: fixture::array3(stream(3), [t, b, h], 2.0).mapv(F::from_f64),
            d_state: [fixture::array2(stream(4), [b, h], 2.0).mapv(F::from_f64)],
        };
        let name = format!("gru_before.t{t}.b{b}");
        for outcome in [with_threads(&cell, &problem, &threads), run_steps(&cell, &problem)] {
            let before = tally.tensors;
            tally.compare(&name, "out", outcome.ys.view().into_dyn());
            tally.compare(&name, "h_n", outcome.state[0].view().into_dyn());
            tally.compare(&name, "d_x", outcome.d_xs.view().into_dyn());
            tally.compare(&name, "d_h0", outcome.d_state[0].view().into_dyn());
            outcome.grads.visit(&mut |part, view| tally.compare(&name, &format!("d_{part}"), view));
            assert_eq!(tally.tensors - before, fixture::names(&name).len(), "{name}");
            tally.runs += 1;
        }
        tally.fixtures += 1;
    }
    tally.print("gru, reset before");
}
