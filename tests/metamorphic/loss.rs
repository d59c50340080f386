//! The loss: gradients are linear in it, and it may stand on the last output or on the state.

use deep_rnn::{Float, SeqLayer, cells::GruResetBefore, data::State, init::Init};
use ndarray::{Axis, s};
use proptest::prelude::*;

use crate::arrays::{near, params, same, states, wide};
use crate::pass::{Outcome, run};
use crate::problems::{Check, build, config, each_gated, problem};

struct LossScale {
    t: usize,
    b: usize,
    seed: u64,
}
impl Check for LossScale {
    fn check<L: SeqLayer>(&mut self, name: &str, layer: &L) {
        let problem = problem(layer, self.t, self.b, self.seed);
        let once = run(layer, &problem);
        let scaled = |k: f64| {
            let k = L::Elem::from_f64(k);
            let mut other = problem.clone();
            other.d_ys.mapv_inplace(|d| d * k);
            other.d_state.visit_mut(&mut |mut view| view.mapv_inplace(|d| d * k));
            run(layer, &other)
        };
        let gradients = |outcome: &Outcome<L>, k: f64| {
            let mut all = vec![wide("d_x", &outcome.d_xs)];
            all.extend(states("d_state", &outcome.d_state));
            all.extend(params(&outcome.grads));
            all.iter_mut().for_each(|(_, array)| array.mapv_inplace(|g| g * k));
            all
        };
        // A power of two leaves every digit where it is.
        same(&format!("{name}: 8 times the loss"), &gradients(&once, 8.0), &gradients(&scaled(8.0), 1.0));
        same(&format!("{name}: minus the loss"), &gradients(&once, -1.0), &gradients(&scaled(-1.0), 1.0));
        near::<L::Elem>("3.7 times the loss", 200.0, &gradients(&once, 3.7), &gradients(&scaled(3.7), 1.0));
        // The sum of two losses has the sum of their gradients.
        let mut other = problem.clone();
        other.d_ys = Init::seeded(self.seed + 1).uniform(other.d_ys.raw_dim(), 1.0);
        other.d_state.set_zero();
        let mut both = problem.clone();
        both.d_ys += &other.d_ys;
        let (other, both) = (run(layer, &other), run(layer, &both));
        let mut sum = gradients(&once, 1.0);
        sum.iter_mut().zip(gradients(&other, 1.0)).for_each(|((_, sum), (_, other))| *sum += &other);
        near::<L::Elem>("the sum of two losses", 200.0, &sum, &gradients(&both, 1.0));
    }
}

/// The last output is the last h: a gradient given to the one or to the other is the same.
struct LastOutput {
    t: usize,
    b: usize,
    seed: u64,
}
impl Check for LastOutput {
    fn check<L: SeqLayer>(&mut self, name: &str, layer: &L) {
        if name == "a stack" {
            return; // the h of its top layer is not the first of its state
        }
        let mut problem = problem(layer, self.t, self.b, self.seed);
        problem.d_ys.slice_mut(s![..-1, .., ..]).fill(L::Elem::from_f64(0.0));
        problem.d_state.set_zero();
        let mut moved = problem.clone();
        moved.d_ys.fill(L::Elem::from_f64(0.0));
        let mut first = true;
        moved.d_state.visit_mut(&mut |mut view| {
            if std::mem::take(&mut first) {
                view.assign(&problem.d_ys.index_axis(Axis(0), self.t - 1));
            }
        });
        let (output, state) = (run(layer, &problem), run(layer, &moved));
        same(&format!("{name}: loss on the last output"), &output.arrays(), &state.arrays());
        let mut h = None;
        output.state.visit(&mut |view| h = h.take().or(Some(view.to_owned())));
        assert_eq!(h.unwrap(), output.ys.index_axis(Axis(0), self.t - 1));
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn gradients_are_linear_in_the_loss(t in 1_usize..6, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        each_gated::<f32>(d, h, seed, &mut LossScale { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut LossScale { t, b, seed });
        LossScale { t, b, seed }.check("GruResetBefore", &build(&GruResetBefore::<f64>::spec(h), d, seed));
    }

    #[test]
    fn loss_on_the_last_output_is_loss_on_the_state(
        t in 1_usize..6, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000,
    ) {
        each_gated::<f32>(d, h, seed, &mut LastOutput { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut LastOutput { t, b, seed });
        LastOutput { t, b, seed }.check("GruResetBefore", &build(&GruResetBefore::<f64>::spec(h), d, seed));
    }
}
