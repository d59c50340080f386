//! What one needs to write a cell or a layer of one's own, besides [`RnnCell`](crate::RnnCell), [`SeqLayer`](crate::SeqLayer) and
//! [`Pointwise`](crate::cells::Pointwise): docs/custom-cell.md is the guide.

pub use crate::cell::{GradIo, SeqGradIo, Tape, add_outer};
pub use crate::context::Mode;
pub use crate::describe::Describe;
pub use crate::kernel::sums::{dot, sum};
pub use crate::memory::{Memory, PassSize, Work};
pub use crate::params::{Numeric, Params, ZipMut};
pub use crate::record::Record;
pub use crate::spec::Spec;
