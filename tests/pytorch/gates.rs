//! The gate maths the fixtures have.

use deep_rnn::{Activation, Gated, GruGates, Init, LstmGates, Pointwise, Rnn, RnnGates};

use crate::fixture::Kind;

/// A gate maths that the fixtures have: how a cell of it is made from PyTorch's arrays.
pub(crate) trait Kept: Pointwise<f64> {
    fn of(kind: Kind) -> Self;
}
impl Kept for RnnGates<f64> {
    fn of(kind: Kind) -> Self {
        let activation = if kind == Kind::RnnRelu { Activation::Relu } else { Activation::Tanh };
        let cell = Rnn::<f64>::spec(1).activation(activation).build(1, &mut Init::seeded(0)).unwrap();
        *cell.gates()
    }
}
impl Kept for GruGates {
    fn of(_: Kind) -> Self {
        GruGates
    }
}
impl Kept for LstmGates {
    fn of(_: Kind) -> Self {
        LstmGates
    }
}

pub(crate) type Cell<P> = Gated<f64, P>;
