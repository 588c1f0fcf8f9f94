//! The largest element of each window.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, public [`Windows`]. Output: additive shares of the maximum of each
//! window, where the differences within a window fit l bits.
//!
//! # Protocol
//! A tournament; at each level, for the pairs (a, b) of all windows together:
//!
//! | step | P0                     | wire | P1                     |
//! |------|------------------------|------|------------------------|
//! | 1    | `r = relu(a − b)`      | ↔    | `r = relu(a − b)`      |
//! | 2    | `max = b + r`          |      | `max = b + r`          |
//!
//! # Cost
//! [`cost`]: one ReLU an element less one a window; ceil(log2) of the largest window times the rounds of a ReLU.
//!
//! # Security
//! That of [`relu`]; the windows are public.
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), section 5.2.
//!
//! # Deviations
//! A tournament in place of a chain: the same ReLUs in fewer rounds.

use crate::{Windows, relu};
use copriv_channel::Cost;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::Result;

/// The cost of the maxima of `windows` on elements of `width` bits.
pub fn cost(params: &Params, windows: &Windows, width: Width) -> Cost {
    windows.pairs().into_iter().map(|pairs| relu::cost(params, pairs, width)).sum()
}

/// Shares of the largest element of each window of x.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When a window's index is outside x or the ring has one bit only.
pub fn maxpool(s: &mut Session, x: &Arithmetic, windows: &Windows) -> Result<Arithmetic> {
    let mut x = windows.gather(x);
    for level in windows.levels() {
        let [a, b] = level.pairs.map(|at| x.gather(at));
        let (r, _) = relu::relu(s, &(&a - &b))?; // (1)
        x = (&b + &r).concat(&x).gather(level.next); // (2)
    }
    Ok(x)
}
