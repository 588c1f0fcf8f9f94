//! The AND of shared bits, by bit triples.
//!
//! # Functionality
//! Input: XOR shares of bits x and y. Output: XOR shares of x ∧ y.
//!
//! # Protocol
//! With a triple (a, b, c = a ∧ b):
//!
//! | step | P0                                            | wire | P1                                    |
//! |------|-----------------------------------------------|------|---------------------------------------|
//! | 1    | open `d = x ⊕ a, e = y ⊕ b`                   | ↔    | open `d = x ⊕ a, e = y ⊕ b`           |
//! | 2    | `z = c ⊕ d ∧ b ⊕ e ∧ a ⊕ d ∧ e`               |      | `z = c ⊕ d ∧ b ⊕ e ∧ a`               |
//!
//! # Cost
//! [`cost`]: a triple, and 2 bits each way.
//!
//! # Security
//! d and e are masked by uniform bits that are used once.
//!
//! # Reference
//! Beaver: Efficient Multiparty Protocols Using Circuit Randomization (CRYPTO 1991).
//!
//! # Deviations
//! None.

use copriv_bits::BitVec;
use copriv_channel::Cost;
use copriv_ot::triple::BitTriples;
use copriv_session::{Params, Session};
use copriv_share::{Boolean, reveal, reveal_cost};
use copriv_wire::{Result, Role};

/// The cost of `n` ANDs.
pub fn cost(params: &Params, n: usize) -> Cost {
    if n == 0 { Cost::ZERO } else { params.bit_triples_cost(n) + open_cost(n) }
}

/// The cost of `n` ANDs with triples that exist already.
pub(crate) fn open_cost(n: usize) -> Cost {
    reveal_cost(2 * n)
}

/// Shares of x ∧ y.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the lengths differ.
pub fn and(s: &mut Session, x: &Boolean, y: &Boolean) -> Result<Boolean> {
    if x.is_empty() && y.is_empty() {
        return Ok(x.clone());
    }
    let triples = s.bit_triples(x.len())?;
    Ok(Boolean::new(and_with(s, &triples, x.own(), y.own())?))
}

/// One party's share of x ∧ y from its shares of x, y and of as many triples.
pub(crate) fn and_with(s: &mut Session, triples: &BitTriples, x: &BitVec, y: &BitVec) -> Result<BitVec> {
    let BitTriples { a, b, c } = triples;
    let masked = BitVec::concat([&(x ^ a), &(y ^ b)]);
    let opened = reveal(&mut s.channel, &Boolean::new(masked))?; // (1)
    let (d, e) = (opened.slice(0..x.len()), opened.slice(x.len()..2 * x.len()));
    let z = &(c ^ &(&d & b)) ^ &(&e & a); // (2)
    Ok(match s.role() {
        Role::P0 => &z ^ &(&d & &e),
        Role::P1 => z,
    })
}
