//! From a float network and data to fixed point that is as narrow as the data allow.
//!
//! 1. [`Ranges`]: how large the values of each channel become on the data.
//! 2. [`scale`]: a network of the same function whose channels all use the bits that they are given. Every channel has a scale, a
//!    real number: what makes it multiplies by it, what reads it divides by it, both in their weights. Weights get as many
//!    fraction bits as fit the bits that they may have, layer by layer ([`Scaled`]).
//! 3. [`fit`](fn@fit): the ring that nothing wraps in, with the room that is asked for: by what the data need, or certainly, by
//!    intervals. Of those that are wide enough, the one in which an inference costs least.
//! 4. [`Agreement`]: how far the result is from the float network.

mod agreement;
mod classes;
mod error;
mod fit;
mod ranges;
mod scale;

pub use agreement::Agreement;
pub use error::Error;
pub use fit::{Failure, Fit, Room, Suite, fit};
pub use ranges::Ranges;
pub use scale::{Bits, Scaled, scale};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
