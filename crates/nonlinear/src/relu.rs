//! ReLU.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}. Output: additive shares of max(x, 0) and XOR shares of 1{x ≥ 0}.
//!
//! # Protocol
//! | step | P0 (x0)          | wire | P1 (x1)          |
//! |------|------------------|------|------------------|
//! | 1    | `d = drelu(x)`   | ↔    | `d = drelu(x)`   |
//! | 2    | `mux(x, d)`      | ↔    | `mux(x, d)`      |
//!
//! # Cost
//! [`cost`]: a drelu and a mux.
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
    drelu::cost(params, n, width) + mux::cost(params, n, width)
}

/// Shares of max(x, 0) and of 1{x ≥ 0}.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the ring has one bit only.
pub fn relu(s: &mut Session, x: &Arithmetic) -> Result<(Arithmetic, Boolean)> {
    let d = drelu::drelu(s, x)?; // (1)
    Ok((mux::mux(s, x, &d)?, d)) // (2)
}
