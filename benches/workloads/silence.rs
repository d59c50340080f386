//! Whether silence takes as long as sound: numbers that decay must not become denormal and slow.

use std::time::Instant;

use deep_rnn::ndarray::{Array2, Array3, ArrayRef3, ArrayView3, ArrayViewMut3, Axis};
use deep_rnn::prelude::*;
use deep_rnn::{
    cells::{Gated, GatedSpec, RowCell},
    optim::Optimizer,
};

const ZEROS: usize = 1_000_000;
const QUIET_UPDATES: usize = 5_000;

/// Prints for each case the time of a call on loud data, on silent data, and their ratio.
pub(crate) fn print() -> Result<(), Error> {
    println!("{:<44}{:>12}{:>12}{:>8}", "a step after 10^6 zeros (ns)", "loud", "silent", "ratio");
    for h in [8, 40, 64, 256] {
        for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
            stream("LSTM, forget bias 2", &Lstm::spec(h).init(Scheme::Normal(0.1)).forget_bias(2.0), h, precision)?;
            stream("GRU, update bias 2", &Gru::spec(h).init(Scheme::Normal(0.1)).lane_bias(1, 2.0), h, precision)?;
            let half = Gated::from_arrays(
                *Rnn::<f32>::spec(h).activation(Activation::Relu).build(1, &mut Init::seeded(1))?.gates(),
                Array2::from_elem((1, h), 0.5),
                Array2::from_elem((h, h), 0.5 / h as f32),
                None,
                None,
            )?;
            packed("relu RNN, w_h = 0.5/H", &half, h, precision)?;
        }
    }
    println!("{:<44}{:>12}{:>12}{:>8}", "forward and backward (us)", "loud", "silent", "ratio");
    vanishing()?;
    saturated()?;
    println!("{:<44}{:>12}{:>12}{:>8}", "an update after 5000 without gradients (us)", "before", "after", "ratio");
    update("Sgd", || Sgd::new(0.1))?;
    update("Adam", || Adam::new(1e-3))
}

fn row(what: &str, loud: f64, silent: f64) {
    println!("{what:<44}{loud:>12.1}{silent:>12.1}{:>8.2}", silent / loud);
}

/// Least seconds of a call of several.
fn least(times: usize, mut f: impl FnMut()) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..times {
        let start = Instant::now();
        f();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}

fn stream<P: RowCell>(what: &str, spec: &GatedSpec<f32, P>, h: usize, precision: Precision) -> Result<(), Error> {
    packed(what, &spec.build(1, &mut Init::seeded(1))?, h, precision)
}

fn packed<P: RowCell>(what: &str, cell: &Gated<f32, P>, h: usize, precision: Precision) -> Result<(), Error> {
    let net = cell.prepare(precision)?;
    let (mut state, mut y) = (net.zero_state(1), vec![0.0; h]);
    let mut step = |x| net.step_rows(&[x], &mut y, &mut state).expect("a step that fits");
    let mut t = 0;
    let steps = 2_000_000 / (h * h + 1000);
    let loud = least(20, || {
        for _ in 0..steps {
            t += 1;
            step((t as f32 * 0.1).sin() + 1.5);
        }
    });
    (0..ZEROS).for_each(|_| step(0.0));
    let silent = least(20, || (0..steps).for_each(|_| step(0.0)));
    let nanoseconds = 1e9 / steps as f64;
    row(&format!("{what}, H = {h}, {precision}"), loud * nanoseconds, silent * nanoseconds);
    Ok(())
}

/// The mean square of all outputs, or of those of the last step alone.
fn square(last: bool) -> impl Fn(ArrayView3<'_, f32>, &ArrayRef3<f32>, ArrayViewMut3<'_, f32>) -> f64 {
    move |ys, _, mut d_ys| {
        let (share, t) = (1.0 / ys.len() as f32, ys.len_of(Axis(0)));
        d_ys.zip_mut_with(&ys, |d, y| *d = share * y);
        if last {
            d_ys.slice_axis_mut(Axis(0), (..t - 1).into()).fill(0.0);
        }
        ys.iter().map(|y| f64::from(*y * *y)).sum::<f64>() / ys.len() as f64
    }
}

fn window(net: Lstm<f32>, last: bool, xs: &Array3<f32>) -> Result<f64, Error> {
    let none = Array3::zeros((xs.len_of(Axis(0)), xs.len_of(Axis(1)), 0));
    let mut bptt = Bptt::builder(net).loss(deep_rnn::loss::loss_fn(square(last))).optimizer(Sgd::new(1e-30)).build()?;
    bptt.train_next(xs, &none)?;
    Ok(least(10, || {
        bptt.train(xs, &none).expect("a finite loss");
    }))
}

/// A loss on the last step only: its gradient vanishes on the way back.
fn vanishing() -> Result<(), Error> {
    for (h, t) in [(64, 1000), (256, 1000), (64, 4000)] {
        let xs: Array3<f32> = Init::seeded(2).uniform((t, 4, 8), 1.0);
        let net = Lstm::spec(h).build(8, &mut Init::seeded(1))?;
        let (loud, silent) = (window(net.clone(), false, &xs)?, window(net, true, &xs)?);
        row(&format!("LSTM {h}, T = {t}, loss on the last step"), loud * 1e6, silent * 1e6);
    }
    Ok(())
}

/// Weights of -0.1 everywhere: by the sign of the input the gates are open or closed.
fn saturated() -> Result<(), Error> {
    for h in [64, 256] {
        let all = |shape| Array2::from_elem(shape, -0.1_f32);
        let net = Lstm::from_arrays(deep_rnn::cells::LstmGates, all((8, 4 * h)), all((h, 4 * h)), None, None)?;
        let [up, down] = [8.0, -8.0].map(|x| window(net.clone(), true, &Array3::from_elem((500, 4, 8), x)));
        row(&format!("LSTM {h}, weights of -0.1, x = 8 and -8"), up? * 1e6, down? * 1e6);
    }
    Ok(())
}

/// Updates with gradients, then many without.
fn update<O: Optimizer<Linear<f32>>>(what: &str, optimizer: impl Fn() -> O) -> Result<(), Error> {
    let net = Linear::<f32>::spec(512).build(512, &mut Init::seeded(1))?;
    let zero = |_: ArrayView3<'_, f32>, scale: &ArrayRef3<f32>, mut d_ys: ArrayViewMut3<'_, f32>| {
        d_ys.fill(scale[[0, 0, 0]]);
        0.0
    };
    let mut bptt = Bptt::builder(net).loss(deep_rnn::loss::loss_fn(zero)).optimizer(optimizer()).build()?;
    let xs = Array3::from_elem((1, 1, 512), 0.5);
    let [loud, silent] = [1e-3, 0.0].map(|scale| Array3::from_elem((1, 1, 512), scale));
    let mut run = |targets: &Array3<f32>| {
        least(50, || {
            bptt.train_next(&xs, targets).expect("a finite loss");
        })
    };
    let before = run(&loud);
    for _ in 0..QUIET_UPDATES / 50 {
        run(&silent);
    }
    row(what, before * 1e6, run(&silent) * 1e6);
    Ok(())
}
