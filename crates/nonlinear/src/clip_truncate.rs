//! Clipping from 0 and truncation by one look at the low bits.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, public high > 0, a multiple of 2^shift, 1 ≤ shift < l. Output: additive shares of
//! y = floor(min(max(x, 0), high) / 2^shift), where the difference x − high fits l bits. In any case of
//! (d ⊕ e)·floor(x / 2^shift) + e·h mod 2^w, d = 1{x ≥ 0}, e = 1{x − high ≥ 0}, h = high / 2^shift, w the [`narrow`] ring's bits.
//! [`clip_truncate_top`] finds signs without the b lowest bits ([`drelu_top`](crate::drelu::drelu_top)), for b > shift: y is off by
//! less than 2^(b − shift). [`clip_truncate_one_bit`] clips t = floor(x / 2^shift) or the integer below it.
//!
//! # Protocol
//! high leaves the low bits of x as they are, so the carry c out of them is the same for x and x − high. Between 0 and high t < h, so
//! all that is selected lives in a ring that is a little wider than h:
//!
//! | step | P0 (x0)                                    | wire | P1 (x1)                                    |
//! |------|--------------------------------------------|------|--------------------------------------------|
//! | 1    | `d = drelu(x), e = drelu(x − high)` and c by one comparison | ↔ | `d = drelu(x), e = drelu(x − high)` and c by one comparison |
//! | 2    | RCOTs: receiver with d0 ⊕ e0, sender thrice | ↔   | RCOTs: receiver with c1, d1 ⊕ e1, e1, sender |
//! | 3    | COT, correlation c0: `p0`                  | →    | choice c1: `p1 = c0·c1 − p0` mod 2^{w−1}   |
//! | 4    | `t0 = (x0 >> shift) + c0 − 2·p0` mod 2^w   |      | `t1 = (x1 >> shift) + c1 − 2·p1` mod 2^w   |
//! | 5    | COT, correlation `±t0`                     | →    | choice d1 ⊕ e1                             |
//! | 6    | COT, correlation e0: `q0`                  | →    | choice e1: `q1 = e0·e1 − q0` mod 2^{w−1}   |
//! | 7    | choice d0 ⊕ e0                             | ←    | COT, correlation `±t1`                     |
//! | 8    | `(d ⊕ e)·t + h·(e0 − 2·q0)`                |      | `(d ⊕ e)·t + h·(e1 − 2·q1)`                |
//! | 9    | extend it, not negative, to l bits         | ↔    | extend it, not negative, to l bits         |
//!
//! One-bit: t = (x0 >> shift) + (x1 >> shift) in the ring of l − shift bits, without c:
//!
//! | step | P0 (x0)                                    | wire | P1 (x1)                                    |
//! |------|--------------------------------------------|------|--------------------------------------------|
//! | 10   | `d = drelu(t), e = drelu(t − h)`           | ↔    | `d = drelu(t), e = drelu(t − h)`           |
//!
//! in place of step 1, and neither 3 nor the RCOTs for it.
//!
//! # Cost
//! [`cost`], [`cost_top`]: two comparisons on l − 1 bits that have the shift lowest in common, and five COTs on l + 3·w − 2 bits
//! altogether. [`cost_one_bit`]: two comparisons on l − shift − 1 bits and four COTs on l + 2·w − 1 bits.
//!
//! # Security
//! Composition of [`millionaires`], COTs on RCOTs of their own, and [`extend`](mod@extend).
//!
//! # Reference
//! [`relu_truncate`](crate::relu_truncate) has the references for its parts.
//!
//! # Deviations
//! None.

use crate::drelu::{self, addends, own_msb};
use crate::extend;
use crate::millionaires::{self, Parts};
use crate::mux::operands;
use crate::wrap::Sign;
use copriv_bits::{BitVec, Block};
use copriv_channel::Cost;
use copriv_ot::cot;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::{Result, Role};

/// The ring of w bits, the fewest with 4·h ≤ 2^w for h = `high` / 2^`shift`: what is selected, h more than it where x − high has wrapped, is
/// below half of it. `None` where `high` is not positive or not a multiple of 2^`shift`.
pub fn narrow(high: i64, shift: u32) -> Option<Width> {
    let h = high.checked_shr(shift)?;
    if h < 1 || h << shift != high {
        return None;
    }
    Width::new(u64::BITS - (h as u64 - 1).leading_zeros() + 2).ok()
}

/// The cost of [`clip_truncate`] on `n` elements of `width` bits.
///
/// # Panics
/// As [`clip_truncate`].
pub fn cost(params: &Params, n: usize, width: Width, high: i64, shift: u32) -> Cost {
    cost_top(params, n, width, high, shift, 0)
}

/// The cost of [`clip_truncate_top`] on `n` elements of `width` bits.
///
/// # Panics
/// As [`clip_truncate`].
pub fn cost_top(params: &Params, n: usize, width: Width, high: i64, shift: u32, drop_bits: u32) -> Cost {
    let comparison = millionaires::cost_parts(params, n, parts(width, shift, drop_bits));
    comparison + cost_select(params, n, width, checked(width, high, shift), true)
}

/// The cost of [`clip_truncate_one_bit`] on `n` elements of `width` bits.
///
/// # Panics
/// As [`clip_truncate`].
pub fn cost_one_bit(params: &Params, n: usize, width: Width, high: i64, shift: u32, drop_bits: u32) -> Cost {
    let narrow = checked(width, high, shift);
    let short = Width::of(width.bits() - shift);
    let comparisons = drelu::cost_top(params, 2 * n, short, drop_bits.saturating_sub(shift));
    comparisons + cost_select(params, n, width, narrow, false)
}

fn cost_select(params: &Params, n: usize, width: Width, narrow: Width, carry: bool) -> Cost {
    if n == 0 {
        return Cost::ZERO;
    }
    let half = narrow.bits() - 1;
    let from_p0 = if carry { 3 * n } else { 2 * n };
    let rcots = params.rcot.cost_chosen(Role::P1, n).beside(params.rcot.cost_chosen(Role::P0, from_p0));
    let masked = |from, bits| Cost::message(from, n, bits);
    let first = if carry { masked(Role::P0, half) } else { Cost::ZERO };
    let cots = masked(Role::P0, narrow.bits()) + masked(Role::P0, half) + masked(Role::P1, narrow.bits());
    rcots + first + cots + extend::cost(params, n, narrow, width, Sign::NonNegative)
}

/// Both comparisons, which give the carries into bits l − 1 and `shift`.
fn parts(width: Width, shift: u32, drop_bits: u32) -> Parts {
    let from = if drop_bits > shift { drop_bits } else { 0 };
    Parts { bits: width.bits() - 1, low: shift, from, copies: 2 }
}

fn checked(width: Width, high: i64, shift: u32) -> Width {
    let narrow = narrow(high, shift).filter(|narrow| narrow.bits() + shift < width.bits());
    assert!(shift > 0 && narrow.is_some(), "a clip to a multiple of 2^shift that leaves room above it");
    narrow.unwrap_or(width)
}

/// Shares of floor(min(max(x, 0), `high`) / 2^`shift`).
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the shift is 0, there is no [`narrow`] ring or it has more than l − `shift` − 1 bits.
pub fn clip_truncate(s: &mut Session, x: &Arithmetic, high: i64, shift: u32) -> Result<Arithmetic> {
    clip_truncate_top(s, x, high, shift, 0)
}

/// The same with signs that are found without the lowest `drop_bits` where that is more than `shift`; otherwise nothing would be saved.
///
/// # Errors
/// As [`clip_truncate`].
///
/// # Panics
/// As [`clip_truncate`], and when `drop_bits` is not below l − 1.
pub fn clip_truncate_top(
    s: &mut Session,
    x: &Arithmetic,
    high: i64,
    shift: u32,
    drop_bits: u32,
) -> Result<Arithmetic> {
    let (width, role) = (x.width(), s.role());
    let narrow = checked(width, high, shift);
    let below = Width::of(width.bits() - 1);
    let both = [x.clone(), x.offset(role, high.wrapping_neg() as u64)];
    let own = both.each_ref().map(|x| addends(role, x, below));
    let own = own.each_ref().map(Vec::as_slice);
    let (carries, c) = millionaires::less_than_parts(s, parts(width, shift, drop_bits), &own)?; // (1)
    let [x, beyond] = &both;
    let signs = carries.xor_own(&BitVec::concat([&own_msb(x), &own_msb(beyond)])).not(role); // (1)
    let t = x.own().shr(shift, narrow);
    let y = select(s, t, Some(&c), &signs, (high >> shift) as u64)?;
    extend::extend_zero(s, &y, width, Sign::NonNegative) // (9)
}

/// Shares of t clipped to 0..=`high` / 2^`shift`, for t = floor(x / 2^`shift`) or the integer below it, as the shares fall, but for less than
/// 2^(`drop_bits` − `shift`) where `drop_bits` is more than `shift`.
///
/// # Errors
/// As [`clip_truncate`].
///
/// # Panics
/// As [`clip_truncate_top`].
pub fn clip_truncate_one_bit(
    s: &mut Session,
    x: &Arithmetic,
    high: i64,
    shift: u32,
    drop_bits: u32,
) -> Result<Arithmetic> {
    let (width, h) = (x.width(), high >> shift);
    let narrow = checked(width, high, shift);
    let t = Arithmetic::new(x.own().shr(shift, Width::of(width.bits() - shift)));
    let (short, beyond) = (t.own().resize(narrow), t.offset(s.role(), h.wrapping_neg() as u64));
    let signs = drelu::drelu_top(s, &t.concat(&beyond), drop_bits.saturating_sub(shift))?; // (10)
    let y = select(s, short, None, &signs, h as u64)?;
    extend::extend_zero(s, &y, width, Sign::NonNegative) // (9)
}

/// Steps 2 to 8: shares of (d ⊕ e)·t + e·h, c to be added to t if it is there; `signs` are all d, then all e.
fn select(s: &mut Session, t: RingVec, c: Option<&Boolean>, signs: &Boolean, h: u64) -> Result<Arithmetic> {
    let (n, narrow) = (t.len(), t.width());
    if n == 0 {
        return Ok(Arithmetic::new(t));
    }
    let half = Width::of(narrow.bits() - 1);
    let (d, e) = (signs.own().slice(0..n), signs.own().slice(n..2 * n));
    let between = &d ^ &e;
    let bit = |b: &BitVec| RingVec::from_words(narrow, b.to_lsb());
    // Of a bit and of what its COT gives: the bit in the narrow ring.
    let arithmetic = |b: &BitVec, product: RingVec| &bit(b) - &product.resize(narrow).scale(2);
    let first = if c.is_some() { n } else { 0 };
    let Session { channel, rcot_sender, rcot_receiver, .. } = s;
    let (sender, receiver) = (rcot_sender.as_mut(), rcot_receiver.as_mut());
    Ok(Arithmetic::new(match channel.role() {
        Role::P0 => {
            let (mut k, mut q) = (vec![Block::ZERO; n], vec![Block::ZERO; first + 2 * n]);
            receiver.extend_chosen(channel, &between, &mut k)?; // (2)
            sender.extend_chosen(channel, &mut q)?; // (2)
            let mut t = t;
            if let Some(c) = c {
                let product = cot::send_on(channel, sender, &q[..n], 1, &bit(c.own()).resize(half))?; // (3)
                t += &arithmetic(c.own(), product); // (4)
            }
            let (mut y, correlation) = operands(&t, &between);
            y += &cot::send_on(channel, sender, &q[first..first + n], 1, &correlation)?; // (5)
            let product = cot::send_on(channel, sender, &q[first + n..], 1, &bit(&e).resize(half))?; // (6)
            y += &cot::receive_on(channel, receiver, &k, narrow, 1, &between)?; // (7)
            &y + &arithmetic(&e, product).scale(h) // (8)
        }
        Role::P1 => {
            let none = BitVec::default();
            let choices = BitVec::concat([c.map_or(&none, Boolean::own), &between, &e]);
            let (mut k, mut q) = (vec![Block::ZERO; first + 2 * n], vec![Block::ZERO; n]);
            receiver.extend_chosen(channel, &choices, &mut k)?; // (2)
            sender.extend_chosen(channel, &mut q)?; // (2)
            let mut t = t;
            if let Some(c) = c {
                let product = cot::receive_on(channel, receiver, &k[..n], half, 1, c.own())?; // (3)
                t += &arithmetic(c.own(), product); // (4)
            }
            let (mut y, correlation) = operands(&t, &between);
            y += &cot::receive_on(channel, receiver, &k[first..first + n], narrow, 1, &between)?; // (5)
            let product = cot::receive_on(channel, receiver, &k[first + n..], half, 1, &e)?; // (6)
            y += &cot::send_on(channel, sender, &q, 1, &correlation)?; // (7)
            &y + &arithmetic(&e, product).scale(h) // (8)
        }
    }))
}
