//! What the protocol crates' tests share: two parties in one process, ideal OT, tampering, digests.

mod counted;
mod dealer;
mod golden;
mod pair;
mod tamper;

pub use dealer::{dealer, stored_dealer};
pub use golden::check_wire;
pub use pair::{Outcome, channel_pair, run_channels, run_pair, run_sessions};
pub use tamper::{Recorded, Tamper, Tampering, record, survive_tampering};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
