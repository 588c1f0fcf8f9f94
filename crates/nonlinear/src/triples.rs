//! Bit triples for a tree of ANDs in which two ANDs have an operand in common.
//!
//! # Functionality
//! XOR shares of uniform bits a, b, b' and of a ∧ b, a ∧ b'; or of independent (a, b, a ∧ b).
//!
//! # Protocol
//! Both parties do the same, each as sender and as receiver of ROTs with random choices. Of each key two bits count,
//! one for b and one for b':
//!
//! | step | P0                                          | wire | P1                                          |
//! |------|---------------------------------------------|------|---------------------------------------------|
//! | 1    | receiver: `a0, k[a0]`; sender: `h[0], h[1]` | ↔    | sender: `k[0], k[1]`; receiver: `a1, h[a1]` |
//! | 2    | `b0 = h[0] ⊕ h[1]`                          |      | `b1 = k[0] ⊕ k[1]`                          |
//! | 3    | `c0 = a0 ∧ b0 ⊕ k[a0] ⊕ h[0]`               |      | `c1 = a1 ∧ b1 ⊕ h[a1] ⊕ k[0]`               |
//!
//! k\[a0\] ⊕ k\[0\] = a0 ∧ b1 and the reverse. Where 1-of-N OTs are made of KK13, independent triples from 1-of-16 OTs
//! ([`copriv_ot::triple`]) take their place.
//!
//! # Cost
//! [`cost`]: one RCOT each way for a pair or a single triple; from KK13 half a 1-of-16 OT for each triple.
//!
//! # Security
//! That of ROT: k\[1⊕a0\] is unknown to P0, so is b1.
//!
//! # Reference
//! Asharov, Lindell, Schneider, Zohner (CCS 2013), section 5.2, for triples from two ROTs; CrypTFlow2 (CCS 2020),
//! appendix A.2, for the common operand.
//!
//! # Deviations
//! None.

use copriv_bits::BitVec;
use copriv_channel::Cost;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ot::triple::BitTriples;
use copriv_session::{Params, Session};
use copriv_wire::{Result, Role};

/// Triples drawn at once and used up one after the other.
pub(crate) enum Triples {
    /// Triple i of one vector has its a in common with triple i of the other.
    Shared([BitTriples; 2], usize),
    /// Independent triples.
    Plain(BitTriples, usize),
}

/// Whether a pair of ANDs with a common operand has one mask for it.
pub(crate) fn shared(params: &Params) -> bool {
    params.one_of_n == OneOfNBackend::Rcot
}

/// The cost of the triples for `singles` ANDs and `pairs` pairs of ANDs.
pub(crate) fn cost(params: &Params, singles: usize, pairs: usize) -> Cost {
    if singles + pairs == 0 {
        return Cost::ZERO;
    }
    if !shared(params) {
        return params.bit_triples_cost(singles + 2 * pairs);
    }
    let [a, b] = [Role::P0, Role::P1].map(|sender| params.rcot.cost_planes(sender, singles + pairs));
    a.beside(b)
}

impl Triples {
    /// Draws triples for `singles` ANDs and `pairs` pairs of ANDs.
    pub fn new(s: &mut Session, singles: usize, pairs: usize) -> Result<Self> {
        Ok(match shared(&s.params) {
            true if singles + pairs > 0 => Self::Shared(from_rots(s, singles + pairs)?, 0),
            false if singles + pairs > 0 => Self::Plain(s.bit_triples(singles + 2 * pairs)?, 0),
            _ => Self::Plain(slice(&empty(), 0, 0), 0),
        })
    }

    /// Independent triples that exist already.
    pub fn plain(triples: BitTriples) -> Self {
        Self::Plain(triples, 0)
    }

    /// The next triples for `singles` ANDs, and the first and the second of each of `pairs` pairs.
    pub fn take(&mut self, singles: usize, pairs: usize) -> (BitTriples, [BitTriples; 2]) {
        match self {
            Self::Shared(both, used) => {
                let first = *used + singles;
                let single = slice(&both[0], *used, singles);
                *used = first + pairs;
                (single, both.each_ref().map(|triples| slice(triples, first, pairs)))
            }
            Self::Plain(all, used) => {
                let first = *used + singles;
                let single = slice(all, *used, singles);
                *used = first + 2 * pairs;
                (single, [first, first + pairs].map(|at| slice(all, at, pairs)))
            }
        }
    }
}

fn empty() -> BitTriples {
    BitTriples { a: BitVec::default(), b: BitVec::default(), c: BitVec::default() }
}

fn slice(triples: &BitTriples, start: usize, len: usize) -> BitTriples {
    let [a, b, c] = [&triples.a, &triples.b, &triples.c].map(|bits| bits.slice(start..start + len));
    BitTriples { a, b, c }
}

fn from_rots(s: &mut Session, count: usize) -> Result<[BitTriples; 2]> {
    let Session { channel, rcot_sender, rcot_receiver, .. } = s;
    let (a, got) = rcot_receiver.random_planes(channel, count, 2)?; // (1)
    let [sent0, sent1] = rcot_sender.random_planes(channel, count, 2)?; // (1)
    Ok([0, 1].map(|bit| {
        let b = &sent0[bit] ^ &sent1[bit]; // (2)
        let c = &(&(&a & &b) ^ &got[bit]) ^ &sent0[bit]; // (3)
        BitTriples { a: a.clone(), b, c }
    }))
}
