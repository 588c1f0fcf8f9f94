//! Additive correlated OT: shares of c·d for the receiver's bit c and the sender's vector d over Z_{2^l}.
//!
//! # Functionality
//! Sender: d of `per` elements for each OT; output s. Receiver: bit c; output r with r + s = c·d.
//!
//! # Protocol
//! | step | sender (d)                   | wire            | receiver (c)             |
//! |------|------------------------------|-----------------|--------------------------|
//! | 1    | RCOT: `q`                    | ↔               | RCOT: `t = q ⊕ c·Δ`      |
//! | 2    | `p[j] = H(q ⊕ j·Δ), s = −p[0]` |               | `p = H(t)`               |
//! | 3    | `m = p[0] + p[1] + d`        | [`Masked`] →    | `r = c·(m − p) + (1−c)·p` |
//!
//! # Cost
//! [`cost`]: `per`·l bits an OT on top of the RCOTs.
//!
//! # Security
//! Each pad of `per` elements is H at tweaks (i, 0), (i, 1), …; two elements a block. The selection by c is a
//! mask.
//!
//! # Reference
//! Asharov et al. (CCS 2013), section 5.1, in the additive form of CrypTFlow2 (CCS 2020, section 2.6).
//!
//! # Deviations
//! m carries `p[0] + p[1] + d`, so that step 3 of the receiver is one select.

use crate::{RcotBackend, RcotReceiver, RcotSender};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_prg::expand;
use copriv_ring::{RingVec, Width};
use copriv_wire::{Result, Role, messages};

messages! {
    /// p[0] + p[1] + d.
    Masked: Ring = 0x0230;
}

/// The cost of `count` OTs of `per` elements of `width` bits.
pub fn cost(backend: RcotBackend, sender: Role, count: usize, per: usize, width: Width) -> Cost {
    backend.cost_chosen(sender, count) + Cost::message(sender, count * per, width.bits())
}

/// The sender, with the correlations of `per` elements an OT one after the other.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When `correlation` is not a whole number of OTs.
pub fn send(
    channel: &mut Channel,
    ot: &mut dyn RcotSender,
    per: usize,
    correlation: &RingVec,
) -> Result<RingVec> {
    assert!(per > 0 && correlation.len().is_multiple_of(per), "`per` elements for each OT");
    let mut q = vec![Block::ZERO; correlation.len() / per];
    ot.extend_chosen(channel, &mut q)?; // (1)
    send_on(channel, ot, &q, per, correlation)
}

/// Steps 2 and 3 of the sender, on correlations drawn before.
///
/// # Errors
/// When the connection fails.
pub fn send_on(
    channel: &mut Channel,
    ot: &mut dyn RcotSender,
    q: &[Block],
    per: usize,
    correlation: &RingVec,
) -> Result<RingVec> {
    let (first, delta, width) = (ot.take_tweaks(q.len()), ot.delta(), correlation.width());
    let q1: Vec<Block> = q.iter().map(|&q| q ^ delta).collect();
    let p0 = pads(q, first, per, width); // (2)
    let mut masked = pads(&q1, first, per, width);
    masked += &p0;
    masked += correlation;
    channel.send_ring::<Masked>(&masked)?; // (3)
    Ok(-&p0)
}

/// The receiver, one choice an OT.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn receive(
    channel: &mut Channel,
    ot: &mut dyn RcotReceiver,
    width: Width,
    per: usize,
    choices: &BitVec,
) -> Result<RingVec> {
    let mut t = vec![Block::ZERO; choices.len()];
    ot.extend_chosen(channel, choices, &mut t)?; // (1)
    receive_on(channel, ot, &t, width, per, choices)
}

/// Steps 2 and 3 of the receiver, on correlations drawn before.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn receive_on(
    channel: &mut Channel,
    ot: &mut dyn RcotReceiver,
    t: &[Block],
    width: Width,
    per: usize,
    choices: &BitVec,
) -> Result<RingVec> {
    let p = pads(t, ot.take_tweaks(t.len()), per, width); // (2)
    let masked = channel.recv_ring::<Masked>(width, t.len() * per)?; // (3)
    let select = p.words().iter().zip(masked.words()).enumerate().map(|(i, (&p, &m))| {
        let chosen = 0u64.wrapping_sub(choices.bit(i / per));
        p ^ (p ^ m.wrapping_sub(p)) & chosen
    });
    Ok(RingVec::from_words(width, select.collect()))
}

/// `per` pseudorandom elements for each x.
fn pads(x: &[Block], first: u64, per: usize, width: Width) -> RingVec {
    let blocks = per.div_ceil(2);
    let mut out = vec![Block::ZERO; x.len() * blocks];
    expand(x, first, blocks, &mut out);
    let mut words = Vec::with_capacity(x.len() * per);
    for pad in out.chunks_exact(blocks) {
        words.extend(pad.iter().flat_map(|b| b.words()).take(per));
    }
    RingVec::from_words(width, words)
}
