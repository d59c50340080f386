//! Panics of a user's code, caught: what was held in the middle of a window does not gather.

use crate::stepped::SteppedGru;
use std::panic::{AssertUnwindSafe, catch_unwind};

use deep_rnn::loss::Loss;
use deep_rnn::loss::loss_fn;
use deep_rnn::prelude::*;
use ndarray::{Array3, ArrayRef3, ArrayView3, ArrayViewMut3};

use crate::deep::deep;
use crate::{ALLOCATOR, inputs};

/// A loss that panics.
fn broken(_: ArrayView3<'_, f32>, _: &ArrayRef3<f32>, _: ArrayViewMut3<'_, f32>) -> f64 {
    panic!("on purpose");
}

/// A loss that is not finite.
fn infinite(ys: ArrayView3<'_, f32>, targets: &ArrayRef3<f32>, d_ys: ArrayViewMut3<'_, f32>) -> f64 {
    MeanSquared.evaluate(Context::default(), ys, targets, d_ys).mean() / 0.0
}

fn held<S>(spec: &S, loss: impl Loss<f32, ArrayRef3<f32>> + Copy, threads: usize, share: f64)
where
    S: Spec<Layer: RnnCell<Elem = f32>>,
{
    let (t, b) = (100, 9);
    let (xs, ys) = (inputs::<f32>(t, b), Array3::zeros((t, b, 32)));
    let before = ALLOCATOR.current_usage();
    let build = |budget: Option<usize>| {
        let net = Stacked::repeat(xs.dim().2, 2, spec, 0).unwrap();
        let builder = Bptt::builder(net).loss(loss).threads(threads);
        match budget {
            Some(budget) => builder.memory_budget(budget).build().unwrap(),
            None => builder.build().unwrap(),
        }
    };
    let all = build(None).memory_estimate(t, b).unwrap();
    let mut bptt = build(Some((all as f64 * share) as usize));
    let said = bptt.memory_estimate(t, b).unwrap();
    for _ in 0..deep(100, 20) {
        ALLOCATOR.reset_peak_usage();
        let result = catch_unwind(AssertUnwindSafe(|| bptt.train_next(&xs, &ys)));
        assert!(!matches!(result, Ok(Ok(_))), "a panic or an error");
        drop(result);
        let peak = ALLOCATOR.peak_usage() - before;
        // Beside the engine's own: what the panic and its message hold.
        assert!(peak <= said + said / 10 + 100_000, "said {said}, {peak} bytes at the peak");
    }
}

pub(crate) fn many_leave_one_window() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    for threads in [1, 3] {
        for share in [1.0, 0.7] {
            held(&Lstm::<f32>::spec(32), loss_fn(broken), threads, share);
            held(&SteppedGru::<f32>::spec(32), loss_fn(broken), threads, share);
            held(&Lstm::<f32>::spec(32), loss_fn(infinite), threads, share);
            held(&SteppedGru::<f32>::spec(32), loss_fn(infinite), threads, share);
        }
    }
    std::panic::set_hook(hook);
}
