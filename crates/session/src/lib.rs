//! Two parties in one session: a channel, oblivious transfers in both directions, and randomness.
//!
//! A protocol on shares is one function whose first argument is `s: &mut Session`; it is the only way to
//! correlated randomness.

mod handshake;
mod session;
mod setup;

pub use handshake::{VERSION, agree, agree_cost, hello, hello_cost};
pub use session::{Params, Session};
pub use setup::setup_cost;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
