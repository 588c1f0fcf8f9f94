//! The program as its users see it: what it prints, what it exits with, and that it always ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod benches;
mod calibration;
mod common;
mod inputs;
mod peers;
mod pictures;
mod stores;
mod third_party;
mod train;
