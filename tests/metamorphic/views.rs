//! Views of other strides.

use deep_rnn::{GradIo, RnnCell};
use ndarray::{Array3, s};
use proptest::prelude::*;

use crate::arrays::same;
use crate::pass::{Outcome, nan, run};
use crate::problems::{CellCheck, config, each_gated, problem};

/// Views of other strides give the same bits as arrays.
pub(crate) struct Views {
    pub(crate) t: usize,
    pub(crate) b: usize,
    pub(crate) seed: u64,
}
impl CellCheck for Views {
    fn check<C: RnnCell>(&mut self, name: &str, cell: &C) {
        let (t, b) = (self.t, self.b);
        let problem = problem(cell, t, b, self.seed);
        let plain = run(cell, &problem);
        // Batch first in memory; and every second row from the end, every third column from the end.
        let first = |array: &Array3<C::Elem>| array.view().permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
        let apart = |array: &Array3<C::Elem>| {
            let (t, b, d) = array.dim();
            let mut memory = nan(t, 2 * b, 3 * d);
            memory.slice_mut(s![.., ..;-2, ..;-3]).assign(array);
            memory
        };
        for way in 0..2 {
            let made = |array: &Array3<C::Elem>| if way == 0 { first(array) } else { apart(array) };
            let (xs, d_ys) = (made(&problem.xs), made(&problem.d_ys));
            let (mut ys, mut d_xs) = (made(&nan(t, b, cell.output_size())), made(&nan(t, b, cell.input_size())));
            macro_rules! view {
                ($array:expr, $view:ident, $slice:ident) => {
                    if way == 0 { $array.$view().permuted_axes([1, 0, 2]) } else { $array.$slice(s![.., ..;-2, ..;-3]) }
                };
            }
            let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
            let (mut tape, mut grads) = (C::Tape::default(), cell.zeros_like());
            let x = view!(xs, view, slice);
            cell.scan(x.view(), view!(ys, view_mut, slice_mut), &mut state, Some(&mut tape));
            let y = view!(ys, view, slice);
            let d_y = view!(d_ys, view, slice);
            let io = GradIo { x, y: y.view(), d_y, d_x: view!(d_xs, view_mut, slice_mut) };
            cell.scan_backward(io, &mut tape, &mut d_state, &mut grads);
            let (ys, d_xs) = (y.to_owned(), view!(d_xs, view, slice).to_owned());
            let outcome = Outcome::<C> { ys, state, d_xs, d_state, grads };
            same(&format!("{name}: views, way {way}"), &plain.arrays(), &outcome.arrays());
        }
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn views_give_the_same_bits(t in 1_usize..6, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        each_gated::<f32>(d, h, seed, &mut Views { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut Views { t, b, seed });
    }
}
