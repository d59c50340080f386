//! Each case is run by one thread and by two.

use deep_rnn::{SeqLayer, State, Threads};

use crate::pass::{Outcome, Problem, run};

impl<L: SeqLayer<Elem = f64>> Outcome<L> {
    /// Every number of it.
    fn bits(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.ys.iter().chain(&self.d_xs).map(|x| x.to_bits()).collect();
        self.state.visit(&mut |view| all.extend(view.iter().map(|x| x.to_bits())));
        self.d_state.visit(&mut |view| all.extend(view.iter().map(|x| x.to_bits())));
        self.grads.visit(&mut |_, view| all.extend(view.iter().map(|x| x.to_bits())));
        all
    }
}

/// Two threads give the same bits; the outcome.
pub(crate) fn with_threads<L: SeqLayer<Elem = f64>>(
    layer: &L,
    problem: &Problem<f64, L::State>,
    threads: &Threads,
) -> Outcome<L> {
    let alone = run(layer, problem);
    let together = threads.install(|| run(layer, problem));
    assert_eq!(alone.bits(), together.bits(), "two threads");
    alone
}
