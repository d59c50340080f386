//! What somebody outside writes to bring cells and layers of their own: a cell through each of the two ways in, a layer
//! around any other, and a cell without parameters. Nothing here can see more of `deep_rnn` than any other crate can.

mod cifg;
mod mgu;
mod norm_lstm;
mod residual;
mod smooth;

pub use cifg::Cifg;
pub use mgu::Mgu;
pub use norm_lstm::NormLstm;
pub use residual::Residual;
pub use smooth::Smooth;

/// A text to train on, for tests that only ask whether the loss falls.
pub const TEXT: &str = "\
    the river carried the boat and the boat carried the miller and the miller carried a sack of flour to the town\n\
    in the town the baker took the flour and made the bread and the bread was carried back to the river by the boy\n\
    the boy gave the bread to the miller and the miller ate the bread in the boat and the boat carried them home\n\
    so the flour went down the river and the bread came up the river and nobody in the town knew who had the boat\n";
