//! Layers that are no cells.

use deep_rnn::gradcheck::{self, Check};
use deep_rnn::{
    Context, Recurrent, RnnCell, Run, SeqLayer,
    custom::{Numeric, Params, SeqGradIo},
    data::Input,
};
use ndarray::{ArrayViewD, ArrayViewMut3, ArrayViewMutD};

use crate::faulty::{Cell, D, Fault, H, State, cell};

/// A layer, which is not a cell, that goes over its edges.
#[derive(Clone, Debug)]
struct Spills(Cell);

impl Numeric for Spills {
    type Elem = f64;
}

impl Params for Spills {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, f64>)) {
        self.0.visit(f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, f64>)) {
        self.0.visit_mut(f);
    }
}

impl Recurrent for Spills {
    type State = State;
    type Tape = <Cell as Recurrent>::Tape;
    fn input_size(&self) -> usize {
        D
    }
    fn output_size(&self) -> usize {
        H
    }
    fn zero_state(&self, batch: usize) -> State {
        self.0.zero_state(batch)
    }
    fn initial_state(&self, batch: usize) -> State {
        self.0.initial_state(batch)
    }
}

impl Run for Spills {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, f64>,
        ys: ArrayViewMut3<'_, f64>,
        state: &mut State,
        tape: Option<&mut Self::Tape>,
    ) {
        self.0.scan(cx, xs, ys, state, tape);
    }
}

impl SeqLayer for Spills {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, f64>,
        tape: &mut Self::Tape,
        d_state: &mut State,
        grads: &mut Self,
    ) {
        self.0.scan_backward(cx, io, tape, d_state, &mut grads.0);
    }
}

#[test]
fn layers_are_held_to_them_too() {
    let check = |fault| gradcheck::check_layer(&Spills(cell(fault))).map_err(|violation| violation.check);
    assert!(check(Fault::None).is_ok());
    assert_eq!(check(Fault::RowsMixed).unwrap_err(), Check::Rows);
    assert_eq!(check(Fault::BiasGradientForgotten).unwrap_err(), Check::Differences);
    assert_eq!(check(Fault::ReadsMemoryAsIfInOrder).unwrap_err(), Check::Views);
    // Without steps a row that is shorter than the others tells.
    assert_eq!(check(Fault::CountsSteps).unwrap_err(), Check::Lengths);
    assert_eq!(check(Fault::FirstStateLearned).unwrap_err(), Check::FirstState, "what it does not hand on");
}
