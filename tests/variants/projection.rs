//! `nn.LSTM(proj_size=..)` of PyTorch, on packed sequences.

use deep_rnn::cpu::Threads;
use deep_rnn::prelude::*;

use crate::case::{A, C, Case, H, Layout, R, SORTED_OTHERWISE, layer};
use crate::fixture;
use crate::tally::Tally;

fn projections<F: Float>() {
    let mut tally = Tally::of::<F>();
    let spec = Lstm::<F>::spec(H).projection(R);
    let plain = Lstm::<F>::spec(H);
    assert_eq!(spec.build(3, &mut Init::seeded(1)).unwrap().output_size(), R);
    let mut index = 0;
    for layers in 1..=2 {
        for directions in 1..=2 {
            for (pattern, lengths) in [A, SORTED_OTHERWISE, C].into_iter().enumerate() {
                let layout = Layout { gates: 4, kept: &[0, 1, 2, 3], peepholes: &[] };
                let name = format!("lstm_proj.l{layers}.d{directions}.{pattern}");
                let (projected, two_biases, scale) = (true, true, 1.0);
                let case = Case { index, name, layout, layers, directions, projected, scale, lengths, two_biases };
                let net = Stacked::new((0..layers).map(|k| layer(&case, [&plain; 2], k, false)).collect()).unwrap();
                for threads in [1, 2] {
                    let before = tally.tensors;
                    case.check(&net, &mut tally, "", &Threads::new(threads).unwrap());
                    assert_eq!(tally.tensors - before, fixture::names(&case.name).len(), "{}", case.name);
                }
                tally.fixtures += 1;
                index += 1;
            }
        }
    }
    tally.print("projections");
}

#[test]
fn projections_of_pytorch() {
    projections::<f64>();
    projections::<f32>();
}
