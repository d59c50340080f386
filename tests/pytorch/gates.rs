//! The gate maths the fixtures have.

use deep_rnn::{
    Float,
    cells::{Activation, Gated, GruGates, LstmGates, Rnn, RnnGates, RowCell},
    init::Init,
};

use crate::fixture::Kind;

/// A gate maths that the fixtures have: how a cell of it is made from PyTorch's arrays.
pub(crate) trait Kept<F: Float>: RowCell + 'static {
    fn of(kind: Kind) -> Self;
}
impl<F: Float> Kept<F> for RnnGates {
    fn of(kind: Kind) -> Self {
        let activation = if kind == Kind::RnnRelu { Activation::Relu } else { Activation::Tanh };
        let cell = Rnn::<F>::spec(1).activation(activation).build(1, &mut Init::seeded(0)).unwrap();
        *cell.gates()
    }
}
impl<F: Float> Kept<F> for GruGates {
    fn of(_: Kind) -> Self {
        GruGates
    }
}
impl<F: Float> Kept<F> for LstmGates {
    fn of(_: Kind) -> Self {
        LstmGates
    }
}

pub(crate) type Cell<F, P> = Gated<F, P>;
