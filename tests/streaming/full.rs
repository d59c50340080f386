//! [`Precision::Full`]: the bits of the network itself, outputs and states.

use crate::stepped::SteppedGru;
use deep_rnn::infer::Unprepared;
use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::deep::deep;
use crate::networks::{Check, build, each_packed};
use crate::run::{Problem, batch_first, cell_steps, forward, nan, problem, row_steps, same, view_steps};

struct Bits {
    t: usize,
    b: usize,
}
impl Check for Bits {
    fn net<L: SeqLayer + Causal + Prepare>(&mut self, name: &str, net: &L) {
        let name = &format!("{name}<{}>, B = {}, {} -> {}", L::Elem::NAME, self.b, net.input_size(), net.output_size());
        let problem = problem(net, self.t, self.b, 5);
        let expected = forward(net, &problem);
        same(&format!("{name}: rows of the network itself"), &row_steps(net, &problem), &expected);
        let sizes = (net.input_size(), net.output_size(), net.zero_state(self.b).shapes());
        let net = net.prepare(Precision::Full).unwrap();
        assert_eq!((net.input_size(), net.output_size(), net.zero_state(self.b).shapes()), sizes, "{name}");
        same(&format!("{name}: rows"), &row_steps(&net, &problem), &expected);
        same(&format!("{name}: scan"), &forward(&net, &problem), &expected);
        same(&format!("{name}: views"), &view_steps(&net, &problem), &expected);
        if self.b > 1 {
            same(&format!("{name}: batch first"), &batch_first(&net, &problem), &expected);
        }
    }
    fn cell<C: RnnCell + Prepare>(&mut self, name: &str, cell: &C) {
        let problem = problem(cell, self.t, self.b, 5);
        let net = cell.prepare(Precision::Full).unwrap();
        same(&format!("{name}: steps of the cell"), &row_steps(&net, &problem), &cell_steps(cell, &problem));
        self.net(name, cell);
    }
}

fn every_network<F: Float>() {
    // Of blocks of 16 units and halves: a half, one, one and a half, two and a half, three.
    for &h in deep(&[1, 8, 12, 17, 40, 48][..], &[1, 12, 40]) {
        for &d in deep(&[1, 7][..], &[7]) {
            for &b in deep(&[0, 1, 3, 5][..], &[0, 1, 5]) {
                each_packed::<F>(d, h, (h + d) as u64, &mut Bits { t: 40, b });
            }
        }
    }
    // Four and more blocks of units beside each other, and more rows than a tile has.
    for b in [1, 9] {
        each_packed::<F>(3, 117, 1, &mut Bits { t: 3, b });
    }
}

#[test]
fn the_bits_of_the_network_f32() {
    every_network::<f32>();
}

#[test]
fn the_bits_of_the_network_f64() {
    every_network::<f64>();
}

/// A cell without a packed form, alone and between packed ones.
#[test]
fn a_cell_that_is_not_packed() {
    fn of<F: Float>() {
        for b in [0, 1, 3] {
            let cell = build(&SteppedGru::<F>::spec(9), 4, 1);
            Bits { t: 12, b }.cell("SteppedGru", &cell);
            let (problem, expected) = (problem(&cell, 12, b, 2), Unprepared::new(cell.clone()));
            for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
                let outcome = row_steps(&cell.prepare(precision).unwrap(), &problem);
                same("SteppedGru", &outcome, &row_steps(&expected, &problem));
            }
            let stack = Network::<F>::builder(4).lstm(5).layer(SteppedGru::spec(9)).rnn(3);
            Bits { t: 12, b }.net("a stack with a SteppedGru", &stack.build().unwrap());
        }
    }
    of::<f32>();
    of::<f64>();
}

/// A stream that goes from the network to its prepared form and back.
#[test]
fn a_state_goes_from_one_to_the_other() {
    fn check<L: SeqLayer + Causal + Prepare>(name: &str, net: &L) {
        let prepared = net.prepare(Precision::Full).unwrap();
        let problem = problem(net, 30, 2, 4);
        let (mut ys, mut state) = (nan(30, 2, 17), problem.state.clone());
        for (t, (x, mut y)) in problem.xs.outer_iter().zip(ys.outer_iter_mut()).enumerate() {
            let (x, y) = (x.to_slice().unwrap(), y.as_slice_mut().unwrap());
            if t / 3 % 2 == 0 {
                net.step_rows(x, y, &mut state).unwrap();
            } else {
                prepared.step_rows(x, y, &mut state).unwrap();
            }
        }
        same(&format!("{name}: to and fro"), &(ys, state), &forward(net, &problem));
    }
    check("of one type", &Stacked::repeat(3, 2, &Lstm::<f32>::spec(17), 2).unwrap());
    check("of any", &Network::<f32>::builder(3).repeat(2, Lstm::spec(17)).seed(2).build().unwrap());
}

/// The arrays of a state may lie in memory column by column.
#[test]
fn a_state_of_another_layout() {
    let cell = build(&Lstm::<f64>::spec(17), 3, 1);
    let problem = problem(&cell, 5, 4, 6);
    let state = problem.state.clone().map(|array| {
        let columns = array.t().as_standard_layout().into_owned().reversed_axes();
        assert!(!columns.is_standard_layout());
        columns
    });
    let by_column = Problem { xs: problem.xs.clone(), state };
    let net = cell.prepare(Precision::Full).unwrap();
    same("a state by columns", &row_steps(&net, &by_column), &forward(&cell, &problem));
}

/// The packed form is that of the weights as they were.
#[test]
fn later_changes_do_not_reach_it() {
    let mut cell = build(&Gru::<f32>::spec(8), 3, 1);
    let problem = problem(&cell, 5, 2, 6);
    let (numbers, before) = (weights(&cell), forward(&cell, &problem));
    let net = cell.prepare(Precision::Full).unwrap();
    assert!(weights(&cell) == numbers);
    cell.scale(0.5);
    assert_ne!(forward(&cell, &problem).0, before.0);
    same("after a change", &row_steps(&net, &problem), &before);
}
