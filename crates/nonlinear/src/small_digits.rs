//! Comparison of private digits of one to three bits, from products of private bits.
//!
//! # Functionality
//! P0: digits a, P1: digits b. Output: XOR shares of lt = 1{a < b} and, where it is wanted, of eq = 1{a = b}; eq not of digits of
//! three bits.
//!
//! # Protocol
//! u = ¬a and v = b are bits of the parties' own. A product x·v of a bit x of P0's is shared by a ROT with choice v: P0 has k⁰\[i\],
//! P1 k\[i\] ⊕ v·m, for some bit i of the keys that serves once and m = x ⊕ k⁰\[i\] ⊕ k¹\[i\].
//!
//! | step | P0 (u)                                     | wire           | P1 (v)                                  |
//! |------|--------------------------------------------|----------------|-----------------------------------------|
//! | 1    | ROTs, sender                               | ↔              | ROTs, the choices every bit of v        |
//! | 2    | one bit: `lt = u·v`, `eq = u`              | [`Products`] → | `lt = u·v`, `eq = v`                    |
//! | 3    | two bits: `p = u₀·v₁`                      | [`Products`] → | `p' = u₀·v₁`                            |
//! | 4    | `lt = u₁·v₁ + (u₁u₀ + p)·v₀`               | [`Products`] → | `lt = u₁·v₁ + (u₁u₀ + p)·v₀ + p'v₀`     |
//! | 5    | `eq = u₁u₀ + p + u₁·v₀`                    | [`Products`] → | `eq = v₁v₀ + p' + u₁·v₀`                |
//! | 6    | three bits: L = lt of u₁u₀, `lt = u₂·L + (u₂ + L)·v₂` | [`Products`] → | `lt = u₂·L + (u₂ + L)·v₂ + L'v₂` |
//!
//! Where a product is written each party takes its share of it. For eq = (u₁ + v₁)(u₀ + v₀) and lt = u₁v₁ + (u₁ + v₁)u₀v₀. u₂·L is
//! what steps 3 and 4 give for u₂u₁, u₂u₀ and u₂u₁u₀ in place of u₁, u₀ and u₁u₀. The products of all digits are one message.
//!
//! # Cost
//! [`cost_draw`]: one RCOT with chosen bit for each bit of a digit. [`cost_send`]: 1 bit for a digit of one bit, 4 for one of two or 3
//! without eq, 7 for one of three.
//!
//! # Security
//! That of ROT: of k⁰\[i\] ⊕ k¹\[i\] P1 knows one half and no more, so every m is uniform to it; P0 hears nothing but the choices of
//! RCOTs.
//!
//! # Reference
//! Gilboa: Two Party RSA Key Generation (CRYPTO 1999), for the products.
//!
//! # Deviations
//! A 1-of-4 OT that shares its message (CrypTFlow2, CCS 2020) sends three rows of two bits. Here eq's coefficient of v₁v₀, which is 1
//! always, is not sent, and lt's product of three bits reuses one of eq.

use copriv_bits::BitVec;
use copriv_channel::Cost;
use copriv_session::{Params, Session};
use copriv_wire::{Result, Role, messages};

messages! {
    /// The m of every product, a plane of all digits of a kind after the other.
    Products: Bits = 0x0410;
}

/// Digits of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    /// 1 to 3.
    pub bits: u32,
    /// Whether shares of eq are wanted: not of digits of three bits.
    pub eq: bool,
    /// How many.
    pub count: usize,
}

impl Kind {
    /// Bits from P0 for each digit.
    fn products(&self) -> usize {
        match (self.bits, self.eq) {
            (1, _) => 1,
            (2, true) => 4,
            (2, false) => 3,
            (3, false) => 7,
            other => panic!("there is no comparison of digits by products for {other:?}"),
        }
    }
}

/// The cost of [`SmallDigits::draw`].
pub(crate) fn cost_draw(params: &Params, kinds: &[Kind]) -> Cost {
    let rots = kinds.iter().map(|kind| kind.bits as usize * kind.count).sum();
    if rots == 0 { Cost::ZERO } else { params.rcot.cost_planes_chosen(Role::P0, rots) }
}

/// The cost of [`SmallDigits::compare`].
pub(crate) fn cost_send(kinds: &[Kind]) -> Cost {
    let products = kinds.iter().map(|kind| kind.products() * kind.count).sum();
    if products == 0 { Cost::ZERO } else { Cost::message(Role::P0, products, 1) }
}

/// Shares of lt and eq of digits of one kind; eq is empty where it is not wanted.
pub(crate) type LtEq = (BitVec, BitVec);

/// One party's digits of several kinds, with the ROTs for them.
pub(crate) struct SmallDigits {
    kinds: Vec<Kind>,
    /// Of each kind u or v, the lowest bits first.
    own: Vec<Vec<BitVec>>,
    rots: Rots,
}

/// The bits of keys that serve, plane by plane.
enum Rots {
    Sender([Vec<BitVec>; 2]),
    Receiver(Vec<BitVec>),
}

impl SmallDigits {
    /// Step 1: each party gives its `own` digits of each kind, bit by bit, the lowest first. Another batch of OTs may be drawn before
    /// [`compare`](Self::compare), so that both take one round.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn draw(s: &mut Session, kinds: Vec<Kind>, mut own: Vec<Vec<BitVec>>) -> Result<Self> {
        let fits = |(kind, own): (&Kind, &Vec<BitVec>)| {
            own.iter().map(BitVec::len).eq((0..kind.bits).map(|_| kind.count))
        };
        assert!(own.len() == kinds.len() && kinds.iter().zip(&own).all(fits), "the bits of all digits");
        if s.role() == Role::P0 {
            own.iter_mut().flatten().for_each(|a| *a = !&*a);
        }
        let choices = BitVec::concat(own.iter().flatten());
        // The most products with one choice.
        let planes = if kinds.iter().any(|kind| kind.bits == 3) { 4 } else { 2 };
        let Session { channel, rcot_sender, rcot_receiver, .. } = s;
        let rots = match channel.role() {
            _ if choices.is_empty() => Rots::Receiver(Vec::new()),
            Role::P0 => {
                Rots::Sender(rcot_sender.chosen_planes(channel, choices.len(), planes)?) // (1)
            }
            Role::P1 => {
                Rots::Receiver(rcot_receiver.chosen_planes(channel, &choices, planes)?) // (1)
            }
        };
        Ok(Self { kinds, own, rots })
    }

    /// Shares of lt and eq of the digits of each kind.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn compare(self, s: &mut Session) -> Result<Vec<LtEq>> {
        let Self { kinds, own, rots } = self;
        let planes = kinds.iter().flat_map(|kind| std::iter::repeat_n(kind.count, kind.products()));
        let (role, total) = (s.role(), planes.clone().sum());
        let mut messages = match role {
            _ if total == 0 => return Ok(kinds.iter().map(|_| LtEq::default()).collect()),
            Role::P0 => Vec::with_capacity(planes.count()),
            Role::P1 => {
                let all = s.channel.recv_bits::<Products>(total)?; // (2) (3) (4) (5) (6)
                let mut planes = split_all(&all, planes);
                planes.reverse();
                planes
            }
        };
        let mut start = 0;
        let shares = kinds.iter().zip(&own).map(|(kind, own)| {
            let mut digits =
                Digits { rots: &rots, start, own, used: vec![0; own.len()], messages: &mut messages };
            start += kind.bits as usize * kind.count;
            digits.compare(kind)
        });
        let shares = shares.collect();
        if role == Role::P0 {
            s.channel.send_bits::<Products>(&BitVec::concat(&messages))?; // (2) (3) (4) (5) (6)
        }
        Ok(shares)
    }
}

/// The digits of one kind while their products are made.
struct Digits<'a> {
    rots: &'a Rots,
    /// Where the ROTs of these digits begin.
    start: usize,
    own: &'a [BitVec],
    /// Bits of the keys with each choice that have served.
    used: Vec<usize>,
    /// P0: what has been made. P1: what is left, the last first.
    messages: &'a mut Vec<BitVec>,
}

impl Digits<'_> {
    /// A share of x·v, x a bit of P0's, v bit `choice` of P1's digit; P1's `x` is not read.
    fn product(&mut self, x: &BitVec, choice: usize) -> BitVec {
        let (n, bit) = (self.own[choice].len(), self.used[choice]);
        self.used[choice] += 1;
        let range = self.start + choice * n..self.start + (choice + 1) * n;
        let of = |planes: &[BitVec]| planes[bit].slice(range.clone());
        match self.rots {
            Rots::Sender([k0, k1]) => {
                let k0 = of(k0);
                self.messages.push(&(x ^ &k0) ^ &of(k1));
                k0
            }
            Rots::Receiver(k) => {
                let m = self.messages.pop().unwrap_or_default();
                &of(k) ^ &(&self.own[choice] & &m)
            }
        }
    }

    /// What only P1 adds.
    fn at_p1(&self, x: BitVec) -> BitVec {
        match self.rots {
            Rots::Sender(_) => BitVec::zeros(x.len()),
            Rots::Receiver(_) => x,
        }
    }

    fn compare(&mut self, kind: &Kind) -> LtEq {
        let own = self.own;
        match own {
            [u] => (self.product(u, 0), if kind.eq { u.clone() } else { BitVec::default() }), // (2)
            [u0, u1] => {
                let both = u1 & u0;
                let (lt, p) = self.less(u1, u0, &both);
                let mut eq = || &(&both ^ &p) ^ &self.product(u1, 0); // (5)
                (lt, if kind.eq { eq() } else { BitVec::default() })
            }
            [u0, u1, u2] => {
                let both = u1 & u0;
                let (below, _) = self.less(u1, u0, &both);
                let (times, _) = self.less(&(u2 & u1), &(u2 & u0), &(u2 & &both));
                let above = &self.product(&(u2 ^ &below), 2) ^ &self.at_p1(u2 & &below); // (6)
                (&times ^ &above, BitVec::default()) // (6)
            }
            other => panic!("digits of {} bits", other.len()),
        }
    }

    /// Shares of u1·v1 + (u1 + v1)·u0·v0 and of u0·v1; `both` is u1·u0, at P0 perhaps times something.
    fn less(&mut self, u1: &BitVec, u0: &BitVec, both: &BitVec) -> (BitVec, BitVec) {
        let p = self.product(u0, 1); // (3)
        let high = self.product(u1, 1);
        let low = &self.product(&(both ^ &p), 0) ^ &self.at_p1(&p & &self.own[0]);
        (&high ^ &low, p) // (4)
    }
}

/// Cuts `all` into vectors of the given lengths.
fn split_all(all: &BitVec, lens: impl Iterator<Item = usize>) -> Vec<BitVec> {
    let mut start = 0;
    let mut next = |len| {
        start += len;
        all.slice(start - len..start)
    };
    lens.map(&mut next).collect()
}
