//! Truncation: division by a power of two.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, 0 ≤ shift < l. Output: additive shares of floor(x / 2^shift), x signed: exactly
//! over Z_{2^l} ([`trunc_faithful`], [`trunc_faithful_sirnn`]) or over Z_{2^{l−shift}} ([`trunc_reduce`]);
//! from [`trunc_one_bit`] of that value or the one below it.
//!
//! # Protocol
//! With c = 1{x0 mod 2^shift + x1 mod 2^shift ≥ 2^shift} and the e of [`wrap`], x = x0 + x1 − 2^l·e:
//! floor(x / 2^shift) = (x0 >> shift) + (x1 >> shift) + c − 2^{l−shift}·e.
//!
//! | step | P0 (x0)                                  | wire | P1 (x1)                                 |
//! |------|------------------------------------------|------|-----------------------------------------|
//! | 1    | e over Z_{2^shift}, from the sign        | ↔    | e over Z_{2^shift}, from the sign       |
//! | 2    | c: compare the low bits                  | ↔    | c: compare the low bits                 |
//! | 3    | b2a of c                                 | ↔    | b2a of c                                |
//! | 4    | `(x0 >> shift) + c0 − 2^{l−shift}·e0`    |      | `(x1 >> shift) + c1 − 2^{l−shift}·e1`   |
//!
//! One-bit: without 2 and 3, so the result is too small by c, a function of the shares alone. Reduce: without 1. SiRNN: for
//! x + 2^{l−1}, which has no sign, in place of steps 1 and 2 one comparison on l bits that gives c from its low
//! digits:
//!
//! | step | P0 (x0 + 2^{l−1})                        | wire | P1 (x1)                                 |
//! |------|------------------------------------------|------|-----------------------------------------|
//! | 5    | e and c from one comparison              | ↔    | e and c from one comparison             |
//! | 6    | b2a of e, into Z_{2^shift}               | ↔    | b2a of e, into Z_{2^shift}              |
//!
//! and 2^{l−1−shift} is subtracted after step 4.
//!
//! # Cost
//! [`cost_faithful`], [`cost_faithful_sirnn`], [`cost_one_bit`], [`cost_reduce`]; nothing for shift 0.
//!
//! # Security
//! Composition of [`wrap`], [`millionaires`] and [`b2a`].
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), section 4.1; Rathee et al.: SiRNN (S&P 2021), section 3.2; Huang et al.: Cheetah
//! (USENIX Security 2022), section 5.3, for the one-bit error.
//!
//! # Deviations
//! Where x is known not to be negative, e takes one COT.

use crate::drelu::addends;
use crate::wrap::{self, Sign, Signedness};
use crate::{b2a, millionaires};
use copriv_channel::Cost;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::Result;

/// The cost of [`trunc_faithful`] on `n` elements of `width` bits.
pub fn cost_faithful(params: &Params, n: usize, width: Width, shift: u32, sign: Sign) -> Cost {
    if shift == 0 || n == 0 {
        return Cost::ZERO;
    }
    wrap::cost_excess(params, n, width, sign, Width::of(shift)) + cost_carry(params, n, shift, width)
}

/// The cost of [`trunc_faithful_sirnn`] on `n` elements of `width` bits.
pub fn cost_faithful_sirnn(params: &Params, n: usize, width: Width, shift: u32) -> Cost {
    if shift == 0 || n == 0 {
        return Cost::ZERO;
    }
    millionaires::cost_low(params, n, width.bits(), shift)
        + b2a::cost(params, n, Width::of(shift))
        + b2a::cost(params, n, width)
}

/// The cost of [`trunc_one_bit`] on `n` elements of `width` bits.
pub fn cost_one_bit(params: &Params, n: usize, width: Width, shift: u32, sign: Sign) -> Cost {
    if shift == 0 { Cost::ZERO } else { wrap::cost_excess(params, n, width, sign, Width::of(shift)) }
}

/// The cost of [`trunc_reduce`] on `n` elements of `width` bits.
pub fn cost_reduce(params: &Params, n: usize, width: Width, shift: u32) -> Cost {
    if shift == 0 { Cost::ZERO } else { cost_carry(params, n, shift, Width::of(width.bits() - shift)) }
}

fn cost_carry(params: &Params, n: usize, shift: u32, out: Width) -> Cost {
    millionaires::cost(params, n, shift) + b2a::cost(params, n, out)
}

/// Shares of floor(x / 2^`shift`).
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When `shift` is not below the width, or there is not one sign for each element.
pub fn trunc_faithful(
    s: &mut Session,
    x: &Arithmetic,
    shift: u32,
    sign: Sign<&Boolean>,
) -> Result<Arithmetic> {
    if shift == 0 {
        return Ok(x.clone());
    }
    let shifted = trunc_one_bit(s, x, shift, sign)?; // (1)
    Ok(&shifted + &carry(s, x, shift, x.width())?) // (4)
}

/// Shares of floor(x / 2^`shift`) − c, c the carry of the low bits of the shares.
///
/// # Errors
/// As [`trunc_faithful`].
///
/// # Panics
/// As [`trunc_faithful`].
pub fn trunc_one_bit(
    s: &mut Session,
    x: &Arithmetic,
    shift: u32,
    sign: Sign<&Boolean>,
) -> Result<Arithmetic> {
    assert!(shift < x.width().bits(), "the shift is below the width");
    if shift == 0 {
        return Ok(x.clone());
    }
    let e = wrap::excess(s, x, sign, Signedness::Signed, Width::of(shift))?; // (1)
    Ok(shifted(x, shift, x.width(), &e)) // (4)
}

/// Shares of floor(x / 2^`shift`) over the ring of l − `shift` bits.
///
/// # Errors
/// As [`trunc_faithful`].
///
/// # Panics
/// When `shift` is not below the width.
pub fn trunc_reduce(s: &mut Session, x: &Arithmetic, shift: u32) -> Result<Arithmetic> {
    assert!(shift < x.width().bits(), "the shift is below the width");
    if shift == 0 {
        return Ok(x.clone());
    }
    let out = Width::of(x.width().bits() - shift);
    let carry = carry(s, x, shift, out)?;
    Ok(&Arithmetic::new(x.own().shr(shift, out)) + &carry) // (4)
}

/// Shares of floor(x / 2^`shift`), the sign not known, by one comparison.
///
/// # Errors
/// As [`trunc_faithful`].
///
/// # Panics
/// When `shift` is not below the width.
pub fn trunc_faithful_sirnn(s: &mut Session, x: &Arithmetic, shift: u32) -> Result<Arithmetic> {
    let width = x.width();
    assert!(shift < width.bits(), "the shift is below the width");
    if shift == 0 {
        return Ok(x.clone());
    }
    let half = 1u64 << (width.bits() - 1);
    let x = x.offset(s.role(), half);
    let (e, c) = millionaires::less_than_low(s, width.bits(), shift, &addends(s.role(), &x, width))?; // (5)
    let e = b2a::b2a(s, &e, Width::of(shift))?; // (6)
    let c = b2a::b2a(s, &c, width)?; // (3)
    let sum = &shifted(&x, shift, width, &e) + &c; // (4)
    Ok(sum.offset(s.role(), (half >> shift).wrapping_neg()))
}

/// Steps 2 and 3: shares over the ring of `out` bits of the carry out of the low `shift` bits.
fn carry(s: &mut Session, x: &Arithmetic, shift: u32, out: Width) -> Result<Arithmetic> {
    let c = millionaires::less_than(s, shift, &addends(s.role(), x, Width::of(shift)))?; // (2)
    b2a::b2a(s, &c, out) // (3)
}

/// (x >> shift) − 2^{l−shift}·e of one party's own shares.
fn shifted(x: &Arithmetic, shift: u32, width: Width, e: &Arithmetic) -> Arithmetic {
    let high = e.own().resize(width).shl(width.bits() - shift);
    Arithmetic::new(&x.own().shr(shift, width) - &high)
}
