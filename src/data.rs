//! What goes into a network and comes out besides outputs: inputs and states.

pub use crate::flat_state::{flat_state, state_from_flat};
pub use crate::input::{AsInput, Input, batch_major, time_major, unbatched};
pub use crate::state::State;
