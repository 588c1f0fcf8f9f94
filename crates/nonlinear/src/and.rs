//! The AND of shared bits, by bit triples.
//!
//! # Functionality
//! Input: XOR shares of bits x and y. Output: XOR shares of x ∧ y; from [`and_pair`] of x ∧ y and x ∧ z.
//!
//! # Protocol
//! With a triple (a, b, c = a ∧ b):
//!
//! | step | P0                                            | wire | P1                                    |
//! |------|-----------------------------------------------|------|---------------------------------------|
//! | 1    | triples                                       | ↔    | triples                               |
//! | 2    | open `d = x ⊕ a, e = y ⊕ b`                   | ↔    | open `d = x ⊕ a, e = y ⊕ b`           |
//! | 3    | `c ⊕ d ∧ b ⊕ e ∧ a ⊕ d ∧ e`                   |      | `c ⊕ d ∧ b ⊕ e ∧ a`                   |
//!
//! Where two triples have a in common, a pair opens d once.
//!
//! # Cost
//! [`cost`]: a triple, and 2 bits each way. [`cost_pair`]: two triples, and 4 bits each way, or 3 where a is common.
//!
//! # Security
//! d and e are masked by uniform bits that are used once.
//!
//! # Reference
//! Beaver: Efficient Multiparty Protocols Using Circuit Randomization (CRYPTO 1991); CrypTFlow2 (CCS 2020), appendix
//! A.2, for pairs.
//!
//! # Deviations
//! None.

use crate::bits::split;
use crate::triples::{self, Triples};
use copriv_bits::BitVec;
use copriv_channel::Cost;
use copriv_ot::triple::BitTriples;
use copriv_session::{Params, Session};
use copriv_share::{Boolean, reveal, reveal_cost};
use copriv_wire::{Result, Role};

/// The cost of [`and`] on `n` bits.
pub fn cost(params: &Params, n: usize) -> Cost {
    triples::cost(params, n, 0) + cost_open(params, n, 0)
}

/// The cost of [`and_pair`] on `n` bits.
pub fn cost_pair(params: &Params, n: usize) -> Cost {
    triples::cost(params, 0, n) + cost_open(params, 0, n)
}

/// The cost of `singles` ANDs and `pairs` pairs of ANDs together, with triples that exist already.
pub(crate) fn cost_open(params: &Params, singles: usize, pairs: usize) -> Cost {
    let bits_of_pair = if triples::shared(params) { 3 } else { 4 };
    if singles + pairs == 0 { Cost::ZERO } else { reveal_cost(2 * singles + bits_of_pair * pairs) }
}

/// Shares of x ∧ y.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the lengths differ.
pub fn and(s: &mut Session, x: &Boolean, y: &Boolean) -> Result<Boolean> {
    let mut triples = Triples::new(s, x.len(), 0)?; // (1)
    let none = BitVec::default();
    let (z, _) = and_with(s, &mut triples, [x.own(), y.own()], [&none; 3])?;
    Ok(Boolean::new(z))
}

/// Shares of x ∧ y and x ∧ z.
///
/// # Errors
/// As [`and`].
///
/// # Panics
/// As [`and`].
pub fn and_pair(s: &mut Session, x: &Boolean, y: &Boolean, z: &Boolean) -> Result<[Boolean; 2]> {
    let mut triples = Triples::new(s, 0, x.len())?; // (1)
    let none = BitVec::default();
    let (_, both) = and_with(s, &mut triples, [&none; 2], [x.own(), y.own(), z.own()])?;
    Ok(both.map(Boolean::new))
}

/// One party's shares of u ∧ v, and of x ∧ y and x ∧ z, in one message each way.
pub(crate) fn and_with(
    s: &mut Session,
    triples: &mut Triples,
    [u, v]: [&BitVec; 2],
    [x, y, z]: [&BitVec; 3],
) -> Result<(BitVec, [BitVec; 2])> {
    let (n, m, shared) = (u.len(), x.len(), triples::shared(&s.params));
    if n + m == 0 {
        return Ok(Default::default());
    }
    let (t, [ty, tz]) = triples.take(n, m);
    let mut masked = BitVec::concat([&(u ^ &t.a), &(v ^ &t.b), &(x ^ &ty.a), &(y ^ &ty.b), &(z ^ &tz.b)]);
    if !shared {
        masked.extend(&(x ^ &tz.a));
    }
    let opened = reveal(&mut s.channel, &Boolean::new(masked))?; // (2)
    let [du, ev, dy, ey, ez, dz] = split(&opened, [n, n, m, m, m, if shared { 0 } else { m }]);
    let dz = if shared { &dy } else { &dz };
    let product = |BitTriples { a, b, c }: &BitTriples, d: &BitVec, e: &BitVec| {
        let z = &(c ^ &(d & b)) ^ &(e & a); // (3)
        match s.role() {
            Role::P0 => &z ^ &(d & e),
            Role::P1 => z,
        }
    };
    Ok((product(&t, &du, &ev), [product(&ty, &dy, &ey), product(&tz, dz, &ez)]))
}
