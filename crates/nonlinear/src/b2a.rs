//! A shared bit as a ring element.
//!
//! # Functionality
//! Input: XOR shares of bits b. Output: additive shares of b over Z_{2^l}.
//!
//! # Protocol
//! | step | P0 (b0)               | wire | P1 (b1)               |
//! |------|-----------------------|------|-----------------------|
//! | 1    | `p0`                  | ↔    | `p1 = b0·b1 − p0` mod 2^{l−1} |
//! | 2    | `b0 − 2·p0`           |      | `b1 − 2·p1`           |
//!
//! # Cost
//! [`cost`]: l − 1 bits on top of one RCOT with chosen bit; nothing for l = 1.
//!
//! # Security
//! That of [`product`].
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), section 3.3.
//!
//! # Deviations
//! The product is doubled, so l − 1 bits of it are enough.

use crate::product;
use copriv_channel::Cost;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::Result;

/// The cost of `n` conversions into the ring of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width) -> Cost {
    Width::new(width.bits() - 1).map_or(Cost::ZERO, |half| product::cost(params, n, half))
}

/// Shares over the ring of `width` bits of the bits `b`.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn b2a(s: &mut Session, b: &Boolean, width: Width) -> Result<Arithmetic> {
    let own = Arithmetic::new(RingVec::from_words(width, b.own().to_lsb()));
    let Ok(half) = Width::new(width.bits() - 1) else { return Ok(own) };
    let product = product::product(s, half, b.own())?.into_own(); // (1)
    Ok(&own - &Arithmetic::new(product.resize(width).scale(2))) // (2)
}
