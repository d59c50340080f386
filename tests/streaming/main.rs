//! Networks prepared for streaming: the bits of the network itself, weights of 16 and of 8 bits, streams on threads, what
//! is refused, bytes.

#[path = "../support/bits.rs"]
mod bits;
mod bytes;
#[path = "../support/deep.rs"]
mod deep;
mod drift;
mod full;
mod language;
mod networks;
mod refused;
mod rounded;
mod run;
#[path = "../support/stepped.rs"]
mod stepped;
mod threads;
