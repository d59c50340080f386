//! Training: the engine, gradients without it, batches and targets.

pub use crate::backprop::Backprop;
pub use crate::batch::Batch;
pub use crate::bptt::{Bptt, BpttBuilder, Report};
pub use crate::precision::Products;
pub use crate::targets::{Sequence, Targets};
