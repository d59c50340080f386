//! A sequence is its steps and its pieces, a batch is its rows.

use deep_rnn::{
    Context, Network, RnnCell, SeqLayer,
    cells::{Gru, GruResetBefore, Lstm},
    custom::{Params, SeqGradIo, Tape},
    data::{Input, State},
    init::Init,
    layers::Linear,
};
use ndarray::{Array3, Axis, Slice, s};
use proptest::prelude::*;

use crate::arrays::{params, same, wide};
use crate::pass::{Outcome, Problem, nan, run, run_one_by_one, run_steps};
use crate::problems::{Check, build, config, each_gated, problem};
use crate::views::Views;

/// In pieces that begin at these steps.
fn run_pieces<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>, cuts: &[usize]) -> Outcome<L> {
    let (t, b, d) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (L::Tape::default(), layer.zeros_like());
    let (mut ys, mut d_xs) = (nan(t, b, layer.output_size()), nan(t, b, d));
    let ends = cuts[1..].iter().chain([&t]);
    let pieces: Vec<Slice> = cuts.iter().zip(ends).map(|(from, to)| Slice::from(*from..*to)).collect();
    let cx = Context::default();
    for piece in &pieces {
        let (x, y) = (problem.xs.slice_axis(Axis(0), *piece), ys.slice_axis_mut(Axis(0), *piece));
        layer.forward(cx, Input::Rows(x), y, &mut state, Some(&mut tape));
    }
    for piece in pieces.iter().rev() {
        let io = SeqGradIo {
            x: Input::Rows(problem.xs.slice_axis(Axis(0), *piece)),
            y: ys.slice_axis(Axis(0), *piece),
            d_y: problem.d_ys.slice_axis(Axis(0), *piece),
            d_x: Some(d_xs.slice_axis_mut(Axis(0), *piece)),
        };
        layer.backward(cx, io, &mut tape, &mut d_state, &mut grads);
    }
    assert!(tape.is_drained());
    Outcome { ys, state, d_xs, d_state, grads }
}

struct Steps {
    t: usize,
    b: usize,
    seed: u64,
}
impl Check for Steps {
    fn check<L: SeqLayer>(&mut self, name: &str, layer: &L) {
        let problem = problem(layer, self.t, self.b, self.seed);
        let steps = run_one_by_one(layer, &problem).arrays();
        same(&format!("{name}: sequences of one step"), &run(layer, &problem).arrays(), &steps);
    }
    fn cell<C: RnnCell>(&mut self, name: &str, cell: &C) {
        let problem = problem(cell, self.t, self.b, self.seed);
        same(&format!("{name}: steps"), &run(cell, &problem).arrays(), &run_steps(cell, &problem).arrays());
        self.check(name, cell);
    }
}

struct Pieces {
    t: usize,
    b: usize,
    seed: u64,
    cuts: Vec<usize>,
}
impl Check for Pieces {
    fn check<L: SeqLayer>(&mut self, name: &str, layer: &L) {
        let problem = problem(layer, self.t, self.b, self.seed);
        let (whole, pieces) = (run(layer, &problem), run_pieces(layer, &problem, &self.cuts));
        same(&format!("{name}: pieces {:?}", self.cuts), &whole.arrays(), &pieces.arrays());
    }
}

struct Rows {
    t: usize,
    b: usize,
    seed: u64,
}
impl Check for Rows {
    fn check<L: SeqLayer>(&mut self, name: &str, layer: &L) {
        let problem = problem(layer, self.t, self.b, self.seed);
        let whole = run(layer, &problem);
        let rows = |state: &L::State, row: usize| {
            let mut one = layer.zero_state(1);
            one.copy_rows(0, state, row..row + 1);
            one
        };
        let cut = |array: &Array3<L::Elem>, row: usize| array.slice(s![.., row..row + 1, ..]).to_owned();
        for row in 0..self.b {
            let alone = Problem {
                xs: cut(&problem.xs, row),
                state: rows(&problem.state, row),
                d_ys: cut(&problem.d_ys, row),
                d_state: rows(&problem.d_state, row),
            };
            let here = Outcome {
                ys: cut(&whole.ys, row),
                state: rows(&whole.state, row),
                d_xs: cut(&whole.d_xs, row),
                d_state: rows(&whole.d_state, row),
                grads: layer.clone(),
            };
            same(&format!("{name}: row {row}"), &run(layer, &alone).by_row(), &here.by_row());
        }
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn a_sequence_is_its_steps(t in 1_usize..9, b in 1_usize..8, d in 1_usize..20, h in 1_usize..36, seed in 0_u64..1000) {
        each_gated::<f32>(d, h, seed, &mut Steps { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut Steps { t, b, seed });
        Steps { t, b, seed }.cell("GruResetBefore", &build(&GruResetBefore::<f32>::spec(h), d, seed));
        Steps { t, b, seed }.cell("GruResetBefore", &build(&GruResetBefore::<f64>::spec(h), d, seed));
    }

    #[test]
    fn a_sequence_is_its_pieces(
        t in 1_usize..12, b in 1_usize..8, d in 1_usize..20, h in 1_usize..36, seed in 0_u64..1000,
        one in 0_usize..12, other in 0_usize..12,
    ) {
        let (one, other) = (one.min(t), other.min(t));
        let cuts = vec![0, one.min(other), one.max(other)];
        each_gated::<f32>(d, h, seed, &mut Pieces { t, b, seed, cuts: cuts.clone() });
        each_gated::<f64>(d, h, seed, &mut Pieces { t, b, seed, cuts: cuts.clone() });
        Pieces { t, b, seed, cuts }.check("GruResetBefore", &build(&GruResetBefore::<f64>::spec(h), d, seed));
    }

    #[test]
    fn a_batch_is_its_rows(t in 1_usize..6, b in 1_usize..20, d in 1_usize..20, h in 1_usize..36, seed in 0_u64..1000) {
        each_gated::<f32>(d, h, seed, &mut Rows { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut Rows { t, b, seed });
    }
}

/// More rows and steps than one piece of the kernels holds.
#[test]
fn long_sequences_and_wide_batches() {
    for (t, b) in [(150, 4), (40, 15), (3, 300), (1, 600), (1100, 1)] {
        let mut init = Init::seeded(3);
        let cuts = vec![0, t / 3, t / 2];
        let lstm = Lstm::<f64>::spec(5).build(3, &mut init).unwrap();
        let gru = Gru::<f32>::spec(5).build(3, &mut init).unwrap();
        let stack = Network::<f32>::builder(3).lstm(5).rnn(3).build().unwrap();
        Steps { t, b, seed: 1 }.cell("Lstm", &lstm);
        Steps { t, b, seed: 1 }.cell("Gru", &gru);
        Steps { t, b, seed: 1 }.check("a stack", &stack);
        Pieces { t, b, seed: 1, cuts: cuts.clone() }.check("Lstm", &lstm);
        Pieces { t, b, seed: 1, cuts: cuts.clone() }.check("Gru", &gru);
        Pieces { t, b, seed: 1, cuts }.check("a stack", &stack);
        Rows { t, b, seed: 1 }.check("Lstm", &lstm);
        Views { t, b, seed: 1 }.check("Gru", &gru);
    }
}

/// The gradients of more rows than are packed together are added in the order of the rows, the last one first.
#[test]
fn a_long_pass_of_a_linear_layer_is_its_pieces() {
    let layer = build(&Linear::<f32>::spec(5), 3, 1);
    let problem = problem(&layer, 1100, 1, 1);
    let whole = run(&layer, &problem);
    for cut in [1, 400, 700, 1099] {
        let mut grads = layer.zeros_like();
        for piece in [Slice::from(cut..), Slice::from(..cut)] {
            let mut d_xs = nan(if piece.end.is_none() { 1100 - cut } else { cut }, 1, 3);
            let io = SeqGradIo {
                x: Input::Rows(problem.xs.slice_axis(Axis(0), piece)),
                y: whole.ys.slice_axis(Axis(0), piece),
                d_y: problem.d_ys.slice_axis(Axis(0), piece),
                d_x: Some(d_xs.view_mut()),
            };
            layer.backward(Context::default(), io, &mut (), &mut (), &mut grads);
            let d_x = whole.d_xs.slice_axis(Axis(0), piece).to_owned();
            same("linear", &[wide("d_x", &d_xs)], &[wide("d_x", &d_x)]);
        }
        same(&format!("linear, cut at {cut}"), &params(&grads), &params(&whole.grads));
    }
}

/// Equal rows of a batch have equal outputs, whatever lies in memory before and after them.
#[test]
fn equal_rows_have_equal_outputs() {
    let cell = build(&Gru::<f32>::spec(19), 3, 1);
    let mut problem = problem(&cell, 6, 7, 1);
    let (xs, h) = (problem.xs.clone(), problem.state[0].row(0).to_owned());
    for row in 0..7 {
        problem.xs.index_axis_mut(Axis(1), row).assign(&xs.index_axis(Axis(1), 0));
        problem.state[0].row_mut(row).assign(&h);
    }
    let outcome = run(&cell, &problem);
    for row in 1..7 {
        assert_eq!(outcome.ys.index_axis(Axis(1), row), outcome.ys.index_axis(Axis(1), 0));
    }
}
