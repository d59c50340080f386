use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use ndarray::{Array1, Array2, Array3};

use crate::cells::{Bias, GruGates};
use crate::gates::{Lanes, Pointwise, RowCell};
use crate::kernel::pace::Pace;
use crate::{Context, Float, Gated, GatedSpec, Init, Input, Rnn, Threads};

/// Outputs, and the state lanes beyond h, with the units in `parts` parts (1: not divided) on `threads`.
fn outputs<F: Float, P: RowCell>(
    cell: &Gated<F, P>,
    input: &Input<'_, F>,
    parts: usize,
    threads: &Threads,
) -> (Array3<F>, Vec<F>) {
    let ((t, b), units, more) = (input.dim(), cell.units(), <P::State<F> as Lanes<F>>::N - 1);
    let mut ys = Array3::zeros((t, b, units));
    let state = Init::seeded(9).uniform::<F, _, _>((b, units * (more + 1)), 0.5);
    let h0: Vec<F> = state.iter().take(b * units).copied().collect();
    let mut rest: Vec<F> = state.iter().skip(b * units).copied().collect();
    if parts > 1 {
        threads.install(|| cell.by_columns(input, ys.view_mut(), &h0, &mut rest, parts, &Pace::new(false)));
        return (ys, rest);
    }
    let mut state = P::State::arrays(b, units);
    for (lane, array) in state.as_mut().iter_mut().enumerate() {
        for ((row, unit), to) in array.indexed_iter_mut() {
            *to = if lane == 0 { h0[row * units + unit] } else { rest[(row * more + lane - 1) * units + unit] };
        }
    }
    cell.sequence(Context::default(), input.reborrow(), ys.view_mut(), &mut state, None);
    for (lane, array) in state.as_ref().iter().enumerate().skip(1) {
        for ((row, unit), from) in array.indexed_iter() {
            rest[(row * more + lane - 1) * units + unit] = *from;
        }
    }
    (ys, rest)
}

fn same<F: Float, P: RowCell>(gates: P, bias: Bias) {
    const D: usize = 5;
    let cell = GatedSpec::new(gates, 67).bias(bias).build(D, &mut Init::seeded(1)).unwrap();
    // More steps than a round, and than a piece.
    for (t, b) in [(1, 1), (40, 3), (300, 2), (600, 1)] {
        let xs: Array3<F> = Init::seeded(2).uniform((t, b, D), 1.0);
        let tokens = Array2::from_shape_fn((t, b), |(t, b)| (t * t + b) % D);
        for input in [Input::Rows(xs.view()), Input::Tokens(tokens.view())] {
            let expected = outputs(&cell, &input, 1, &Threads::new(1).unwrap());
            for (parts, threads) in [(2, 2), (3, 3), (4, 4), (4, 2), (3, 1)] {
                let got = outputs(&cell, &input, parts, &Threads::new(threads).unwrap());
                assert!(got == expected, "{}: {t} x {b} in {parts} parts on {threads} threads", P::NAME);
            }
        }
    }
}

#[test]
fn parts_of_the_units_give_the_bits_of_the_whole() {
    same::<f32, _>(crate::cells::LstmGates, Bias::One);
    same::<f64, _>(crate::cells::LstmGates, Bias::Two);
    same::<f32, _>(GruGates, Bias::Two);
    same::<f64, _>(GruGates, Bias::None);
    same::<f32, _>(*Rnn::<f32>::spec(1).build(1, &mut Init::seeded(0)).unwrap().gates(), Bias::One);
}

/// h' = x + h·w_h/2, but that a thread that is not the first one sleeps or panics where it is asked to.
#[derive(Clone, Debug)]
struct Moody<'a>(&'a Mood);

#[derive(Debug, Default)]
struct Mood {
    /// The first thread: the only one that makes the units whose x is below `LATER`.
    first: Mutex<Option<ThreadId>>,
    /// Units made by others, and how many of these sleep and panic.
    others: AtomicUsize,
    sleep_every: usize,
    panic_at: usize,
    slept: AtomicUsize,
}

const LATER: f64 = 1000.0;

impl Pointwise for Moody<'_> {
    type X<F: Float> = [F; 1];
    type H<F: Float> = [F; 1];
    type State<F: Float> = [F; 1];
    type Saved<F: Float> = [F; 1];
    const NAME: &'static str = "Moody";

    fn forward<F: Float>(&self, [x]: [F; 1], [u]: [F; 1], _: [F; 1]) -> ([F; 1], [F; 1]) {
        let (mood, me) = (self.0, thread::current().id());
        if x.as_f64() < LATER {
            *mood.first.lock().unwrap() = Some(me);
        } else if *mood.first.lock().unwrap() != Some(me) {
            let n = mood.others.fetch_add(1, Ordering::Relaxed) + 1;
            if mood.sleep_every > 0 && n % mood.sleep_every == 0 {
                mood.slept.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(3));
            }
            assert!(mood.panic_at == 0 || n < mood.panic_at, "in a bad mood");
        }
        ([F::from_f64((x + u).as_f64().sin())], [F::zero()])
    }

    fn backward<F: Float>(&self, _: [F; 1], _: [F; 1], _: [F; 1]) -> ([F; 1], [F; 1], [F; 1]) {
        ([F::zero()], [F::zero()], [F::zero()])
    }
}

/// Runs 400 steps in two parts of 32 units, the second of which another thread may make.
fn run(mood: &Mood, threads: &Threads, parts: usize) -> Array3<f64> {
    let mut init = Init::seeded(1);
    let bias = Array1::from_shape_fn(64, |unit| if unit < 32 { 0.0 } else { 2.0 * LATER });
    let (w_x, w_h) = (init.uniform((1, 64), 0.1), init.uniform((64, 64), 0.1));
    let cell = Gated::from_arrays(Moody(mood), w_x, w_h, Some(bias), None).unwrap();
    let xs: Array3<f64> = Init::seeded(2).uniform((400, 1, 1), 1.0);
    outputs(&cell, &Input::Rows(xs.view()), parts, threads).0
}

#[test]
fn a_thread_that_is_late_loses_its_part_and_changes_nothing() {
    let (one, two) = (Threads::new(1).unwrap(), Threads::new(2).unwrap());
    let expected = run(&Mood::default(), &one, 1);
    // Until the second thread has come and slept, which a busy machine may put off.
    let slept = (0..100).any(|_| {
        let mood = Mood { sleep_every: 500, ..Mood::default() };
        assert_eq!(run(&mood, &two, 2), expected);
        mood.slept.load(Ordering::Relaxed) > 0
    });
    assert!(slept, "the second thread never came");
}

#[test]
fn a_panic_of_another_thread_reaches_the_caller() {
    let (one, two) = (Threads::new(1).unwrap(), Threads::new(2).unwrap());
    let expected = run(&Mood::default(), &one, 1);
    let caught = (0..100).find_map(|_| {
        let mood = Mood { panic_at: 100, ..Mood::default() };
        catch_unwind(AssertUnwindSafe(|| run(&mood, &two, 2))).err()
    });
    let message = caught.expect("the second thread never came");
    assert_eq!(message.downcast_ref::<&str>(), Some(&"in a bad mood"));
    assert_eq!(run(&Mood::default(), &two, 2), expected, "the call after");
}
