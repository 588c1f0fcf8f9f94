//! The sign of a shared integer.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, l ≥ 2. Output: XOR shares of msb(x) = 1{x < 0}, or of
//! drelu(x) = 1{x ≥ 0} = 1 ⊕ msb(x). [`drelu_top`] leaves out the d lowest bits: for 0 ≤ x < 2^d its result may be 0, as
//! the shares fall, and for x < −2^{l−1} + 2^d it may be 1; every other is right.
//!
//! # Protocol
//! The sum's most significant bit is that of both shares and the carry from the l − 1 bits y0, y1 below:
//!
//! | step | P0 (x0)                            | wire | P1 (x1)                           |
//! |------|------------------------------------|------|-----------------------------------|
//! | 1    | compare `a = 2^{l−1} − 1 − y0`     | ↔    | with `b = y1`: `carry = 1{a < b}` |
//! | 2    | `msb(x0) ⊕ carry0`                 |      | `msb(x1) ⊕ carry1`                |
//!
//! Without the d lowest bits a and b are shifted down by d: what is found is the carry but for the one out of those bits, so the
//! sign of floor(x / 2^d) or of one less.
//!
//! # Cost
//! [`cost`]: one comparison on l − 1 bits. [`cost_top`]: on l − 1 − d.
//!
//! # Security
//! That of [`millionaires`].
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), section 3.2, algorithm 2.
//!
//! # Deviations
//! None.

use crate::millionaires;
use copriv_bits::BitVec;
use copriv_channel::Cost;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::{Result, Role};

/// The cost of [`msb`] and of [`drelu`] on `n` elements of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width) -> Cost {
    cost_top(params, n, width, 0)
}

/// The cost of [`drelu_top`] on `n` elements of `width` bits without the lowest `drop_bits`.
pub fn cost_top(params: &Params, n: usize, width: Width, drop_bits: u32) -> Cost {
    millionaires::cost(params, n, width.bits() - 1 - drop_bits)
}

/// Shares of 1{x < 0}.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the ring has one bit only.
pub fn msb(s: &mut Session, x: &Arithmetic) -> Result<Boolean> {
    msb_top(s, x, 0)
}

fn msb_top(s: &mut Session, x: &Arithmetic, drop_bits: u32) -> Result<Boolean> {
    assert!(drop_bits + 1 < x.width().bits(), "a sign is found from one bit below it at least");
    let below = Width::of(x.width().bits() - 1);
    let top: Vec<u64> = addends(s.role(), x, below).into_iter().map(|a| a >> drop_bits).collect();
    let carry = millionaires::less_than(s, below.bits() - drop_bits, &top)?; // (1)
    Ok(carry.xor_own(&own_msb(x))) // (2)
}

/// Shares of 1{x ≥ 0}.
///
/// # Errors
/// As [`msb`].
///
/// # Panics
/// As [`msb`].
pub fn drelu(s: &mut Session, x: &Arithmetic) -> Result<Boolean> {
    drelu_top(s, x, 0)
}

/// Shares of 1{x ≥ 0}, found without the lowest `drop_bits` of x.
///
/// # Errors
/// As [`msb`].
///
/// # Panics
/// When `drop_bits` is not below the width less 1.
pub fn drelu_top(s: &mut Session, x: &Arithmetic, drop_bits: u32) -> Result<Boolean> {
    let msb = msb_top(s, x, drop_bits)?;
    Ok(msb.not(s.role()))
}

/// What the parties compare to learn the carry out of the low `width` bits of x0 + x1: 2^width − 1 − x0 < x1.
pub(crate) fn addends(role: Role, x: &Arithmetic, width: Width) -> Vec<u64> {
    let flip = role.only_p0(u64::MAX);
    x.own().words().iter().map(|x| width.reduce(x ^ flip)).collect()
}

/// The most significant bits of a party's own share.
pub(crate) fn own_msb(x: &Arithmetic) -> BitVec {
    BitVec::from_lsb(x.own().shr(x.width().bits() - 1, Width::BIT).words())
}
