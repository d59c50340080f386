//! Inner loops: matrix products and the loop over units, for whatever processor the program finds itself on.
//!
//! Nothing here knows a cell. Every sum runs in one fixed order whatever the blocking: element (i, j) of a product
//! takes its terms one after the other along the inner dimension, or with rounded operands 32 by 32 (`matmul/terms.rs`). So results are the same bits for a step and a
//! sequence, for one row and many, and for any number of threads. (Where there are very many rows the caller sums
//! blocks of them: `blocks.rs`.)

pub(crate) mod dispatch;
pub(crate) mod matmul;
pub(crate) mod narrow;
pub(crate) mod operands;
pub(crate) mod pace;
pub(crate) mod pack;
pub(crate) mod row_cells;
pub(crate) mod rows;
pub(crate) mod scratch;
pub(crate) mod stored;
pub(crate) mod stream;
pub(crate) mod sums;
pub(crate) mod threads;
pub(crate) mod views;
