//! The product of two private bits as shares of a ring element.
//!
//! # Functionality
//! P0: bits u. P1: bits v. Output: additive shares of u·v over Z_{2^l}.
//!
//! # Protocol
//! | step | P0 (u)                        | wire | P1 (v)                          |
//! |------|-------------------------------|------|---------------------------------|
//! | 1    | COT with correlation u: `s`   | ↔    | COT with choice v: `r = u·v − s` |
//!
//! # Cost
//! [`cost`]: one COT, l bits on top of an RCOT with chosen bit.
//!
//! # Security
//! That of the COT.
//!
//! # Reference
//! Gilboa: Two Party RSA Key Generation (CRYPTO 1999).
//!
//! # Deviations
//! None.

use copriv_bits::BitVec;
use copriv_channel::Cost;
use copriv_ot::cot;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::{Result, Role};

/// The cost of `n` products in the ring of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width) -> Cost {
    if n == 0 { Cost::ZERO } else { cot::cost(params.rcot, Role::P0, n, 1, width) }
}

/// Shares of u·v, each party giving its `own` bits.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn product(s: &mut Session, width: Width, own: &BitVec) -> Result<Arithmetic> {
    if own.is_empty() {
        return Ok(Arithmetic::zeros(width, 0));
    }
    let Session { channel, rcot_sender, rcot_receiver, .. } = s;
    let share = match channel.role() {
        Role::P0 => cot::send(channel, rcot_sender.as_mut(), 1, &RingVec::from_words(width, own.to_lsb())), // (1)
        Role::P1 => cot::receive(channel, rcot_receiver.as_mut(), width, 1, own), // (1)
    };
    Ok(Arithmetic::new(share?))
}
