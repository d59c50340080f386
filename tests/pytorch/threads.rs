//! Each case is run by one thread and by two.

use deep_rnn::{Float, SeqLayer, cpu::Threads, data::State};

use crate::pass::{Outcome, Problem, run};

impl<L: SeqLayer> Outcome<L> {
    /// Every number of it.
    fn bits(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.ys.iter().chain(&self.d_xs).map(|x| x.as_f64().to_bits()).collect();
        self.state.visit(&mut |view| all.extend(view.iter().map(|x| x.as_f64().to_bits())));
        self.d_state.visit(&mut |view| all.extend(view.iter().map(|x| x.as_f64().to_bits())));
        self.grads.visit(&mut |_, view| all.extend(view.iter().map(|x| x.as_f64().to_bits())));
        all
    }
}

/// Two threads give the same bits; the outcome.
pub(crate) fn with_threads<L: SeqLayer>(
    layer: &L,
    problem: &Problem<L::Elem, L::State>,
    threads: &Threads,
) -> Outcome<L> {
    let alone = run(layer, problem);
    let together = threads.install(|| run(layer, problem));
    assert_eq!(alone.bits(), together.bits(), "two threads");
    alone
}
