//! Threads: any number of them gives the same bits.

use crate::stepped::SteppedGru;
use std::collections::BTreeSet;
use std::sync::Mutex;

use deep_rnn::{
    Context, Float, Network, Run, SeqLayer,
    cells::{Activation, Bias, Gru, GruResetBefore, Lstm, Rnn},
    cpu::Threads,
    data::State,
    layers::{Bidirectional, Linear, Merge},
};

use crate::arrays::same;
use crate::deep::deep;
use crate::pass::{nan, run};
use crate::problems::{build, problem};
use crate::tokens::{run_tokens, tokens};

/// Any number of threads gives the same bits.
fn threads_on<L: SeqLayer>(name: &str, layer: &L, t: usize, b: usize) {
    let problem = problem(layer, t, b, 9);
    let alone = run(layer, &problem).arrays();
    for number in [1, 2, 3, 8] {
        let together = Threads::new(number).unwrap().install(|| run(layer, &problem).arrays());
        same(&format!("{name}, T {t}, B {b}, {number} threads"), &alone, &together);
    }
}

/// The same without a tape: then a long sequence of few rows is divided by units.
fn untaped_threads_on<L: SeqLayer>(name: &str, layer: &L, t: usize, b: usize) {
    let problem = problem(layer, t, b, 9);
    let tokens = tokens(t, b, layer.input_size(), 4);
    let run = |number: usize| {
        let shape = (t, b, layer.output_size());
        let (mut ys, mut ys_tokens) = (nan::<L::Elem>(shape.0, b, shape.2), nan::<L::Elem>(shape.0, b, shape.2));
        let (mut state, mut state_tokens) = (problem.state.clone(), problem.state.clone());
        Threads::new(number).unwrap().install(|| {
            let cx = Context::default();
            layer.forward(cx, (&problem.xs).into(), ys.view_mut(), &mut state, None);
            layer.forward(cx, (&tokens).into(), ys_tokens.view_mut(), &mut state_tokens, None);
        });
        assert!(ys.iter().chain(&ys_tokens).all(|y| y.as_f64().is_finite()), "{name}: all outputs are written");
        let mut bits: Vec<u64> = ys.iter().chain(&ys_tokens).map(|y| y.as_f64().to_bits()).collect();
        for state in [&state, &state_tokens] {
            state.visit(&mut |array| bits.extend(array.iter().map(|h| h.as_f64().to_bits())));
        }
        bits
    };
    let alone = run(1);
    for number in [2, 3, 8] {
        assert!(run(number) == alone, "{name}, T {t}, B {b}, {number} threads: other bits than alone");
    }
}

fn untaped_threads<F: Float>() {
    for &(t, b) in deep(&[(700, 1), (90, 1), (80, 2), (64, 3), (64, 4)][..], &[(90, 1), (64, 3)]) {
        untaped_threads_on("Rnn", &build(&Rnn::<F>::spec(128), 70, 1), t, b);
        untaped_threads_on("Gru", &build(&Gru::<F>::spec(129).bias(Bias::Two), 70, 2), t, b);
        untaped_threads_on("Lstm", &build(&Lstm::<F>::spec(131).bias(Bias::Two), 70, 3), t, b);
        let stack = Network::<F>::builder(40).lstm(128).gru(100).build().unwrap();
        untaped_threads_on("a stack", &stack, t, b);
    }
}

#[test]
fn threads_give_the_same_bits_without_a_tape() {
    untaped_threads::<f32>();
    untaped_threads::<f64>();
}

/// Several callers share two threads, so that not every part finds a thread of its own: all still come to an end.
#[test]
fn a_long_sequence_ends_where_threads_are_busy() {
    let cell = build(&Lstm::<f32>::spec(128), 70, 3);
    let problem = problem(&cell, 200, 1, 9);
    let threads = Threads::new(2).unwrap();
    let run = || {
        let (mut ys, mut state) = (nan::<f32>(200, 1, 128), problem.state.clone());
        let (cx, xs) = (Context::default(), &problem.xs);
        threads.install(|| cell.forward(cx, xs.into(), ys.view_mut(), &mut state, None));
        ys
    };
    let alone = run();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..6).map(|_| scope.spawn(|| (0..5).all(|_| run() == alone))).collect();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    });
}

fn threads<F: Float>() {
    // Well above the 2^20 multiply-adds from which on work is divided.
    for &(t, b) in deep(&[(20, 5), (20, 33), (300, 1), (1, 200), (9, 2)][..], &[(20, 5), (60, 1), (1, 50)]) {
        threads_on("Rnn", &build(&Rnn::<F>::spec(128), 70, 1), t, b);
        threads_on("Gru", &build(&Gru::<F>::spec(129), 70, 2), t, b);
        threads_on("Lstm", &build(&Lstm::<F>::spec(128), 70, 3), t, b);
    }
    let stack = Network::<F>::builder(40).lstm(128).gru(100).build().unwrap();
    threads_on("a stack", &stack, 20, 7);
    threads_on("bidirectional", &build(&Bidirectional::spec(Lstm::<F>::spec(128), Merge::Sum), 40, 4), 20, 7);
    threads_on("linear", &build(&Linear::<F>::spec(301), 130, 5), 20, 33);
    threads_on("gru before", &build(&GruResetBefore::<F>::spec(64), 40, 5), 5, 9);
    threads_on("by steps", &build(&SteppedGru::<F>::spec(64), 40, 5), 5, 9);

    let cell = build(&Lstm::<F>::spec(128), 60, 6);
    let (tokens, problem) = (tokens(20, 33, 60, 7), problem(&cell, 20, 33, 8));
    let alone = run_tokens(&cell, &tokens, &problem);
    for number in [2, 3, 8] {
        let together = Threads::new(number).unwrap().install(|| run_tokens(&cell, &tokens, &problem));
        same(&format!("tokens, {number} threads"), &alone, &together);
    }
}

#[test]
fn threads_give_the_same_bits_f32() {
    threads::<f32>();
}

#[test]
fn threads_give_the_same_bits_f64() {
    threads::<f64>();
}

/// The work of the tests above really is divided: more than one thread evaluates φ.
#[test]
fn more_than_one_thread_works() {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    fn noting(a: f64) -> (f64, f64) {
        if let Some(name) = std::thread::current().name() {
            let mut seen = SEEN.lock().unwrap();
            if !seen.contains(name) {
                seen.insert(name.to_string());
            }
        }
        (a * 0.5, 0.5)
    }
    let cell = build(&Rnn::<f64>::spec(128).activation(Activation::Custom("noting", noting)), 70, 1);
    let problem = problem(&cell, 20, 5, 9);
    let threads = Threads::new(2).unwrap();
    // A thread that is slow to wake may find everything done.
    for _ in 0..1000 {
        threads.install(|| run(&cell, &problem));
        if SEEN.lock().unwrap().len() == 2 {
            return;
        }
    }
    panic!("only {:?} worked", SEEN.lock().unwrap());
}
