//! The two forms of the GRU.

use approx::assert_abs_diff_eq;
use deep_rnn::{
    cells::{Gru, GruResetBefore},
    custom::Params,
    data::State,
};
use ndarray::{Array3, Axis};

use crate::arrays::near;
use crate::biases::with_biases;
use crate::pass::run;
use crate::problems::{build, problem};

/// burn #2701, PyTorch #8153: the two forms of the GRU, with the same weights, give different numbers where they must
/// and the same where the reset gate has nothing to do.
#[test]
fn the_two_grus_differ_where_they_must() {
    let (after, mut before) = (build(&Gru::<f64>::spec(5), 3, 1), build(&GruResetBefore::<f64>::spec(5), 3, 2));
    let after = with_biases(&after, after.b().cloned(), None);
    before.visit_mut(&mut |name, mut view| match name {
        "w_x" => view.assign(&after.w_x().into_dyn()),
        "w_h" => view.assign(&after.w_h().into_dyn()),
        _ => view.assign(&after.b().unwrap().view().into_dyn()),
    });
    let problem = problem(&after, 4, 2, 3);
    let (a, b) = (run(&after, &problem).ys, run(&before, &problem).ys);
    let apart = (&a - &b).iter().fold(0.0_f64, |worst, d| worst.max(d.abs()));
    assert!(apart > 1e-3, "{apart}");
    // From h = 0 the first step has nothing to reset.
    let mut rest = problem.clone();
    rest.state.set_zero();
    let (a, b) = (run(&after, &rest).ys, run(&before, &rest).ys);
    let first = |ys: &Array3<f64>| ys.index_axis(Axis(0), 0).to_owned();
    assert_abs_diff_eq!(first(&a), first(&b), epsilon = 1e-15);
    // One unit commutes: r (h w) = (r h) w.
    let one = build(&Gru::<f64>::spec(1), 3, 1);
    let one = with_biases(&one, one.b().cloned(), None);
    let mut other = build(&GruResetBefore::<f64>::spec(1), 3, 1);
    other.visit_mut(&mut |name, mut view| match name {
        "w_x" => view.assign(&one.w_x().into_dyn()),
        "w_h" => view.assign(&one.w_h().into_dyn()),
        _ => view.assign(&one.b().unwrap().view().into_dyn()),
    });
    let problem = self::problem(&one, 6, 3, 5);
    near::<f64>("one unit", 20.0, &run(&one, &problem).by_row(), &run(&other, &problem).by_row());
}
