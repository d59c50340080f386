//! What relatives of a cell take beside it: a window forward and backward, and a streamed step.

use std::time::Instant;

use deep_rnn::cells::{Activation, Bias, Gated, GatedSpec, RowCell};
use deep_rnn::ndarray::Array3;
use deep_rnn::prelude::*;

use crate::norm_lstm::NormLstm;

/// T, B, D and H of a window: the book's layer, and a small one.
const WINDOWS: [[usize; 4]; 2] = [[35, 32, 256, 256], [35, 8, 64, 64]];

/// One that is timed: its name, and the seconds of one call of each kind.
struct Timed<'a> {
    name: &'a str,
    window: Box<dyn FnMut() -> f64 + 'a>,
    step: Box<dyn FnMut() -> f64 + 'a>,
}

/// Prints for each relative the speed of the plain cell over its own: medians of calls in turn.
pub(crate) fn print() -> Result<(), Error> {
    for shape in WINDOWS {
        let [t, b, d, h] = shape;
        println!(
            "T = {t}, B = {b}, D = {d}, H = {h}; speed over that of the first, window and step, and microseconds:"
        );
        let lstm = || Lstm::<f32>::spec(h);
        family(
            &[
                timed("Lstm", lstm(), shape)?,
                timed("peepholes", lstm().peepholes(), shape)?,
                timed("coupled", lstm().coupled(), shape)?,
                timed("projection to H/2", lstm().projection(h / 2), shape)?,
                timed(
                    "hard sigmoid",
                    lstm().activations(Activation::HARD_SIGMOID, Activation::Tanh, Activation::Tanh),
                    shape,
                )?,
                timed("clips", lstm().clip_gates(3.0).clip_cell(-3.0, 3.0), shape)?,
                timed("layer norm, from outside", GatedSpec::new(NormLstm, h).bias(Bias::None), shape)?,
            ]
            .map(std::cell::RefCell::new),
        );
        family(
            &[
                timed("Gru", Gru::<f32>::spec(h), shape)?,
                timed("GruResetBefore", GruResetBefore::<f32>::spec(h), shape)?,
                timed("clipped Gru", Gru::<f32>::spec(h).clip_gates(3.0), shape)?,
            ]
            .map(std::cell::RefCell::new),
        );
    }
    Ok(())
}

fn family(all: &[std::cell::RefCell<Timed<'_>>]) {
    let times = |call: &dyn Fn(&mut Timed<'_>) -> f64, rounds: usize| {
        let mut times = vec![Vec::new(); all.len()];
        for _ in 0..rounds {
            for (times, one) in times.iter_mut().zip(all) {
                times.push(call(&mut one.borrow_mut()));
            }
        }
        times
            .iter_mut()
            .map(|times| {
                times.sort_by(f64::total_cmp);
                times[times.len() / 2]
            })
            .collect::<Vec<_>>()
    };
    let windows = times(&|one| (one.window)(), 61);
    let steps = times(&|one| (one.step)(), 61);
    for (k, one) in all.iter().enumerate() {
        let ratio = |times: &[f64]| times[0] / times[k];
        println!(
            "  {:<26}{:>6.2}{:>6.2}{:>12.1}{:>10.2}",
            one.borrow().name,
            ratio(&windows),
            ratio(&steps),
            windows[k] * 1e6,
            steps[k] * 1e6
        );
    }
}

fn timed<'a, P: RowCell + 'static>(
    name: &'a str,
    spec: GatedSpec<f32, P>,
    [t, b, d, _]: [usize; 4],
) -> Result<Timed<'a>, Error> {
    let cell: Gated<f32, P> = spec.build(d, &mut Init::seeded(1))?;
    let packed = cell.prepare(Precision::Full)?;
    let mut init = Init::seeded(2);
    let xs: Array3<f32> = init.uniform((t, b, d), 1.0);
    let d_ys: Array3<f32> = init.uniform((t, b, cell.output_size()), 0.1);
    let (mut ys, mut d_xs) = (Array3::zeros(d_ys.dim()), Array3::zeros(xs.dim()));
    let (mut tape, mut grads) = (Default::default(), cell.zeros_like());
    let window = move || {
        let start = Instant::now();
        let (mut state, mut d_state) = (cell.zero_state(b), cell.zero_state(b));
        let cx = Context::default();
        cell.forward(cx, (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
        let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
        cell.backward(cx, io, &mut tape, &mut d_state, &mut grads);
        start.elapsed().as_secs_f64()
    };
    let (mut state, mut y) = (packed.zero_state(1), vec![0.0; packed.output_size()]);
    let x = vec![0.1; d];
    let step = move || {
        const STEPS: usize = 200;
        let start = Instant::now();
        for _ in 0..STEPS {
            packed.step_rows(&x, &mut y, &mut state).expect("rows of these sizes");
        }
        start.elapsed().as_secs_f64() / STEPS as f64
    };
    Ok(Timed { name, window: Box::new(window), step: Box::new(step) })
}
