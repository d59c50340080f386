//! Training: the engine, gradients without it, batches and targets; the best weights and the mean of weights.

pub use crate::average::Average;
pub use crate::backprop::Backprop;
pub use crate::batch::Batch;
pub use crate::best::Best;
pub use crate::bptt::{Bptt, BpttBuilder, Report};
pub use crate::precision::Products;
pub use crate::targets::{Sequence, Targets};
