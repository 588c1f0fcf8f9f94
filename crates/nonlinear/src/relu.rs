//! ReLU.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}. Output: additive shares of max(x, 0) and XOR shares of 1{x ≥ 0}. [`relu_top`] finds the
//! sign without the d lowest bits, as [`drelu_top`](crate::drelu): of 0 ≤ x < 2^d it may make 0.
//!
//! # Protocol
//! | step | P0 (x0)          | wire | P1 (x1)          |
//! |------|------------------|------|------------------|
//! | 1    | `d = drelu(x)`   | ↔    | `d = drelu(x)`   |
//! | 2    | `mux(x, d)`      | ↔    | `mux(x, d)`      |
//!
//! # Cost
//! [`cost`], [`cost_top`]: a drelu and a mux.
//!
//! # Security
//! Composition of [`drelu`] and [`mux`].
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), section 3.3.
//!
//! # Deviations
//! The shares of drelu are returned too, so that nobody compares twice.

use crate::{drelu, mux};
use copriv_channel::Cost;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::Result;

/// The cost of `n` ReLUs on `width` bits.
pub fn cost(params: &Params, n: usize, width: Width) -> Cost {
    cost_top(params, n, width, 0)
}

/// The cost of `n` ReLUs on `width` bits whose signs are found without the lowest `drop_bits`.
pub fn cost_top(params: &Params, n: usize, width: Width, drop_bits: u32) -> Cost {
    drelu::cost_top(params, n, width, drop_bits) + mux::cost(params, n, width)
}

/// Shares of max(x, 0) and of 1{x ≥ 0}.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the ring has one bit only.
pub fn relu(s: &mut Session, x: &Arithmetic) -> Result<(Arithmetic, Boolean)> {
    relu_top(s, x, 0)
}

/// Shares of x·d and of d, 1{x ≥ 0} found without the lowest `drop_bits` of x.
///
/// # Errors
/// As [`relu`].
///
/// # Panics
/// When `drop_bits` is not below the width less 1.
pub fn relu_top(s: &mut Session, x: &Arithmetic, drop_bits: u32) -> Result<(Arithmetic, Boolean)> {
    let d = drelu::drelu_top(s, x, drop_bits)?; // (1)
    Ok((mux::mux(s, x, &d)?, d)) // (2)
}
