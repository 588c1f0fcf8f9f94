//! ReLU and truncation by one comparison.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, l ≥ 2, 0 ≤ shift < l. Output: additive shares of y = floor(max(x, 0) / 2^shift)
//! and XOR shares of 1{x ≥ 0}.
//!
//! # Protocol
//! In Z_{2^{l−shift}}, floor(x / 2^shift) is t = (x0 >> shift) + (x1 >> shift) + c for the carry c out of the low bits. P0's
//! share of t is known to P0 before it has heard anything, so its side of the multiplexer goes with the COT for c:
//!
//! | step | P0 (x0)                                    | wire | P1 (x1)                                    |
//! |------|--------------------------------------------|------|--------------------------------------------|
//! | 1    | `d = drelu(x)` and c by one comparison     | ↔    | `d = drelu(x)` and c by one comparison     |
//! | 2    | RCOTs: receiver with d0, sender twice      | ↔    | RCOTs: receiver with c1, d1, sender        |
//! | 3    | COT, correlation c0: `p0`                  | →    | choice c1: `p1 = c0·c1 − p0` mod 2^{l−shift−1} |
//! | 4    | `t0 = (x0 >> shift) + c0 − 2·p0`           |      | `t1 = (x1 >> shift) + c1 − 2·p1`           |
//! | 5    | COT, correlation `±t0`                     | →    | choice d1                                  |
//! | 6    | choice d0                                  | ←    | COT, correlation `±t1`                     |
//! | 7    | extend d·t, which is not negative, to l bits | ↔  | extend d·t, which is not negative, to l bits |
//!
//! For x ≥ 0, t = y < 2^{l−1−shift}; otherwise d·t = 0: so the most significant bit of d·t is 0 in step 7 always. Steps 5
//! and 6 are [`mux`](crate::mux). For shift 0 this is [`relu`]; for shift l − 1, y = 0 and d is all there is to find.
//!
//! # Cost
//! [`cost`]: a comparison on l − 1 bits that gives c besides, and four COTs on 3·l − 2·shift − 1 bits altogether; at most
//! four one-way delays after the comparison. Against ReLU and then truncation a comparison of the low bits is saved, and
//! 3·shift bits, for everything but the result is l − shift bits wide; the number of COTs is the same. A shift of less than a
//! digit may save less than its cut adds to the comparison.
//!
//! # Security
//! Composition of [`millionaires`], COTs on RCOTs of their own, and [`extend`](mod@extend).
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), sections 3.2, 3.3 and 4.1; Rathee et al.: SiRNN (S&P 2021), section 3.2, for the
//! carry from the comparison and for truncation into the smaller ring.
//!
//! # Deviations
//! The multiplexer lies between the truncation and the extension, where the sign is known and no wrap is needed.

use crate::drelu::{addends, own_msb};
use crate::mux::operands;
use crate::wrap::Sign;
use crate::{drelu, extend, millionaires, relu};
use copriv_bits::{BitVec, Block};
use copriv_channel::Cost;
use copriv_ot::cot;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::{Result, Role};

/// The cost of [`relu_truncate`] on `n` elements of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width, shift: u32) -> Cost {
    let Some((out, half)) = rings(width, shift) else { return drelu::cost(params, n, width) };
    if shift == 0 || n == 0 {
        return relu::cost(params, n, width);
    }
    let comparison = millionaires::cost_low(params, n, width.bits() - 1, shift);
    let rcots = params.rcot.cost_chosen(Role::P1, n).beside(params.rcot.cost_chosen(Role::P0, 2 * n));
    let masked = |from: Role, width: Width| Cost::message(from, n, width.bits());
    let cots = masked(Role::P0, half) + masked(Role::P0, out) + masked(Role::P1, out);
    comparison + rcots + cots + extend::cost(params, n, out, width, Sign::NonNegative)
}

/// The rings of l − shift bits and of one bit less; `None` where the result is zero always.
fn rings(width: Width, shift: u32) -> Option<(Width, Width)> {
    let half = Width::new((width.bits() - shift).checked_sub(1)?).ok()?;
    Some((Width::of(half.bits() + 1), half))
}

/// Shares of floor(max(x, 0) / 2^`shift`) and of 1{x ≥ 0}.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When `shift` is not below the width, or the ring has one bit only.
pub fn relu_truncate(s: &mut Session, x: &Arithmetic, shift: u32) -> Result<(Arithmetic, Boolean)> {
    let (n, width, role) = (x.len(), x.width(), s.role());
    assert!(shift < width.bits(), "the shift is below the width");
    let Some((out, half)) = rings(width, shift) else {
        return Ok((Arithmetic::zeros(width, n), drelu::drelu(s, x)?));
    };
    if shift == 0 || n == 0 {
        return relu::relu(s, x);
    }
    let below = Width::of(width.bits() - 1);
    let (carry, c) = millionaires::less_than_low(s, below.bits(), shift, &addends(role, x, below))?; // (1)
    let d = carry.xor_own(&own_msb(x)).not(role); // (1)
    let (c, b) = (c.own(), d.own());
    let bit = RingVec::from_words(out, c.to_lsb());
    let carried = |p: RingVec| &(&x.own().shr(shift, out) + &bit) - &p.resize(out).scale(2); // (4)
    let Session { channel, rcot_sender, rcot_receiver, .. } = s;
    let (sender, receiver) = (rcot_sender.as_mut(), rcot_receiver.as_mut());
    let y = match role {
        Role::P0 => {
            let (mut t, mut q) = (vec![Block::ZERO; n], vec![Block::ZERO; 2 * n]);
            receiver.extend_chosen(channel, b, &mut t)?; // (2)
            sender.extend_chosen(channel, &mut q)?; // (2)
            let product = cot::send_on(channel, sender, &q[..n], 1, &bit.resize(half))?; // (3)
            let (kept, correlation) = operands(&carried(product), b);
            let sent = cot::send_on(channel, sender, &q[n..], 1, &correlation)?; // (5)
            &(&kept + &sent) + &cot::receive_on(channel, receiver, &t, out, 1, b)? // (6)
        }
        Role::P1 => {
            let (mut t, mut q) = (vec![Block::ZERO; 2 * n], vec![Block::ZERO; n]);
            receiver.extend_chosen(channel, &BitVec::concat([c, b]), &mut t)?; // (2)
            sender.extend_chosen(channel, &mut q)?; // (2)
            let product = cot::receive_on(channel, receiver, &t[..n], half, 1, c)?; // (3)
            let (kept, correlation) = operands(&carried(product), b);
            let got = cot::receive_on(channel, receiver, &t[n..], out, 1, b)?; // (5)
            &(&kept + &got) + &cot::send_on(channel, sender, &q, 1, &correlation)? // (6)
        }
    };
    Ok((extend::extend_zero(s, &Arithmetic::new(y), width, Sign::NonNegative)?, d)) // (7)
}
