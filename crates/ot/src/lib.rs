//! Oblivious transfer between two parties.
//!
//! Everything is built on *random correlated OT* (RCOT): the sender holds Δ and blocks q_i, the receiver bits
//! b_i and t_i = q_i ⊕ b_i·Δ. [`RcotSender`] and [`RcotReceiver`] are implemented by every backend
//! ([`iknp`], [`softspoken`], [`silent`], [`stored`], [`key_bits`]); every conversion ([`rot`], [`chosen`], [`cot`], [`one_of_n`]) is written once on top
//! of them. [`kk13`] is the code-based 1-of-N OT of the baseline suite, [`base`] the public-key OTs that
//! start it all.

pub mod base;
pub mod chosen;
mod chunk;
pub mod cot;
pub mod iknp;
pub mod key_bits;
pub mod kk13;
pub mod one_of_n;
mod rcot;
pub mod rot;
pub mod silent;
pub mod softspoken;
pub mod spcot;
pub mod stored;
pub mod triple;

pub use rcot::{RcotBackend, RcotReceiver, RcotSender};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
