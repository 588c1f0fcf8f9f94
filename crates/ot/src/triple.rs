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

use crate::one_of_n::{self, OneOfNBackend, OneOfNReceiver, OneOfNSender};
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

const PAIR: Width = Width::of(2);

/// The cost of `count` triples.
pub fn cost(backend: OneOfNBackend, rcot: RcotBackend, sender: Role, count: usize) -> Cost {
    one_of_n::cost(backend, rcot, sender, count.div_ceil(2), 4, PAIR)
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
    let [a, b, c] = [(); 3].map(|()| prg.bits(count));
    let bit = |v: &BitVec, i: usize| if i < count { v.bit(i) } else { 0 };
    ot.send(channel, rcot, 4, PAIR, count.div_ceil(2), |pair, table| {
        let both = |v: &BitVec| bit(v, 2 * pair) | bit(v, 2 * pair + 1) << 1;
        let (a0, b0, c0) = (both(&a), both(&b), both(&c));
        for (choice, entry) in (0u64..).zip(table) {
            *entry = c0 ^ (a0 ^ choice & 3) & (b0 ^ choice >> 2); // (1)
        }
    })?;
    Ok(BitTriples { a, b, c })
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
    let bit = |v: &BitVec, i: usize| if i < count { v.bit(i) as u8 } else { 0 };
    let both = |v: &BitVec, pair: usize| bit(v, 2 * pair) | bit(v, 2 * pair + 1) << 1;
    let choices: Vec<u8> = (0..count.div_ceil(2)).map(|pair| both(&a, pair) | both(&b, pair) << 2).collect();
    let open = ot.receive(channel, rcot, 4, PAIR, &choices)?; // (1)
    let c = BitVec::from_fn(count, |i| open[i / 2] >> (i % 2) & 1 == 1);
    Ok(BitTriples { a, b, c })
}
