//! Bit triples, two from each 1-of-16 OT.
//!
//! # Functionality
//! XOR shares of uniform bits a, b and of c = a ∧ b.
//!
//! # Protocol
//! P0 is the sender. For each pair of triples:
//!
//! | step | sender (a0, b0, c0 uniform)                         | wire | receiver (a1, b1 uniform)  |
//! |------|-----------------------------------------------------|------|----------------------------|
//! | 1    | table at (a1, b1): `c0 ⊕ (a0 ⊕ a1)(b0 ⊕ b1)`, twice | ↔    | `c1` at its own (a1, b1)   |
//!
//! # Cost
//! [`cost`]: one 1-of-16 OT on 2 bits for two triples.
//!
//! # Security
//! That of the OT; c0 is uniform, so c1 tells the receiver nothing of a0, b0.
//!
//! # Reference
//! CrypTFlow2 (CCS 2020), appendix A.1.
//!
//! # Deviations
//! None.

use crate::one_of_n::{self, OneOfNBackend, OneOfNReceiver, OneOfNSender, Part};
use crate::{RcotBackend, RcotReceiver, RcotSender};
use copriv_bits::BitVec;
use copriv_channel::{Channel, Cost};
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_wire::{Result, Role};

/// One party's shares of bit triples.
#[derive(Clone, Debug)]
pub struct BitTriples {
    /// Shares of a.
    pub a: BitVec,
    /// Shares of b.
    pub b: BitVec,
    /// Shares of a ∧ b.
    pub c: BitVec,
}

/// The OTs that make `count` triples, as a part of a batch of 1-of-N OTs.
pub fn part(count: usize) -> Part {
    Part::chosen(4, Width::of(2), count.div_ceil(2))
}

/// The cost of `count` triples.
pub fn cost(backend: OneOfNBackend, rcot: RcotBackend, sender: Role, count: usize) -> Cost {
    one_of_n::cost(backend, rcot, sender, &[part(count)])
}

impl BitTriples {
    /// The sender's shares of `count` triples.
    pub fn draw(prg: &mut Prg, count: usize) -> Self {
        let [a, b, c] = [(); 3].map(|()| prg.bits(count));
        Self { a, b, c }
    }

    /// The sender's table of the OT for triples 2·`pair` and 2·`pair` + 1.
    pub fn write_table(&self, pair: usize, table: &mut [u64]) {
        let [a0, b0, c0] = [&self.a, &self.b, &self.c].map(|v| pair_of(v, pair));
        for (choice, entry) in (0u64..).zip(table) {
            *entry = c0 ^ (a0 ^ choice & 3) & (b0 ^ choice >> 2); // (1)
        }
    }

    /// The receiver's indices for its uniform `a` and `b`.
    pub fn choices(a: &BitVec, b: &BitVec) -> Vec<u8> {
        (0..a.len().div_ceil(2)).map(|pair| (pair_of(a, pair) | pair_of(b, pair) << 2) as u8).collect()
    }

    /// The receiver's shares from what it got at those indices.
    pub fn from_open(a: BitVec, b: BitVec, open: &[u64]) -> Self {
        let c = BitVec::from_fn(a.len(), |i| open[i / 2] >> (i % 2) & 1 == 1);
        Self { a, b, c }
    }
}

/// Bits 2·`pair` and 2·`pair` + 1, zero past the end.
fn pair_of(v: &BitVec, pair: usize) -> u64 {
    let bit = |i: usize| if i < v.len() { v.bit(i) } else { 0 };
    bit(2 * pair) | bit(2 * pair + 1) << 1
}

/// The sender's shares of `count` triples.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn send(
    channel: &mut Channel,
    ot: &mut OneOfNSender,
    rcot: &mut dyn RcotSender,
    prg: &mut Prg,
    count: usize,
) -> Result<BitTriples> {
    let triples = BitTriples::draw(prg, count);
    ot.send(channel, rcot, &[part(count)], |_, pair, table| triples.write_table(pair, table))?; // (1)
    Ok(triples)
}

/// The receiver's shares of `count` triples.
///
/// # Errors
/// As [`send`].
pub fn receive(
    channel: &mut Channel,
    ot: &mut OneOfNReceiver,
    rcot: &mut dyn RcotReceiver,
    prg: &mut Prg,
    count: usize,
) -> Result<BitTriples> {
    let [a, b] = [(); 2].map(|()| prg.bits(count));
    let open = ot.receive(channel, rcot, &[part(count)], &[&BitTriples::choices(&a, &b)])?; // (1)
    Ok(BitTriples::from_open(a, b, open.first().map_or(&[], |open| open)))
}
