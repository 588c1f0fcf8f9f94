//! The average of each window, by a public multiplier.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, public [`Windows`], multiplier m and shift. Output: additive shares of
//! floor(m·(sum of the window) / 2^shift), the product mod 2^l. With m = 1 and windows of 2^shift elements that is the
//! floor of the average; otherwise m = round(2^shift / size).
//!
//! # Protocol
//! | step | P0                              | wire | P1                              |
//! |------|---------------------------------|------|---------------------------------|
//! | 1    | `m·(sum of own shares)`         |      | `m·(sum of own shares)`         |
//! | 2    | truncate by shift               | ↔    | truncate by shift               |
//!
//! # Cost
//! [`cost`]: one faithful truncation a window.
//!
//! # Security
//! That of [`truncate`]; the windows are public.
//!
//! # Reference
//! Rathee et al.: SiRNN (S&P 2021), for the truncation.
//!
//! # Deviations
//! CrypTFlow2 divides by the size of the window with a protocol of its own.

use crate::{Sign, Windows, truncate};
use copriv_channel::Cost;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::Result;

/// The cost of the averages of `n` windows of elements of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width, shift: u32, sign: Sign) -> Cost {
    truncate::cost_faithful(params, n, width, shift, sign)
}

/// Shares of floor(`multiplier` · sum / 2^`shift`) of each window; `sign` is what is known of the products.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When a window's index is outside x, or as [`truncate::trunc_faithful`].
pub fn avgpool(
    s: &mut Session,
    x: &Arithmetic,
    windows: &Windows,
    multiplier: i64,
    shift: u32,
    sign: Sign<&Boolean>,
) -> Result<Arithmetic> {
    let sums = windows.sums(x).scale(multiplier as u64); // (1)
    truncate::trunc_faithful(s, &sums, shift, sign) // (2)
}
