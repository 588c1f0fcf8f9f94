//! Clipping to a public range.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, public low ≤ high. Output: additive shares of min(max(x, low), high),
//! where the differences x − low and x − high fit l bits; of low + relu(x − low) − relu(x − high) mod 2^l in any case. [`clip_top`] finds
//! signs without the d lowest bits ([`relu_top`](relu::relu_top)): its result is off by less than 2^d.
//!
//! # Protocol
//! | step | P0 (x0)                                 | wire | P1 (x1)                                 |
//! |------|-----------------------------------------|------|-----------------------------------------|
//! | 1    | `relu` of x − low and x − high together | ↔    | `relu` of x − low and x − high together |
//! | 2    | `low + r0 − r1`                         |      | `r0 − r1`                               |
//!
//! # Cost
//! [`cost`], [`cost_top`]: two ReLUs an element, in the rounds of one.
//!
//! # Security
//! That of [`relu`].
//!
//! # Reference
//! Krizhevsky's ReLU6 (2010) is the case 0, 6·2^f.
//!
//! # Deviations
//! None.

use crate::relu;
use copriv_channel::Cost;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::Result;

/// The cost of clipping `n` elements of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width) -> Cost {
    cost_top(params, n, width, 0)
}

/// The same with signs that are found without the lowest `drop_bits`.
pub fn cost_top(params: &Params, n: usize, width: Width, drop_bits: u32) -> Cost {
    relu::cost_top(params, 2 * n, width, drop_bits)
}

/// Shares of x clipped to `low..=high`, both integers at the scale of x.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the ring has one bit only.
pub fn clip(s: &mut Session, x: &Arithmetic, low: i64, high: i64) -> Result<Arithmetic> {
    clip_top(s, x, low, high, 0)
}

/// Shares of x clipped to `low..=high`, but for less than 2^`drop_bits`.
///
/// # Errors
/// As [`clip`].
///
/// # Panics
/// When `drop_bits` is not below the width less 1.
pub fn clip_top(s: &mut Session, x: &Arithmetic, low: i64, high: i64, drop_bits: u32) -> Result<Arithmetic> {
    let (role, n) = (s.role(), x.len());
    let above = |bound: i64| x.offset(role, bound.wrapping_neg() as u64);
    let (both, _) = relu::relu_top(s, &above(low).concat(&above(high)), drop_bits)?; // (1)
    Ok((&both.slice(0..n) - &both.slice(n..2 * n)).offset(role, low as u64)) // (2)
}
