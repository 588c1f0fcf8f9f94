//! Random OT: both keys at the sender, the chosen one at the receiver, no traffic beyond the RCOTs.
//!
//! # Functionality
//! Sender: uniform blocks `k_i[0]`, `k_i[1]`. Receiver: `k_i[c_i]`.
//!
//! # Protocol
//! | step | sender (q, Δ)            | wire | receiver (c, t)   |
//! |------|--------------------------|------|-------------------|
//! | 1    | RCOT                     | ↔    | RCOT              |
//! | 2    | `k[j] = H(q ⊕ j·Δ)`      |      | `k = H(t)`        |
//!
//! # Cost
//! That of the RCOTs with chosen bits ([`RcotBackend::cost_chosen`](crate::RcotBackend::cost_chosen)).
//!
//! # Security
//! The hash breaks the correlation, for pseudorandom q and tweaks that never restart ([`copriv_prg::hash`] states the bound).
//!
//! # Reference
//! Guo, Katz, Wang, Yu: Efficient and Secure Multiparty Computation from Fixed-Key Block Ciphers (S&P 2020).
//!
//! # Deviations
//! None.

use crate::{RcotReceiver, RcotSender};
use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_prg::{hash, hash_pair};
use copriv_wire::Result;

/// The sender: `count` keys of choice 0, and those of choice 1.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn send(channel: &mut Channel, ot: &mut dyn RcotSender, count: usize) -> Result<[Vec<Block>; 2]> {
    let mut q = vec![Block::ZERO; count];
    ot.extend_chosen(channel, &mut q)?; // (1)
    let mut keys = [(); 2].map(|()| vec![Block::ZERO; count]);
    let [k0, k1] = &mut keys;
    hash_pair(&q, ot.delta(), ot.take_tweaks(count), k0, k1); // (2)
    Ok(keys)
}

/// The receiver: the key of each choice.
///
/// # Errors
/// As [`send`].
pub fn receive(channel: &mut Channel, ot: &mut dyn RcotReceiver, choices: &BitVec) -> Result<Vec<Block>> {
    let mut t = vec![Block::ZERO; choices.len()];
    ot.extend_chosen(channel, choices, &mut t)?; // (1)
    hash(&mut t, ot.take_tweaks(choices.len())); // (2)
    Ok(t)
}
