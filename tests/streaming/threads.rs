//! One prepared network, streams on threads.

use crate::stepped::SteppedGru;
use deep_rnn::cells::{GruGates, LstmGates};
use deep_rnn::infer::{
    PreparedBox, PreparedGated, PreparedLanguageModel, PreparedLinear, PreparedNetwork, PreparedStack, Unprepared,
};
use deep_rnn::prelude::*;

use crate::bits::state_bits;
use crate::networks::{Check, each_packed};
use crate::run::{Problem, problem, row_steps, same};

/// Compiles only if what is prepared can be shared.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    fn of<F: Float>() {
        shared::<PreparedGated<F, LstmGates>>();
        shared::<PreparedLinear<F>>();
        shared::<PreparedStack<PreparedGated<F, GruGates>>>();
        shared::<PreparedBox<F>>();
        shared::<PreparedNetwork<F>>();
        shared::<Unprepared<SteppedGru<F>>>();
        shared::<PreparedLanguageModel<PreparedGated<F, GruGates>>>();
    }
    of::<f32>();
    of::<f64>();
};

const STREAMS: usize = 4;

struct Shared(Precision);
impl Check for Shared {
    fn net<L: SeqLayer + Causal + Prepare>(&mut self, name: &str, net: &L) {
        let problems: Vec<Problem<L::Elem, L::State>> =
            (0..STREAMS).map(|stream| problem(net, 100, 1 + stream, stream as u64)).collect();
        let net = &net.prepare(self.0).unwrap();
        let alone: Vec<_> = problems.iter().map(|problem| row_steps(net, problem)).collect();
        let together: Vec<_> = std::thread::scope(|scope| {
            let streams: Vec<_> = problems.iter().map(|problem| scope.spawn(|| row_steps(net, problem))).collect();
            streams.into_iter().map(|stream| stream.join().unwrap()).collect()
        });
        for (stream, (alone, together)) in alone.iter().zip(&together).enumerate() {
            same(&format!("{name}, {}: stream {stream}", self.0), together, alone);
        }
    }
}

#[test]
fn streams_together_are_streams_alone() {
    for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
        each_packed::<f32>(7, 33, 1, &mut Shared(precision));
        each_packed::<f64>(7, 33, 1, &mut Shared(precision));
    }
}

#[test]
fn a_language_model_of_four_threads() {
    let net = Stacked::repeat(28, 2, &Lstm::<f32>::spec(40), 1).unwrap();
    let model = &LanguageModel::new(net, 1).unwrap().prepare(Precision::Bf16).unwrap();
    let run = |stream: usize| {
        let (mut state, mut logits, mut seen) = (model.zero_state(1), [0.0_f32; 28], Vec::new());
        for t in 0..200 {
            model.step_tokens(&[(t * t + stream * t) % 28], &mut logits, &mut state).unwrap();
            seen.extend(logits.iter().map(|x| x.to_bits()));
        }
        (seen, state_bits(&state))
    };
    let alone: Vec<_> = (0..STREAMS).map(run).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let streams: Vec<_> = (0..STREAMS).map(|stream| scope.spawn(move || run(stream))).collect();
        streams.into_iter().map(|stream| stream.join().unwrap()).collect()
    });
    assert!(alone == together);
    assert!(alone[0] != alone[1]);
}
