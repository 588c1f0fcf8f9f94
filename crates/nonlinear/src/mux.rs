//! A ring element or zero, by a shared bit.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, XOR shares of bits b. Output: additive shares of b·x.
//!
//! # Protocol
//! b·x = (b0 ⊕ b1)·x0 + (b0 ⊕ b1)·x1, and (b0 ⊕ b1)·x0 = b0·x0 + b1·(1 − 2·b0)·x0:
//!
//! | step | P0 (x0, b0)                              | wire | P1 (x1, b1)                              |
//! |------|------------------------------------------|------|------------------------------------------|
//! | 1    | COTs: choice b0, correlation `±x0`       | ↔    | COTs: choice b1, correlation `±x1`       |
//! | 2    | `b0·x0 + got + sent`                     |      | `b1·x1 + got + sent`                     |
//!
//! # Cost
//! [`cost`]: l bits each way on top of an RCOT each way. [`mux_pair`] uses the same RCOTs for two operands.
//!
//! # Security
//! That of COT; two COTs on one RCOT hash it under different tweaks.
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), appendix A.4.
//!
//! # Deviations
//! Two COTs in place of two 1-of-2 OTs.

use copriv_bits::{BitVec, Block};
use copriv_channel::Cost;
use copriv_ot::cot;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::{Result, Role};

/// The cost of [`mux`] on `n` elements of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width) -> Cost {
    if n == 0 { Cost::ZERO } else { params.cot_both_cost(n, width) }
}

/// The cost of [`mux_pair`] on `n` elements of each of `widths`.
pub fn cost_pair(params: &Params, n: usize, widths: [Width; 2]) -> Cost {
    if n == 0 {
        return Cost::ZERO;
    }
    let [rcot0, rcot1] = [Role::P0, Role::P1].map(|sender| params.rcot.cost_chosen(sender, n));
    let masked = |from| widths.into_iter().map(|w| Cost::message(from, n, w.bits())).sum::<Cost>();
    rcot0.beside(rcot1) + masked(Role::P0).beside(masked(Role::P1))
}

/// Shares of b·x.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When there is not one bit for each element.
pub fn mux(s: &mut Session, x: &Arithmetic, b: &Boolean) -> Result<Arithmetic> {
    let (kept, correlation) = operands(x.own(), b.own());
    if kept.is_empty() {
        return Ok(Arithmetic::new(kept));
    }
    let (got, sent) = s.cot_both(b.own(), &correlation)?; // (1)
    Ok(Arithmetic::new(&(&kept + &got) + &sent)) // (2)
}

/// Shares of b·x and b·y, which may lie in different rings.
///
/// # Errors
/// As [`mux`].
///
/// # Panics
/// As [`mux`].
pub fn mux_pair(s: &mut Session, x: [&Arithmetic; 2], b: &Boolean) -> Result<[Arithmetic; 2]> {
    let [(mut x, dx), (mut y, dy)] = x.map(|x| operands(x.own(), b.own()));
    if b.is_empty() {
        return Ok([x, y].map(Arithmetic::new));
    }
    let Session { channel, rcot_sender, rcot_receiver, .. } = s;
    let (mut t, mut q) = (vec![Block::ZERO; b.len()], vec![Block::ZERO; b.len()]);
    rcot_receiver.extend_chosen(channel, b.own(), &mut t)?; // (1)
    rcot_sender.extend_chosen(channel, &mut q)?;
    for (out, correlation) in [(&mut x, &dx), (&mut y, &dy)] {
        *out += &cot::send_on(channel, rcot_sender.as_mut(), &q, 1, correlation)?; // (1)
    }
    for out in [&mut x, &mut y] {
        let got = cot::receive_on(channel, rcot_receiver.as_mut(), &t, out.width(), 1, b.own())?; // (1)
        *out += &got; // (2)
    }
    Ok([x, y].map(Arithmetic::new))
}

/// b·x and (1 − 2·b)·x of one party's own x and b.
pub(crate) fn operands(x: &RingVec, b: &BitVec) -> (RingVec, RingVec) {
    assert_eq!(x.len(), b.len(), "one bit for each element");
    let masks: Vec<u64> = b.iter().map(|b| u64::from(b).wrapping_neg()).collect();
    let each = |f: fn(u64, u64) -> u64| x.words().iter().zip(&masks).map(|(&x, &m)| f(x, m)).collect();
    // With m = −b: (x ⊕ m) − m is x or −x.
    let signed = each(|x, m| (x ^ m).wrapping_sub(m));
    (RingVec::from_words(x.width(), each(|x, m| x & m)), RingVec::from_words(x.width(), signed))
}
