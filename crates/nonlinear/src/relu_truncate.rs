//! ReLU and truncation by one comparison.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, l ≥ 2, 0 ≤ shift < l. Output: additive shares of y = floor(max(x, 0) / 2^shift)
//! and XOR shares of 1{x ≥ 0}. [`relu_truncate_top`] finds the sign without the d lowest bits ([`drelu_top`](drelu::drelu_top)), for
//! d > shift: of 0 ≤ x < 2^d it may make 0. [`relu_truncate_one_bit`] leaves out c besides: shares of max(t, 0) and of 1{t ≥ 0} for t
//! = floor(x / 2^shift) or the integer below it. [`relu_truncate_beside`] truncates other elements, of any sign, by the same
//! comparison.
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
//! One-bit: without c, t = (x0 >> shift) + (x1 >> shift) in the ring of l − shift bits is shared to begin with, and what is left to do is
//!
//! | step | P0 (x0)                                    | wire | P1 (x1)                                    |
//! |------|--------------------------------------------|------|--------------------------------------------|
//! | 8    | `relu_top(t)`, without d − shift bits      | ↔    | `relu_top(t)`, without d − shift bits      |
//! | 9    | extend it, not negative, to l bits         | ↔    | extend it, not negative, to l bits         |
//!
//! Beside: steps 1 to 4 are taken for the others too, and give their t, and d is whether t' = t + 2^{l−shift−1}, which has no sign, has its
//! highest bit set:
//!
//! | step | P0 (t'0)                                   | wire | P1 (t'1)                                   |
//! |------|--------------------------------------------|------|--------------------------------------------|
//! | 10   | whether t' wraps, from d ([`wrap`])        | ↔    | whether t' wraps, from d                   |
//! | 11   | [`b2a`] of that, e, into Z_{2^shift}       | ↔    | b2a of that, e, into Z_{2^shift}           |
//! | 12   | `t'0 − 2^{l−shift}·e0 − 2^{l−shift−1}`     |      | `t'1 − 2^{l−shift}·e1`                     |
//!
//! # Cost
//! [`cost`]: a comparison on l − 1 bits that gives c besides, and four COTs on 3·l − 2·shift − 1 bits altogether; at most
//! four one-way delays after the comparison. Against ReLU and then truncation a comparison of the low bits is saved, and
//! 3·shift bits, for everything but the result is l − shift bits wide; the number of COTs is the same. A shift of less than a
//! digit may save less than its cut adds to the comparison. [`cost_top`]: two comparisons, on the l − 1 − d highest and the shift lowest bits.
//! [`cost_one_bit`]: a comparison on l − shift − 1 bits, or on l − d − 1, and three COTs on 2·l − shift bits.
//! [`cost_beside`]: for another element the comparison, a 1-of-4 OT on a bit and two COTs on l − 2 bits.
//!
//! # Security
//! Composition of [`millionaires`], COTs on RCOTs of their own, [`extend`](mod@extend), [`wrap`] and [`b2a`].
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), sections 3.2, 3.3 and 4.1; Rathee et al.: SiRNN (S&P 2021), section 3.2, for the
//! carry from the comparison and for truncation into the smaller ring.
//!
//! # Deviations
//! The multiplexer lies between the truncation and the extension, where the sign is known and no wrap is needed.

use crate::drelu::{addends, own_msb};
use crate::millionaires::Parts;
use crate::mux::operands;
use crate::wrap::{self, Sign, Signedness};
use crate::{b2a, drelu, extend, millionaires, relu, truncate};
use copriv_bits::{BitVec, Block};
use copriv_channel::Cost;
use copriv_ot::cot;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::{Result, Role};

/// The cost of [`relu_truncate`] on `n` elements of `width` bits.
pub fn cost(params: &Params, n: usize, width: Width, shift: u32) -> Cost {
    cost_top(params, n, width, shift, 0)
}

/// The cost of [`relu_truncate_top`] on `n` elements of `width` bits.
pub fn cost_top(params: &Params, n: usize, width: Width, shift: u32, drop_bits: u32) -> Cost {
    let Some((out, half)) = rings(width, shift) else { return drelu::cost_top(params, n, width, drop_bits) };
    if shift == 0 || n == 0 {
        return relu::cost_top(params, n, width, drop_bits);
    }
    cost_narrow(params, [n, 0], width, shift, drop_bits, (out, half))
        + extend::cost(params, n, out, width, Sign::NonNegative)
}

/// The cost of steps 1 to 6.
fn cost_narrow(
    params: &Params,
    [n, others]: [usize; 2],
    width: Width,
    shift: u32,
    drop_bits: u32,
    (out, half): (Width, Width),
) -> Cost {
    let (below, all) = (width.bits() - 1, n + others);
    let comparison = millionaires::cost_parts(params, all, parts(below, shift, drop_bits));
    let rcots = params.rcot.cost_chosen(Role::P1, n).beside(params.rcot.cost_chosen(Role::P0, all + n));
    let masked = |from: Role, n: usize, width: Width| Cost::message(from, n, width.bits());
    comparison + rcots + masked(Role::P0, all, half) + masked(Role::P0, n, out) + masked(Role::P1, n, out)
}

/// The cost of [`relu_truncate_beside`] on `n` elements and `others`, of `width` bits.
pub fn cost_beside(params: &Params, n: usize, others: usize, width: Width, shift: u32) -> Cost {
    let Some((out, half)) = rings(width, shift).filter(|_| shift > 0 && n > 0 && others > 0) else {
        return cost(params, n, width, shift)
            + truncate::cost_faithful(params, others, width, shift, Sign::Unknown);
    };
    cost_narrow(params, [n, others], width, shift, 0, (out, half))
        + extend::cost(params, n, out, width, Sign::NonNegative)
        + wrap::cost_excess(params, others, out, Sign::Known(()), Width::BIT)
        + b2a::cost(params, others, Width::of(shift))
}

/// The cost of [`relu_truncate_one_bit`] on `n` elements of `width` bits.
pub fn cost_one_bit(params: &Params, n: usize, width: Width, shift: u32, drop_bits: u32) -> Cost {
    let Some((out, _)) = rings(width, shift) else { return cost_top(params, n, width, shift, drop_bits) };
    relu::cost_top(params, n, out, drop_bits.saturating_sub(shift))
        + extend::cost(params, n, out, width, Sign::NonNegative)
}

/// The comparison that gives the carries into bits `shift` and `below`.
fn parts(below: u32, shift: u32, drop_bits: u32) -> Parts {
    Parts { bits: below, low: shift, from: if drop_bits > shift { drop_bits } else { 0 }, copies: 1 }
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
    relu_truncate_top(s, x, shift, 0)
}

/// Shares of floor(d·x / 2^`shift`) and of d, 1{x ≥ 0} found without the lowest `drop_bits` of x where that is more than `shift`;
/// otherwise nothing would be saved.
///
/// # Errors
/// As [`relu_truncate`].
///
/// # Panics
/// As [`relu_truncate`], and when `drop_bits` is not below the width less 1.
pub fn relu_truncate_top(
    s: &mut Session,
    x: &Arithmetic,
    shift: u32,
    drop_bits: u32,
) -> Result<(Arithmetic, Boolean)> {
    let (n, width) = (x.len(), x.width());
    assert!(shift < width.bits(), "the shift is below the width");
    let Some((out, half)) = rings(width, shift) else {
        return Ok((Arithmetic::zeros(width, n), drelu::drelu_top(s, x, drop_bits)?));
    };
    if shift == 0 || n == 0 {
        return relu::relu_top(s, x, drop_bits);
    }
    let (y, d) = narrow(s, x, n, shift, drop_bits, (out, half))?;
    Ok((extend::extend_zero(s, &y, width, Sign::NonNegative)?, d)) // (7)
}

/// Shares of floor(max(x, 0) / 2^`shift`) and, for the `others` y, of floor(y / 2^`shift`), by one comparison of all.
///
/// # Errors
/// As [`relu_truncate`].
///
/// # Panics
/// As [`relu_truncate`], and when the widths differ.
pub fn relu_truncate_beside(
    s: &mut Session,
    x: &Arithmetic,
    others: &Arithmetic,
    shift: u32,
) -> Result<(Arithmetic, Arithmetic)> {
    let (n, width, role) = (x.len(), x.width(), s.role());
    assert!(shift < width.bits(), "the shift is below the width");
    let both = shift > 0 && n > 0 && !others.is_empty();
    let Some((out, half)) = rings(width, shift).filter(|_| both) else {
        let (y, _) = relu_truncate(s, x, shift)?;
        return Ok((y, truncate::trunc_faithful(s, others, shift, Sign::Unknown)?));
    };
    let all = x.clone().concat(others);
    let (narrow, d) = narrow(s, &all, n, shift, 0, (out, half))?;
    let y = extend::extend_zero(s, &narrow.slice(0..n), width, Sign::NonNegative)?; // (7)
    let middle = 1 << (out.bits() - 1);
    let (t, d) = (narrow.slice(n..all.len()).offset(role, middle), d.slice(n..all.len()));
    let wraps = wrap::excess(s, &t, Sign::Known(&d), Signedness::Unsigned, Width::BIT)?; // (10)
    let e = b2a::b2a(s, &Boolean::new(BitVec::from_lsb(wraps.own().words())), Width::of(shift))?; // (11)
    let high = e.own().resize(width).shl(out.bits());
    let others = Arithmetic::new(&t.own().resize(width) - &high).offset(role, middle.wrapping_neg()); // (12)
    Ok((y, others))
}

/// Steps 1 to 6, the multiplexer for the first `active` elements of x: shares of d·t of these and of t of the others, and of d.
fn narrow(
    s: &mut Session,
    x: &Arithmetic,
    active: usize,
    shift: u32,
    drop_bits: u32,
    (out, half): (Width, Width),
) -> Result<(Arithmetic, Boolean)> {
    let (n, role) = (x.len(), s.role());
    let below = Width::of(x.width().bits() - 1);
    let own = addends(role, x, below);
    let (carry, c) = millionaires::less_than_parts(s, parts(below.bits(), shift, drop_bits), &[&own])?; // (1)
    let d = carry.xor_own(&own_msb(x)).not(role); // (1)
    let (c, b) = (c.own(), &d.own().slice(0..active));
    let bit = RingVec::from_words(out, c.to_lsb());
    let carried = |p: RingVec| &(&x.own().shr(shift, out) + &bit) - &p.resize(out).scale(2); // (4)
    let Session { channel, rcot_sender, rcot_receiver, .. } = s;
    let (sender, receiver) = (rcot_sender.as_mut(), rcot_receiver.as_mut());
    let (y, t) = match role {
        Role::P0 => {
            let (mut t, mut q) = (vec![Block::ZERO; active], vec![Block::ZERO; n + active]);
            receiver.extend_chosen(channel, b, &mut t)?; // (2)
            sender.extend_chosen(channel, &mut q)?; // (2)
            let product = cot::send_on(channel, sender, &q[..n], 1, &bit.resize(half))?; // (3)
            let all = carried(product);
            let (kept, correlation) = operands(&all.slice(0..active), b);
            let sent = cot::send_on(channel, sender, &q[n..], 1, &correlation)?; // (5)
            (&(&kept + &sent) + &cot::receive_on(channel, receiver, &t, out, 1, b)?, all) // (6)
        }
        Role::P1 => {
            let (mut t, mut q) = (vec![Block::ZERO; n + active], vec![Block::ZERO; active]);
            receiver.extend_chosen(channel, &BitVec::concat([c, b]), &mut t)?; // (2)
            sender.extend_chosen(channel, &mut q)?; // (2)
            let product = cot::receive_on(channel, receiver, &t[..n], half, 1, c)?; // (3)
            let all = carried(product);
            let (kept, correlation) = operands(&all.slice(0..active), b);
            let got = cot::receive_on(channel, receiver, &t[n..], out, 1, b)?; // (5)
            (&(&kept + &got) + &cot::send_on(channel, sender, &q, 1, &correlation)?, all) // (6)
        }
    };
    Ok((Arithmetic::new(y).concat(&Arithmetic::new(t.slice(active..n))), d))
}

/// Shares of max(t, 0) and of 1{t ≥ 0} for t = floor(x / 2^`shift`) or the integer below it, as the shares fall; where `drop_bits` is more
/// than `shift`, t in 0..2^(`drop_bits` − `shift`) may be taken for negative. x < −2^{l−1} + 2^max(`shift`, `drop_bits`) may be taken for
/// positive. For `shift` = l − 1 this is [`relu_truncate_top`].
///
/// # Errors
/// As [`relu_truncate`].
///
/// # Panics
/// As [`relu_truncate_top`].
pub fn relu_truncate_one_bit(
    s: &mut Session,
    x: &Arithmetic,
    shift: u32,
    drop_bits: u32,
) -> Result<(Arithmetic, Boolean)> {
    let width = x.width();
    assert!(shift < width.bits(), "the shift is below the width");
    // In a ring of one bit there is no max(t, 0).
    let Some((out, _)) = rings(width, shift) else { return relu_truncate_top(s, x, shift, drop_bits) };
    let t = Arithmetic::new(x.own().shr(shift, out));
    let (y, d) = relu::relu_top(s, &t, drop_bits.saturating_sub(shift))?; // (8)
    Ok((extend::extend_zero(s, &y, width, Sign::NonNegative)?, d)) // (9)
}
