//! Calls from anywhere come back: from the tasks of other pools, from pools in pools, under locks, from many threads at once.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use deep_rnn::cpu::Threads;
use deep_rnn::prelude::*;
use ndarray::{Array2, Array3};
use rayon::prelude::*;

#[path = "../support/deep.rs"]
mod deep;
use deep::deep;

const THREADS: [usize; 3] = [1, 2, 8];
const TASKS: usize = 20;

/// `f` on a thread of its own: a panic is handed on, and a call that does not come back is one.
fn comes_back<R: Send + 'static>(what: &str, f: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || sender.send(f()));
    match receiver.recv_timeout(Duration::from_secs(120)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} does not come back"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("a call without a panic sends"),
        },
    }
}

fn engine(units: usize, threads: usize) -> Bptt<Stacked<Lstm<f32>>, MeanSquared, Sgd> {
    let net = Stacked::repeat(6, 2, &Lstm::spec(units), 1).unwrap();
    Bptt::builder(net).loss(MeanSquared).optimizer(Sgd::new(0.1)).threads(threads).build().unwrap()
}

/// Large enough for the work of a call to be divided.
fn input() -> Array3<f32> {
    Init::seeded(2).uniform((40, 8, 6), 1.0)
}

fn pool(threads: usize) -> rayon::ThreadPool {
    // Small stacks: who takes up one task on top of another soon finds out.
    rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(256 << 10).build().unwrap()
}

fn predict(bptt: &Bptt<Stacked<Lstm<f32>>, MeanSquared, Sgd>, xs: &Array3<f32>) -> Array3<f32> {
    bptt.predict_with(deep_rnn::Context::default(), xs, &mut bptt.model().zero_state(xs.len_of(ndarray::Axis(1))))
        .unwrap()
}

#[test]
fn thousands_of_tasks_of_another_pool() {
    for threads in THREADS {
        comes_back(&format!("tasks, {threads} threads"), move || {
            let (bptt, xs) = (engine(8, threads), Init::seeded(2).uniform((12, 4, 6), 1.0));
            let expected = predict(&bptt, &xs);
            pool(4).install(|| {
                (0..deep(10_000, 2_000)).into_par_iter().for_each(|_| assert_eq!(predict(&bptt, &xs), expected));
            });
        });
    }
}

/// A lock that each task takes, and holds while it calls: no task may be taken up by a thread that waits in such a call.
#[test]
fn a_lock_held_across_train_and_predict() {
    for threads in THREADS {
        comes_back(&format!("a lock, {threads} threads"), move || {
            let (shared, xs) = (Mutex::new(engine(48, threads)), input());
            let targets = Array3::zeros((40, 8, 48));
            pool(3).install(|| {
                (0..TASKS).into_par_iter().for_each(|_| {
                    let mut bptt = shared.lock().unwrap();
                    bptt.reset_state();
                    bptt.train_next(&xs, &targets).unwrap();
                    predict(&bptt, &xs);
                });
            });
            let updates = shared.into_inner().unwrap();
            let mut alone = engine(48, 1);
            for _ in 0..TASKS {
                alone.reset_state();
                alone.train_next(&xs, &targets).unwrap();
            }
            assert_eq!(predict(&updates, &xs), predict(&alone, &xs), "as many updates, one after the other");
        });
    }
}

#[test]
fn pools_in_pools() {
    for threads in THREADS {
        comes_back(&format!("pools in pools, {threads} threads"), move || {
            let (outer, middle, inner) = (pool(2), Threads::new(threads).unwrap(), Threads::new(2).unwrap());
            let (bptt, xs) = (engine(48, threads), input());
            let expected = predict(&bptt, &xs);
            outer.install(|| {
                (0..30).into_par_iter().for_each(|_| {
                    let one = middle.install(|| inner.install(|| middle.install(|| predict(&bptt, &xs))));
                    let other = inner.install(|| predict(&bptt, &xs));
                    assert!(one == expected && other == expected);
                });
            });
        });
    }
}

#[test]
fn many_threads_that_share_one_engine() {
    for threads in THREADS {
        comes_back(&format!("callers, {threads} threads"), move || {
            let (bptt, xs) = (Arc::new(engine(48, threads)), input());
            let expected = predict(&bptt, &xs);
            thread::scope(|scope| {
                for _ in 0..32 {
                    scope.spawn(|| (0..4).for_each(|_| assert_eq!(predict(&bptt, &xs), expected)));
                }
            });
        });
    }
}

/// A long sequence of one row, whose units are divided: its threads wait for each other.
#[test]
fn long_sequences_of_callers_that_share_the_cores() {
    let steps = deep(300, 60);
    for threads in THREADS {
        comes_back(&format!("long sequences, {threads} threads"), move || {
            let net = Arc::new(Lstm::<f32>::spec(256).build(4, &mut Init::seeded(1)).unwrap());
            let xs: Arc<Array3<f32>> = Arc::new(Init::seeded(2).uniform((steps, 1, 4), 1.0));
            let run = |threads: &Threads| {
                let (mut ys, mut state) = (Array3::zeros((steps, 1, 256)), net.zero_state(1));
                threads.install(|| net.scan(Context::default(), (&*xs).into(), ys.view_mut(), &mut state, None));
                (ys, state)
            };
            let expected = run(&Threads::new(1).unwrap());
            let shared = Threads::new(threads).unwrap();
            thread::scope(|scope| {
                for caller in 0..4 {
                    let (own, shared, run, expected) = (Threads::new(threads).unwrap(), &shared, &run, &expected);
                    scope.spawn(move || {
                        let threads = if caller % 2 == 0 { &own } else { shared };
                        (0..8).for_each(|_| assert!(run(threads) == *expected));
                    });
                }
            });
        });
    }
}

/// What a call leaves on its thread does not disturb the next, also after a panic.
#[test]
fn a_panic_inside_gives_the_threads_back() {
    let threads = Threads::new(2).unwrap();
    for _ in 0..3 {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| threads.install(|| panic!("within"))));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"within"));
    }
    let caught = pool(2).install(|| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| threads.install(|| panic!("far within")))).unwrap_err()
    });
    assert_eq!(caught.downcast_ref::<&str>(), Some(&"far within"));
    let (net, x) = (Lstm::<f32>::spec(8).build(3, &mut Init::seeded(1)).unwrap(), Array2::ones((2, 3)));
    let (mut y, mut state) = (Array2::zeros((2, 8)), net.zero_state(2));
    assert_eq!(threads.install(rayon::current_num_threads), 2);
    threads.install(|| net.step(Context::default(), x.view(), y.view_mut(), &mut state, None));
}
