//! The maths inside a fused cell, three ways in, each inside the next:
//!
//! - [`Pointwise`]: the gates of one unit, as scalars;
//! - [`PerUnit`]: those with weights of the unit's own (peepholes, leak rates), or with a product after a gate;
//! - [`RowCell`]: a whole row of units, where a cell sums over them (layer norm).
//!
//! Each is a [`RowCell`], and [`Gated`](crate::cells::Gated) makes a cell of any.

pub(crate) mod lanes;
mod per_unit;
mod pointwise;
mod row;

pub(crate) use lanes::BLOCK;
pub use lanes::Lanes;
pub use per_unit::{PerUnit, PerUnitGrad};
pub use pointwise::Pointwise;
pub(crate) use row::MOST_VECTORS;
pub use row::{RowBackward, RowCell, RowForward, Start, Vector};
