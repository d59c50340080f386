//! From a network to a graph.
use crate::{Error, Params, Recurrent};
pub(super) fn export<N: Recurrent + Params>(_: &N) -> Result<Vec<u8>, Error> {
    Err(Error::value("a", "b", "c"))
}
