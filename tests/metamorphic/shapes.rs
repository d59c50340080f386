//! Shapes of states, and batches that do not fit them.

use deep_rnn::{
    Context, Network, Recurrent, SeqLayer, Stacked,
    cells::{Gru, GruResetBefore, Lstm, Rnn},
    data::State,
    layers::{Bidirectional, Merge},
};
use ndarray::Array3;

use crate::problems::build;

/// tch #88, candle #1723: shapes of states, for 1 to 3 layers in 1 and 2 directions.
#[test]
fn shapes_of_states() {
    for layers in 1..=3 {
        let gru = Stacked::repeat(3, layers, &Gru::<f32>::spec(4), 0).unwrap();
        assert_eq!(gru.zero_state(2).shapes(), vec![[2, 4]; layers]);
        let lstm = Network::<f32>::builder(3).repeat(layers, Lstm::spec(4)).build().unwrap();
        assert_eq!(lstm.zero_state(2).shapes(), vec![[2, 4]; 2 * layers]);
        assert_eq!((lstm.input_size(), lstm.output_size()), (3, 4));
        let both = Bidirectional::spec(Lstm::<f32>::spec(4), Merge::Concat);
        let both = Stacked::repeat(3, layers, &both, 0).unwrap();
        assert_eq!(both.zero_state(2).shapes(), vec![[2, 4]; 4 * layers]);
        assert_eq!((both.input_size(), both.output_size()), (3, 8));
    }
    let mixed = Network::<f64>::builder(3).lstm(5).gru(2).build().unwrap();
    assert_eq!(mixed.zero_state(7).shapes(), [[7, 5], [7, 5], [7, 2]]);
}

/// Flux #121, TF #53024: another batch size than the state's is refused, not broadcast.
#[test]
fn another_batch_size_is_refused() {
    fn refused<L: SeqLayer<Elem = f64>>(name: &str, layer: &L) {
        let run = |rows: usize, state_rows: usize| {
            let (xs, mut ys) = (Array3::zeros((2, rows, 3)), Array3::zeros((2, rows, layer.output_size())));
            let mut state = layer.zero_state(state_rows);
            let pass = || layer.forward(Context::default(), (&xs).into(), ys.view_mut(), &mut state, None);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(pass)).is_err()
        };
        assert!(!run(3, 3), "{name}");
        assert!(run(3, 1), "{name}: 3 rows on a state of 1");
        assert!(run(1, 3), "{name}: 1 row on a state of 3");
    }
    refused("rnn", &build(&Rnn::<f64>::spec(4), 3, 1));
    refused("gru", &build(&Gru::<f64>::spec(4), 3, 1));
    refused("lstm", &build(&Lstm::<f64>::spec(4), 3, 1));
    refused("gru before", &build(&GruResetBefore::<f64>::spec(4), 3, 1));
    refused("a stack", &Stacked::repeat(3, 2, &Gru::<f64>::spec(4), 0).unwrap());
    refused("bidirectional", &build(&Bidirectional::spec(Gru::<f64>::spec(4), Merge::Concat), 3, 1));
}
