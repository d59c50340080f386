//! Views of other strides.

use deep_rnn::{Context, SeqLayer, custom::SeqGradIo, data::Input};
use ndarray::{Array3, s};
use proptest::prelude::*;

use crate::arrays::same;
use crate::pass::{Outcome, nan, run};
use crate::problems::{Check, config, each_gated, problem};

/// Views of other strides give the same bits as arrays.
pub(crate) struct Views {
    pub(crate) t: usize,
    pub(crate) b: usize,
    pub(crate) seed: u64,
}
impl Check for Views {
    fn check<L: SeqLayer>(&mut self, name: &str, layer: &L) {
        let (t, b) = (self.t, self.b);
        let problem = problem(layer, t, b, self.seed);
        let plain = run(layer, &problem);
        // Batch first in memory; and every second row from the end, every third column from the end.
        let first = |array: &Array3<L::Elem>| array.view().permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
        let apart = |array: &Array3<L::Elem>| {
            let (t, b, d) = array.dim();
            let mut memory = nan(t, 2 * b, 3 * d);
            memory.slice_mut(s![.., ..;-2, ..;-3]).assign(array);
            memory
        };
        for way in 0..2 {
            let made = |array: &Array3<L::Elem>| if way == 0 { first(array) } else { apart(array) };
            let (xs, d_ys) = (made(&problem.xs), made(&problem.d_ys));
            let (mut ys, mut d_xs) = (made(&nan(t, b, layer.output_size())), made(&nan(t, b, layer.input_size())));
            macro_rules! view {
                ($array:expr, $view:ident, $slice:ident) => {
                    if way == 0 { $array.$view().permuted_axes([1, 0, 2]) } else { $array.$slice(s![.., ..;-2, ..;-3]) }
                };
            }
            let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
            let (mut tape, mut grads) = (L::Tape::default(), layer.zeros_like());
            let x = view!(xs, view, slice);
            let cx = Context::default();
            layer.forward(cx, Input::Rows(x.view()), view!(ys, view_mut, slice_mut), &mut state, Some(&mut tape));
            let y = view!(ys, view, slice);
            let d_y = view!(d_ys, view, slice);
            let (x, d_x) = (Input::Rows(x), Some(view!(d_xs, view_mut, slice_mut)));
            layer.backward(cx, SeqGradIo { x, y: y.view(), d_y, d_x }, &mut tape, &mut d_state, &mut grads);
            let (ys, d_xs) = (y.to_owned(), view!(d_xs, view, slice).to_owned());
            let outcome = Outcome::<L> { ys, state, d_xs, d_state, grads };
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
