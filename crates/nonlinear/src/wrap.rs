//! Whether the two shares of an element wrap around the ring.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}. Output of [`wrap`] and [`wrap_nonnegative`]: XOR shares of w = 1{x0 + x1 ≥ 2^l};
//! of [`excess`]: additive shares over a ring of `out` bits of the e with x = x0 + x1 − 2^l·e, for x taken without sign
//! (e = w) or with sign (e = w + msb(x)).
//!
//! # Protocol
//! u, v are the most significant bits of x0, x1.
//!
//! | step | P0 (x0)                                 | wire | P1 (x1)                                |
//! |------|-----------------------------------------|------|----------------------------------------|
//! | 1    | compare `a = 2^l − 1 − x0`              | ↔    | with `b = x1`: `w = 1{a < b}`          |
//! | 2    | where msb(x) = 0: `p0`, `u − p0`        | ↔    | `p1 = u·v − p0`, `v − p1`: `w = u ∨ v` |
//! | 3    | 1-of-4 OT, random r: table of `e − r`   | ↔    | `e − r` at its own (v, msb1)           |
//!
//! Step 1 when nothing is known, 2 when x is known not to be negative, 3 from shares of msb(x): where u = v, w = u; otherwise
//! w = 1 ⊕ msb(x). When |x| is known to be below 2^{l−2}, step 2 for x + 2^{l−2}: x0 + 2^{l−2} in place of x0, and P0 adds
//! to e whether that overflowed.
//!
//! # Cost
//! [`cost`]: a comparison on l bits. [`cost_nonnegative`]: one COT on one bit. [`cost_excess`]: one COT on `out` bits,
//! or a 1-of-4 OT on `out` bits; when the sign is not known, a comparison on l − 1 bits first.
//!
//! # Security
//! That of the OTs; r is uniform.
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), section 4.1, for step 3; SiRNN (S&P 2021), section 3.1, for step 2.
//!
//! # Deviations
//! Step 2 gives arithmetic shares at once.

use crate::{drelu, millionaires, product};
use copriv_bits::BitVec;
use copriv_channel::Cost;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::{Result, Role};

/// What is known of the signs of a vector: without shares it says what a protocol costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign<B = ()> {
    /// Nothing.
    Unknown,
    /// Shares of 1{x < 0}.
    Known(B),
    /// No element is negative: the result for one that is, is wrong.
    NonNegative,
    /// Every element is in −2^{l−2}..2^{l−2}: the result for another is wrong.
    Bounded,
}

/// How the element x stands for an integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signedness {
    /// In 0..2^l.
    Unsigned,
    /// In −2^{l−1}..2^{l−1}.
    Signed,
}

/// The cost of [`wrap`] on `n` elements of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width) -> Cost {
    millionaires::cost(params, n, width.bits())
}

/// The cost of [`wrap_nonnegative`] on `n` elements.
pub fn cost_nonnegative(params: &Params, n: usize) -> Cost {
    product::cost(params, n, Width::BIT)
}

/// The cost of [`excess`] on `n` elements of `width` bits.
pub fn cost_excess(params: &Params, n: usize, width: Width, sign: Sign, out: Width) -> Cost {
    match sign {
        _ if n == 0 => Cost::ZERO,
        Sign::Unknown => drelu::cost(params, n, width) + cost_excess(params, n, width, Sign::Known(()), out),
        Sign::Known(()) => params.one_of_n_cost(Role::P0, n, 2, out),
        Sign::NonNegative | Sign::Bounded => product::cost(params, n, out),
    }
}

/// Shares of w, nothing known.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn wrap(s: &mut Session, x: &Arithmetic) -> Result<Boolean> {
    millionaires::less_than(s, x.width().bits(), &drelu::addends(s.role(), x, x.width())) // (1)
}

/// Shares of w where no x is negative.
///
/// # Errors
/// As [`wrap`].
pub fn wrap_nonnegative(s: &mut Session, x: &Arithmetic) -> Result<Boolean> {
    let w = excess(s, x, Sign::NonNegative, Signedness::Unsigned, Width::BIT)?; // (2)
    Ok(Boolean::new(BitVec::from_lsb(w.own().words())))
}

/// Shares over the ring of `out` bits of the e with x = x0 + x1 − 2^l·e.
///
/// # Errors
/// As [`wrap`].
///
/// # Panics
/// When there is not one sign for each element, or the sign is unknown and the ring has one bit only.
pub fn excess(
    s: &mut Session,
    x: &Arithmetic,
    sign: Sign<&Boolean>,
    signedness: Signedness,
    out: Width,
) -> Result<Arithmetic> {
    let (n, own) = (x.len(), drelu::own_msb(x));
    let msb = match (sign, signedness) {
        _ if n == 0 => return Ok(Arithmetic::zeros(out, 0)),
        (Sign::NonNegative, _) | (Sign::Bounded, Signedness::Unsigned) => return or(s, &own, out),
        (Sign::Bounded, Signedness::Signed) => return excess_bounded(s, x, out),
        (Sign::Known(msb), _) => msb.clone(),
        (Sign::Unknown, _) => drelu::msb(s, x)?,
    };
    assert_eq!(msb.len(), n, "one sign for each element");
    let share = match s.role() {
        Role::P0 => {
            let random = s.prg.ring(out, n);
            s.one_of_n_send(2, out, n, |i, table| {
                let (u, m0, r) = (own.bit(i), msb.own().bit(i), random.words()[i]);
                for (choice, entry) in (0u64..).zip(table) {
                    let (v, m) = (choice & 1, m0 ^ choice >> 1);
                    let w = u & v | (u ^ v) & (m ^ 1);
                    let e = match signedness {
                        Signedness::Unsigned => w,
                        Signedness::Signed => w + m,
                    };
                    *entry = out.reduce(e.wrapping_sub(r)); // (3)
                }
            })?;
            random
        }
        Role::P1 => {
            let choices: Vec<u8> =
                own.iter().zip(msb.own().iter()).map(|(v, m)| u8::from(v) | u8::from(m) << 1).collect();
            RingVec::from_words(out, s.one_of_n_receive(2, out, &choices)?) // (3)
        }
    };
    Ok(Arithmetic::new(share))
}

/// Step 2: shares of u ∨ v of the parties' `own` bits.
fn or(s: &mut Session, own: &BitVec, out: Width) -> Result<Arithmetic> {
    let product = product::product(s, out, own)?; // (2)
    Ok(&Arithmetic::new(RingVec::from_words(out, own.to_lsb())) - &product) // (2)
}

/// e = (u ∨ v) + k for x0 + 2^{l−2} in place of x0, where k = 1 if that overflows.
fn excess_bounded(s: &mut Session, x: &Arithmetic, out: Width) -> Result<Arithmetic> {
    let (width, role) = (x.width(), s.role());
    let quarter = role.only_p0(1 << width.bits().saturating_sub(2));
    let moved = x.offset(role, quarter);
    let overflow = x.own().map(out, |x| u64::from(width.reduce(x.wrapping_add(quarter)) < quarter));
    let e = or(s, &drelu::own_msb(&moved), out)?;
    Ok(&e + &Arithmetic::new(overflow))
}
