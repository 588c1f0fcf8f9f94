//! The same integer in a wider ring.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}. Output: additive shares over Z_{2^{l'}}, l' ≥ l, of the integer x stands for,
//! in 0..2^l ([`extend_zero`]) or in −2^{l−1}..2^{l−1} ([`extend_signed`]).
//!
//! # Protocol
//! With the e of [`wrap`], x = x0 + x1 − 2^l·e:
//!
//! | step | P0 (x0)                     | wire | P1 (x1)                     |
//! |------|-----------------------------|------|-----------------------------|
//! | 1    | e over Z_{2^{l'−l}}         | ↔    | e over Z_{2^{l'−l}}         |
//! | 2    | `x0 − 2^l·e0`               |      | `x1 − 2^l·e1`               |
//!
//! # Cost
//! [`cost`]: that of e; nothing for l' = l.
//!
//! # Security
//! That of [`wrap`].
//!
//! # Reference
//! Rathee et al.: SiRNN (S&P 2021), section 3.1.
//!
//! # Deviations
//! e from the sign, as in the truncation of CrypTFlow2.

use crate::wrap::{self, Sign, Signedness};
use copriv_channel::Cost;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::Result;

/// The cost of extending `n` elements of `width` bits to `out` bits, either way.
pub fn cost(params: &Params, n: usize, width: Width, out: Width, sign: Sign) -> Cost {
    let more = Width::new(out.bits().saturating_sub(width.bits()));
    more.map_or(Cost::ZERO, |more| wrap::cost_excess(params, n, width, sign, more))
}

/// Shares of x, taken as unsigned, in the ring of `out` bits.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When `out` is narrower than the ring of x, or there is not one sign for each element.
pub fn extend_zero(s: &mut Session, x: &Arithmetic, out: Width, sign: Sign<&Boolean>) -> Result<Arithmetic> {
    extend(s, x, out, sign, Signedness::Unsigned)
}

/// Shares of x, taken as signed, in the ring of `out` bits.
///
/// # Errors
/// As [`extend_zero`].
///
/// # Panics
/// As [`extend_zero`].
pub fn extend_signed(
    s: &mut Session,
    x: &Arithmetic,
    out: Width,
    sign: Sign<&Boolean>,
) -> Result<Arithmetic> {
    extend(s, x, out, sign, Signedness::Signed)
}

fn extend(
    s: &mut Session,
    x: &Arithmetic,
    out: Width,
    sign: Sign<&Boolean>,
    signedness: Signedness,
) -> Result<Arithmetic> {
    let width = x.width();
    assert!(out >= width, "an extension does not narrow the ring");
    let Ok(more) = Width::new(out.bits() - width.bits()) else { return Ok(x.clone()) };
    let e = wrap::excess(s, x, sign, signedness, more)?; // (1)
    let high = e.own().resize(out).shl(width.bits());
    Ok(Arithmetic::new(&x.own().resize(out) - &high)) // (2)
}
